"""The operating point that other infants chose, how it spreads, and how honest the probabilities are."""

from typing import Any

import altair as alt
import pandas as pd

from stages.report.charts import DASHED, SOFT, Chart, finished, palette, values, with_another
from stages.report.inputs import BASELINES, Data
from stages.report.sections.verdict import CHOSEN
from stages.report.wording import words


def section(data: Data) -> dict[str, Any]:
    """Return reliability plots, thresholds with their spread, calibration per infant, and what abstaining does."""
    bedside = data.results["bedside"]
    protocol = bedside["headline_protocol"]
    found = bedside["protocols"][protocol]
    models = {name: of for name, of in found["models"].items() if name not in BASELINES and "dangerous" in of}
    return {
        "protocol": protocol,
        "choosing_rows": found["choosing_rows"],
        "caps": bedside["settings"]["operating_point"]["caps"],
        "reliability": [chart for label in data.labels if (chart := _reliability(data, protocol, label))],
        "operating_point": found["operating_point"],
        "calibration": {name: of["calibration"] for name, of in models.items() if of.get("calibration")},
        "abstention": {name: of["abstention"] for name, of in models.items() if of.get("abstention")},
        "vetoes": [words(label) for label in bedside["decision"]["vetoes"]],
        "labels": data.labels,
    }


def _reliability(data: Data, protocol: str, label: str) -> Chart | None:
    table = data.tables["bedside_calibration"]
    chosen = (table["protocol"] == protocol) & (table["label"] == label) & (table["stage"] == "after")
    rows = table.loc[chosen, ["model", "mean_probability", "observed", "frames"]].dropna()
    if rows.empty:
        return None
    unit, scale = alt.Scale(domain=[0, 1]), with_another(palette(data.models[len(BASELINES) :], ()), CHOSEN)
    ideal = alt.Chart(values(pd.DataFrame({"x": [0, 1], "y": [0, 1]})))
    diagonal = ideal.mark_line(color=SOFT, strokeDash=DASHED).encode(x="x:Q", y="y:Q")
    base = alt.Chart(values(rows)).encode(
        x=alt.X("mean_probability:Q", title="mean probability given", scale=unit, axis=alt.Axis(tickCount=5)),
        y=alt.Y("observed:Q", title="share the expert says yes", scale=unit),
        color=alt.Color("model:N", scale=scale),
    )
    points = base.mark_circle(opacity=0.9).encode(
        size=alt.Size("frames:Q", legend=None), tooltip=["model:N", "frames:Q"]
    )
    says = (
        f"Reliability of {words(label)} under protocol {words(protocol)}: share of yes against probability, by model."
    )
    return finished(diagonal + base.mark_line(strokeWidth=1) + points, says, words(label), height=240)
