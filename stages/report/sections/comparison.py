"""Which model is better, as far as these infants can tell: intervals, dots, one paired test, the share of wins."""

from collections.abc import Mapping
from typing import Any

import altair as alt
import pandas as pd

from stages.report.bounds import accuracy_metrics
from stages.report.card import ways_of_choosing
from stages.report.charts import DASHED, MODELS, Chart, finished, palette, values
from stages.report.inputs import BASELINES, Data
from stages.report.sections import leakage
from stages.report.sections.cautions import cautions
from stages.report.wording import number, percent, words

PATIENTS_WITH = ("patients with GO dangerous", "patients with GO futile")
WHOLE = ("macro F1",)
ONE = "1 infant"  # beside a line that rests on one
SAYS = {
    "patients with GO dangerous": "Infants with any GO where the expert says stop, of those with such frames",
    "patients with GO futile": "Infants with any GO without a target, of those with such frames",
    "GO dangerous": "GO where the expert says stop, share of frames",
    "GO futile": "GO where the expert sees no target, share of frames",
    "GO found": "GO where the expert says GO, share of frames",
    "macro F1": "Macro F1, mean and range over infants",
}


def section(data: Data) -> dict[str, Any]:
    """Return intervals and dots by metric, the comparison named beforehand, all pairs, and the share of wins."""
    found = data.results["evidence"]
    return {
        "headline": found["headline"],
        "confidence": percent(found["confidence"]),
        "reading": found["reading"],
        "threshold": data.params["evaluate"]["threshold"],
        "ways": ways_of_choosing(data),
        "protocols": [_protocol(data, name, of) for name, of in found["protocols"].items()],
        "metrics": shown_metrics(data),
        "doubts": {name: leakage.doubts(data, name) for name in found["protocols"]},
    }


def shown_metrics(data: Data) -> list[str]:
    """Return the metrics that are drawn, what matters at the bedside first."""
    return [*PATIENTS_WITH, *accuracy_metrics(data), *WHOLE]


def _protocol(data: Data, name: str, of: Mapping[str, Any]) -> dict[str, Any]:
    metrics = shown_metrics(data)
    charts = [chart for metric in metrics if (chart := _intervals(data, name, metric))]
    table = [
        (model, [cell(found[metric]) for metric in metrics if metric in found]) for model, found in of["models"].items()
    ]
    return {
        **{key: of[key] for key in ("honest", "flag", "patients", "frames", "all_pairs", "win_shares", "seeds")},
        "name": name,
        "cautions": cautions(data, name),
        "charts": charts,
        "table": table,
        "comparison": of["comparison"],
        "time": [each["sentence"] for each in of["time"]],
        "paired": _paired(of["comparison"]),
        "wins": _wins(data, of["win_shares"]),
    }


def cell(of: Mapping[str, Any]) -> dict[str, Any]:
    """Return one figure as the table shows it: value, its bounds, the cases behind it, or why there is none."""
    ranges = "lowest" in of
    low, high = (of["lowest"], of["highest"]) if ranges else (of["low"], of["high"])
    shown = "" if low is None or high is None else f"{number(float(low), 2)} to {number(float(high), 2)}"
    cases = "" if ranges or of["denominator"] is None else f"{of['numerator']}/{of['denominator']}"
    return {
        "value": of["value"],
        "bounds": shown,
        "cases": cases,
        "patients": of["patients"],
        "why": of["why"],
        "ranges": ranges,
    }


def _intervals(data: Data, protocol: str, metric: str) -> Chart | None:
    table, dots = data.tables["evidence_intervals"], data.tables["evidence_patients"]
    rows = table[(table["protocol"] == protocol) & (table["metric"] == metric)].dropna(subset=["value"])
    if rows.empty:
        return None
    dots = dots[(dots["protocol"] == protocol) & (dots["metric"] == metric)]
    order = alt.Y("model:N", sort=data.models, scale=alt.Scale(domain=data.models), title=None)
    unit = alt.X("value:Q", scale=alt.Scale(domain=[0, 1]), title=None, axis=alt.Axis(tickCount=5))
    colour = alt.Color("model:N", scale=palette(data.models, BASELINES), legend=None)
    base = alt.Chart(values(rows[["model", "value", "low", "high", "patients"]])).encode(y=order, color=colour)
    ends = {"x": alt.X("low:Q", title=None), "x2": "high:Q"}
    several, alone = (base.transform_filter(f"datum.patients {which} 1") for which in (">", "=="))
    dashed = alone.mark_rule(strokeWidth=2, strokeDash=DASHED).encode(**ends)
    told = alone.mark_text(align="right", dy=-7, fontSize=10, text=ONE).encode(
        x=alt.datum(1), color=alt.value("currentColor")
    )
    bars = several.mark_rule(strokeWidth=2).encode(**ends) + dashed + told
    middle = base.mark_point(filled=True, size=90, opacity=1, shape="diamond").encode(
        x=unit, tooltip=["model:N", "value:Q", "low:Q", "high:Q", "patients:Q"]
    )
    each = alt.Chart(values(dots[["model", "patient", "value", "cases"]])).encode(y=order, x=unit, color=colour)
    points = each.mark_point(size=34, opacity=0.65).encode(tooltip=["model:N", "patient:N", "value:Q", "cases:Q"])
    title = SAYS.get(metric, words(metric))
    kind = "interval" if (rows["kind"] == "interval").all() else "range"
    says = f"{title} under {words(protocol)}: a diamond with its {kind} a model, a ring an infant; dashed: {ONE} alone."
    layers = bars + middle if metric in PATIENTS_WITH else bars + points + middle
    return finished(layers, says, title, height=22 * len(data.models))


def _paired(comparison: Mapping[str, Any]) -> Chart | None:
    own = comparison.get("own_per_patient")
    if not own:
        return None
    winner, simplest = comparison["models"]
    table = pd.DataFrame({"infant": list(own), "difference": list(own.values())})
    zero = alt.Chart(values(pd.DataFrame({"zero": [0]}))).mark_rule(strokeDash=DASHED).encode(x="zero:Q")
    dots = alt.Chart(values(table)).mark_point(filled=True, size=80, opacity=1, color=MODELS[0]).encode(
        y=alt.Y("infant:N", title=None),
        x=alt.X("difference:Q", title=f"own loss by {winner} minus by {simplest}"),
        tooltip=["infant:N", "difference:Q"],
    )  # fmt: skip
    says = (
        f"Difference in each infant's own loss between {winner} and {simplest}, a dot an infant; left of zero is for "
        f"{winner}."
    )
    return finished(zero + dots, says, "Infant by infant", height=22 * len(table))


def _wins(data: Data, shares: Mapping[str, Any]) -> Chart | None:
    rows = [
        {"model": model, "side": side, "share": share}
        for side, of in shares.items()
        if of["shares"]
        for model, share in [*of["shares"].items(), ("no model", of["no_winner"])]
    ]
    if not rows:
        return None
    sides = list(dict.fromkeys(row["side"] for row in rows))
    colours = alt.Scale(domain=sides, range=list(MODELS[: len(sides)]))
    bars = alt.Chart(values(pd.DataFrame(rows))).mark_bar().encode(
        y=alt.Y("model:N", sort=[*data.models, "no model"], title=None),
        yOffset=alt.YOffset("side:N", sort=sides),
        x=alt.X("share:Q", title="share of resamples won", scale=alt.Scale(domain=[0, 1])),
        color=alt.Color("side:N", sort=sides, scale=colours),
        tooltip=["model:N", "side:N", "share:Q"],
    )  # fmt: skip
    says = "Share of resamples of the infants in which each model wins the doctor's rule in the study's way, by side."
    height = 30 * len({row["model"] for row in rows})
    return finished(bars, says, "Who wins when these infants are drawn again", height=height)
