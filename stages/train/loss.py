"""The loss over the known labels, and what params.yaml can do about rare ones (`train.imbalance`, off as shipped)."""

import math

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, logsigmoid

from stages.common.truth import combination_shares


def masked_loss(
    logits: Tensor,
    truth: Tensor,
    positives: Tensor | None = None,
    gamma: float = 0.0,
    whole: Tensor | None = None,
) -> Tensor:
    """Return the mean binary cross-entropy over the known labels; unknown (NaN) ones weigh nothing.

    Args:
        logits: (N, L).
        truth: (N, L): 1, 0 or NaN.
        positives: (L,) weight of a positive of each label; None for 1.
        gamma: of the focal loss (Lin et al. 2017, equation 4): each term times (1 - p)^gamma, where p is the
            probability given to what is true. 0 is the plain loss.
        whole: (M, L) truth of the batch that these are a part of: the sum is divided by its known labels, so that
            the losses of all parts add up to the batch's. None: these are the batch.
    """
    known, target = ~truth.isnan(), truth.nan_to_num()
    logits = torch.where(known, logits, 0.0)  # an unknown label's gradient is nought, not nought times infinity
    losses = binary_cross_entropy_with_logits(logits, target, reduction="none", pos_weight=positives)
    if gamma:  # as a power of e: the slope of x^gamma at nought is infinite for gamma below 1
        losses = losses * torch.exp(gamma * logsigmoid(torch.where(target > 0, -logits, logits)))
    count = known if whole is None else ~whole.isnan()
    return (losses * known).sum() / count.sum().clamp(min=1)


def coin_loss(truth: Tensor, positives: Tensor | None = None, gamma: float = 0.0) -> float:
    """Return the loss of always saying one half: log 2 where positives weigh 1 and gamma is 0."""
    return float(masked_loss(torch.zeros_like(truth), truth, positives, gamma))


def positive_weights(truth: Tensor, shares: Tensor | None = None) -> Tensor:
    """Return (L,) negatives a positive among the known labels: both classes then weigh the same; 1 where one lacks.

    Args:
        truth: (N, L) 1, 0 or NaN.
        shares: (N,) with which the pictures are drawn; None: each once. What sampling evens out is not weighed again.
    """
    each = torch.ones(len(truth), dtype=torch.float64) if shares is None else shares
    positive, negative = (((truth == value) * each.to(truth.device)[:, None]).sum(0) for value in (1, 0))
    both = (positive > 0) & (negative > 0)
    return torch.where(both, negative / positive.where(both, 1.0), 1.0).float()


def combination_weights(truth: Tensor) -> Tensor:
    """Return (N,) shares with which pictures are drawn so that each combination of labels comes equally often."""
    return torch.from_numpy(combination_shares(truth.cpu().numpy()))


def batches(count: int, batch_size: int, generator: torch.Generator, shares: Tensor | None = None) -> list[Tensor]:
    """Return row numbers in near-equal batches: no leftover of one picture, which batch norm cannot take.

    Without `shares` every row comes once, shuffled; with them `count` rows are drawn, with replacement.
    """
    if shares is None:
        order = torch.randperm(count, generator=generator)
    else:
        order = torch.multinomial(shares, count, replacement=True, generator=generator)
    return list(torch.tensor_split(order, math.ceil(count / batch_size)))
