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
BATCH, PARTS, THRESHOLD = 32, 3, 0.5
SAMPLE = 100  # frames rendered again, a part
GAINS = ({"gain": 1.2}, {"gain": 0.8}, {"pixel_gain": 1.2}, {"pixel_gain": 0.8})
Row = tuple[str, str, str, float]


def train_and_test(frames: Frames, epochs: int, render: Callable[..., tuple[NDArray[np.uint8], object]]) -> list[Row]:
    """Train on two thirds of the infants, measure on the rest, three times over; rows (task, probe, bound, measured).

    Every infant is unseen once: of a third of thirty, three show a cord, and they alone decided the figures. A decision
    is a probability above one half: thresholds fitted to a few infants moved the counterfactual lines by tenths.
    """
    torch.manual_seed(0)
    torch.set_num_threads(1)  # two threads beside a busy core are slower than one
    rng = np.random.default_rng(0)
    y = np.stack([frames.labels[task] for task in TASKS], axis=1).astype(np.float32)
    areas, tried = [], []
    for unseen in np.array_split(rng.permutation(np.unique(frames.groups)), PARTS):
        test = np.isin(frames.groups, unseen)
        network = _fit(frames.pictures[~test], y[~test], epochs, rng)
        scores = predict(network, frames.pictures[test])
        areas.append([roc_auc_score(y[test][:, i], scores[:, i]) for i in range(len(TASKS))])
        tried.append(_counterfactuals(frames, np.flatnonzero(test), scores, network, render, rng))
    rows = [(task, f"ResNet18 AUC, mean of {np.round(of, 3)}", ".88-.98", float(np.mean(of)))
            for task, of in zip(TASKS, np.transpose(areas), strict=True)]  # fmt: skip
    return rows + _told(tried)


def _fit(pictures: NDArray[np.uint8], y: NDArray[np.float32], epochs: int, rng: np.random.Generator) -> torch.nn.Module:
    network = torchvision.models.resnet18(num_classes=2)
    batches = -(-len(y) // BATCH)
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=epochs * batches)
    for epoch in range(epochs):
        network.train()
        total = 0.0
        for batch in np.array_split(rng.permutation(len(y)), batches):
            logits = network(_augment(_tensor(pictures[batch]), rng))
            loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, torch.from_numpy(y[batch]))
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


def _counterfactuals(frames: Frames, test: NDArray[np.int_], scores: NDArray[np.float64],
                     network: torch.nn.Module, render: Callable[..., tuple[NDArray[np.uint8], object]],
                     rng: np.random.Generator) -> dict[str, NDArray[np.bool_]]:  # fmt: skip
    """The same frames without their cord, and at other gains: what became of each decision."""

    def again(rows: Sequence[int], **change: object) -> NDArray[np.float64]:
        jobs = [(frames.clips[frames.groups[row]], int(frames.frames[row])) for row in rows]
        return predict(network, np.stack([render(job, **change)[0] for job in jobs]))

    called = test[scores[:, 0] > THRESHOLD]
    called = rng.choice(called, min(SAMPLE, len(called)), replace=False)
    some = rng.choice(len(test), min(SAMPLE, len(test)), replace=False)
    before = scores[some] > THRESHOLD
    told = {"fell": again(called, cord=False)[:, 0] <= THRESHOLD, "right": frames.labels["cord"][called] == 1}
    for change in GAINS:
        told[_name(change)] = (again(test[some], **change) > THRESHOLD) != before
    return told


def _name(change: dict[str, float]) -> str:
    return " ".join(f"{key} x{value}" for key, value in change.items())


def _told(tried: Sequence[dict[str, NDArray[np.bool_]]]) -> list[Row]:
    """Pool the decisions of all parts."""
    pooled = {key: np.concatenate([part[key] for part in tried]) for key in tried[0]}
    fell, right = pooled.pop("fell"), pooled.pop("right")
    rows: list[Row] = [
        ("cord", f"called cord, below without it, n={int(right.sum())}", ">= .80", float(fell[right].mean())),
        ("cord", f"the same, wrongly called ones too, n={len(right)}", "", float(fell.mean())),
    ]  # fmt: skip
    return rows + [
        (task, f"decisions flipped by {name}", "<= .05", float(flips[:, i].mean()))
        for name, flips in pooled.items()
        for i, task in enumerate(TASKS)
    ]
