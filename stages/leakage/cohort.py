"""The frames, their truth and the sides of every fold, as row numbers of the arrays below data/."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.common.core.errors import PipelineError
from stages.common.core.tables import FRAME_COLUMNS, SIDES, read_table
from stages.common.protocols import read_split
from stages.common.truth import read_labels

FRAMES = Path("data/extract_frames/frames.csv")
LABELS = Path("data/label_merge/labels.csv")
SPLIT = Path("data/split")
Rows = NDArray[np.int64]  # row numbers of frames.csv, and so of the arrays
Pictures = NDArray[np.uint8]
KINDS = ("same_clip", "another_clip", "another_patient")  # of a training frame, seen from a test frame


@dataclass(frozen=True)
class Cohort:
    """All frames; row i is row i of every array below data/augment and data/preprocess.

    Attributes:
        frames: frame_id, clip_id, patient, frame_index, index 0..N-1.
        truth: (N, labels) of 1, 0 and NaN.
    """

    frames: pd.DataFrame
    truth: NDArray[np.float64]

    def column(self, name: str) -> NDArray[np.object_]:
        """Return a column as (N,) objects."""
        return self.frames[name].to_numpy(dtype=object)

    def clips(self) -> Iterator[tuple[str, Rows]]:
        """Yield each clip's name and its rows in time order."""
        for clip_id, part in self.frames.sort_values("frame_index", kind="stable").groupby("clip_id", sort=True):
            yield str(clip_id), part.index.to_numpy()

    def kind(self, test: Rows, training: Rows) -> NDArray[np.object_]:
        """Return for each pair of rows which of `KINDS` the training frame is."""
        clip, patient = self.column("clip_id"), self.column("patient")
        apart = np.where(patient[test] == patient[training], KINDS[1], KINDS[2])
        return np.where(clip[test] == clip[training], KINDS[0], apart).astype(object)


@dataclass(frozen=True)
class Fold:
    """One fold of one protocol: side -> its rows."""

    protocol: str
    fold: str
    sides: Mapping[str, Rows]


def read_cohort(labels: Sequence[str]) -> Cohort:
    """Return the cohort in the order of frames.csv.

    Raises:
        PipelineError: frames.csv and labels.csv name different frames.
    """
    order = read_table(FRAMES, FRAME_COLUMNS, text=("frame_id", "clip_id", "patient"))["frame_id"]
    table = read_labels(LABELS, labels)
    strange = sorted(set(order) ^ set(table["frame_id"]))
    if strange:
        raise PipelineError(
            f"{LABELS}: expected the frames of {FRAMES}, got {len(strange)} that stand in one of them only, e.g. "
            f"{strange[0]}. Run `dvc repro label_merge`."
        )
    table = table.set_index("frame_id").loc[order].reset_index()
    return Cohort(table.drop(columns=list(labels)), table[list(labels)].to_numpy(float))


def read_folds(cohort: Cohort, protocols: Mapping[str, Sequence[str]]) -> list[Fold]:
    """Return every declared fold, protocol by protocol.

    Raises:
        PipelineError: a table does not fit; a frame that stands on two sides of a fold is one case of it.
    """
    row_of = pd.Series(cohort.frames.index, index=cohort.frames["frame_id"])
    found = []
    for protocol, folds in protocols.items():
        split = read_split(SPLIT / f"{protocol}.csv", list(folds), cohort.frames)
        for fold, part in split.groupby("fold", sort=False):
            sides = {side: np.sort(row_of[part.loc[part["side"] == side, "frame_id"]].to_numpy()) for side in SIDES}
            found.append(Fold(protocol, str(fold), sides))
    return found


def open_array(path: Path, frames: int) -> Pictures:
    """Return an array memory-mapped.

    Raises:
        PipelineError: it is not there, or has not one row a frame.
    """
    try:
        array: Pictures = np.load(path, mmap_mode="r")
    except (OSError, ValueError) as error:
        raise PipelineError(f"{path} cannot be read as an array: {error}. Run `dvc repro`.") from error
    if len(array) != frames:
        raise PipelineError(f"{path}: expected {frames} rows, one a frame, got {len(array)}. Run `dvc repro`.")
    return array
