"""Choose a classifier's hyper-parameters for one label, without a look at the test side."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, log_loss
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import Pipeline

from stages.classify.classifiers import Probabilities, Setting, Truth, Values, fitted, grid, probabilities
from stages.classify.params import Chooser, Classifier, Classify

SURE = 0.001  # for the log loss no probability is nearer to 0 or 1: one sure mistake would weigh more than all else
DIGITS = 6  # of a score: a difference below is none


@dataclass(frozen=True)
class Side:
    """The frames of one side whose label is known.

    Attributes:
        values: (rows, columns) features.
        truth: (rows,) 1 or 0.
        patients: (rows,) whose frame it is.
    """

    values: Values
    truth: Truth
    patients: NDArray[np.object_]

    def __getitem__(self, chosen: NDArray[Any]) -> "Side":
        return Side(self.values[chosen], self.truth[chosen], self.patients[chosen])

    @property
    def has_both(self) -> bool:
        """Whether frames with and without the label are there."""
        return len(np.unique(self.truth)) == 2


@dataclass(frozen=True)
class Choice:
    """What answers for one label.

    Attributes:
        model: a fitted pipeline, or the one probability given to every frame.
        report: what the sidecar says of it.
        remark: what a person should hear of, or None.
    """

    model: Pipeline | float
    report: dict[str, Any]
    remark: str | None

    def says(self, values: Values) -> Probabilities:
        """Return (rows,) probabilities."""
        if isinstance(self.model, float):
            return np.full(len(values), self.model)
        return probabilities(self.model, values)


@dataclass(frozen=True)
class Chooses:
    """How one baseline is fitted under one protocol.

    Attributes:
        by: whose frames choose.
        alone: whether nobody else may, where those cannot.
    """

    classifier: Classifier
    params: Classify
    by: Chooser
    seed: int
    alone: bool = False

    def fit(self, setting: Setting, side: Side) -> Pipeline:
        """Return the classifier with these hyper-parameters, fitted on `side`."""
        return fitted(self.classifier, setting, side.values, side.truth, self.params.components, self.seed)

    def score(self, setting: Setting, train: Side, asked: Side) -> float:
        """Return how well it answers for `asked` once fitted on `train`: the more the better."""
        said = probabilities(self.fit(setting, train), asked.values)
        if self.params.score == "average_precision":
            return round(float(average_precision_score(asked.truth, said)), DIGITS)
        return round(-float(log_loss(asked.truth, said.clip(SURE, 1 - SURE))), DIGITS)


def choose(train: Side, validation: Side, how: Chooses) -> Choice:
    """Return a classifier fitted on `train`, its hyper-parameters chosen as params.yaml says.

    Frames of one class rank nothing: where validation has no other, patients of the training side choose, and the
    other way round; where one chooses alone, the first of the grid is taken. A training side with one class teaches
    nothing: then every frame gets its prevalence.
    """
    if not train.has_both:
        return _constant(train)
    by, pairs = _chooser(train, validation, how)
    settings = grid(how.classifier, how.params)
    scores = [float(np.mean([how.score(setting, *pair) for pair in pairs])) for setting in settings] if pairs else []
    setting = settings[int(np.argmax(scores))] if scores else settings[0]  # of equals the first
    said = f"{how.by} cannot choose, one class only: " + ("the first of the grid" if by == "nothing" else f"{by} chose")
    remark = None if by == how.by else said
    report: dict[str, Any] = {"chosen_by": by, "setting": dict(setting)}
    report |= {"score": how.params.score, "scores": [round(score, DIGITS) for score in scores]}
    report |= {"frames": len(train.truth), "remark": remark}
    return Choice(how.fit(setting, train), report, remark)


def _chooser(train: Side, validation: Side, how: Chooses) -> tuple[str, list[tuple[Side, Side]]]:
    """Return who chooses, and the pairs of sides to fit on and to ask: the chooser wanted, else the other if it may."""
    others = () if how.alone else ({"validation", "patients"} - {how.by})
    for by in (how.by, *others):
        if by == "patients":
            pairs = list(patient_folds(train, how.params.patient_folds))
        else:
            pairs = [(train, validation)] if validation.has_both else []
        if pairs:
            return by, pairs
    return "nothing", []


def _constant(train: Side) -> Choice:
    prevalence = float(train.truth[0]) if len(train.truth) else 0.5
    seen = f"only {prevalence:.0f}" if len(train.truth) else "no known label"
    remark = f"training has {seen}: every frame gets the probability {prevalence:g}"
    return Choice(prevalence, {"constant": prevalence, "frames": len(train.truth), "remark": remark}, remark)


def patient_folds(train: Side, folds: int) -> Iterator[tuple[Side, Side]]:
    """Yield (fit, asked) sides without a common patient, both of both classes; none where that cannot be done."""
    fewest = int(np.bincount(train.truth.astype(int), minlength=2).min())
    count = min(folds, len(np.unique(train.patients)), fewest)
    if count < 2:
        return
    for fit, asked in StratifiedGroupKFold(count).split(train.values, train.truth, train.patients):
        if train[fit].has_both and train[asked].has_both:
            yield train[fit], train[asked]
