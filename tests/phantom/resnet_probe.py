"""The part of the probes that trains a ResNet18: how learnable the phantom is, and what the network looks at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from stages.common.networks.vision import torchvision

if TYPE_CHECKING:
    from tests.phantom.probes import Frames

TASKS = ("cord", "fluid")
BATCH, THRESHOLD = 32, 0.5
SAMPLE = 400  # frames rendered again at other gains
GAINS = ({"gain": 1.2}, {"gain": 0.8}, {"pixel_gain": 1.2}, {"pixel_gain": 0.8})
Row = tuple[str, str, str, float]


def train_and_test(seen: Frames, unseen: Frames, epochs: int,
                   render: Callable[..., tuple[NDArray[np.uint8], object]]) -> list[Row]:  # fmt: skip
    """Train on the infants of one cohort, measure on those of another; rows (task, probe, bound, measured).

    A decision is a probability above one half: thresholds fitted to a few infants moved the counterfactual lines by
    tenths. So did a test of ten infants, of whom three show a cord: all thirty are asked, and others are learnt from.
    """
    torch.manual_seed(0)
    torch.set_num_threads(1)  # two threads beside a busy core are slower than one
    rng = np.random.default_rng(0)
    network = _fit(seen.pictures, np.stack([seen.labels[task] for task in TASKS], axis=1), epochs, rng)
    scores = predict(network, unseen.pictures)
    rows = [(task, "ResNet18 AUC", ".88-.98", float(roc_auc_score(unseen.labels[task], scores[:, i])))
            for i, task in enumerate(TASKS)]  # fmt: skip
    return rows + _counterfactuals(unseen, scores, network, render, rng)


def _fit(pictures: NDArray[np.uint8], y: NDArray[np.int_], epochs: int, rng: np.random.Generator) -> torch.nn.Module:
    network = torchvision.models.resnet18(num_classes=2)
    batches = -(-len(y) // BATCH)
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=epochs * batches)
    for epoch in range(epochs):
        network.train()
        total = 0.0
        for batch in np.array_split(rng.permutation(len(y)), batches):
            logits = network(_augment(_tensor(pictures[batch]), rng))
            loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, torch.from_numpy(y[batch]).float())
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            total += loss.item() / batches
        print(f"  epoch {epoch + 1}: loss {total:.3f}", flush=True)
    return network.eval()


def _tensor(pictures: NDArray[np.uint8]) -> torch.Tensor:
    """Grey pictures (N, px, px) as (N, 3, px, px); the square root opens the dark greys."""
    return torch.from_numpy(np.sqrt(pictures / 255.0)).float()[:, None].expand(-1, 3, -1, -1) * 3 - 1


def _augment(batch: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Mirror, depth, offset, tilt and gain of each picture: what differs between clips anyway."""
    count = len(batch)
    zoom, turn = rng.uniform(0.75, 1.25, count), rng.uniform(-0.2, 0.2, count)
    mirror = rng.choice([-1.0, 1.0], count)
    shift = rng.uniform(-0.15, 0.15, (count, 2))
    affine = np.stack(
        [np.stack([mirror * zoom * np.cos(turn), -zoom * np.sin(turn), shift[:, 0]], axis=1),
         np.stack([mirror * zoom * np.sin(turn), zoom * np.cos(turn), shift[:, 1]], axis=1)], axis=1,
    )  # fmt: skip
    grid = torch.nn.functional.affine_grid(torch.from_numpy(affine).float(), list(batch.shape), align_corners=False)
    factor, gain = (torch.from_numpy(rng.uniform(low, high, (count, 1, 1, 1)).astype(np.float32))
                    for low, high in ((0.8, 1.25), (-0.2, 0.2)))  # fmt: skip
    moved = torch.nn.functional.grid_sample((batch + 1) * factor, grid, align_corners=False)
    return torch.relu(moved + gain) - 1  # after log compression and the root a receiver's gain adds


def predict(network: torch.nn.Module, pictures: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Probabilities (N, 2) of cord and fluid."""
    with torch.no_grad():
        chunks = np.array_split(pictures, max(1, len(pictures) // 128))
        parts = [torch.sigmoid(network(_tensor(chunk))) for chunk in chunks]
    return torch.cat(parts).numpy().astype(float)


def _counterfactuals(frames: Frames, scores: NDArray[np.float64], network: torch.nn.Module,
                     render: Callable[..., tuple[NDArray[np.uint8], object]],
                     rng: np.random.Generator) -> list[Row]:  # fmt: skip
    """The same frames without their cord, and at other gains: what becomes of the decisions."""

    def again(rows: Sequence[int], **change: object) -> NDArray[np.float64]:
        jobs = [(frames.clips[frames.groups[row]], int(frames.frames[row])) for row in rows]
        return predict(network, np.stack([render(job, **change)[0] for job in jobs]))

    called = np.flatnonzero(scores[:, 0] > THRESHOLD)
    fell = again(called, cord=False)[:, 0] <= THRESHOLD
    right = frames.labels["cord"][called] == 1
    rows: list[Row] = [
        ("cord", f"called cord, below without it, n={int(right.sum())}", ">= .80", float(fell[right].mean())),
        ("cord", f"the same, wrongly called ones too, n={len(right)}", "", float(fell.mean())),
    ]
    some = rng.choice(len(scores), min(SAMPLE, len(scores)), replace=False)
    for change in GAINS:
        flips = (again(some, **change) > THRESHOLD) != (scores[some] > THRESHOLD)
        name = " ".join(f"{key} x{value}" for key, value in change.items())
        rows += [(task, f"decisions flipped by {name}", "<= .05", float(of.mean())) for task, of in
                 zip(TASKS, flips.T, strict=True)]  # fmt: skip
    return rows
