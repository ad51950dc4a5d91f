"""Every metric of one model with what may be believed of it: proportions with intervals, the rest as a range."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from stages.common.evaluation.answers import Answers, Rows
from stages.common.evaluation.decision import Decision
from stages.common.evaluation.intervals import EXACT, Interval, clopper_pearson, proportion_interval
from stages.common.evaluation.scores import average_precision, macro_f1, ratio, roc_auc
from stages.evidence.cases import Cases, proportions

RANGE = "mean and range over patients"
DIGITS = 4  # as in the tables of evaluate
Metrics = dict[str, dict[str, Any]]
PerPatient = dict[str, dict[str, tuple[float, int]]]  # metric -> patient -> value and the cases it stands on


def metrics_of(
    rows: Rows, answers: Answers, labels: Sequence[str], decision: Decision, confidence: float
) -> tuple[Metrics, PerPatient]:
    """Return every metric of one model on the test rows, and the patients' values behind each.

    Decisions are pooled over folds, scores never: an area is taken within a patient, who is tested by one network.

    Args:
        rows: the test frames.
        answers: the model's answers to them.
        labels: the label columns.
        decision: what GO and stop mean.
        confidence: of the intervals.
    """
    patients = np.unique(rows.patients).tolist()
    metrics, dots = {}, {}
    for name, counted in proportions(rows, answers, labels, decision).items():
        metrics[name] = proportion(counted, confidence, whole_patients=name.startswith("patients with "))
        pairs = zip(patients, counted.hits.tolist(), counted.cases.tolist(), strict=True)
        dots[name] = {patient: (hits / cases, cases) for patient, hits, cases in pairs if cases}
    for name, values in ranged_values(rows, answers, labels).items():
        scoreless = answers.scores is None and not name.endswith("F1")
        metrics[name] = ranged([value for value, _ in values.values()], scoreless)
        dots[name] = values
    return metrics, dots


def proportion(counted: Cases, confidence: float, whole_patients: bool) -> dict[str, Any]:
    """Return a pooled proportion with its interval.

    Args:
        counted: the cases of each patient.
        confidence: of the interval.
        whole_patients: the cases are patients, so that the exact interval needs no correction.
    """
    hits, cases = int(counted.hits.sum()), int(counted.cases.sum())
    interval = proportion_interval(counted.hits, counted.cases, confidence)
    if whole_patients and cases:
        interval = Interval(*clopper_pearson(hits, cases, confidence), EXACT, float(cases))
    return {
        "value": _rounded(ratio(hits, cases - hits)),
        "low": _rounded(interval.low),
        "high": _rounded(interval.high),
        "method": interval.method or None,
        "numerator": hits,
        "denominator": cases,
        "effective": None if interval.effective is None else round(interval.effective, 1),
        "patients": int((counted.cases > 0).sum()),
        "why": interval.why or None,
    }


def ranged(values: Sequence[float], scoreless: bool) -> dict[str, Any]:
    """Return the mean of the patients' values and their range, which is no interval.

    Args:
        values: one a patient that has the cases.
        scoreless: the model says 0 or 1 and has no area.
    """
    lacking = "a baseline says 0 or 1: it has no scores to rank" if scoreless else "no test patient has the cases"
    return {
        "value": _rounded(float(np.mean(values))) if values else None,
        "lowest": _rounded(min(values, default=None)),
        "highest": _rounded(max(values, default=None)),
        "method": RANGE if values else None,
        "patients": len(values),
        "why": None if values else lacking,
    }


def ranged_values(rows: Rows, answers: Answers, labels: Sequence[str]) -> PerPatient:
    """Return the metrics that are no proportion of cases, within each patient that has them.

    F1 wants a frame with the label, ROC AUC and average precision want frames with and without.
    """
    names = [f"{label} {name}" for label in labels for name in ("F1", "ROC AUC", "average precision")]
    found: PerPatient = {name: {} for name in ["macro F1", *names]}
    for patient in np.unique(rows.patients).tolist():
        mine = rows.patients == patient
        truth, said = rows.truth[mine], answers.said[mine]
        known = (~np.isnan(truth)).sum(axis=0).tolist()
        values = {"macro F1": (macro_f1(truth, said), int(mine.sum()))}
        for column, label in enumerate(labels):
            # of one label the mean is that label's own F1, None without a positive
            values[f"{label} F1"] = macro_f1(truth[:, [column]], said[:, [column]]), known[column]
        if answers.scores is not None:
            areas = {
                "ROC AUC": roc_auc(truth, answers.scores[mine]),
                "average precision": average_precision(truth, answers.scores[mine]),
            }
            for name, of_labels in areas.items():
                each = zip(labels, of_labels, known, strict=True)
                values |= {f"{label} {name}": (area, cases) for label, area, cases in each}
        for name, (value, cases) in values.items():
            if value is not None:
                found[name][patient] = value, cases
    return found


def interval_rows(protocol: str, model: str, metrics: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the model's rows of evidence_intervals.csv; low and high of a range are its ends, as `kind` says."""
    found = []
    for name, of in metrics.items():
        ranges = "lowest" in of
        low, high = (of["lowest"], of["highest"]) if ranges else (of["low"], of["high"])
        place = {"protocol": protocol, "model": model, "metric": name, "kind": "range" if ranges else "interval"}
        found.append(place | {"value": of["value"], "low": low, "high": high, "patients": of["patients"]})
    return found


def patient_rows(protocol: str, model: str, dots: PerPatient) -> list[dict[str, Any]]:
    """Return the model's rows of evidence_patients.csv."""
    return [
        {"protocol": protocol, "model": model, "metric": name, "patient": patient, "value": value, "cases": cases}
        for name, values in dots.items()
        for patient, (value, cases) in values.items()
    ]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, DIGITS)
