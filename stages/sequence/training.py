"""Train a small network over stretches; say of every frame what it answers."""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from stages.common.core.errors import PipelineError
from stages.common.core.progress import bar
from stages.sequence.batches import Batch, pad
from stages.sequence.losses import constant_labels, log_loss, masked_loss
from stages.sequence.params import Chooser, Section
from stages.sequence.stretches import Stretch, buckets

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Data:
    """What a network learns from and is asked of.

    Attributes:
        inputs: (N, C) of all frames.
        truth: (N, L) 1, 0 or NaN.
        stretches: side -> its stretches.
    """

    inputs: Array
    truth: Array
    stretches: dict[str, list[Stretch]]


@dataclass(frozen=True)
class Epoch:
    """One line of the history; losses are means over known labels.

    Attributes:
        epoch: counted from 1.
        validation_loss: of the network as it then stood.
        constant_labels: how many get one and the same answer on validation, where the truth has both.
    """

    epoch: int
    validation_loss: float
    constant_labels: int


def fit(network: nn.Module, data: Data, section: Section, by: Chooser, seed: int, label: str) -> Epoch:
    """Train in place and leave the weights of the epoch that is returned: the last one, or the best on validation.

    Best is the lowest loss among the epochs with the fewest constant answers, as in stage train.
    """
    groups = [pad(group, data.inputs, data.truth) for group in buckets(data.stretches["train"], section.batch)]
    optimizer = torch.optim.AdamW(network.parameters(), lr=section.lr, weight_decay=section.weight_decay)
    steps, generator = len(groups) * section.epochs, torch.Generator().manual_seed(seed)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.5 * (1 + math.cos(math.pi * step / steps)))
    history: list[Epoch] = []
    weights: dict[str, Tensor] = {}
    for number in bar(range(1, section.epochs + 1), label, unit="epoch"):
        network.train()
        for place in torch.randperm(len(groups), generator=generator).tolist():
            _step(network, groups[place], optimizer, section, generator)
            schedule.step()
        history.append(_judged(network, data, number, section.batch))
        if by == "validation" and kept_line(history, by) is history[-1]:
            weights = copy.deepcopy(network.state_dict())
    if by == "validation":
        network.load_state_dict(weights)
    return kept_line(history, by)


def kept_line(history: Sequence[Epoch], by: Chooser) -> Epoch:
    """Return the epoch whose weights stay; of equals the later, as where validation has no known label."""
    if by == "fixed":
        return history[-1]
    return min(history, key=lambda line: (line.constant_labels, line.validation_loss, -line.epoch))


def _step(
    network: nn.Module, batch: Batch, optimizer: torch.optim.Optimizer, section: Section, generator: torch.Generator
) -> None:
    optimizer.zero_grad(set_to_none=True)
    noise = section.noise * torch.randn(batch.features.shape, generator=generator)
    masked_loss(network(batch.features + noise, batch.times_s, batch.real), batch.truth).backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(network.parameters(), section.clip_norm)
    optimizer.step()


def _judged(network: nn.Module, data: Data, number: int, batch: int) -> Epoch:
    stretches = data.stretches["validation"]
    said = answers(network, data, stretches, batch)
    rows = np.concatenate([stretch.rows for stretch in stretches])
    loss = float(log_loss(said[rows], data.truth[rows]))
    if np.isnan(said[rows]).any():  # the loss of no known label says nothing
        raise PipelineError(
            f"epoch {number}: expected answers that are numbers, got NaN on validation. Lower sequence.lr."
        )
    return Epoch(number, loss, constant_labels(said[rows], data.truth[rows]))


def answers(network: nn.Module, data: Data, stretches: Sequence[Stretch], batch: int) -> NDArray[np.float64]:
    """Return (N, L) probabilities; NaN in rows that no stretch has."""
    network.eval()
    said = np.full(data.truth.shape, np.nan)
    with torch.inference_mode():
        for group in buckets(stretches, batch):
            padded = pad(group, data.inputs, data.truth)
            found = torch.sigmoid(network(padded.features, padded.times_s, padded.real)).double().numpy()
            for stretch, own in zip(group, found, strict=True):
                said[stretch.rows] = own[: len(stretch.rows)]
    return said
