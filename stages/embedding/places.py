"""Two coordinates a frame, and how far apart groups of frames stand in the space that the network's head reads.

t-SNE is scikit-learn's. UMAP would bring 213 MB, mostly a compiler, and compile for half a minute to place 238 frames.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.metrics import pairwise_distances, silhouette_score

Values = NDArray[np.float64]
Names = NDArray[np.object_]


@dataclass(frozen=True)
class Places:
    """Where the frames lie.

    Attributes:
        pca: (N, 2) on the two axes of greatest variance; a straight look.
        explained: their shares of the variance.
        tsne: (N, 2) neighbours kept together (van der Maaten 2008); distances between heaps mean nothing.
    """

    pca: Values
    explained: list[float]
    tsne: Values


def places(values: Values, components: int, perplexity: float, seed: int) -> Places:
    """Return two views of (N, D) activations, centred but not scaled, because the head reads them as they are."""
    nowhere = np.zeros((len(values), 2))
    if not np.ptp(values, axis=0).any():
        return Places(nowhere, [0.0, 0.0], nowhere)
    model = PCA(min(components, *values.shape), random_state=seed)
    main = model.fit_transform(values)
    flat = np.pad(main[:, :2], ((0, 0), (0, max(0, 2 - main.shape[1]))))
    shares = [*model.explained_variance_ratio_[:2].tolist(), 0.0][:2]
    start = flat / flat[:, 0].std() * 1e-4  # scikit-learn's own start, without fitting the components again
    return Places(
        flat, shares, np.asarray(TSNE(2, perplexity=perplexity, init=start, random_state=seed).fit_transform(main))
    )


def silhouettes(values: Values, groupings: dict[str, Names], sides: dict[str, NDArray[np.bool_]]) -> dict[str, Any]:
    """Return side -> grouping -> {value, frames, groups, why}: Rousseeuw's silhouette (1987), mean over frames.

    Near 1 the groups lie apart, near 0 they overlap, below 0 frames lie nearer to another group than to their own.

    Args:
        values: (N, D).
        groupings: name -> (N,) group of each frame, None where unknown, which leaves the frame out.
        sides: name -> (N,) whether the frame counts.
    """
    distances = pairwise_distances(values)
    np.fill_diagonal(distances, 0)
    return {
        side: {name: _silhouette(distances, groups, on) for name, groups in groupings.items()}
        for side, on in sides.items()
    }


def _silhouette(distances: Values, groups: Names, on: NDArray[np.bool_]) -> dict[str, Any]:
    rows = np.flatnonzero(on & np.array([group is not None for group in groups]))
    count = len(set(groups[rows]))
    found: dict[str, Any] = {"value": None, "frames": len(rows), "groups": count, "why": None}
    if not 1 < count < len(rows):
        return found | {"why": "at least two groups are needed, and more frames than groups"}
    value = silhouette_score(distances[np.ix_(rows, rows)], groups[rows].astype(str), metric="precomputed")
    return found | {"value": round(float(value), 4)}
