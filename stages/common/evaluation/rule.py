"""The doctor's rule: which model, judged on validation rows alone.

The study chose the model with the fewest false positives for fluid and false negatives for cord. Read literally, that
rule is won by a model that always answers 'cord' and never 'fluid'. Declared as the doctor means it, it is the smallest
mean over patients of those two error rates, among models that still find at least half of the fluid and call at least
half of the cord-free frames cord-free, and that have not collapsed. The literal rule stands beside it for comparison.

A rate that one patient alone stands behind can choose a model by that patient's few frames: `few` says so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from stages.common.core.params import Strict
from stages.common.evaluation.answers import Answers, Rows, collapsed_labels
from stages.common.evaluation.scores import FN, FP, confusion, macro_f1, mean_over_patients, patient_rates, rounded
from stages.common.protocols import ENOUGH, PATIENT_DISJOINT

ErrorRate = Literal["false_positive_rate", "false_negative_rate"]
Success = Literal["sensitivity", "specificity"]
Least = Annotated[float, Field(ge=0, le=1)]
NOT_ESTIMABLE = "not estimable: no validation frame has the case"
COUNTED: dict[str, int] = {"false_positive_rate": FP, "false_negative_rate": FN}
STUDY = {"fluid": "false_positive_rate", "cord": "false_negative_rate"}  # what the study minimised


class Rule(Strict):
    """The rule by which a model is chosen.

    A rate is the mean over patients that have its cases: a patient without a cord says nothing of missed cords.
    """

    minimise: Annotated[dict[str, ErrorRate], Field(min_length=1)]  # label -> error rate; their sum is the loss
    subject_to: dict[str, dict[Success, Least]]  # label -> rate -> the least that a winner needs


@dataclass(frozen=True)
class Judgement:
    """What validation says of one model.

    Attributes:
        rates: `<rate> of <label>`, as mean over patients; None where validation has no case.
        patients: the same names -> how many patients have its cases, and so stand behind it.
        loss: the sum that the rule minimises; None where a part of it is None.
        literal: the study's own count, e.g. false positives of fluid plus false negatives of cord.
        macro_f1: decides between equal losses.
        reasons: why the model cannot win; empty when it can.
    """

    rates: Mapping[str, float | None]
    patients: Mapping[str, int]
    loss: float | None
    literal: int
    macro_f1: float | None
    reasons: Sequence[str]

    def as_json(self) -> dict[str, Any]:
        """Return the judgement as selected.json shows it."""
        return {
            "eligible": not self.reasons,
            "reasons": list(self.reasons),
            "loss": rounded(self.loss),
            "rates": {name: rounded(value) for name, value in self.rates.items()},
            "macro_f1": rounded(self.macro_f1),
            "literal_count": self.literal,
        }


def judge(rows: Rows, answers: Answers, labels: Sequence[str], rule: Rule) -> Judgement:
    """Return what the validation rows say of a model; no other row is looked at.

    Args:
        rows: all rows of a protocol; test rows are dropped first.
        answers: the model's answers to them.
        labels: the label columns.
        rule: the declared rule.
    """
    validation = rows.on("validation")
    rows, answers = rows[validation], answers[validation]

    def rate(label: str, name: str) -> float | None:
        return mean_over_patients(rows.truth, answers.said, rows.patients, labels.index(label), name)

    limits = [(label, name, least) for label, of_label in rule.subject_to.items() for name, least in of_label.items()]
    errors = {f"{name} of {label}": rate(label, name) for label, name in rule.minimise.items()}
    met = {f"{name} of {label}": rate(label, name) for label, name, _ in limits}
    reasons = [f"{name} is {NOT_ESTIMABLE}" for name, got in errors.items() if got is None]
    reasons += [_shortfall(f"{name} of {label}", met[f"{name} of {label}"], least) for label, name, least in limits]
    collapsed = collapsed_labels(rows, answers, labels)
    reasons += [f"collapsed: the same answer for every validation frame for {label}" for label in collapsed]
    counts = confusion(rows.truth, answers.said)
    defined = [value for value in errors.values() if value is not None]
    return Judgement(
        rates=errors | met,
        patients=_patients_behind(rows, answers, labels, rule),
        loss=sum(defined) if len(defined) == len(errors) else None,
        literal=sum(int(counts[labels.index(label), COUNTED[name]]) for label, name in rule.minimise.items()),
        macro_f1=macro_f1(rows.truth, answers.said),
        reasons=[reason for reason in reasons if reason],
    )


def _patients_behind(rows: Rows, answers: Answers, labels: Sequence[str], rule: Rule) -> dict[str, int]:
    """Return `<rate> of <label>` -> the patients that have its cases, for every rate that the rule reads."""
    pairs = [*rule.minimise.items(), *((label, name) for label, of in rule.subject_to.items() for name in of)]
    return {
        f"{name} of {label}": len(patient_rates(rows.truth, answers.said, rows.patients, labels.index(label), name))
        for label, name in pairs
    }


def _shortfall(name: str, got: float | None, least: float) -> str:
    """Return what is missing, empty when nothing is."""
    if got is not None and got >= least:
        return ""
    return f"{name} must be at least {least:g}, is {NOT_ESTIMABLE if got is None else f'{got:.4f}'}"


def winner_of(judgements: Mapping[str, Judgement]) -> tuple[str | None, str]:
    """Return the winner and why; None where no model may win. Equal losses: better macro F1, then declared order."""
    eligible = {model: judged for model, judged in judgements.items() if not judged.reasons}
    if not eligible:
        return None, "no model is eligible; see the reasons of each"
    ordered = sorted(eligible, key=lambda model: _order(eligible[model]))
    winner, loss = ordered[0], _order(eligible[ordered[0]])[0]
    tied = [model for model in ordered[1:] if _order(eligible[model])[0] == loss]
    why = f"smallest loss on validation, {loss:.4f}, of {len(eligible)} eligible models of {len(judgements)}"
    return winner, why + (f"; tied with {', '.join(tied)}: better macro F1, then declared order" if tied else "")


def _order(judged: Judgement) -> tuple[float, float]:
    # rounded, so that sums of the same rates in another order stay equal
    return round(judged.loss if judged.loss is not None else float("inf"), 9), -round(judged.macro_f1 or 0.0, 9)


def literal_winner(judgements: Mapping[str, Judgement]) -> str:
    """Return whom the study's own words choose: fewest counted errors, no condition; ties by declared order."""
    return min(judgements, key=lambda model: judgements[model].literal)


def _errors(rate: str) -> str:
    return rate.removesuffix("_rate").replace("_", " ") + "s"


def few(patients: Mapping[str, int]) -> dict[str, int]:
    """Return the rates that fewer than `ENOUGH` patients stand behind: they choose, and show next to nothing."""
    return {name: count for name, count in patients.items() if count < ENOUGH}


def copier(protocol: str) -> str:
    """Return the baseline to beat: where clips are not cut `label_copy` has nothing to copy, and is the majority."""
    return "majority" if protocol in PATIENT_DISJOINT else "label_copy"


def selection(
    models: Mapping[str, Judgement], baselines: Mapping[str, Judgement], rule: Rule, protocol: str
) -> dict[str, Any]:
    """Return what selected.json says of one protocol, without the thresholds."""
    winner, why = winner_of(models)
    baseline = copier(protocol)
    copied = baselines[baseline].loss
    loss = models[winner].loss if winner else None
    patients = dict(next(iter(models.values())).patients)  # of the truth alone: the same for every model
    return {
        "winner": winner,
        "reason": why,
        "patients": patients,
        "few_patients": few(patients),
        "winner_beats": {"baseline": baseline, "beats": None if loss is None or copied is None else loss < copied},
        "literal_rule": {
            "of_the_study": rule.minimise == STUDY,
            "says": "fewest " + " + ".join(f"{_errors(rate)} of {label}" for label, rate in rule.minimise.items()),
            "winner": literal_winner(models),
        },
        "models": {model: judged.as_json() for model, judged in models.items()},
        "baselines": {model: judged.as_json() for model, judged in baselines.items()},
    }
