"""The optimism gap: how much better a model looks under the frame protocol than on patients never seen.

`label_copy`, which opens no picture, stands beside the models: what it gains under the frame protocol is gained by
memory of the neighbouring frame alone. The two protocols test different frames, so a small gap is no gap.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from stages.common.core.errors import PipelineError
from stages.common.core.tables import read_table
from stages.common.evaluation.baselines import BASELINES
from stages.common.evaluation.scores import rounded
from stages.leakage.probes import Found

COMPARISON = Path("metrics/comparison.csv")
LEAKY = "frame"
WHOLE = ("Accuracy", "F1", "macro F1")
PER_LABEL = {
    "sensitivity": "recall",
    "specificity": "specificity",
    "F1": "F1",
    "balanced accuracy": "balanced accuracy",
}
AUC = "patient-wise ROC AUC"  # the area that both protocols can be asked for: pooled over folds there is none
Models = Mapping[tuple[str, int, str], Found]  # (protocol, label's number, model)


def read_comparison(labels: Sequence[str], wanted: Sequence[tuple[str, str]]) -> pd.DataFrame:
    """Return the figures of evaluate, (protocol, model) -> figure, blank (NaN) where it is undefined.

    Args:
        labels: the label names, of which evaluate's columns are made.
        wanted: every (protocol, model) that params.yaml declares.

    Raises:
        PipelineError: the table lacks a figure or a model.
    """
    columns = [*WHOLE, *(f"{label} {name}" for label in labels for name in PER_LABEL.values())]
    table = read_table(COMPARISON, ["protocol", "model", *columns]).set_index(["protocol", "model"])[columns]
    missing = [" of ".join(reversed(pair)) for pair in wanted if pair not in table.index]
    if missing:
        raise PipelineError(f"{COMPARISON}: rows missing: {', '.join(missing)}. Run `dvc repro evaluate`.")
    return table.astype(float)


def figures(table: pd.DataFrame, areas: Models, labels: Sequence[str], protocol: str, model: str) -> dict[str, Any]:
    """Return figure -> value of one model under one protocol, None where it is undefined."""
    row = table.loc[(protocol, model)]
    names = {name: name for name in WHOLE}
    names |= {f"{label} {shown}": f"{label} {column}" for label in labels for shown, column in PER_LABEL.items()}
    found = {shown: None if pd.isna(row[column]) else float(row[column]) for shown, column in names.items()}
    for number, label in enumerate(labels):
        area = areas.get((protocol, number, model))
        found[f"{label} {AUC}"] = None if area is None else rounded(area.mean)
    return found


def gaps(
    table: pd.DataFrame, areas: Models, labels: Sequence[str], protocols: Sequence[str], models: Sequence[str]
) -> dict[str, Any]:
    """Return honest protocol -> model -> figure -> its value under both and the gap, baselines first.

    Returns:
        `why` is None, or says why there is nothing to subtract.
    """
    against = [protocol for protocol in protocols if protocol != LEAKY]
    if LEAKY not in protocols or not against:
        why = f"needs protocol `{LEAKY}` and one that keeps patients apart; declared: {', '.join(protocols)}"
        return {"why": why, "against": {}}
    both = {
        honest: {model: _gap_of(table, areas, labels, honest, model) for model in [*BASELINES, *models]}
        for honest in against
    }
    return {"why": None, "against": both}


def _gap_of(table: pd.DataFrame, areas: Models, labels: Sequence[str], honest: str, model: str) -> dict[str, Any]:
    leaky = figures(table, areas, labels, LEAKY, model)
    fair = figures(table, areas, labels, honest, model)
    return {name: _entry(leaky[name], fair[name], honest, model, name) for name in leaky}


def _entry(leaky: float | None, fair: float | None, honest: str, model: str, name: str) -> dict[str, Any]:
    lacking = [protocol for protocol, value in ((LEAKY, leaky), (honest, fair)) if value is None]
    gap = None if leaky is None or fair is None else round(leaky - fair, 4)
    why = None
    if lacking:
        baseline = model in BASELINES and name.endswith(AUC)
        why = "a baseline says 0 or 1 and has no scores" if baseline else f"not estimable under {', '.join(lacking)}"
    return {LEAKY: leaky, "honest": fair, "gap": gap, "why": why}


def gap_table(found: Mapping[str, Any]) -> pd.DataFrame:
    """Return the plot data: against, figure, model, frame, honest, gap, and the gap of label_copy beside it."""
    rows = [
        {
            "against": honest,
            "figure": name,
            "model": model,
            LEAKY: entry[LEAKY],
            "honest": entry["honest"],
            "gap": entry["gap"],
            "label_copy_gap": models["label_copy"][name]["gap"],
        }
        for honest, models in found["against"].items()
        for model, entries in models.items()
        for name, entry in entries.items()
    ]
    columns = ["against", "figure", "model", LEAKY, "honest", "gap", "label_copy_gap"]
    numbers = dict.fromkeys(columns[3:], float)
    return pd.DataFrame(rows, columns=columns).astype(numbers)
