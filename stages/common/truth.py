"""The expert's labels as numbers: 1, 0 or NaN for unknown."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.common.core.errors import Problem, raise_all
from stages.common.core.tables import LABEL_COLUMNS, read_table

AGAIN = "Run `dvc repro label_merge`."


def read_labels(path: Path, labels: Sequence[str]) -> pd.DataFrame:
    """Return labels.csv with its key columns and `labels` as floats 1, 0 and NaN (unknown), rows in file order.

    Args:
        path: data/label_merge/labels.csv.
        labels: names of the label columns wanted, in that order; other columns are dropped.

    Raises:
        PipelineError: a column is missing, there is no row, a patient is blank, a frame's number is none, or a cell is
            neither 1, 0 nor blank.
    """
    table = read_table(path, [*LABEL_COLUMNS, *labels], text=(*LABEL_COLUMNS, *labels))  # text: True is no label
    problems = [problem for label in labels for problem in _bad_cells(table, label, path)]
    problems += _bad_numbers(table, path)
    if table.empty:
        problems.append(Problem(str(path), "no frames", "one row a frame", "none", AGAIN))
    if table["patient"].isna().any():
        nameless = table.loc[table["patient"].isna(), "frame_id"].iloc[0]
        where = f"{path}, frame {nameless}"
        problems.append(Problem(where, "no patient", "a pseudonym like P001", "blank", "Complete clips.csv."))
    raise_all(problems, f"{path} cannot be used")
    return table[[*LABEL_COLUMNS, *labels]].astype({"frame_index": int} | dict.fromkeys(labels, float))


def _bad_numbers(table: pd.DataFrame, path: Path) -> list[Problem]:
    bad = ~table["frame_index"].str.fullmatch(r"\d{1,9}", na=False)
    pairs = zip(table["frame_id"][bad], table["frame_index"][bad], strict=True)
    return [
        Problem(f"{path}, frame {frame}, column frame_index", "no number", "0, 1, 2, ...", repr(cell), AGAIN)
        for frame, cell in pairs
    ]


def _bad_cells(table: pd.DataFrame, label: str, path: Path) -> list[Problem]:
    number = pd.to_numeric(table[label], errors="coerce")
    bad = table[label].notna() & ~number.isin([0, 1])
    pairs = zip(table["frame_id"][bad], table[label][bad], strict=True)
    return [
        Problem(f"{path}, frame {frame}, column {label}", "not a label", "1, 0 or blank", repr(cell), "Mend the sheet.")
        for frame, cell in pairs
    ]


def combination_shares(truth: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return (N,) shares that add up to 1, with which each combination of labels is drawn equally often.

    Args:
        truth: (N, L) 1, 0 or NaN; a combination with unknown labels is one of its own.
    """
    _, of, count = np.unique(np.nan_to_num(truth, nan=-1), axis=0, return_inverse=True, return_counts=True)
    shares: NDArray[np.float64] = 1.0 / (len(count) * count[of.ravel()])
    return shares
