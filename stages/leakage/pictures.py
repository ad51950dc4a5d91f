"""One pass over the pictures: grey levels, hash and a small copy of each frame, whatever the cohort's size."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from stages.common.core.progress import bar
from stages.leakage.cohort import Pictures
from stages.leakage.likeness import Words, packed_hash

Counts = NDArray[np.int32]
PERCENTS = (5, 25, 50, 75, 95)
BLACK, WHITE = 10, 245  # grey levels below which a pixel counts as black, from which as white


@dataclass(frozen=True)
class Looks:
    """What one pass over the originals keeps.

    Attributes:
        levels: (N, 256) how many pixels have each grey level.
        hashes: (N, words) packed perceptual hashes.
        small: (N, side^2) grey, averaged down.
    """

    levels: Counts
    hashes: Words
    small: NDArray[np.float32]

    @property
    def spread(self) -> NDArray[np.float64]:
        """(N,) standard deviation of the grey levels."""
        return brightness(self.levels)[:, 1]


def grey_of(picture: Pictures) -> Pictures:
    """Return an (S, S) or BGR (S, S, 3) picture as grey."""
    grey: Pictures = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY) if picture.ndim == 3 else np.ascontiguousarray(picture)
    return grey


def shrunk(grey: NDArray[np.generic], side: int) -> NDArray[np.float32]:
    """Return a grey picture averaged down to (side^2,)."""
    small = cv2.resize(grey.astype(np.float32), (side, side), interpolation=cv2.INTER_AREA)
    return small.ravel()


def look(originals: Pictures, hash_side: int, side: int) -> Looks:
    """Return what is kept of (N, S, S, 3) originals; one picture is in memory at a time."""
    count = len(originals)
    levels = np.empty((count, 256), np.int32)
    hashes = np.empty((count, hash_side**2 // 64), np.uint64)
    small = np.empty((count, side**2), np.float32)
    for row in bar(range(count), "look at the pictures"):
        grey = grey_of(originals[row])
        levels[row] = histogram(grey)
        hashes[row] = packed_hash(grey, hash_side)
        small[row] = shrunk(grey, side)
    return Looks(levels, hashes, small)


def histogram(grey: Pictures) -> Counts:
    """Return (256,) how many pixels have each grey level."""
    counts: Counts = cv2.calcHist([grey], [0], None, [256], [0, 256]).ravel().astype(np.int32)
    return counts


def brightness(levels: Counts) -> NDArray[np.float64]:
    """Return (N, 9) brightness statistics: mean, standard deviation, `PERCENTS`, shares of black and of white."""
    grey = np.arange(256)
    shares = levels / levels.sum(axis=1, keepdims=True)
    mean = shares @ grey
    deviation = np.sqrt(np.maximum(shares @ grey**2 - mean**2, 0))
    reached = 100 * levels.cumsum(axis=1, dtype=np.int64)  # whole numbers: a sum of shares would miss by a rounding
    percentiles = [(reached < percent * reached[:, -1:] // 100).sum(axis=1) for percent in PERCENTS]
    return np.column_stack(
        [mean, deviation, *percentiles, shares[:, :BLACK].sum(axis=1), shares[:, WHITE:].sum(axis=1)]
    ).astype(np.float64)
