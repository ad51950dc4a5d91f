"""Every model at its operating points, and the patient-wise winner of the doctor's rule."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from stages.bedside.choosing import Unit, as_validation
from stages.bedside.settings import OperatingPoint
from stages.bedside.temperature import fit_temperature, logits
from stages.bedside.thresholds import Threshold, choose
from stages.common.evaluation.answers import Answers, Rows
from stages.common.evaluation.rule import Rule, judge, winner_of
from stages.common.evaluation.scores import Said, Truth


@dataclass(frozen=True)
class Point:
    """One model's operating point for one unit.

    Attributes:
        temperature: logits are divided by it.
        why: why the temperature is no estimate; None where it is one.
        thresholds: label -> threshold on the divided logits, in the order of the labels.
    """

    temperature: float
    why: str | None
    thresholds: Mapping[str, Threshold]

    def answers(self, values: Truth) -> tuple[Truth, Said]:
        """Return calibrated probabilities and yes or no, both (rows, labels), of (rows, labels) logits."""
        calibrated = values / self.temperature
        return expit(calibrated), calibrated >= [threshold.logit for threshold in self.thresholds.values()]


@dataclass(frozen=True)
class Decider:
    """Who answers the test rows, and what.

    Attributes:
        answered_by: (rows,) the model's name; empty where nobody answers.
        said: (rows, labels) yes or no.
        before: (rows, labels) probabilities as predicted; None for a baseline.
        after: (rows, labels) calibrated probabilities, NaN where nobody answers; None for a baseline.
    """

    answered_by: NDArray[np.object_]
    said: Said
    before: Truth | None
    after: Truth | None

    def __getitem__(self, chosen: NDArray[np.bool_] | NDArray[np.intp]) -> "Decider":
        before = None if self.before is None else self.before[chosen]
        after = None if self.after is None else self.after[chosen]
        return Decider(self.answered_by[chosen], self.said[chosen], before, after)


def fit_point(rows: Rows, values: Truth, labels: Sequence[str], settings: OperatingPoint) -> Point:
    """Return a model's operating point from choosing rows.

    Args:
        rows: the choosing rows, and no other.
        values: (rows, labels) logits of the model.
        labels: names of the columns.
        settings: bounds, caps and what is maximised.
    """
    temperature, why = fit_temperature(values, rows.truth, rows.patients, settings.temperature)
    thresholds = {
        label: choose(label, values[:, column] / temperature, rows.truth[:, column], rows.patients, settings)
        for column, label in enumerate(labels)
    }
    return Point(temperature, why, thresholds)


def points_of(
    rows: Rows, scores: Truth, labels: Sequence[str], units: Sequence[Unit], settings: OperatingPoint
) -> dict[str, Point]:
    """Return unit -> the operating point of one model, each from the rows that choose for the unit."""
    values = logits(scores)
    return {unit.name: fit_point(rows[unit.choosing], values[unit.choosing], labels, settings) for unit in units}


def network(model: str, scores: Truth, points: Mapping[str, Point], units: Sequence[Unit]) -> Decider:
    """Return a network's answers, each unit at its own point."""
    return assemble({unit.name: model for unit in units}, {model: scores}, {model: points}, units)


def baseline(model: str, said: Said) -> Decider:
    """Return a baseline's answers; it has no probabilities, so nothing to calibrate."""
    return Decider(np.full(len(said), model, dtype=object), said, None, None)


def assemble(
    who: Mapping[str, str | None],
    scores: Mapping[str, Truth],
    points: Mapping[str, Mapping[str, Point]],
    units: Sequence[Unit],
) -> Decider:
    """Return the answers of whoever answers for each unit; rows of a unit without anyone stay unanswered.

    Args:
        who: unit -> model, or None.
        scores: model -> (rows, labels) probabilities.
        points: model -> unit -> operating point.
        units: of the protocol.
    """
    shape = next(iter(scores.values())).shape
    answered_by = np.full(shape[0], "", dtype=object)
    said, before, after = np.zeros(shape, bool), np.full(shape, np.nan), np.full(shape, np.nan)
    for unit in units:
        model = who[unit.name]
        if model is not None:
            answered_by[unit.tested] = model
            before[unit.tested] = scores[model][unit.tested]
            after[unit.tested], said[unit.tested] = points[model][unit.name].answers(logits(before[unit.tested]))
    return Decider(answered_by, said, before, after)


def winners(
    rows: Rows,
    scores: Mapping[str, Truth],
    points: Mapping[str, Mapping[str, Point]],
    units: Sequence[Unit],
    labels: Sequence[str],
    rule: Rule,
) -> dict[str, tuple[str | None, str]]:
    """Return unit -> who wins the doctor's rule on the rows that choose for it, and why.

    Each model is judged at the operating point that the unit would use.
    """
    found: dict[str, tuple[str | None, str]] = {}
    for unit in units:
        asked = as_validation(rows[unit.choosing])
        judged = {}
        for model, values in scores.items():
            _, said = points[model][unit.name].answers(logits(values[unit.choosing]))
            judged[model] = judge(asked, Answers(said, None, {}), labels, rule)
        winner, why = winner_of(judged)
        if winner is None:
            why = "; ".join(f"{model}: {', '.join(of.reasons)}" for model, of in judged.items())
        # the rule speaks of validation, whose place the choosing rows take here
        found[unit.name] = (winner, why.replace("on validation", "on the rows that choose").replace("validation ", ""))
    return found
