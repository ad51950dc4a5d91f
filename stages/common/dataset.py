"""Frames, truth and sides as rows of the arrays below data/preprocess: what every system that is trained reads."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.common.core.errors import PipelineError
from stages.common.core.files import digest
from stages.common.core.tables import FRAME_COLUMNS, SIDES, SPLIT_COLUMNS, read_table
from stages.common.truth import read_labels

DATA = Path("data")
Rows = NDArray[np.int64]


def read_frames() -> pd.DataFrame:
    """Return the frames; row i is row i of every array below data/augment and data/preprocess."""
    return read_table(DATA / "extract_frames/frames.csv", FRAME_COLUMNS)


def read_truth(labels: list[str], frames: pd.DataFrame) -> NDArray[np.float32]:
    """Return (N, L) float32 truth in the order of `frames`: 1, 0, or NaN where unknown."""
    table = read_labels(DATA / "label_merge/labels.csv", labels)
    return table.set_index("frame_id").reindex(frames["frame_id"])[labels].to_numpy(np.float32)


def read_sides(protocol: str, fold: int, frames: pd.DataFrame) -> dict[str, Rows]:
    """Return the row numbers of each side of one fold.

    Raises:
        PipelineError: the fold is not in the table, or a side is empty.
    """
    path = DATA / f"split/{protocol}.csv"
    split = read_table(path, SPLIT_COLUMNS)
    sides = split[split["fold"] == fold].set_index("frame_id")["side"].reindex(frames["frame_id"]).to_numpy()
    rows = {side: np.flatnonzero(sides == side) for side in SIDES}
    empty = [side for side in SIDES if not len(rows[side])]
    if empty:
        raise PipelineError(
            f"{path}: fold {fold}: expected frames on every side, got none for {', '.join(empty)}. "
            "Run `dvc repro split`."
        )
    return rows


def digests(protocol: str, variants: Iterable[str]) -> dict[str, Any]:
    """Return what a system saw, so that evaluate can refuse a table of systems made from different data.

    `size`, `augment` and `extract_frames` shape the arrays long before: their traces are the arrays. The originals
    always count, because validation and test read them.
    """
    return {
        "frames": digest(DATA / "extract_frames/frames.csv"),
        "pictures": {name: digest(DATA / f"preprocess/{name}.npy") for name in sorted({"original", *variants})},
        "truth": digest(DATA / "label_merge/labels.csv"),
        "split": {protocol: digest(DATA / f"split/{protocol}.csv")},
    }
