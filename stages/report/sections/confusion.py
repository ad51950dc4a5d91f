"""What was taken for what: each label, and the decisions at the bedside."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from stages.report.inputs import Data, threshold_words

DECISIONS = ("GO", "stop", "no view")
ANSWERS = ("no", "yes")


def section(data: Data) -> dict[str, Any]:
    """Return matrices of counts by protocol and model."""
    return {
        "protocols": [
            {"name": protocol, "models": [_model(data, protocol, model) for model in data.models_under(protocol)]}
            for protocol in data.protocols
        ],
        "headline": data.results["bedside"]["headline_protocol"],
        "threshold": threshold_words(data),
        "operating": _at_operating_point(data),
        "decisions": DECISIONS,
        "answers": ANSWERS,
    }


def _at_operating_point(data: Data) -> list[dict[str, Any]]:
    """Return the headline's decisions as the verdict judges them; frames that the expert leaves open are left out."""
    table = data.tables["bedside_timelines"]
    rows = table.rename(columns={"truth": "actual", "decision": "predicted"}).assign(count=1)
    return [{"name": name, "decisions": _matrix(part, DECISIONS)} for name, part in rows.groupby("model", sort=False)]


def _model(data: Data, protocol: str, model: str) -> dict[str, Any]:
    counts = {name: _rows(data.tables[name], protocol, model) for name in ("decisions", "confusion")}
    labels = {label: _matrix(counts["confusion"].query("label == @label"), ANSWERS) for label in data.labels}
    return {"name": model, "decisions": _matrix(counts["decisions"], DECISIONS), "labels": labels}


def _rows(table: pd.DataFrame, protocol: str, model: str) -> pd.DataFrame:
    return table[(table["protocol"] == protocol) & (table["model"] == model)]


def _matrix(rows: pd.DataFrame, names: Sequence[str]) -> list[tuple[str, list[tuple[int, float]]]]:
    """Return the expert's answers as rows: the count of each answer of the model, and its share of the row."""
    counts = rows.pivot_table(index="actual", columns="predicted", values="count", aggfunc="sum")
    counts = counts.reindex(index=list(names), columns=list(names), fill_value=0).fillna(0).astype(int)
    return [
        (name, [(int(n), round(int(n) / max(int(counts.loc[name].sum()), 1), 3)) for n in counts.loc[name]])
        for name in names
    ]
