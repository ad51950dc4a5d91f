"""Images a second of the training loop beside a bare forward, backward and step on tensors already in memory."""

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from stages.common.networks.models import build, head_name
from stages.train.answers import normalised
from stages.train.loop import optimizer_of, train_epochs
from stages.train.recipe import Pictures, Recipe
from tests.workspace import read_params_file

ROUNDS = 5  # pairs of ours and bare; the median ratio is reported
STEPS = 16  # a round


def recipe(params: dict[str, Any], architecture: str) -> Recipe:
    """Return the shipped recipe for one epoch."""
    train = params["train"]
    return Recipe(
        lr=params["lr"],
        backbone_scale=params["architectures"][architecture]["backbone_scale"],
        epochs=1,
        batch_size=train["batch_size"],
        warmup=train["warmup"],
        clip_norm=train["clip_norm"],
        mean=train["mean"],
        std=train["std"],
        seed=1,
    )


def bare_loop(network: nn.Module, asked: Recipe, batches: list[tuple[Tensor, Tensor]]) -> None:
    """What any trainer must do at the least: an optimizer, then forward, loss, backward, step."""
    optimizer = optimizer_of(network, head_name(network), asked)  # fresh, as ours: its state is allocated in step one
    network.train()
    for pictures, truth in batches:
        optimizer.zero_grad(set_to_none=True)
        binary_cross_entropy_with_logits(network(pictures), truth).backward()
        optimizer.step()


def seconds(work: Callable[[], object]) -> float:
    """Return how long `work` took."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def compare(architecture: str, params: dict[str, Any]) -> dict[str, float]:
    """Return images a second of both loops and the median of the paired ratios."""
    torch.manual_seed(1)
    asked = recipe(params, architecture)
    count = asked.batch_size * STEPS
    data = Pictures(
        torch.randint(0, 256, (count, params["size_px"], params["size_px"]), dtype=torch.uint8),
        torch.randint(0, 2, (count, len(params["labels"]))).float(),
    )
    one = Pictures(data.grey[:2], data.truth[:2])  # the loop also looks at validation: two pictures
    network = build(architecture, len(params["labels"]))
    ready = normalised(data.grey, asked).contiguous()
    batches = list(zip(ready.split(asked.batch_size), data.truth.split(asked.batch_size), strict=True))
    bare = lambda: bare_loop(network, asked, batches)  # noqa: E731
    ours = lambda: list(train_epochs(network, head_name(network), data, one, asked))  # noqa: E731
    bare(), ours()  # warm up
    pairs = [(seconds(bare), seconds(ours)) for _ in range(ROUNDS)]
    return {
        "bare_images_per_s": round(count / statistics.median(pair[0] for pair in pairs), 1),
        "images_per_s": round(count / statistics.median(pair[1] for pair in pairs), 1),
        "ratio": round(statistics.median(pair[0] / pair[1] for pair in pairs), 3),
    }


def measure() -> dict[str, Any]:
    """Compare for each declared architecture at the shipped size and batch."""
    params = read_params_file(Path("params.yaml"))
    torch.set_num_threads(params["train"]["threads"])
    torch.use_deterministic_algorithms(True)  # as train does on a CPU
    figures: dict[str, Any] = {name: compare(name, params) for name in params["architectures"]}
    return {"size_px": params["size_px"], "batch": params["train"]["batch_size"], "architectures": figures}
