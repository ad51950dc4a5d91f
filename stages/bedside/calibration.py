"""How far probabilities mean what they say: per infant the Brier score and the recalibration line, pooled the bins."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from stages.bedside.decided import Decided
from stages.bedside.temperature import logits
from stages.bedside.verdict import mean_and_range

Values = NDArray[np.float64]
FIGURES = ("brier_before", "brier_after", "slope", "intercept")


def recalibration(values: Values, truth: Values) -> tuple[float, float] | str:
    """Return slope and intercept of logit P(yes) = intercept + slope x logit, or why there are none.

    Cox 1958, Two further applications of a model for binary regression. Slope 1 and intercept 0 are perfect; a slope
    below 1 is overconfidence. Fitted without penalty by scikit-learn.

    Args:
        values: (rows,) calibrated logits.
        truth: (rows,) of 1 and 0.
    """
    yes, no = values[truth == 1], values[truth == 0]
    if not len(yes) or not len(no):
        return "all yes" if len(yes) else "all no" if len(no) else "no known label"
    if np.ptp(values) == 0:
        return "the same probability for every frame"
    if yes.min() >= no.max() or no.min() >= yes.max():
        return "a threshold separates yes from no: the slope has no bound"
    fitted = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-8).fit(values[:, None], truth)
    return float(fitted.coef_[0, 0]), float(fitted.intercept_[0])


def patient_calibration(of: Decided) -> pd.DataFrame:
    """Return a row a label and infant: label, patient, frames, positives, FIGURES, why; none for a baseline."""
    columns = ["label", "patient", "frames", "positives", *FIGURES, "why"]
    if of.decider.before is None or of.decider.after is None:
        return pd.DataFrame(columns=columns)
    rows = []
    for column, label in enumerate(of.labels):
        truth, before, after = of.truth[:, column], of.decider.before[:, column], of.decider.after[:, column]
        for patient in sorted(set(of.patients)):
            mine = (of.patients == patient) & ~np.isnan(truth)
            rows.append((label, patient, *_of_patient(truth[mine], before[mine], after[mine])))
    return pd.DataFrame(rows, columns=columns)


def _of_patient(truth: Values, before: Values, after: Values) -> tuple[Any, ...]:
    counts = len(truth), int(truth.sum())
    if not len(truth):
        return (*counts, np.nan, np.nan, np.nan, np.nan, "no known label")
    scores = float(np.mean((before - truth) ** 2)), float(np.mean((after - truth) ** 2))  # Brier 1950
    line = recalibration(logits(after), truth)
    if isinstance(line, str):
        return (*counts, *scores, np.nan, np.nan, line)
    return (*counts, *scores, *line, "")


def calibration_part(table: pd.DataFrame, labels: list[str]) -> dict[str, Any]:
    """Return label -> figure -> mean and range over infants, and why some have no line."""
    by = {label: table[table["label"] == label] for label in labels}
    return {
        label: {name: mean_and_range(part[name]) for name in FIGURES} | {"why": _whys(part)}
        for label, part in by.items()
    }


def _whys(part: pd.DataFrame) -> dict[str, int]:
    """Return why infants have no line -> how many."""
    return {
        str(why): int(count) for why, count in part.loc[part["why"] != "", "why"].value_counts().sort_index().items()
    }


def reliability(of: Decided, bins: int) -> pd.DataFrame:
    """Return the bins of the reliability plot, before and after the temperature; empty bins are left out.

    Bins have equal width and are pooled over infants; 1 belongs to the last. Columns as in the stage's docstring.
    """
    columns = ["label", "stage", "bin", "low", "high", "mean_probability", "observed", "frames", "patients"]
    rows = []
    stages = (("before", of.decider.before), ("after", of.decider.after))
    for column, label in enumerate(of.labels):
        known = ~np.isnan(of.truth[:, column])
        for stage, probabilities in stages:
            if probabilities is not None:
                seen = probabilities[known, column]
                rows += [(label, stage, *row) for row in _bins(seen, of.truth[known, column], of.patients[known], bins)]
    return pd.DataFrame(rows, columns=columns)


def _bins(seen: Values, truth: Values, patients: NDArray[np.object_], bins: int) -> list[tuple[Any, ...]]:
    place = np.minimum((seen * bins).astype(int), bins - 1)
    table = pd.DataFrame({"place": place, "seen": seen, "truth": truth, "patient": patients})
    return [
        (place, place / bins, (place + 1) / bins, part["seen"].mean(), part["truth"].mean(), len(part),
         part["patient"].nunique())
        for place, part in table.groupby("place")
    ]  # fmt: skip
