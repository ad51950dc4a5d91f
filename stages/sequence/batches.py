"""Stretches of different length side by side: padded at their end, with a mask that says what is padding."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stages.sequence.stretches import Stretch


@dataclass(frozen=True)
class Batch:
    """B stretches, padded to the T frames of the longest.

    Attributes:
        features: (B, T, D) float32, 0 in the padding.
        times_s: (B, T) float64 seconds since the stretch began; in the padding that of the last frame.
        real: (B, T) bool, false in the padding.
        truth: (B, T, L) float32: 1, 0, or NaN where unknown and in the padding.
    """

    features: Tensor
    times_s: Tensor
    real: Tensor
    truth: Tensor

    @property
    def lengths(self) -> Tensor:
        """(B,) frames of each stretch."""
        return self.real.sum(dim=1)


def pad(stretches: Sequence[Stretch], features: NDArray[np.float32], truth: NDArray[np.float32]) -> Batch:
    """Return the stretches as a batch.

    Args:
        stretches: rows point into the two arrays.
        features: (N, D).
        truth: (N, L).
    """
    longest = max(len(stretch.rows) for stretch in stretches)
    # repeating the last row keeps indices and times valid; the mask then blanks what it stands for
    places = [np.minimum(np.arange(longest), len(stretch.rows) - 1) for stretch in stretches]
    rows = np.stack([stretch.rows[place] for stretch, place in zip(stretches, places, strict=True)])
    times = np.stack([stretch.times_s[place] for stretch, place in zip(stretches, places, strict=True)])
    real = np.stack([np.arange(longest) < len(stretch.rows) for stretch in stretches])
    seen = np.where(real[:, :, None], features[rows], np.float32(0))
    known = np.where(real[:, :, None], truth[rows], np.float32(np.nan))
    return Batch(*(torch.from_numpy(array) for array in (seen, times, real, known)))
