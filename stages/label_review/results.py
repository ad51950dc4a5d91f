"""Both results: what every model scores on the frozen labels, and on the labels after the expert's second look."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from stages.common.evaluation.answers import Answers, Rows
from stages.common.evaluation.reading import Protocoled
from stages.common.evaluation.scores import Truth, confusion, macro_f1, misclassified, rates, rounded

CAVEAT = (
    "The doubts came from the models' own disagreement, so correcting them can only move labels towards the models: "
    "the reviewed result flatters, and never replaces the frozen one."
)


def both_results(
    found: Mapping[str, Protocoled], reviewed: pd.DataFrame | None, labels: list[str]
) -> dict[str, dict[str, Any]]:
    """Return protocol -> model -> figures on test: `frozen`, and `reviewed` (None before there are answers).

    Args:
        found: what every model answered; its truth is the frozen one.
        reviewed: labels.csv after the second look; None before there are answers.
        labels: the label columns.
    """
    return {
        protocol: {
            model: {
                "frozen": _figures(of.rows.truth, of.rows, answers),
                "reviewed": None if reviewed is None else _figures(_truth(of.rows, reviewed, labels), of.rows, answers),
            }
            for model, answers in of.models.items()
        }
        for protocol, of in found.items()
    }


def _truth(rows: Rows, reviewed: pd.DataFrame, labels: list[str]) -> Truth:
    return reviewed.set_index("frame_id").loc[rows.frames["frame_id"], labels].to_numpy(float)


def _figures(truth: Truth, rows: Rows, answers: Answers) -> dict[str, Any]:
    test = rows.on("test")
    truth, said = truth[test], answers.said[test]
    pooled = confusion(truth, said).sum(axis=0)
    return {
        "macro F1": rounded(macro_f1(truth, said)),
        "Accuracy": rounded(rates(pooled)["accuracy"]),
        "Wrong answers": int(np.sum(pooled[1:3])),
        "Misclassified images": misclassified(truth, said),
    }


def printed(results: Mapping[str, Mapping[str, Any]]) -> str:
    """Return both results side by side, for the terminal."""
    lines = []
    for protocol, models in results.items():
        for model, of in models.items():
            frozen, reviewed = of["frozen"], of["reviewed"]
            pairs = [f"{name} {frozen[name]} -> {reviewed[name]}" for name in ("macro F1", "Wrong answers")]
            lines.append(f"{protocol}, {model}: frozen labels -> reviewed labels: {', '.join(pairs)}")
    return "\n".join(lines)
