"""The small CSV contracts in which stages meet: one reader and one writer, checked on both sides.

| table | columns |
|---|---|
| data/extract_frames/frames.csv | frame_id, clip_id, patient, frame_index, time_s |
| data/extract_frames/clips.csv | clip_id, patient, frames_decoded, frames_kept, ... |
| data/label_merge/labels.csv | frame_id, clip_id, patient, frame_index, a column a label: 1, 0 or blank (unknown) |
| data/split/<protocol>.csv | frame_id, fold, side (train, validation or test) |
| data/predictions/<protocol>/<fold>/<seed>/<model>.csv | frame_id, split, one probability a label |

A frame is `C001_00042`: the clip's place in the cohort's clips.csv and the 0-based decode position.
"""

import csv
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from stages.common.core.errors import PipelineError
from stages.common.core.files import replacing

FRAME_COLUMNS = ("frame_id", "clip_id", "patient", "frame_index", "time_s")
LABEL_COLUMNS = ("frame_id", "clip_id", "patient", "frame_index")
SPLIT_COLUMNS = ("frame_id", "fold", "side")
SIDES = ("train", "validation", "test")
DIGITS = 6  # decimals kept: below this, floating point differs between machines


def frame_id(clip_id: str, frame_index: int) -> str:
    """Return the name of a frame, e.g. `C001_00042`."""
    return f"{clip_id}_{frame_index:05d}"


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a CSV with rounded floats, blanks for unknown and Unix line ends: same table, same bytes."""
    with replacing(path) as partial:
        table.to_csv(partial, index=False, float_format=f"%.{DIGITS}f", lineterminator="\n")


def read_table(path: Path, columns: Sequence[str], text: Sequence[str] = ()) -> pd.DataFrame:
    """Read a CSV that must hold `columns` (more are allowed), with unique `frame_id`s where it has them.

    Args:
        path: the table.
        columns: names that must be there.
        text: columns kept as strings even where they look like numbers.

    Raises:
        PipelineError: the file is absent, is no table, lacks a column, repeats a frame, or a row is too short or long.
    """
    try:
        _refuse_ragged(path)
        table = pd.read_csv(path, dtype=dict.fromkeys(text, str), encoding="utf-8", index_col=False)
    except (OSError, ValueError, csv.Error) as error:
        raise PipelineError(f"{path} cannot be read as a table: {error}. Run `dvc repro` to make it.") from error
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise PipelineError(
            f"{path}: columns missing: {', '.join(missing)}; found {', '.join(table.columns)}. Run `dvc repro`."
        )
    keys = [name for name in ("frame_id", "fold") if name in columns]
    if "frame_id" in columns and table.duplicated(keys).any():
        twice = table.loc[table.duplicated(keys), "frame_id"].iloc[0]
        raise PipelineError(f"{path}: frame {twice} stands twice; expected one row a frame. Run `dvc repro`.")
    return table


def _refuse_ragged(path: Path) -> None:
    """Raise ValueError for a torn row: pandas would fill up a short one, and name rows by a long one's surplus."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file)
        header = next(rows, [])
        for row in rows:
            if row and len(row) != len(header):
                raise ValueError(f"line {rows.line_num}: expected {len(header)} cells as in line 1, got {len(row)}")
