"""What a probability costs, over the labels that are known; and how a choice is made by it."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from stages.sequence.smoothing import CLIP


def masked_loss(logits: Tensor, truth: Tensor) -> Tensor:
    """Return the mean binary cross-entropy over the known labels; unknown ones and padding (NaN) weigh nothing.

    Args:
        logits, truth: of equal shape.
    """
    known = ~truth.isnan()
    losses = binary_cross_entropy_with_logits(logits, truth.nan_to_num(), reduction="none")
    return (losses * known).sum() / known.sum().clamp(min=1)


def log_loss(probabilities: NDArray[np.float64], truth: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return (...) the mean over the known cells of (..., N, L) probabilities against (N, L) truth; inf where none is.

    Probabilities are clipped to what a predictions table can hold.
    """
    known = ~np.isnan(truth)
    said = np.clip(probabilities, CLIP, 1 - CLIP)
    cost = -np.where(truth == 1, np.log(said), np.log(1 - said))
    total: NDArray[np.float64] = np.where(known, cost, 0.0).sum(axis=(-2, -1))
    return total / known.sum() if known.any() else np.full_like(total, np.inf)


def constant_labels(probabilities: NDArray[np.float64], truth: NDArray[np.float32]) -> int:
    """Return for how many labels every answer at .5 is the same although the truth is not.

    Args:
        probabilities, truth: (N, L).
    """
    answers = probabilities > 0.5
    both = [len(np.unique(column[~np.isnan(column)])) == 2 for column in truth.T]
    same = [len(np.unique(column)) == 1 for column in answers.T]
    return sum(one and other for one, other in zip(both, same, strict=True))


def seeded(seed: int, *names: str) -> int:
    """Return a seed of its own for each purpose and fix torch's generator to it: the order of folds changes nothing."""
    words = [int.from_bytes(name.encode(), "big") for name in ("sequence", *names)]
    own = int(np.random.SeedSequence([seed, *words]).generate_state(1)[0])
    torch.manual_seed(own)
    return own
