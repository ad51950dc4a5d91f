"""Does what the networks learnt leak, and could the labels be had without anatomy: the certificate and the probes."""

from collections.abc import Mapping
from typing import Any

import altair as alt
import pandas as pd

from stages.report.charts import DASHED, Chart, finished, palette, values
from stages.report.inputs import BASELINES, EMBEDDING, Data
from stages.report.pictures import plot_uri
from stages.report.wording import count, listed, number, percent, words

GAPS = ("Accuracy", "F1", "macro F1")
# `bad quality patient-wise ROC AUC` takes three lines, so that a phone has room for the points beside it
LINE_PX = 14  # three lines begin one line higher, and a name of one line stands in the middle of three
WRAPPED = (
    "split(indexof(datum.label, 'ROC AUC') < 0 ? '|' + datum.label + '|' : "
    "replace(replace(datum.label, ' patient-wise', '|patient-wise'), ' ROC AUC', '|ROC AUC'), '|')"
)
NAMED = 8  # infants; more are counted, not named


def section(data: Data) -> dict[str, Any]:
    """Return the certificate, the optimism gap beside `label_copy`, and every probe with what it casts doubt on."""
    found = data.results["leakage"]
    optimism = found["optimism"]
    return {
        "pictures": found["pictures"],
        "certificate": found["certificate"],
        "optimism_why": optimism["why"],
        "embedding": _embedding(data),
        "gaps": [_gap(data, name, models) for name, models in optimism["against"].items()],
        "about": found["probes"]["about"],
        "probes": [chart for name, of in found["probes"]["results"].items() for chart in _probes(name, of)],
        "flags": found["probes"]["flags"],
        "results": found["probes"]["results"],
        "notes": found["notes"],
    }


def doubts(data: Data, protocol: str) -> list[str]:
    """Return, in words, what the probes say against the scores of one protocol: to stand next to those scores.

    A probe strong by itself and one that only reaches what a weak model has over chance are two sentences.
    """
    flags = [flag for flag in data.results["leakage"]["probes"]["flags"] if flag["protocol"] == protocol]
    strong: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for flag in flags:
        if flag["strong"]:
            alike = flag["label"], tuple(flag["names"]), tuple(flag["casts_doubt_on"])
            strong.setdefault(alike, []).append(flag)
    return [*map(_strong, strong.values()), *(_weak(flag) for flag in flags if not flag["strong"])]


def _strong(alike: list[Mapping[str, Any]]) -> str:
    """Return the sentence on probes of one label, the same infants and the same models."""
    first, probes = alike[0], listed([f"{words(flag['probe'])} (AUC {number(flag['auc'], 2)})" for flag in alike])
    told = f"{words(first['label'])} can be told at least in part without anatomy, by {probes}"
    models = listed(first["casts_doubt_on"]) or "no model"
    return f"{told}, measured in {_infants(first)}; this touches the scores of {models}.{_at_chance(first)}"


def _weak(flag: Mapping[str, Any]) -> str:
    shares = [
        f"{percent(flag['share_of_excess'][model])} of that of {model}"
        + (" (a weak model)" if model in flag["weak_models"] else "")
        for model in flag["casts_doubt_on"]
    ]
    hint = f"{words(flag['probe'])} is a weak hint of {words(flag['label'])} by itself (AUC {number(flag['auc'], 2)})"
    return f"{hint}, measured in {_infants(flag)}, but its excess over chance is {listed(shares)}.{_at_chance(flag)}"


def _at_chance(flag: Mapping[str, Any]) -> str:
    """Return which models have no excess that a probe could reach: that clears them of nothing."""
    each = [f"{model} (AUC {number(auc, 2)})" for model, auc in flag["no_better_than_chance"].items()]
    own = "itself is" if len(each) == 1 else "themselves are"
    return f" {listed(each)} {own} no better than chance." if each else ""


def _infants(flag: Mapping[str, Any]) -> str:
    names = flag["names"]
    few = f" ({listed(names)})" if len(names) <= NAMED else ""
    return count(len(names), "infant") + few


def _embedding(data: Data) -> dict[str, Any]:
    """Return the picture of one network's last activations, and what its test frames lie near by."""
    found = data.results["embedding"]
    apart = {name: found["silhouette"]["test"][name] for name in ("labels", "clip", "patient")}
    return {
        **{key: found[key] for key in ("architecture", "protocol", "reading")},
        "apart": [(name, of["value"], of.get("why")) for name, of in apart.items()],
        "uri": plot_uri(data, EMBEDDING),
    }


def _gap(data: Data, against: str, models: Mapping[str, Any]) -> dict[str, Any]:
    names = [name for name in next(iter(models.values())) if name in GAPS or name.endswith("ROC AUC")]
    rows = [
        {"model": model, "figure": words(name), "gap": entry["gap"]}
        for model, entries in models.items()
        for name in names
        if (entry := entries[name])["gap"] is not None
    ]
    table = [
        (model, [(entries[name]["gap"], entries[name]["why"]) for name in names]) for model, entries in models.items()
    ]
    return {
        "against": against,
        "names": names,
        "table": table,
        "chart": _gap_chart(data, against, rows) if rows else None,
    }


def _gap_chart(data: Data, against: str, rows: list[dict[str, Any]]) -> Chart:
    table = pd.DataFrame(rows)
    axis = alt.Axis(labelExpr=WRAPPED, labelLineHeight=LINE_PX, labelOffset=-LINE_PX)
    base = alt.Chart(values(table)).encode(
        y=alt.Y("figure:N", sort=list(dict.fromkeys(table["figure"])), title=None, axis=axis),
        x=alt.X("gap:Q", title=f"frame minus {words(against)}", axis=alt.Axis(tickCount=5)),
        color=alt.Color("model:N", scale=palette(data.models, BASELINES)),
        tooltip=["model:N", "figure:N", "gap:Q"],
    )
    zero = alt.Chart(values(pd.DataFrame({"zero": [0]}))).mark_rule(strokeDash=DASHED).encode(x="zero:Q")
    says = f"Optimism gap: how much better each model looks under the frame protocol than under {words(against)}."
    return finished(
        zero + base.mark_point(filled=True, size=70, opacity=0.9), says, height=44 * table["figure"].nunique()
    )


def _probes(protocol: str, of_labels: Mapping[str, Any]) -> list[Chart]:
    charts = []
    for label, of in of_labels.items():
        rows = [
            {
                "name": words(name),
                "what": what[:-1],
                "auc": entry["auc"],
                "low": entry["lowest"],
                "high": entry["highest"],
            }
            for what in ("models", "probes")
            for name, entry in of[what].items()
            if entry["auc"] is not None
        ]
        if rows:
            charts.append(_probe_chart(pd.DataFrame(rows), protocol, label))
    return charts


def _probe_chart(table: pd.DataFrame, protocol: str, label: str) -> Chart:
    colour = alt.Scale(domain=["model", "probe"], range=["#0072B2", "#D55E00"])
    order = alt.Y("name:N", sort=list(table["name"]), title=None)
    base = alt.Chart(values(table)).encode(y=order, color=alt.Color("what:N", scale=colour))
    unit = alt.Scale(domain=[0, 1])
    ranges = base.mark_rule(strokeWidth=1.5).encode(
        x=alt.X("low:Q", scale=unit, title="patient-wise ROC AUC"), x2="high:Q"
    )
    dots = base.mark_point(filled=True, size=70, opacity=1).encode(
        x=alt.X("auc:Q", scale=unit), tooltip=["name:N", "auc:Q"]
    )
    half = alt.Chart(values(pd.DataFrame({"half": [0.5]}))).mark_rule(strokeDash=DASHED).encode(x="half:Q")
    says = f"Patient-wise AUC of models and of probes that see no anatomy, for {words(label)} under {words(protocol)}."
    return finished(half + ranges + dots, says, f"{words(label)}, {words(protocol)}", height=24 * len(table))
