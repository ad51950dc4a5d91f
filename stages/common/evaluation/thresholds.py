"""From probability to yes or no; what is chosen here is chosen from validation rows."""

from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from stages.common.core.params import Strict


class Threshold(Strict):
    """How the threshold of a label is set; a probability of at least the threshold means yes."""

    method: Literal["fixed", "validation_f1"]  # the study's fixed one, or the best F1 on validation
    value: Annotated[float, Field(ge=0, le=1)]  # the fixed threshold; validation_f1 takes it between equals


def choose_threshold(truth: NDArray[np.float64], scores: NDArray[np.float64], how: Threshold) -> float:
    """Return the threshold of one label of one model.

    Args:
        truth: (validation rows,) of 1, 0 and NaN.
        scores: (validation rows,) probabilities.
        how: the method. `validation_f1` falls back on `value` where validation lacks positives or negatives: any
            threshold would then be as good as another.
    """
    positive, negative = np.sort(scores[truth == 1]), np.sort(scores[truth == 0])
    if how.method == "fixed" or not len(positive) or not len(negative):
        return how.value
    candidates = np.unique([*positive, *negative, how.value])
    hits = len(positive) - np.searchsorted(positive, candidates)
    false_alarms = len(negative) - np.searchsorted(negative, candidates)
    f1 = np.round(2 * hits / (hits + false_alarms + len(positive)), 12)  # rounded, so that equals stay equal
    best = candidates[f1 == f1.max()]
    return float(best[np.argmin(np.abs(best - how.value))])
