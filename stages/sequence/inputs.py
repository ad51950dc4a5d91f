"""A network's features as inputs: standardised, and turned to their main components, by the training side alone."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from stages.sequence.stretches import Rows

Array = NDArray[np.float32]
FLAT = 1e-6  # a feature that varies less says nothing, and is not blown up


@dataclass(frozen=True)
class Scaling:
    """What the training side's features look like.

    Attributes:
        mean, spread: (D,) of each feature; the spread of a feature that does not vary is 1.
        components: (C, D) main components of the standardised features, scaled to unit variance on average; or None.
    """

    mean: Array
    spread: Array
    components: Array | None

    def __call__(self, features: NDArray[np.floating]) -> Array:
        """Return (N, C) inputs of (N, D) features, or (N, D) where there are no components."""
        inputs: Any = (features.astype(np.float32) - self.mean) / self.spread
        if self.components is not None:
            inputs = inputs @ self.components.T
        return np.ascontiguousarray(inputs, dtype=np.float32)


def scaling_of(features: NDArray[np.floating], train: Rows, components: int | None, seed: int) -> Scaling:
    """Return the scaling of the training rows; no other row is looked at.

    Args:
        features: (N, D) of all frames.
        train: rows of the training side.
        components: how many are kept (fewer where there are fewer frames or features); None keeps the features.
        seed: of the randomised decomposition.
    """
    seen = features[train].astype(np.float64)
    mean, spread = seen.mean(axis=0), seen.std(axis=0)
    spread = np.where(spread > FLAT, spread, 1.0)
    turned = None
    if components is not None:
        kept = min(components, *seen.shape)
        found = PCA(kept, svd_solver="randomized", random_state=seed % 2**32).fit((seen - mean) / spread)
        # one scale for all: whitening would blow up what hardly varies, which new frames share least with those learnt
        scale = np.sqrt(max(float(found.explained_variance_.mean()), FLAT))
        turned = (found.components_ / scale).astype(np.float32)
    return Scaling(mean.astype(np.float32), spread.astype(np.float32), turned)
