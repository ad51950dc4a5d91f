"""The training loop: one uint8 array resident on the device, batches gathered and normalised there.

No picture is touched by Python and no worker process exists: the loop is bound by the network alone.
"""

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits
from tqdm import tqdm

from stages.common.models import network_input


@dataclass(frozen=True)
class Recipe:
    """How one network is trained.

    Attributes:
        lr: Adam's rate of the new head.
        backbone_scale: rate of everything else as a multiple of `lr`.
        epochs: passes over the training pictures.
        batch_size: pictures a step.
        warmup: share of all steps over which the rates rise linearly from zero.
        clip_norm: the gradient's norm is cut to this.
        mean, std: of grey values scaled to 0..1.
        seed: order of the pictures and dropout.
    """

    lr: float
    backbone_scale: float
    epochs: int
    batch_size: int
    warmup: float
    clip_norm: float
    mean: float
    std: float
    seed: int


@dataclass(frozen=True)
class Pictures:
    """Rows of one resident array with their truth.

    Attributes:
        grey: (N, S, S) uint8 on the device.
        truth: (N, L) float32: 1, 0 or NaN for unknown.
    """

    grey: Tensor
    truth: Tensor


@dataclass(frozen=True)
class Epoch:
    """One line of the history.

    Attributes:
        epoch: counted from 1.
        train_loss, validation_loss: means over the known labels.
        constant_labels: how many labels get one and the same answer on validation, where the truth has both.
    """

    epoch: int
    train_loss: float
    validation_loss: float
    constant_labels: int


def normalised(grey: Tensor, recipe: Recipe) -> Tensor:
    """Return (B, 3, S, S) float32 network input from (B, S, S) uint8: three equal channels, no copy made for them."""
    return network_input(grey, recipe.mean, recipe.std)


def masked_loss(logits: Tensor, truth: Tensor) -> Tensor:
    """Return the mean binary cross-entropy over the known labels; unknown (NaN) ones weigh nothing."""
    known = ~truth.isnan()
    losses = binary_cross_entropy_with_logits(logits, truth.nan_to_num(), reduction="none")
    return (losses * known).sum() / known.sum().clamp(min=1)


def rate_at(step: int, steps: int, warmup: float) -> float:
    """Return the share of the full rate at `step`: a linear rise over `warmup`, then half a cosine down to zero."""
    rising = max(1, round(warmup * steps))
    if step < rising:
        return (step + 1) / rising
    return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, steps - rising)))


def optimizer_of(network: nn.Module, head: str, recipe: Recipe) -> torch.optim.Adam:
    """Return Adam with the head at `lr` and the backbone at `lr * backbone_scale`."""
    parts: dict[bool, list[nn.Parameter]] = {True: [], False: []}
    for name, value in network.named_parameters():
        parts[name.startswith(head + ".")].append(value)
    groups = [
        {"params": parts[True], "lr": recipe.lr},
        {"params": parts[False], "lr": recipe.lr * recipe.backbone_scale},
    ]
    # one pass over the weights a step: VGG16 has 134 million, and torch's default took as long as its backward pass
    return torch.optim.Adam(groups, lr=recipe.lr, fused=True)


def batches(count: int, batch_size: int, generator: torch.Generator) -> list[Tensor]:
    """Return shuffled row numbers in near-equal batches: no leftover of one picture, which batch norm cannot take."""
    order = torch.randperm(count, generator=generator)
    return list(torch.tensor_split(order, math.ceil(count / batch_size)))


def autocast(device: torch.device) -> AbstractContextManager[object]:
    """Return bfloat16 autocast on CUDA, and nothing elsewhere: CPU bytes stay float32."""
    return torch.autocast("cuda", torch.bfloat16) if device.type == "cuda" else nullcontext()


def predict(network: nn.Module, grey: Tensor, recipe: Recipe) -> Tensor:
    """Return (N, L) float32 logits of (N, S, S) uint8 pictures, in their order."""
    network.eval()
    with torch.inference_mode(), autocast(grey.device):
        parts = [network(normalised(part, recipe)).float() for part in torch.split(grey, recipe.batch_size)]
    return torch.cat(parts)


def train_epochs(
    network: nn.Module, head: str, train: Pictures, validation: Pictures, recipe: Recipe
) -> Iterator[Epoch]:
    """Train in place; yield the losses after every epoch, while the network holds that epoch's weights."""
    generator = torch.Generator().manual_seed(recipe.seed)
    optimizer = optimizer_of(network, head, recipe)
    steps = math.ceil(len(train.grey) / recipe.batch_size) * recipe.epochs
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate_at(step, steps, recipe.warmup))
    with tqdm(total=len(train.grey) * recipe.epochs, unit="image", disable=None) as progress:
        for epoch in range(1, recipe.epochs + 1):
            loss = _one_epoch(network, train, recipe, generator, optimizer, schedule, progress)
            logits = predict(network, validation.grey, recipe)
            seen = float(masked_loss(logits, validation.truth))
            yield Epoch(epoch, loss, seen, len(constant_labels(logits, validation.truth)))


def _one_epoch(
    network: nn.Module,
    train: Pictures,
    recipe: Recipe,
    generator: torch.Generator,
    optimizer: torch.optim.Adam,
    schedule: torch.optim.lr_scheduler.LambdaLR,
    progress: "tqdm[Any]",
) -> float:
    network.train()
    total = torch.zeros((), device=train.grey.device)  # summed on the device: no wait for it at every step
    for rows in batches(len(train.grey), recipe.batch_size, generator):
        rows = rows.to(train.grey.device)
        loss = step(network, train.grey[rows], train.truth[rows], recipe, optimizer)
        schedule.step()
        total += loss.detach() * len(rows)
        progress.update(len(rows))
    return float(total) / len(train.grey)


def step(network: nn.Module, grey: Tensor, truth: Tensor, recipe: Recipe, optimizer: torch.optim.Adam) -> Tensor:
    """Take one optimizer step on a batch of (B, S, S) uint8 pictures and return its loss."""
    optimizer.zero_grad(set_to_none=True)
    with autocast(grey.device):
        loss = masked_loss(network(normalised(grey, recipe)).float(), truth)
    loss.backward()  # type: ignore[no-untyped-call]
    clip(network, optimizer, recipe.clip_norm)
    optimizer.step()
    return loss


def clip(network: nn.Module, optimizer: torch.optim.Adam, norm: float) -> None:
    """Let the next step divide the gradient by whatever brings its norm down to `norm`; a smaller one stays as it is.

    The fused step takes that divisor where mixed precision would hand it its loss scale, which spares the pass over
    all gradients that `clip_grad_norm_` makes to multiply them.
    """
    total = nn.utils.get_total_norm([value.grad for value in network.parameters() if value.grad is not None])
    optimizer.grad_scale = (total / norm).clamp(min=1.0)  # type: ignore[attr-defined]


def constant_labels(logits: Tensor, truth: Tensor) -> list[int]:
    """Return the columns whose answers at probability .5 are all the same although the truth is not.

    Args:
        logits: (N, L).
        truth: (N, L), NaN where unknown.
    """
    answers = (logits > 0).cpu().numpy()
    known = truth.cpu().numpy()
    return [
        label
        for label in range(answers.shape[1])
        if len(np.unique(answers[:, label])) == 1 and len(np.unique(known[~np.isnan(known[:, label]), label])) == 2
    ]
