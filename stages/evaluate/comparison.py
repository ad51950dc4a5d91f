"""The study's published table, rebuilt: its rows in its order for every model, and what it left out."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.common.core.errors import PipelineError
from stages.common.evaluation.answers import Answers, Rows, collapsed_labels
from stages.common.evaluation.decision import Decision, decide, decision_confusion, decision_figures
from stages.common.evaluation.scores import (
    FN,
    FP,
    TN,
    TP,
    Figure,
    average_precision,
    confusion,
    macro_f1,
    misclassified,
    rates,
    roc_auc,
    rounded,
)
from stages.common.protocols import PATIENT_DISJOINT

Figures = dict[str, Figure]
PER_LABEL = {
    "precision": "precision",
    "recall": "recall",
    "specificity": "specificity",
    "F1": "f1",
    "balanced accuracy": "balanced_accuracy",
}


def figures_of(rows: Rows, answers: Answers, labels: Sequence[str], decision: Decision, protocol: str) -> Figures:
    """Return every figure of one model on the test rows, the study's rows first and in its order.

    The names are the study's own, capitals included: `dvc metrics show` sorts columns, and capitals come first.

    Args:
        rows: all rows of the protocol; validation rows are dropped first.
        answers: the model's answers to them.
        labels: the label columns.
        decision: what GO and stop mean.
        protocol: a patient-disjoint one has areas as means over patients: one patient's scores may all lie above
            another's. Under `frame` they pool all frames, as the study's table does, and are named so.
    """
    collapsed = None if answers.scores is None else len(collapsed_labels(rows, answers, labels))
    test = rows.on("test")
    rows, answers = rows[test], answers[test]
    counts = confusion(rows.truth, answers.said)
    pooled = counts.sum(axis=0)
    whole = rates(pooled)
    found: Figures = {name: whole[name.lower()] for name in ("Accuracy", "Precision", "Recall", "F1")}
    found |= {"TN": int(pooled[TN]), "FP": int(pooled[FP]), "FN": int(pooled[FN]), "TP": int(pooled[TP])}
    for label, of_label in zip(labels, counts, strict=True):
        found |= {f"FP {label}": int(of_label[FP]), f"FN {label}": int(of_label[FN])}
    found["Misclassified images"] = misclassified(rows.truth, answers.said)
    found["Collapsed labels"] = collapsed  # on validation rows; a baseline is constant by design
    found |= decision_figures(decisions_of(rows, answers, labels, decision))
    found["macro F1"] = macro_f1(rows.truth, answers.said)
    areas = _areas(rows, answers, labels, protocol)
    for column, label in enumerate(labels):
        of_label_rates = rates(counts[column])
        found |= {f"{label} {name}": count for name, count in patients_with(rows, column).items()}
        found |= {f"{label} {name}": of_label_rates[key] for name, key in PER_LABEL.items()}
        found |= {f"{label} {name}": values[column] for name, values in areas.items()}
    return {name: rounded(value) for name, value in found.items()}


def _areas(rows: Rows, answers: Answers, labels: Sequence[str], protocol: str) -> dict[str, list[float | None]]:
    apart = protocol in PATIENT_DISJOINT
    names = [name if apart else f"pooled {name}" for name in ("average precision", "ROC AUC")]
    if answers.scores is None:  # a baseline says 0 or 1: an area under that is only its balanced accuracy
        return {name: [None] * len(labels) for name in names}
    groups = rows.patients if apart else None
    areas = (average_precision(rows.truth, answers.scores, groups), roc_auc(rows.truth, answers.scores, groups))
    return dict(zip(names, areas, strict=True))


def patients_with(rows: Rows, column: int) -> dict[str, int]:
    """Return how many patients have a frame with the label, and how many one without; most have both."""
    truth, patients = rows.truth[:, column], rows.patients
    return {name: len(set(patients[truth == value])) for name, value in (("patients with", 1), ("patients without", 0))}


def decisions_of(rows: Rows, answers: Answers, labels: Sequence[str], decision: Decision) -> NDArray[np.int64]:
    """Return the 3x3 confusion of decisions: rows the expert's, columns the model's."""
    said = decide(answers.said.astype(float), labels, decision)
    return decision_confusion(decide(rows.truth, labels, decision), said)


def refuse_different_tests(protocol: str, table: Mapping[str, Figures]) -> None:
    """Stop unless every column has the same number of positive labels, TP + FN.

    The study's five columns had 764, 749, 743, 740 and 730: five different test sets in one table.
    """
    positives = {model: int(figures["TP"] or 0) + int(figures["FN"] or 0) for model, figures in table.items()}
    if len(set(positives.values())) > 1:
        raise PipelineError(
            f"protocol {protocol}: TP + FN differ, so the models' test sets do: {positives}. Report this."
        )


def long_table(tables: Mapping[str, Mapping[str, Figures]]) -> pd.DataFrame:
    """Return comparison.csv: one row a protocol and model, one column a figure, blank where it is undefined."""
    rows = [
        {"protocol": protocol, "model": model, **figures}
        for protocol, table in tables.items()
        for model, figures in table.items()
    ]
    return pd.DataFrame(rows, dtype=object)
