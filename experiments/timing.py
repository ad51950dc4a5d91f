"""How fast this machine trains, measured by a few steps of the very loop that `train` runs."""

import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from experiments.workload import Cohort, Training
from stages.common.core.progress import bar
from stages.common.networks.models import build, head_name
from stages.train.answers import predict
from stages.train.device import device_of, set_deterministic
from stages.train.loop import train_epochs
from stages.train.params import params_of, recipe_of
from stages.train.recipe import Pictures

LONG_ENOUGH_S = 6.0  # of timed steps a network, in ROUNDS; but one step a round at the least, and STEPS at the most
ROUNDS = 3  # the fastest counts: other work on the machine only ever slows
STEPS = 12
# Rough, on 2 cores: what a frame costs until its eight variants lie as arrays (the phantom renders it first), and what
# a stage costs beside its work (Python's start, DVC's hashing). Trainings are most of the time, and are measured.
FRAME_S, RENDER_S, STAGE_S = 0.04, 0.06, 3.0
PREPARING_STAGES = 22  # all but the trainings


@dataclass(frozen=True)
class Rate:
    """Pictures a second of one network."""

    learning: float
    looking: float


@dataclass(frozen=True)
class Estimate:
    """Seconds, and what they go into.

    Attributes:
        preparing: up to the arrays, and evaluation; rough.
        training: architecture -> seconds of all its trainings, from measured steps.
    """

    preparing: float
    training: Mapping[str, float]

    @property
    def whole(self) -> float:
        return self.preparing + sum(self.training.values())


def measure(content: Mapping[str, Any]) -> dict[str, Rate]:
    """Return each declared architecture's rate at the content's picture size, batch, threads and device.

    Raises:
        PipelineError: the device is not there.
    """
    found = {}
    for name in bar(list(content["architectures"]), "measure", unit="network"):
        model = params_of(name)
        params: Any = model.model_validate({key: content[key] for key in model.model_fields})
        device = device_of(params.train.device)
        set_deterministic(device, params.train.threads, params.seed)
        found[name] = _rate(name, params, content["size_px"], device)
    return found


def _rate(name: str, params: Any, size_px: int, device: torch.device) -> Rate:
    recipe = recipe_of(params.model_copy(update={"epochs": 1}), getattr(params.architectures, name), params.seed)
    network = build(name, len(params.labels), size_px).to(device)
    head, batch = head_name(network), recipe.batch_size
    some = _pictures(batch * STEPS, size_px, len(params.labels), device)
    few = Pictures(some.grey[:2], some.truth[:2])

    def learn(steps: int) -> None:
        part = Pictures(some.grey[: batch * steps], some.truth[: batch * steps])
        list(train_epochs(network, head, part, few, recipe))

    learn(1)  # the first step allocates
    step_s = _seconds(lambda: learn(1), device)
    steps = max(1, min(STEPS, int(LONG_ENOUGH_S / ROUNDS / step_s)))
    learn_s = min(_seconds(lambda: learn(steps), device) for _ in range(ROUNDS))
    look_s = min(_seconds(lambda: predict(network, some.grey[:batch], recipe), device) for _ in range(ROUNDS))
    return Rate(batch * steps / learn_s, batch / look_s)


def _pictures(count: int, size_px: int, labels: int, device: torch.device) -> Pictures:
    grey = torch.randint(0, 256, (count, size_px, size_px), dtype=torch.uint8, device=device)
    return Pictures(grey, torch.randint(0, 2, (count, labels), device=device).float())


def _seconds(work: Callable[[], object], device: torch.device) -> float:
    start = time.perf_counter()
    work()
    if device.type == "cuda":  # its kernels run on after the call
        torch.cuda.synchronize()
    return time.perf_counter() - start


def start_s() -> float:
    """Return the seconds that a training takes before its first step: Python and torch are loaded once each."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import stages.train.__main__"], check=True)
    return time.perf_counter() - start


def estimate(
    cohort: Cohort, simulated: bool, trainings: Sequence[Training], rates: Mapping[str, Rate], start: float
) -> Estimate:
    """Return the seconds that everything takes when DVC has nothing of it in its cache.

    Args:
        cohort: how many frames there are.
        simulated: whether they are rendered first.
        trainings: all of them.
        rates: architecture -> its rate.
        start: seconds before a training's first step.
    """
    training = dict.fromkeys(rates, 0.0)
    for one in trainings:
        rate = rates[one.architecture]
        training[one.architecture] += start + STAGE_S + one.learnt / rate.learning + one.looked_at / rate.looking
    rendering = RENDER_S * cohort.decoded if simulated else 0.0
    return Estimate(PREPARING_STAGES * STAGE_S + FRAME_S * cohort.frames + rendering, training)
