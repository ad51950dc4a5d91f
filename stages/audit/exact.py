"""What counts say exactly, as fractions, and whether a printed number can be that, rounded."""

import math
from fractions import Fraction

from stages.audit.table import Counts


def ratio(part: int, whole: int) -> Fraction | None:
    """Return part / whole; None where that is 0 / 0."""
    return Fraction(part, whole) if whole else None


def exact_metrics(counts: Counts) -> dict[str, Fraction | None]:
    """Return every metric that follows from four counts; None where it is 0 / 0."""
    tn, fp, fn, tp = counts.TN, counts.FP, counts.FN, counts.TP
    recall, specificity = ratio(tp, tp + fn), ratio(tn, tn + fp)
    return {
        "accuracy": ratio(tn + tp, tn + fp + fn + tp),
        "precision": ratio(tp, tp + fp),
        "recall": recall,
        "specificity": specificity,
        "f1": ratio(2 * tp, 2 * tp + fp + fn),
        "balanced_accuracy": None if recall is None or specificity is None else (recall + specificity) / 2,
    }


def decimals(printed: str) -> int:
    """Return how many decimals were printed."""
    return len(printed.partition(".")[2])


def is_rounded(printed: str, exact: Fraction | None) -> bool:
    """Return whether `exact`, rounded to the digits of `printed`, can give it; a tie may go either way."""
    if exact is None:
        return False
    return abs(Fraction(printed) - exact) <= Fraction(1, 2 * 10 ** decimals(printed))


def coincidence(counts: Counts, printed: str) -> float:
    """Return an upper bound of the chance that an area from scores prints as the balanced accuracy of the answers.

    Given the four counts, TP x TN pairs of a positive and a negative are surely in order and FN x FP surely are not.
    The TP x FP + FN x TN pairs on one side of the threshold are open, and the area is the balanced accuracy exactly
    where half of them are won. Taken are scores that say nothing beyond the threshold, for which that is likeliest:
    the open pairs then follow two rank sums (Mann and Whitney 1947), here by the height of the normal curve. 1 where
    nothing is open, as with perfect separation, or where one answer was given to all.

    Args:
        counts: one label's.
        printed: the area; its digits say how near 'equal' is.
    """
    tn, fp, fn, tp = counts.TN, counts.FP, counts.FN, counts.TP
    variance = (tp * fp * (tp + fp + 1) + fn * tn * (fn + tn + 1)) / 12
    if not variance or not tp + fp or not tn + fn:
        return 1.0
    equal = counts.positives * counts.negatives // 10 ** decimals(printed) + 1  # numbers of won pairs that print alike
    return min(1.0, equal / math.sqrt(2 * math.pi * variance))
