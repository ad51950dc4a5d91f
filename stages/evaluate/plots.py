"""The data behind the figures, in long form: one row a mark, for `dvc plots` and the report."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_curve, roc_curve

from stages.common.core.tables import read_table
from stages.common.evaluation.answers import Answers, Rows
from stages.common.evaluation.decision import DECISIONS, Decision
from stages.common.evaluation.predictions import Training
from stages.common.evaluation.rule import COUNTED, Rule
from stages.common.evaluation.scores import FP, confusion
from stages.common.protocols import LEAVE_ONE_OUT, PATIENT_DISJOINT
from stages.evaluate.comparison import Figures, decisions_of

KEYS = ("protocol", "model", "label", "panel", "point")
POINTS = 200  # of a curve: a page with all of them takes seconds to open and shows nothing more


def score_bars(tables: Mapping[str, Mapping[str, Figures]]) -> pd.DataFrame:
    """Return the study's Viz 1, accuracy, precision, recall and F1 by model: protocol, model, series, value."""
    return _bars(tables, ["Accuracy", "Precision", "Recall", "F1"])


def error_bars(tables: Mapping[str, Mapping[str, Figures]], rule: Rule) -> pd.DataFrame:
    """Return the study's Viz 2, the errors that the doctor minimises by model: protocol, model, series, value."""
    return _bars(tables, [f"{'FP' if COUNTED[rate] == FP else 'FN'} {label}" for label, rate in rule.minimise.items()])


def _bars(tables: Mapping[str, Mapping[str, Figures]], names: Sequence[str]) -> pd.DataFrame:
    rows = [
        (protocol, model, name, figures[name])
        for protocol, table in tables.items()
        for model, figures in table.items()
        for name in names
    ]
    return pd.DataFrame(rows, columns=["protocol", "model", "series", "value"])


def training_curves(histories: Mapping[Training, Path]) -> pd.DataFrame:
    """Return the losses of every epoch: protocol, fold, model, side, epoch, loss.

    Raises:
        PipelineError: a history lacks a column.
    """
    parts = []
    for training, path in histories.items():
        table = read_table(path, ["epoch", "train_loss", "validation_loss"])
        for side in ("train", "validation"):
            part = table[["epoch"]].assign(side=side, loss=table[f"{side}_loss"])
            parts.append(part.assign(protocol=training.protocol, fold=training.fold, model=training.model))
    return pd.concat(parts)[["protocol", "fold", "model", "side", "epoch", "loss"]]


def label_confusions(protocol: str, rows: Rows, models: Mapping[str, Answers], labels: Sequence[str]) -> pd.DataFrame:
    """Return 2x2 counts on test: protocol, model, label, panel, actual, predicted, count."""
    test = rows.on("test")
    cells = [("no", "no"), ("no", "yes"), ("yes", "no"), ("yes", "yes")]  # the order of `confusion`
    found = [
        (protocol, model, label, f"{protocol}: {label}", actual, predicted, int(count))
        for model, answers in models.items()
        for label, counts in zip(labels, confusion(rows.truth[test], answers.said[test]), strict=True)
        for (actual, predicted), count in zip(cells, counts, strict=True)
    ]
    return pd.DataFrame(found, columns=["protocol", "model", "label", "panel", "actual", "predicted", "count"])


def decision_confusions(
    protocol: str, rows: Rows, models: Mapping[str, Answers], labels: Sequence[str], decision: Decision
) -> pd.DataFrame:
    """Return 3x3 counts of decisions on test: protocol, model, panel, actual, predicted, count."""
    test = rows.on("test")
    found = [
        (protocol, model, protocol, actual, predicted, int(count))
        for model, answers in models.items()
        for actual, counts in zip(DECISIONS, decisions_of(rows[test], answers[test], labels, decision), strict=True)
        for predicted, count in zip(DECISIONS, counts, strict=True)
    ]
    return pd.DataFrame(found, columns=["protocol", "model", "panel", "actual", "predicted", "count"])


def roc_points(protocol: str, rows: Rows, models: Mapping[str, Answers], labels: Sequence[str]) -> pd.DataFrame:
    """Return ROC curves on test: protocol, model, label, panel, point, false_positive_rate, true_positive_rate.

    A label without both classes has no curve, nor has leave-one-patient-out.
    """
    parts = []
    for keys, truth, scores in _scored(protocol, rows, models, labels):
        false_positive_rate, true_positive_rate, _ = roc_curve(truth, scores)
        parts.append(_thinned(keys, false_positive_rate=false_positive_rate, true_positive_rate=true_positive_rate))
    return pd.concat(parts) if parts else pd.DataFrame(columns=[*KEYS, "false_positive_rate", "true_positive_rate"])


def precision_recall_points(
    protocol: str, rows: Rows, models: Mapping[str, Answers], labels: Sequence[str]
) -> pd.DataFrame:
    """Return precision-recall curves on test: protocol, model, label, panel, point, recall, precision."""
    parts = []
    for keys, truth, scores in _scored(protocol, rows, models, labels):
        precision, recall, _ = precision_recall_curve(truth, scores, drop_intermediate=True)
        parts.append(_thinned(keys, recall=recall[::-1], precision=precision[::-1]))
    return pd.concat(parts) if parts else pd.DataFrame(columns=[*KEYS, "recall", "precision"])


def _scored(
    protocol: str, rows: Rows, models: Mapping[str, Answers], labels: Sequence[str]
) -> Iterator[tuple[tuple[str, ...], NDArray[np.float64], NDArray[np.float64]]]:
    """Yield (protocol, model, label, panel), known truth and scores of every curve that exists."""
    test = rows.on("test") & (protocol != LEAVE_ONE_OUT)  # scores of different networks share no scale
    pooled = ", infants pooled" if protocol in PATIENT_DISJOINT else ""  # areas of each infant are evidence's
    for model, answers in models.items():
        for column, label in enumerate(labels):
            known = test & ~np.isnan(rows.truth[:, column])
            truth = rows.truth[known, column]
            if answers.scores is not None and len(np.unique(truth)) == 2:
                yield (protocol, model, label, f"{protocol}: {label}{pooled}"), truth, answers.scores[known, column]


def _thinned(keys: tuple[str, ...], **columns: NDArray[np.float64]) -> pd.DataFrame:
    """Return at most POINTS points, evenly among those given, both ends kept."""
    table = pd.DataFrame(columns)
    chosen = np.unique(np.linspace(0, len(table) - 1, POINTS).round().astype(int))
    thin = table.iloc[chosen].reset_index(drop=True)
    for place, (name, value) in enumerate(zip(KEYS, (*keys, None), strict=True)):
        thin.insert(place, name, thin.index if value is None else value)
    return thin
