"""The split protocols that params.yaml declares, and their tables."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

import pandas as pd
from pydantic import StringConstraints

from stages.common.core.errors import Problem, raise_all
from stages.common.core.params import Strict
from stages.common.core.tables import SIDES, SPLIT_COLUMNS, read_table

LEAVE_ONE_OUT = "leave_one_patient_out"
PATIENT_DISJOINT = ("patient", LEAVE_ONE_OUT)
ENOUGH = 2  # patients with positives, and with negatives, from which a side's figures of a label are estimable
Protocol = Literal["frame", "patient"]
FoldKey = Annotated[str, StringConstraints(pattern=r"^(0|[1-9]\d*)$")]


class Nothing(Strict):
    """An entry that is its key alone, written `{}`."""


def declared(protocols: Mapping[Protocol, Nothing], folds: Mapping[FoldKey, Nothing]) -> dict[str, list[str]]:
    """Return protocol -> its folds; leave-one-patient-out is declared by having folds."""
    chosen = {str(protocol): ["0"] for protocol in protocols}
    return chosen | ({LEAVE_ONE_OUT: list(folds)} if folds else {})


def without_bundles(protocols: Mapping[Protocol, Nothing], folds: Mapping[FoldKey, Nothing]) -> list[Problem]:
    """Return why folds alone cannot be explained: they write predictions alone, and `explain` looks into bundles."""
    if protocols or not folds:
        return []
    expected = "a protocol beside folds, which leave no bundles for stage explain"
    return [Problem("params.yaml: protocols", "none", expected, "{}", "Declare `patient: {}` beside folds.")]


def models_of(
    protocol: str, architectures: Iterable[str], baselines: Iterable[str], sequences: Iterable[str]
) -> list[str]:
    """Return the models compared under a protocol; models over time need whole clips on one side of the split."""
    over_time = sequences if protocol in PATIENT_DISJOINT else ()
    return [*architectures, *baselines, *over_time]


def read_split(path: Path, folds: Sequence[str], labels: pd.DataFrame) -> pd.DataFrame:
    """Return one protocol's split beside the labels: fold by fold in the order of `folds`, frames in file order.

    Args:
        path: data/split/<protocol>.csv.
        folds: the declared folds.
        labels: what `read_labels` returned.

    Raises:
        PipelineError: the table does not belong to these folds and labels: a name of another, a blank, or a fold that
            lacks frames.
    """
    table = read_table(path, SPLIT_COLUMNS, text=SPLIT_COLUMNS)
    problems = _incomplete(path, table, labels)
    for name, expected in (("fold", folds), ("side", SIDES), ("frame_id", labels["frame_id"])):
        strange = sorted(set(table[name].fillna("blank")) ^ set(expected))
        if strange:
            shown = ", ".join(map(str, strange[:5]))
            what = f"differs from {'labels.csv' if name == 'frame_id' else 'what is declared'}"
            problems.append(
                Problem(f"{path}, column {name}", what, "the same on both", shown, "Run `dvc repro split`.")
            )
    raise_all(problems, f"{path} cannot be used")
    whole = table.merge(labels, on="frame_id", how="left", validate="many_to_one")
    return pd.concat([whole[whole["fold"] == fold] for fold in folds], ignore_index=True)


def _incomplete(path: Path, table: pd.DataFrame, labels: pd.DataFrame) -> list[Problem]:
    """Return a problem for each fold that has not a row for every frame; two rows of one frame are refused earlier."""
    rows = table["fold"].value_counts(sort=False)
    return [
        Problem(f"{path}, fold {fold}", "frames missing", f"{len(labels)} rows", str(count), "Run `dvc repro split`.")
        for fold, count in rows.items()
        if count != len(labels)
    ]
