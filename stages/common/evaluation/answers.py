"""What one model answers for the validation and test frames of one protocol."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.common.evaluation.baselines import label_copy, majority
from stages.common.evaluation.scores import Said, Truth
from stages.common.evaluation.thresholds import Threshold, choose_threshold


@dataclass(frozen=True)
class Rows:
    """Frames that were asked for, one row a frame and fold.

    Attributes:
        frames: fold, frame_id, side, clip_id, patient, frame_index.
        truth: (rows, labels) of 1, 0 and NaN.
    """

    frames: pd.DataFrame
    truth: Truth

    def __getitem__(self, chosen: NDArray[np.bool_]) -> "Rows":
        return Rows(self.frames[chosen], self.truth[chosen])

    @property
    def patients(self) -> NDArray[np.object_]:
        """(rows,) the patient of each row."""
        return self.frames["patient"].to_numpy(dtype=object)

    def on(self, side: str) -> NDArray[np.bool_]:
        """Return (rows,): whether the row is on `side`."""
        return (self.frames["side"] == side).to_numpy()


@dataclass(frozen=True)
class Answers:
    """One model's answers to `Rows`.

    Attributes:
        said: (rows, labels) yes or no.
        scores: (rows, labels) probabilities; None for a baseline, which has none.
        thresholds: fold -> label -> threshold; empty for a baseline.
    """

    said: Said
    scores: Truth | None
    thresholds: Mapping[str, Mapping[str, float]]

    def __getitem__(self, chosen: NDArray[np.bool_]) -> "Answers":
        scores = None if self.scores is None else self.scores[chosen]
        return replace(self, said=self.said[chosen], scores=scores)


def split_rows(split: pd.DataFrame, labels: Sequence[str]) -> Rows:
    """Return the validation and test rows of a split that `read_split` returned."""
    asked = split[split["side"] != "train"].reset_index(drop=True)
    return Rows(asked.drop(columns=list(labels)), asked[list(labels)].to_numpy(float))


def model_answers(rows: Rows, scores: Truth, labels: Sequence[str], how: Threshold) -> Answers:
    """Return a model's answers; the thresholds of a fold come from the validation rows of that fold."""
    said = np.zeros(scores.shape, dtype=bool)
    thresholds: dict[str, dict[str, float]] = {}
    folds = rows.frames["fold"].to_numpy()
    for fold in dict.fromkeys(folds):
        mine = folds == fold
        validation = mine & rows.on("validation")
        truth, seen = rows.truth[validation], scores[validation]
        values = [choose_threshold(truth[:, column], seen[:, column], how) for column in range(len(labels))]
        thresholds[fold] = dict(zip(labels, values, strict=True))
        said[mine] = scores[mine] >= values
    return Answers(said, scores, thresholds)


def baseline_answers(split: pd.DataFrame, labels: Sequence[str]) -> dict[str, Answers]:
    """Return the two baselines, each fold from its own training frames, aligned to `split_rows(split)`."""
    copies, usual = [], []
    for _, part in split.groupby("fold", sort=False):
        training, asked = part[part["side"] == "train"], part[part["side"] != "train"]
        copies.append(label_copy(training, asked, labels))
        usual.append(majority(training, labels, len(asked)))
    named = {"label_copy": np.concatenate(copies), "majority": np.concatenate(usual)}
    return {name: Answers(said, None, {}) for name, said in named.items()}


def constant_folds(rows: Rows, answers: Answers, labels: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Return label -> in how many folds a model says the same of every validation frame, and how many could show it.

    A fold can show it where the expert says both yes and no of its validation frames.
    """
    validation = rows.on("validation")
    folds = rows.frames["fold"].to_numpy()
    found = {}
    for column, label in enumerate(labels):
        constant = []
        for fold in dict.fromkeys(folds):
            mine = validation & (folds == fold) & ~np.isnan(rows.truth[:, column])
            if len(np.unique(rows.truth[mine, column])) == 2:
                constant.append(len(np.unique(answers.said[mine, column])) == 1)
        found[label] = (sum(constant), len(constant))
    return found


def unjudged_labels(rows: Rows, answers: Answers, labels: Sequence[str]) -> list[str]:
    """Return the labels of which no fold can show a collapse, and that a model answers the same in every one.

    The expert, too, says the same of every validation frame of a fold: the model may be right, or asleep.
    """
    validation = rows.on("validation")
    constant = constant_folds(rows, answers, labels)
    return [
        label
        for column, label in enumerate(labels)
        if not constant[label][1] and len(np.unique(answers.said[validation, column])) == 1
    ]


def collapsed_labels(rows: Rows, answers: Answers, labels: Sequence[str]) -> list[str]:
    """Return the labels for which a model has collapsed: constant in more than half of the folds that can show it.

    Without folds that is the one split. With folds each validates on an infant or two, where even a good network may
    happen to give one answer: a few such folds are told (`constant_folds`) and condemn nobody.
    """
    return [label for label, (constant, of) in constant_folds(rows, answers, labels).items() if 2 * constant > of]
