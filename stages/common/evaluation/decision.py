"""From labels to the decision at the bedside: GO, stop or no view."""

from collections.abc import Mapping, Sequence
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from stages.common.core.params import Strict
from stages.common.evaluation.scores import Figure, Truth

DECISIONS = ("GO", "stop", "no view")
GO, STOP, NO_VIEW, UNKNOWN = 0, 1, 2, -1
Needs = dict[str, Annotated[int, Field(ge=0, le=1)]]


class Decision(Strict):
    """Which labels make which decision. `stop` overrides `go`; neither is no view."""

    go: Annotated[Needs, Field(min_length=1)]  # all of these: a candidate level
    stop: Needs  # all of these: do not puncture here; empty where no label forbids, and then nothing is a stop


def decide(values: Truth, labels: Sequence[str], decision: Decision) -> NDArray[np.int64]:
    """Return (rows,) of GO, STOP, NO_VIEW, or UNKNOWN where an unknown label leaves the decision open.

    Args:
        values: (rows, labels) of 1, 0 and NaN.
        labels: the names of the columns.
        decision: what to decide from them.
    """
    go = _holds(values, labels, decision.go)
    # of no needs all hold, but without a label that forbids no frame is a stop
    stop = _holds(values, labels, decision.stop) if decision.stop else np.zeros(len(values))
    cases = [stop == 1, np.isnan(stop), go == 1, np.isnan(go)]
    return np.select(cases, [STOP, UNKNOWN, GO, UNKNOWN], default=NO_VIEW)


def _holds(values: Truth, labels: Sequence[str], needs: Mapping[str, int]) -> Truth:
    """Return (rows,): 1 where all needs hold, 0 where one fails whatever the unknown ones are, else NaN."""
    columns = values[:, [labels.index(label) for label in needs]]
    met = np.where(np.isnan(columns), np.nan, columns == np.asarray(list(needs.values())))
    failed = (met == 0).any(axis=1)
    return np.where(failed, 0.0, np.where(np.isnan(met).any(axis=1), np.nan, 1.0))


def decision_confusion(truth: NDArray[np.int64], said: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return (3, 3): rows the expert's decision, columns the model's; frames whose decision is unknown are left out."""
    known = truth != UNKNOWN
    counts = np.zeros((3, 3), dtype=np.int64)
    np.add.at(counts, (truth[known], said[known]), 1)
    return counts


def decision_figures(counts: NDArray[np.int64]) -> dict[str, Figure]:
    """Return the false GOs of a 3x3 confusion by what they cost.

    Dangerous: GO where the expert says stop (over a cord). Futile: GO where the expert sees no target (no fluid, or a
    frame of bad quality). Missed: the expert's GO, called otherwise.
    """
    return {
        "GO right": int(counts[GO, GO]),
        "GO dangerous": int(counts[STOP, GO]),
        "GO futile": int(counts[NO_VIEW, GO]),
        "GO missed": int(counts[GO, STOP] + counts[GO, NO_VIEW]),
    }
