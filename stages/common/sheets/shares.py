"""How often labels occur: the exploratory tables of the study, with unknown counted apart from none."""

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import pandas as pd

UNKNOWN = "unknown"


def shares(labels: pd.DataFrame, names: Sequence[str]) -> dict[str, dict[str, int | float | None]]:
    """Return label -> frames that are positive, negative, unknown, and the positive share of the known ones.

    Args:
        labels: nullable booleans, one row a frame; NA is unknown.
        names: the columns counted.
    """
    return {name: _share(labels[name]) for name in names}


def _share(column: pd.Series) -> dict[str, int | float | None]:
    positive, negative = int(column.fillna(False).sum()), int((~column).fillna(False).sum())
    known = positive + negative
    share = round(positive / known, 6) if known else None
    return {"positive": positive, "negative": negative, "unknown": len(column) - known, "share": share}


def combinations(labels: pd.DataFrame, names: Sequence[str]) -> dict[str, int]:
    """Return frames with each combination of labels (`none`, `cord`, `cord+fluid`...) and those with any unknown."""
    known = labels[list(names)].dropna()
    present = known.groupby(list(names), observed=True).size()
    counted = {key if isinstance(key, tuple) else (key,): int(frames) for key, frames in present.items()}
    table = {_name(names, values): counted.get(values, 0) for values in product((False, True), repeat=len(names))}
    return table | {UNKNOWN: len(labels) - len(known)}


def _name(names: Sequence[str], values: Sequence[bool]) -> str:
    return "+".join(name for name, value in zip(names, values, strict=True) if value) or "none"


def patients(labels: pd.DataFrame, patient: pd.Series, names: Sequence[str]) -> dict[str, dict[str, int]]:
    """Return label -> patients with at least one positive frame, and with at least one negative frame."""
    return {
        name: {
            "positive": int(patient[labels[name].fillna(False)].nunique()),
            "negative": int(patient[(~labels[name]).fillna(False)].nunique()),
        }
        for name in names
    }


def too_few_patients(counted: dict[str, dict[str, int]], least: int) -> Iterator[tuple[str, str, int]]:
    """Yield (label, side, patients) where training and testing on different patients lacks one side."""
    for name, sides in counted.items():
        for side, count in sides.items():
            if count < least:
                yield name, side, count


def exploratory(labels: pd.DataFrame, names: Sequence[str], derived: Sequence[str]) -> dict[str, Any]:
    """Return frames, shares of labels and derived labels, and combinations of labels."""
    return {
        "frames": len(labels),
        "labels": shares(labels, [*names, *derived]),
        "combinations": combinations(labels, names),
    }
