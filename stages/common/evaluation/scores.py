"""What answers are worth beside the expert's labels; a figure without its cases is None, never 0.

Everywhere `truth` is (rows, labels) of 1, 0 and NaN (unknown, left out of every count), `said` is (rows, labels) of
bool, and `scores` (rows, labels) holds probabilities.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

Figure = int | float | None
Truth = NDArray[np.float64]
Said = NDArray[np.bool_]
TN, FP, FN, TP = range(4)


def ratio(part: float, *others: float) -> float | None:
    """Return part / (part + others), None where that is 0 / 0."""
    whole = part + sum(others)
    return None if whole == 0 else float(part / whole)


def confusion(truth: Truth, said: Said) -> NDArray[np.int64]:
    """Return (labels, 4): true negatives, false positives, false negatives, true positives among known labels."""
    yes, no = truth == 1, truth == 0
    counts: NDArray[np.int64] = np.stack([no & ~said, no & said, yes & ~said, yes & said], axis=2).sum(axis=0)
    return counts


def rates(counts: NDArray[np.int64]) -> dict[str, float | None]:
    """Return the figures that four counts give.

    F1 is undefined only where there is no positive: a model that finds none of those there are scores 0.
    """
    tn, fp, fn, tp = (int(count) for count in counts)
    sensitivity, specificity = ratio(tp, fn), ratio(tn, fp)
    both = sensitivity is not None and specificity is not None
    return {
        "accuracy": ratio(tn + tp, fp, fn),
        "precision": ratio(tp, fp),
        "recall": sensitivity,
        "specificity": specificity,
        "f1": ratio(2 * tp, fp, fn) if tp + fn else None,
        "balanced_accuracy": ((sensitivity or 0.0) + (specificity or 0.0)) / 2 if both else None,
        "sensitivity": sensitivity,
        "false_negative_rate": ratio(fn, tp),
        "false_positive_rate": ratio(fp, tn),
    }


def macro_f1(truth: Truth, said: Said) -> float | None:
    """Return the mean F1 over the labels that have positives; the same labels for every model of one test set."""
    return _mean([rates(counts)["f1"] for counts in confusion(truth, said)])


def misclassified(truth: Truth, said: Said) -> int:
    """Return how many rows have at least one known label wrong."""
    return int((((truth == 1) & ~said) | ((truth == 0) & said)).any(axis=1).sum())


def patient_rates(truth: Truth, said: Said, patients: NDArray[np.object_], label: int, rate: str) -> list[float]:
    """Return the rate of one label in each patient, without the patients that lack its cases."""
    found = []
    for patient in np.unique(patients):
        rows = patients == patient
        value = rates(confusion(truth[rows, label, None], said[rows, label, None])[0])[rate]
        found += [] if value is None else [value]
    return found


def mean_over_patients(truth: Truth, said: Said, patients: NDArray[np.object_], label: int, rate: str) -> float | None:
    """Return the mean of `patient_rates`: a patient counts once, however long the clips; None without cases."""
    return _mean(patient_rates(truth, said, patients, label, rate))


def roc_auc(truth: Truth, scores: Truth, groups: NDArray[np.object_] | None = None) -> list[float | None]:
    """Return the area under the ROC curve of each label, from scores and never from 0/1 answers.

    Args:
        truth: (rows, labels).
        scores: (rows, labels).
        groups: one a row: then the mean over groups that have both classes, because the scores of networks trained on
            different folds share no scale and must not be pooled.
    """
    return _ranked(roc_auc_score, truth, scores, groups)


def average_precision(truth: Truth, scores: Truth, groups: NDArray[np.object_] | None = None) -> list[float | None]:
    """Return the average precision of each label; arguments as in `roc_auc`."""
    return _ranked(average_precision_score, truth, scores, groups)


def _ranked(
    score: Callable[..., float], truth: Truth, scores: Truth, groups: NDArray[np.object_] | None
) -> list[float | None]:
    groups = np.zeros(len(truth), dtype=object) if groups is None else groups
    found: list[float | None] = []
    for label in range(truth.shape[1]):
        known = ~np.isnan(truth[:, label])
        table = pd.DataFrame({"truth": truth[known, label], "score": scores[known, label], "group": groups[known]})
        parts = [part for _, part in table.groupby("group") if part["truth"].nunique() == 2]
        found.append(_mean([float(score(part["truth"], part["score"])) for part in parts]))
    return found


def _mean(values: Sequence[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return float(np.mean(defined)) if defined else None


def rounded(value: Figure, digits: int = 4) -> Figure:
    """Return a figure as the tables print it."""
    return round(value, digits) if isinstance(value, float) else value
