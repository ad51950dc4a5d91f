"""Who chooses for whom: the rows that set a temperature, a threshold or the winner are never those it is used on."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from stages.common.evaluation.answers import Rows
from stages.common.protocols import LEAVE_ONE_OUT

EVERYONE = "all"
OTHERS = (
    "The other patients' out-of-fold test rows choose for each patient. Not nested: the networks behind those rows "
    "have seen the patient in training."
)
VALIDATION = "The validation rows choose for all test rows."


@dataclass(frozen=True)
class Unit:
    """Test rows that share one operating point.

    Attributes:
        name: the patient, or `all`.
        tested: (rows,) the rows on which it is used.
        choosing: (rows,) the rows from which it is chosen; no row is both.
    """

    name: str
    tested: NDArray[np.bool_]
    choosing: NDArray[np.bool_]


def choosing_rows(protocol: str) -> str:
    """Return in words which rows choose."""
    return OTHERS if protocol == LEAVE_ONE_OUT else VALIDATION


def units_of(protocol: str, rows: Rows) -> list[Unit]:
    """Return the units of a protocol: one a patient with folds, else one for all test rows."""
    test = rows.on("test")
    if protocol != LEAVE_ONE_OUT:
        return [Unit(EVERYONE, test, rows.on("validation"))]
    names = sorted(set(rows.patients[test]))
    return [Unit(name, test & (rows.patients == name), test & (rows.patients != name)) for name in names]


def choosing_infants(units: Sequence[Unit], patients: NDArray[np.object_]) -> dict[str, int]:
    """Return the smallest and the largest number of infants whose rows choose for a unit; patients is (rows,)."""
    counts = [len(set(patients[unit.choosing])) for unit in units]
    return {"min": min(counts), "max": max(counts)}


def as_validation(rows: Rows) -> Rows:
    """Return the rows as the doctor's rule reads them: all on the side that chooses."""
    return replace(rows, frames=rows.frames.assign(side="validation"))
