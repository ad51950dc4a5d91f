"""Which training pictures, derived ones included, are byte for byte the picture of another frame on the test side."""

import hashlib
from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.common.core.progress import bar
from stages.leakage.cohort import Cohort, Pictures, Rows

Digests = NDArray[np.object_]  # (N,) hex


def digests(pictures: Pictures, label: str) -> Digests:
    """Return (N,) a digest of each row of (N, S, S): equal content, equal digest (BLAKE2b, 128 bit)."""
    rows = bar(range(len(pictures)), label)
    return np.array([hashlib.blake2b(pictures[row].tobytes(), digest_size=16).hexdigest() for row in rows], object)


def same_pictures(
    cohort: Cohort, original: Digests, trained: Mapping[str, Digests], test: Rows, training: Rows
) -> pd.DataFrame:
    """Return pairs of a test frame and another frame's training picture with the same content.

    One pair a test frame and clip: a clip that stands still would give a pair for each two of its frames.

    Args:
        cohort: all frames.
        original: digests of the pictures that the test side reads.
        trained: variant -> digests of its pictures, for each variant that the training side holds.
        test, training: rows of the two sides without blank frames, which are all alike and no leak.

    Returns:
        test, training (rows), variant, kind; sorted.
    """
    clips = cohort.column("clip_id")
    asked = pd.DataFrame({"digest": original[test], "test": test})
    parts = [
        pd.DataFrame({"digest": of[training], "training": training, "variant": name, "clip": clips[training]})
        for name, of in trained.items()
    ]
    shown = pd.concat(parts).drop_duplicates(["digest", "clip"])
    pairs = asked.merge(shown, on="digest")
    pairs = pairs[pairs["test"] != pairs["training"]].sort_values(["test", "training"], kind="stable")
    kinds = cohort.kind(pairs["test"].to_numpy(np.int64), pairs["training"].to_numpy(np.int64))
    return pairs.assign(kind=kinds)[["test", "training", "variant", "kind"]].reset_index(drop=True)
