"""The operating point that other infants chose, how it spreads, and how honest the probabilities are."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import altair as alt
import pandas as pd

from stages.common.protocols import LEAVE_ONE_OUT, PATIENT_DISJOINT
from stages.report.charts import DASHED, SOFT, Chart, finished, palette, values, with_another
from stages.report.inputs import BASELINES, Data
from stages.report.sections.verdict import CHOSEN
from stages.report.wording import count, number, words


def section(data: Data) -> dict[str, Any]:
    """Return reliability plots, thresholds with their spread, calibration per infant, and what abstaining does."""
    bedside = data.results["bedside"]
    protocol = bedside["headline_protocol"]
    found = bedside["protocols"][protocol]
    models = {name: of for name, of in found["models"].items() if name not in BASELINES and "dangerous" in of}
    return {
        "protocol": protocol,
        "apart": protocol in PATIENT_DISJOINT,
        "choosing_rows": found["choosing_rows"],
        "caps": bedside["settings"]["operating_point"]["caps"],
        "reliability": [chart for label in data.labels if (chart := _reliability(data, protocol, label))],
        "points": {name: _point(of, data.labels) for name, of in found["operating_point"].items()},
        "lonely": all(of["units"] == 1 for of in found["operating_point"].values()),
        "choosing_infants": _from_to(found["choosing_infants"], protocol),
        "calibration": {name: of["calibration"] for name, of in models.items() if of.get("calibration")},
        "abstention": {name: of["abstention"] for name, of in models.items() if of.get("abstention")},
        "vetoes": [words(label) for label in bedside["decision"]["vetoes"]],
        "labels": data.labels,
    }


def _point(of: Mapping[str, Any], labels: Sequence[str]) -> list[str]:
    """Return the temperature and each label's threshold as text."""
    return [_temperature(of), *(_threshold(of["labels"][label], of["units"]) for label in labels)]


def _temperature(of: Mapping[str, Any]) -> str:
    without, units = of["temperatures_without_estimate"], of["units"]
    if not without:
        return _spread(of["temperature"], units, _decimals)
    why = "; ".join("at the bound" if reason.startswith("at the bound") else reason for reason in of["why"])
    absent = f"{why}, no estimate"
    return (
        absent
        if without == units
        else f"{_spread(of['temperature'], units - without, _decimals)}; {absent}{_in(without, units)}"
    )


def _threshold(of: Mapping[str, Any], units: int) -> str:
    """Return a label's threshold; `never` and `always` where it is infinite, so that no score is compared with it."""
    ends = {"never": of["never"], "always": of["always"]}
    finite = units - sum(ends.values())
    said = [_spread(of["threshold"], finite, _probability)] if finite else []
    said += [f"{name}{_in(number_of, units)}" for name, number_of in ends.items() if number_of]
    return "; ".join(said)


def _in(some: int, units: int) -> str:
    return "" if some == units else f" for {some} of {units} infants"


def _spread(of: Mapping[str, Any] | None, units: int, shown: Callable[[float], str]) -> str:
    """Return `0.64 (0.58 to 0.70)`; a single operating point has no spread."""
    if of is None:
        return number(None)
    return shown(of["median"]) + (f" ({shown(of['min'])} to {shown(of['max'])})" if units > 1 else "")


def _decimals(value: float) -> str:
    return f"{value:.2f}"


def _probability(value: float) -> str:
    """Return two decimals, never 0 or 1: a finite threshold divides the scores, however near to an end it lies."""
    shown = _decimals(value)
    return {"1.00": "> 0.99", "0.00": "< 0.01"}.get(shown, shown)


def _from_to(of: Mapping[str, int], protocol: str) -> str:
    few, many = of["min"], of["max"]
    shown = count(many, "infant" if protocol == LEAVE_ONE_OUT else "validation infant")
    return shown if few == many else f"{few} to {shown}"


def _reliability(data: Data, protocol: str, label: str) -> Chart | None:
    table = data.tables["bedside_calibration"]
    chosen = (table["protocol"] == protocol) & (table["label"] == label) & (table["stage"] == "after")
    rows = table.loc[chosen, ["model", "mean_probability", "observed", "frames", "patients"]].dropna()
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
        size=alt.Size("frames:Q", legend=None), tooltip=["model:N", "frames:Q", "patients:Q"]
    )
    says = (
        f"Reliability of {words(label)} under protocol {words(protocol)}: share of yes against probability, by model."
    )
    return finished(diagonal + base.mark_line(strokeWidth=1) + points, says, words(label), height=240)
