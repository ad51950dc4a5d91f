"""The study's table and its two figures, on our data: what was published, in the form it was published in."""

from typing import Any

from stages.common.protocols import PATIENT_DISJOINT
from stages.report.charts import Chart, grouped_bars
from stages.report.inputs import BASELINES, Data, threshold_words
from stages.report.sections.cautions import not_estimable, rests_on
from stages.report.wording import listed, number, percent, words

CLASSICAL = ("knn", "tree")
PUBLISHED = (
    "The study reports at most 65\u00a0% for k nearest neighbours and decision trees, without saying on which "
    "features or split"
)
ROWS = ("Accuracy", "Precision", "Recall", "F1", "TN", "FP", "FN", "TP")
AFTER = ("Misclassified images", "macro F1")


def section(data: Data) -> dict[str, Any]:
    """Return a table and two charts for each protocol."""
    return {
        "protocols": [_protocol(data, protocol) for protocol in data.protocols],
        "baselines": BASELINES,
        "threshold": threshold_words(data),
        "classical": _classical(data),
    }


def _classical(data: Data) -> str | None:
    """Return what the study says of the two classifiers that it tried, and what they reach here; None without them."""
    found = [name for name, of in data.params["baselines"].items() if of["classifier"] in CLASSICAL]
    if not found:
        return None
    cells = {name: data.cell("frame", name, "Accuracy") for name in found}
    each = [f"{percent(float(value), 1)} ({name})" for name, value in cells.items() if value is not None]
    here = (
        f"accuracy under protocol frame is {listed(each)}" if each else "protocol frame, the study's, is not declared"
    )
    return f"{PUBLISHED}; here {here}."


def _protocol(data: Data, protocol: str) -> dict[str, Any]:
    models, chosen = data.models_under(protocol), data.results["selected"][protocol]
    lonely = not_estimable(data, protocol)
    per_label = [f"{error} {label}" for label in data.labels for error in ("FP", "FN")]
    rows = [(name, [_shown(data, protocol, model, name) for model in models]) for name in (*ROWS, *per_label, *AFTER)]
    return {
        "name": protocol,
        "models": models,
        "rows": rows,
        "by_infant": protocol in PATIENT_DISJOINT,
        "marks": {f"{error} {label}": why for label, why in lonely.items() for error in ("FP", "FN")},
        "winner": chosen["winner"],
        "rests_on": rests_on(chosen["few_patients"]),
        "charts": [_chart(data, protocol, "scores"), _chart(data, protocol, "errors")],
    }


def _shown(data: Data, protocol: str, model: str, name: str) -> str:
    value = data.cell(protocol, model, name)
    if value is None:
        return "—"
    whole = name.startswith(("FP ", "FN ")) or name in {"TN", "FP", "FN", "TP", "Misclassified images"}
    return str(int(value)) if whole else number(float(value), 4)


def _chart(data: Data, protocol: str, table: str) -> Chart:
    rows = data.tables[table]
    rows = rows.loc[rows["protocol"] == protocol, ["model", "series", "value"]]
    title = {"scores": "Performance of the models", "errors": "The errors that the doctor minimises, in test frames"}
    says = f"{title[table]} under protocol {words(protocol)}: one bar a model and figure."
    return grouped_bars(rows, data.models, says, title[table])
