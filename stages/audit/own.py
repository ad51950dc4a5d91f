"""Our own table of a protocol in the form that any published table is checked in.

What evaluate wrote comes from its tables, its confusion plot and its choice; how many labels there are to answer for is
counted afresh in the labels and the split.
"""

import json
from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from typing import Any

from stages.audit.table import Block, Claim, Column, Counts, Metric, OfLabel, Table
from stages.common.core.errors import PipelineError
from stages.common.core.tables import read_table
from stages.common.protocols import PATIENT_DISJOINT, read_split
from stages.common.truth import read_labels

METRICS = Path("metrics")
LABELS = Path("data/label_merge/labels.csv")
SPLIT = Path("data/split")
POOLED: dict[str, Metric] = {
    "Accuracy": "accuracy",
    "Precision": "precision",
    "Recall": "recall",
    "F1": "f1",
    "macro F1": "macro_f1",
}
OF_LABEL: dict[str, Metric] = {
    "precision": "precision",
    "recall": "recall",
    "specificity": "specificity",
    "F1": "f1",
    "balanced accuracy": "balanced_accuracy",
    "pooled ROC AUC": "roc_auc",
}
DIGITS = 4  # decimals that evaluate prints
CELLS = {("no", "no"): "TN", ("no", "yes"): "FP", ("yes", "no"): "FN", ("yes", "yes"): "TP"}  # actual, predicted
LOSS, COUNTED = "loss on validation", "counted errors on validation"


def own_table(
    protocol: str, folds: Sequence[str], models: Sequence[str], labels: Sequence[str], coarse: Container[str] = ()
) -> Table:
    """Return our table of one protocol.

    Args:
        protocol: a declared protocol.
        folds: its declared folds.
        models: the columns: baselines and declared models.
        labels: the label names.
        coarse: models whose scores may be yes and no in all but name, such as a decision tree's with pure leaves: the
            area under those is the balanced accuracy, and rightly so. Their areas are not held against it.

    Raises:
        PipelineError: a file of evaluate is missing or lacks a figure.
    """
    test = read_split(SPLIT / f"{protocol}.csv", folds, read_labels(LABELS, labels))
    test = test[test["side"] == "test"]
    counts = confusions(METRICS / "plots/confusion.csv", protocol)
    columns = {
        model: _column(protocol, model, labels, counts, protocol not in PATIENT_DISJOINT and model not in coarse)
        for model in models
    }
    chosen = _json(METRICS / "selected.json")[protocol]
    claims, rows = choices(chosen)
    return Table(
        source=f"metrics/models/{protocol}",
        frames=len(test),
        decisions={label: int(test[label].notna().sum()) for label in labels},
        positives={label: int((test[label] == 1).sum()) for label in labels},
        columns=columns,
        rows=rows,
        claims=claims,
    )


def confusions(path: Path, protocol: str) -> dict[tuple[str, str], Counts]:
    """Return (model, label) -> counts on test, of one protocol.

    Args:
        path: evaluate's confusion.csv: protocol, model, label, panel, actual, predicted, count.
        protocol: which of them.
    """
    table = read_table(path, ["protocol", "model", "label", "actual", "predicted", "count"])
    found: dict[tuple[str, str], dict[str, int]] = {}
    for row in table[table["protocol"] == protocol].itertuples():
        found.setdefault((row.model, row.label), {})[CELLS[row.actual, row.predicted]] = int(row.count)
    return {key: Counts(**cells) for key, cells in found.items()}


def _column(
    protocol: str, model: str, labels: Sequence[str], counts: Mapping[tuple[str, str], Counts], areas: bool
) -> Column:
    path = METRICS / "models" / protocol / f"{model}.json"
    figures = _json(path)
    try:
        return Column(
            counts=Counts(**{kind: figures[kind] for kind in ("TN", "FP", "FN", "TP")}),
            metrics=_printed(figures, POOLED),
            labels={label: _of_label(figures, label, counts[model, label], areas) for label in labels},
            misclassified=figures["Misclassified images"],
        )
    except KeyError as error:
        lacking = f"{path} and confusion.csv: expected every figure of evaluate, got none for {error}"
        raise PipelineError(f"{lacking}. Run `dvc repro evaluate`.") from error


def _of_label(figures: Mapping[str, Any], label: str, counts: Counts, areas: bool) -> OfLabel:
    names = {f"{label} {name}": metric for name, metric in OF_LABEL.items()}
    if not areas:  # where patients are apart they are means over patients, which no pooled count can give
        del names[f"{label} pooled ROC AUC"]
    block = Block(counts=counts, metrics=_printed(figures, names))
    return OfLabel(FP=figures[f"FP {label}"], FN=figures[f"FN {label}"], block=block)


def _printed(figures: Mapping[str, Any], names: Mapping[str, Metric]) -> dict[Metric, str]:
    return {metric: f"{figures[name]:.{DIGITS}f}" for name, metric in names.items() if figures[name] is not None}


def choices(chosen: Mapping[str, Any]) -> tuple[list[Claim], dict[str, dict[str, str]]]:
    """Return what selected.json claims of one protocol, and the rows of which it claims it.

    The doctor's rule names the smallest loss among eligible models, the study's own words the fewest counted errors.
    """
    models = chosen["models"]
    losses = {model: f"{of['loss']:.{DIGITS}f}" for model, of in models.items() if of["eligible"]}
    rows = {COUNTED: {model: str(of["literal_count"]) for model, of in models.items()}}
    literal = chosen["literal_rule"]
    claims = [Claim(quote=literal["says"], rows=[COUNTED], extreme="smallest", column=literal["winner"])]
    if chosen["winner"] is not None:
        rows[LOSS] = losses
        claims.append(Claim(quote=chosen["reason"], rows=[LOSS], extreme="smallest", column=chosen["winner"]))
    return claims, rows


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PipelineError(f"{path} cannot be read: {error}. Run `dvc repro evaluate`.") from error
