"""The training loop: one uint8 array resident on the device, batches gathered and normalised there.

No picture is touched by Python and no worker process exists: the loop is bound by the network alone.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from stages.train.answers import autocast, constant_labels, normalised, predict
from stages.train.checkpoint import Keeper
from stages.train.group import ALONE, Group
from stages.train.loss import batches, coin_loss, combination_weights, masked_loss, positive_weights
from stages.train.recipe import Epoch, Pictures, Recipe


def rate_at(step: int, steps: int, warmup: float) -> float:
    """Return the share of the full rate at `step`: a linear rise over `warmup`, then half a cosine down to zero."""
    rising = max(1, round(warmup * steps))
    if step < rising:
        return (step + 1) / rising
    return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, steps - rising)))


def optimizer_of(network: nn.Module, head: str, recipe: Recipe) -> torch.optim.Adam:
    """Return Adam with the head at `lr` and the backbone at `lr * backbone_scale`, or left as it is."""
    parts: dict[bool, list[nn.Parameter]] = {True: [], False: []}
    for name, value in network.named_parameters():
        value.requires_grad_(not recipe.freeze or _in_head(name, head))
        if value.requires_grad:
            parts[_in_head(name, head)].append(value)
    rates = {True: recipe.lr, False: recipe.lr * recipe.backbone_scale}
    groups = [{"params": values, "lr": rates[own]} for own, values in parts.items() if values]
    # one pass over the weights a step: VGG16 has 134 million, and torch's default took as long as its backward pass
    return torch.optim.Adam(groups, lr=recipe.lr, fused=True)


def _in_head(name: str, head: str) -> bool:
    return name.startswith(head + ".")


def set_learning(network: nn.Module, head: str, freeze: bool) -> None:
    """Put the network into training mode; a frozen backbone neither drops out nor moves its running means."""
    network.train(not freeze)
    if freeze:
        network.get_submodule(head).train()


@dataclass(frozen=True)
class Learning:
    """What stays the same over all steps of a training."""

    network: nn.Module
    joined: nn.Module  # the network as a step calls it
    head: str
    recipe: Recipe
    optimizer: torch.optim.Adam
    positives: Tensor | None  # (L,) weights
    shares: Tensor | None  # (N,) of drawing a picture
    group: Group


def learning_of(network: nn.Module, head: str, train: Pictures, recipe: Recipe, group: Group = ALONE) -> Learning:
    """Return a training that is about to begin."""
    shares = combination_weights(train.truth) if recipe.balanced_sampling else None
    positives = positive_weights(train.truth, shares) if recipe.pos_weight else None
    optimizer = optimizer_of(network, head, recipe)  # first: it says which weights have a gradient
    return Learning(network, group.joined(network), head, recipe, optimizer, positives, shares, group)


def train_epochs(
    network: nn.Module,
    head: str,
    train: Pictures,
    validation: Pictures,
    recipe: Recipe,
    keeper: Keeper | None = None,
    group: Group = ALONE,
) -> Iterator[Epoch]:
    """Train in place; yield the losses after every epoch, while the network holds that epoch's weights.

    Epochs that `keeper` has are not done again, and not yielded.
    """
    generator = torch.Generator().manual_seed(recipe.seed)
    learning = learning_of(network, head, train, recipe, group)
    a_pass = math.ceil(len(train.grey) / recipe.batch_size)
    group.refuse_small_batches(len(train.grey), a_pass)
    steps = a_pass * recipe.epochs
    schedule = torch.optim.lr_scheduler.LambdaLR(learning.optimizer, lambda step: rate_at(step, steps, recipe.warmup))
    parts = {"network": network, "optimizer": learning.optimizer, "schedule": schedule}
    done = keeper.attach(parts, generator) if keeper else 0
    group.refuse_differences(f"{keeper.path.stem if keeper else None} after epoch {done}")
    weighing = learning.positives, recipe.focal_gamma
    coin = coin_loss(validation.truth, *weighing)
    pictures = len(train.grey)
    with tqdm(total=pictures * recipe.epochs, initial=pictures * done, unit="image", disable=None) as progress:
        for epoch in range(done + 1, recipe.epochs + 1):
            group.seed(recipe.seed, epoch)
            loss = _one_epoch(learning, train, generator, schedule, progress)
            logits = predict(network, validation.grey, recipe)
            seen = float(masked_loss(logits, validation.truth, *weighing))
            yield Epoch(epoch, loss, seen, len(constant_labels(logits, validation.truth)), coin)


def _one_epoch(
    learning: Learning,
    train: Pictures,
    generator: torch.Generator,
    schedule: torch.optim.lr_scheduler.LambdaLR,
    progress: "tqdm[Any]",
) -> float:
    set_learning(learning.network, learning.head, learning.recipe.freeze)
    total = torch.zeros((), device=train.grey.device)  # summed on the device: no wait for it at every step
    for rows in batches(len(train.grey), learning.recipe.batch_size, generator, learning.shares):
        rows = rows.to(train.grey.device)
        own = learning.group.part(rows)
        whole = train.truth[rows] if learning.group.size > 1 else None
        loss = step(learning, train.grey[own], train.truth[own], whole)
        schedule.step()
        total += loss.detach() * len(rows)
        progress.update(len(rows))
    return float(learning.group.total(total)) / len(train.grey)


def step(learning: Learning, grey: Tensor, truth: Tensor, whole: Tensor | None = None) -> Tensor:
    """Take one optimizer step on a batch of (B, S, S) uint8 pictures and return its loss.

    In a group the batch is this process's part of one with truth `whole`, and so is the loss.
    """
    network, recipe = learning.network, learning.recipe
    learning.optimizer.zero_grad(set_to_none=True)
    with autocast(grey.device):
        logits = learning.joined(normalised(grey, recipe)).float()
        loss = masked_loss(logits, truth, learning.positives, recipe.focal_gamma, whole)
    # the group averages gradients, and the parts' add up: so each counts as often as there are parts
    loss.backward(torch.full_like(loss, learning.group.size))  # type: ignore[no-untyped-call]
    clip(network, learning.optimizer, recipe.clip_norm)
    learning.optimizer.step()
    return loss


def clip(network: nn.Module, optimizer: torch.optim.Adam, norm: float) -> None:
    """Let the next step divide the gradient by whatever brings its norm down to `norm`; a smaller one stays as it is.

    The fused step takes that divisor where mixed precision would hand it its loss scale, which spares the pass over
    all gradients that `clip_grad_norm_` makes to multiply them.
    """
    total = nn.utils.get_total_norm([value.grad for value in network.parameters() if value.grad is not None])
    optimizer.grad_scale = (total / norm).clamp(min=1.0)  # type: ignore[attr-defined]
