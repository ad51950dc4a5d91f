"""The threshold of each label, from the rows that choose.

A rate of a label depends on that label's threshold alone, so the best thresholds together are the best of each label.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from stages.bedside.settings import OperatingPoint

Values = NDArray[np.float64]
EQUAL = 12  # decimals to which rates are compared: sums in another order stay equal


@dataclass(frozen=True)
class Threshold:
    """The threshold of one label.

    Attributes:
        logit: a calibrated logit of at least this means yes; infinite where no score of the choosing rows should.
        rule: how it was chosen.
        sensitivity: mean over the patients that chose and have positives.
        false_positive_rate: mean over the patients that chose and have negatives.
        why: why the fallback was taken; None where it was not.
    """

    logit: float
    rule: str
    sensitivity: float | None
    false_positive_rate: float | None
    why: str | None

    @property
    def probability(self) -> float:
        """The threshold as a calibrated probability."""
        return float(expit(self.logit))


def rule_of(label: str, settings: OperatingPoint) -> str:
    """Return in words how the threshold of a label is chosen."""
    what = "highest sensitivity" if label in settings.maximise else "best balanced accuracy"
    cap = settings.caps.get(label)
    return what if cap is None else f"{what}, mean false positive rate at most {cap.false_positive_rate:g}"


def candidates_of(values: Values) -> Values:
    """Return (n + 1,) thresholds that give every answer: always yes, between neighbouring values, always no."""
    distinct = np.unique(values)
    return np.concatenate([[-np.inf], (distinct[1:] + distinct[:-1]) / 2, [np.inf]])


def mean_share(values: Values, cases: NDArray[np.bool_], patients: NDArray[np.object_], at: Values) -> Values | None:
    """Return, for each threshold of `at`, the share of the cases that it calls yes: the mean over patients with cases.

    Args:
        values: (rows,) logits.
        cases: (rows,) the rows that count, e.g. the positives.
        patients: (rows,).
        at: (thresholds,).
    """
    if not cases.any():
        return None
    _, codes = np.unique(patients[cases].astype(str), return_inverse=True)
    order = np.lexsort((values[cases], codes))
    each = np.split(values[cases][order], np.flatnonzero(np.diff(codes[order])) + 1)  # a patient's values, sorted
    return np.mean([1.0 - np.searchsorted(mine, at) / len(mine) for mine in each], axis=0)


def choose(
    label: str, values: Values, truth: Values, patients: NDArray[np.object_], settings: OperatingPoint
) -> Threshold:
    """Return the threshold of one label; among equals the highest, which has the fewest false positives.

    Args:
        label: its name.
        values: (rows,) calibrated logits of the choosing rows.
        truth: (rows,) of 1, 0 and NaN.
        patients: (rows,).
        settings: what is maximised, the caps and the fallback.
    """
    at = candidates_of(values[~np.isnan(truth)])
    hits = mean_share(values, truth == 1, patients, at)
    alarms = mean_share(values, truth == 0, patients, at)
    if hits is None or alarms is None:
        return _fallback(label, values, truth, patients, settings)
    worth = np.round(hits if label in settings.maximise else (hits + 1 - alarms) / 2, EQUAL)
    cap = settings.caps.get(label)
    allowed = np.ones(len(at), bool) if cap is None else np.round(alarms, EQUAL) <= cap.false_positive_rate
    best = int(np.flatnonzero(allowed & (worth == worth[allowed].max()))[-1])  # `always no` is always allowed
    return Threshold(float(at[best]), rule_of(label, settings), float(hits[best]), float(alarms[best]), None)


def _fallback(
    label: str, values: Values, truth: Values, patients: NDArray[np.object_], settings: OperatingPoint
) -> Threshold:
    at = np.array([logit(settings.fallback)])
    hits = mean_share(values, truth == 1, patients, at)
    alarms = mean_share(values, truth == 0, patients, at)
    lacking = " and ".join(name for name, found in (("positives", hits), ("negatives", alarms)) if found is None)
    return Threshold(
        float(at[0]),
        f"fixed at {settings.fallback:g}",
        None if hits is None else float(hits[0]),
        None if alarms is None else float(alarms[0]),
        f"the choosing rows have no {lacking} of {label}",
    )
