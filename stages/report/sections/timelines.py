"""Every clip as a strip: what the expert decides, what the model decides, and the probabilities behind it."""

from typing import Any

import altair as alt
import pandas as pd

from stages.report.charts import DECISIONS, LABELS, UNKNOWN, Chart, finished, values
from stages.report.inputs import Data
from stages.report.sections.verdict import leading_model
from stages.report.wording import count, percent, words

EXPERT, MODEL, HALF = 1.42, 1.19, 0.085  # heights of the two strips above the probabilities' 0 to 1, and half a strip
AXIS = alt.Axis(
    values=[0, 0.5, 1, MODEL, EXPERT], grid=False, labelOverlap=False,
    labelExpr="datum.value > 1.3 ? 'expert' : datum.value > 1.1 ? 'model' : datum.value",
)  # fmt: skip


def section(data: Data) -> dict[str, Any]:
    """Return one chart a clip: for the model shown first, and for every other one that has timelines."""
    table = data.tables["bedside_timelines"]
    there = list(dict.fromkeys(table["model"]))
    model, why = _first(data, there)
    return {
        "model": model,
        "why": why,
        "of_models": len(there),
        "answered": bool(data.results["label_review"]["answers"]),
        "protocol": data.results["bedside"]["headline_protocol"],
        "strips": _strips(data, model),
        "others": {name: _strips(data, name) for name in there if name != model},
        "decisions": DECISIONS | UNKNOWN if (table["truth"] == "unknown").any() else DECISIONS,
        "colours": dict(zip(data.labels, LABELS, strict=False)),
    }


def _first(data: Data, there: list[str]) -> tuple[str | None, str]:
    """Return whose timelines lead, and why: the verdict's model, else the one of the study's way, else the first."""
    winner = data.results["selected"][data.results["bedside"]["headline_protocol"]]["winner"]
    for model, why in ((leading_model(data), "chosen"), (winner, "study")):
        if model in there:
            return model, why
    return next(iter(there), None), "first"


def _strips(data: Data, model: str | None) -> list[Chart]:
    table = data.tables["bedside_timelines"]
    rows = table[table["model"] == model]
    return [_clip(clip, part, data.labels) for clip, part in rows.groupby("clip_id", sort=True)]


def spells(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return runs of one decision: from, to (seconds) and decision; frames that are not neighbours end a run.

    Args:
        rows: the frames of one clip with time_s, duration_s and `column`.
    """
    rows = rows.sort_values("time_s")
    ends = rows["time_s"] + rows["duration_s"]
    apart = (rows["time_s"] - ends.shift()).abs() > rows["duration_s"] / 2
    run = ((rows[column] != rows[column].shift()) | apart).cumsum()
    parts = pd.DataFrame({"from": rows["time_s"], "to": ends, "decision": rows[column], "run": run}).groupby("run")
    return pd.DataFrame({"from": parts["from"].min(), "to": parts["to"].max(), "decision": parts["decision"].first()})


def on_a_clock(rows: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Return the frames of one clip that have a time, and its unit; a clip without any time is counted in frames."""
    timed = rows.dropna(subset=["time_s", "duration_s"])
    if len(timed):
        return timed, "seconds"
    return rows.assign(time_s=rows["frame_index"].astype(float), duration_s=1.0), "frame"


def _clip(clip: str, rows: pd.DataFrame, labels: list[str]) -> Chart:
    timed, unit = on_a_clock(rows)
    expert = spells(timed, "truth").assign(low=EXPERT - HALF, high=EXPERT + HALF)
    model = spells(timed, "decision").assign(low=MODEL - HALF, high=MODEL + HALF)
    known = DECISIONS | UNKNOWN
    colours = alt.Scale(domain=list(known), range=list(known.values()))
    strips = alt.Chart(values(pd.concat([expert, model]))).mark_rect().encode(
        x=alt.X("from:Q", title=unit, scale=alt.Scale(nice=False), axis=alt.Axis(tickCount=5)), x2="to:Q",
        y=alt.Y("low:Q", title=None, axis=AXIS), y2="high:Q", color=alt.Color("decision:N", scale=colours, legend=None),
        tooltip=["decision:N", "from:Q", "to:Q"],
    )  # fmt: skip
    patient = rows["patient"].iloc[0]
    says = (
        f"Clip {clip} of infant {patient}: strips of the expert's and the model's decisions over lines of probability."
    )
    title = f"{clip}, infant {patient}: {agreement(rows)}"
    return finished(strips + _probabilities(timed, labels), says, title, height=130)


def agreement(rows: pd.DataFrame) -> str:
    """Return in how many of a clip's frames the model decides as the expert, of those in which the expert decides."""
    decided = rows[rows["truth"] != "unknown"]
    if not len(decided):
        return "the expert decides no frame"
    alike = int((decided["truth"] == decided["decision"]).sum())
    return f"agrees with the expert in {percent(alike / len(decided))} of {count(len(decided), 'frame')}"


def _probabilities(rows: pd.DataFrame, labels: list[str]) -> alt.Chart:
    columns = {f"{label}_probability": words(label) for label in labels if f"{label}_probability" in rows}
    long = rows.rename(columns=columns).melt("time_s", list(columns.values()), "label", "probability").dropna()
    return alt.Chart(values(long.round(3))).mark_line(strokeWidth=1.3).encode(
        x=alt.X("time_s:Q"),
        y=alt.Y("probability:Q", title=None, axis=AXIS, scale=alt.Scale(domain=[0, EXPERT + HALF], nice=False)),
        stroke=alt.Stroke("label:N", scale=alt.Scale(domain=list(columns.values()), range=list(LABELS)), legend=None),
    )  # fmt: skip
