"""What each stage costs at 13, 130 and 1300 phantom clips, what DVC adds, and curves through the figures.

Small clips: 8 frames of 32 px, one clip an infant, one network for one epoch, under protocol `patient`. So a figure
says how a stage grows with clips, and not what a study's frames cost: those are in the part `frames`.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import networkx as nx  # DVC's own graph
import numpy as np
from dvc.repo import Repo
from scipy.optimize import least_squares

from tests.benchmark import scale_page
from tests.benchmark.laptop import size_mib
from tests.workspace import commit, copy_project, environment, set_params

CLIPS = (13, 130, 1300)
FRAMES = 8  # a clip
NEAR = 0.25  # of a figure; one and the same work varied by a fifth on a machine that had other work, too
SMALL = {
    "size_px": 32,
    "epochs": 1,
    "train.threads": 1,
    "architectures": {"resnet18": {"backbone_scale": 0.1}},
    "protocols": {"patient": {}},
    "train.variants": {"original": True},
    "phantom.scale": 1.0,
    "phantom.width_px": 128,
    "phantom.height_px": 104,
    "phantom.sweep_candidates": 10,
    "extract_frames.crop": "none",  # 8 frames of 128 px are too few to tell what moves in every clip
}


# A new process counts what its parent held when it forked: so a small one starts the command, and prints its peak
LAUNCH = """import os, sys
said = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
to = [(os.POSIX_SPAWN_DUP2, said, 1), (os.POSIX_SPAWN_DUP2, said, 2)]
_, status, usage = os.wait4(os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ, file_actions=to), 0)
print(usage.ru_utime + usage.ru_stime, usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""


@dataclass(frozen=True)
class Cost:
    """What a command took, its children included: seconds, seconds of a core, MiB of its largest process."""

    s: float
    cpu_s: float
    mib: float

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.s + other.s, self.cpu_s + other.cpu_s, max(self.mib, other.mib))


def cost(words: Sequence[str], folder: Path) -> Cost:
    """Return what `python -m <words>` takes."""
    said = folder.parent / "said.txt"
    command = [sys.executable, "-ISc", LAUNCH, str(said), sys.executable, "-m", *words]
    start = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=environment(folder), stdout=subprocess.PIPE, text=True)
    assert done.returncode == 0, f"{words}:\n{said.read_text()}"
    cpu_s, kib = done.stdout.split()
    return Cost(time.perf_counter() - start, float(cpu_s), int(kib) / 1024)


def commands(folder: Path) -> list[list[str]]:
    """Return the commands of all stages in the order in which DVC would run them."""
    with Repo(str(folder)) as repo:
        return [str(stage.cmd).split() for stage in reversed(list(nx.topological_sort(repo.index.graph)))]


def measured(clips: int) -> dict[str, Cost]:
    """Return stage -> what it takes at so many clips, the variants of a stage together; and what DVC adds."""
    found: dict[str, Cost] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = copy_project(Path(name) / "scale")
        layout = {"patients": clips, "clips_per_patient": 1, "frames_per_clip": FRAMES}
        set_params(folder, SMALL | {"phantom.layout": layout})
        for words in commands(folder):
            took = cost(words[2:], folder)
            print(clips, *words[2:], took, file=sys.stderr, flush=True)
            stage = words[2].removeprefix("stages.")
            found[stage] = found[stage] + took if stage in found else took
        found["dvc commit"] = cost(["dvc", "commit", "-f", "-q"], folder)
        commit(folder, "finished")
        found["dvc repro, nothing to do"] = cost(["dvc", "repro", "-q"], folder)
        found["report.html"] = Cost(0, 0, (folder / "metrics/report.html").stat().st_size / 2**20)
        found["data"] = Cost(0, 0, size_mib(folder / "data"))
    return found


def curve(figures: Sequence[float], clips: Sequence[int] = CLIPS) -> dict[str, float]:
    """Return a, b and p of a + b n^p, none negative: a straight line (p = 1) where it passes near all figures.

    Three figures that vary from run to run would fit many an exponent, and 10,000 clips lie far outside of them.
    """
    line = _fit(figures, clips, (1 - 1e-9, 1 + 1e-9))
    if max(abs((line["a"] + line["b"] * n) / of - 1) for n, of in zip(clips, figures, strict=True)) <= NEAR:
        return line | {"p": 1.0}
    return _fit(figures, clips, (0.2, 3))


def _fit(figures: Sequence[float], clips: Sequence[int], powers: tuple[float, float]) -> dict[str, float]:
    """Return the least squares of relative errors."""
    values, sizes = np.asarray(figures, float), np.asarray(clips, float)
    unit = sizes[-1]  # b is the growth up to the largest size: a power of n itself would be of any magnitude
    wrong: Callable[[Any], Any] = lambda x: (x[0] + x[1] * (sizes / unit) ** x[2]) / values - 1  # noqa: E731
    start, bounds = (values[0], max(values[-1] - values[0], 1e-6)), ([0, 0, powers[0]], [np.inf, np.inf, powers[1]])
    tried = np.linspace(*powers, num=7)[1:-1]
    a, growth, p = min((least_squares(wrong, [*start, p], bounds=bounds) for p in tried), key=lambda fit: fit.cost).x
    return {"a": float(a), "b": float(growth / unit**p), "p": float(p)}


def measure() -> dict[str, Any]:
    """Run all stages at each size, fit a curve to time and memory of each, and write the page."""
    each = [measured(clips) for clips in CLIPS]
    stages = {stage: figures([of[stage] for of in each]) for stage in each[0]}
    found = {"clips": list(CLIPS), "frames_a_clip": FRAMES, "size_px": SMALL["size_px"], "stages": stages}
    scale_page.write(found)
    return found


def figures(costs: Sequence[Cost]) -> dict[str, Any]:
    """Return each kind of cost, a figure a size, and the curves; a file has no time."""
    kinds = ("s", "cpu_s", "mib") if costs[0].s else ("mib",)
    of = {kind: [getattr(cost, kind) for cost in costs] for kind in kinds}
    curves = {f"{kind}_curve": rounded(curve(of[kind])) for kind in kinds if kind != "s"}
    return {kind: [round(value, 2) for value in values] for kind, values in of.items()} | curves


def rounded(fitted: dict[str, float]) -> dict[str, float]:
    """Return three figures of each."""
    return {key: float(f"{value:.3g}") for key, value in fitted.items()}
