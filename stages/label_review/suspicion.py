"""Which labels are doubted, by cleanlab and by all models, from probabilities of networks that never saw the frames."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_label_quality_scores
from numpy.typing import NDArray

Score = Literal["adjusted_self_confidence", "self_confidence", "confidence_weighted_entropy"]
CLEANLAB, ALL_MODELS, BOTH = "cleanlab", "all models", "cleanlab and all models"


@dataclass(frozen=True)
class Suspicion:
    """What is doubted of one label.

    Attributes:
        quality: (rows,) cleanlab's score of each label, 0 (surely wrong) to 1; NaN where the label is unknown.
        cleanlab: (rows,) whether cleanlab's confident learning counts the label as an issue.
        all_models: (rows,) whether every model answers otherwise.
        why: why cleanlab could not be asked; None where it was.
    """

    quality: NDArray[np.float64]
    cleanlab: NDArray[np.bool_]
    all_models: NDArray[np.bool_]
    why: str | None

    @property
    def suspected(self) -> NDArray[np.bool_]:
        """(rows,) whether either doubts the label."""
        return self.cleanlab | self.all_models


def suspicion(
    truth: NDArray[np.float64], probabilities: NDArray[np.float64], wrong: NDArray[np.bool_], score: Score
) -> Suspicion:
    """Return what is doubted of one label.

    cleanlab (Northcutt, Jiang and Chuang 2021, Confident learning) is asked for each label alone, as yes against no:
    labels here do not exclude each other. Unknown labels are left out.

    Args:
        truth: (rows,) of 1, 0 and NaN.
        probabilities: (rows,) of yes: mean over models that did not train on the row, on the scale of each infant.
        wrong: (rows, models) whether the model's answer differs from the known label.
        score: how cleanlab scores a label; adjusted_self_confidence allows for networks that are shy of a rare class.
    """
    known = ~np.isnan(truth)
    all_models = known & wrong.all(axis=1) if wrong.shape[1] else np.zeros(len(truth), dtype=bool)
    quality, issues = np.full(len(truth), np.nan), np.zeros(len(truth), dtype=bool)
    given = truth[known].astype(int)
    if min(np.sum(given == 1), np.sum(given == 0)) < 2:
        quality[known] = np.where(given == 1, probabilities[known], 1 - probabilities[known])
        return Suspicion(
            quality, issues, all_models, "fewer than two known frames of one class: cleanlab cannot be asked"
        )
    both = np.column_stack([1 - probabilities[known], probabilities[known]])
    method, adjusted = score.removeprefix("adjusted_"), score.startswith("adjusted_")
    quality[known] = get_label_quality_scores(given, both, method=method, adjust_pred_probs=adjusted)
    issues[known] = find_label_issues(given, both, filter_by="prune_by_noise_rate", n_jobs=1)
    return Suspicion(quality, issues, all_models, None)


def reason(cleanlab: bool, all_models: bool) -> str:
    """Return who doubts."""
    return BOTH if cleanlab and all_models else CLEANLAB if cleanlab else ALL_MODELS


def wrong_answers(truth: NDArray[np.float64], said: Sequence[NDArray[np.bool_]]) -> NDArray[np.bool_]:
    """Return (rows, models): whether the answer differs from a known label."""
    answers = [((truth == 1) & ~one) | ((truth == 0) & one) for one in said]
    return np.column_stack(answers) if answers else np.zeros((len(truth), 0), dtype=bool)
