"""ROC and precision-recall curves on test, and the areas below them: within each infant where infants are apart."""

from typing import Any

from stages.common.protocols import LEAVE_ONE_OUT, PATIENT_DISJOINT
from stages.report.charts import Chart, lines, palette
from stages.report.inputs import BASELINES, Data
from stages.report.wording import count, number, words

KINDS = {
    "roc": ("false_positive_rate", "true_positive_rate", "ROC", "ROC AUC"),
    "precision_recall": ("recall", "precision", "Precision and recall", "average precision"),
}


def section(data: Data) -> dict[str, Any]:
    """Return a chart a protocol, label and kind, and the areas as a table.

    Scores of different infants share no scale, so a patient-disjoint protocol's areas are those within its infants.
    """
    return {"protocols": [_protocol(data, name) for name in data.protocols], "labels": data.labels}


def _protocol(data: Data, name: str) -> dict[str, Any]:
    return {
        "name": name,
        "charts": _charts(data, name),
        "areas": _areas(data, name),
        "by_infant": name in PATIENT_DISJOINT,
        "folds": name == LEAVE_ONE_OUT,
    }


def _charts(data: Data, protocol: str) -> list[Chart]:
    found = []
    for kind, (x, y, name, _) in KINDS.items():
        table = data.tables[kind]
        for label in data.labels:
            rows = table[(table["protocol"] == protocol) & (table["label"] == label)]
            if len(rows):
                pooled = " (pooled over infants)" if protocol in PATIENT_DISJOINT else ""
                title, titles = f"{name}: {words(label)}{pooled}", {x: words(x), y: words(y)}
                says = f"{title} under protocol {words(protocol)}, a line a model."
                scale, rows = palette(data.models[len(BASELINES) :], ()), rows[["model", "point", x, y]]
                found.append(lines(rows, x, y, scale, says, title, titles, order="point", square=True))
    return found


def _areas(data: Data, protocol: str) -> list[tuple[str, list[str]]]:
    kind = "" if protocol in PATIENT_DISJOINT else "pooled "  # as the comparison names what the study's table has
    names = [f"{label} {kind}{area}" for label in data.labels for *_, area in KINDS.values()]
    models = [model for model in data.models_under(protocol) if model not in BASELINES]
    shown = _over_infants if protocol in PATIENT_DISJOINT else _pooled
    return [(model, [shown(data, protocol, model, name) for name in names]) for model in models]


def _pooled(data: Data, protocol: str, model: str, name: str) -> str:
    return number(data.cell(protocol, model, name))


def _over_infants(data: Data, protocol: str, model: str, name: str) -> str:
    """Return a mean over infants with its range and how many infants it stands on: alone it would hide both."""
    of = data.results["evidence"]["protocols"][protocol]["models"][model][name]
    if of["value"] is None:
        return number(None)
    if of["patients"] == 1:
        return f"{number(of['value'])} (1 infant)"
    return (
        f"{number(of['value'])} ({number(of['lowest'])} to {number(of['highest'])}; {count(of['patients'], 'infant')})"
    )
