"""Charts as Vega-Lite specifications: made by Altair, drawn in the reader's browser by the bundle on the page.

Widths are the page's business: its script gives every chart the width of its column, so that one page serves a desk and
a phone. Colours of axes and text are `currentColor`, so that light, dark and paper need no second drawing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import altair as alt
import pandas as pd

# Okabe & Ito 2008: eight colours that the colour-blind tell apart; vermillion is kept for danger
MODELS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#B2A100")
# from the seventh model on Tol's muted scheme: five networks with their baselines and models over time are seventeen
FURTHER = ("#332288", "#882255", "#117733", "#999933", "#44AA99", "#CC6677")
LABELS = ("#56B4E9", "#CC79A7", "#0072B2", "#E69F00", "#B2A100", "#7A7A7A")  # none of a decision's colours
BASELINES = ("#7A7A7A", "#A8A8A8")
DECISIONS = {"GO": "#009E73", "stop": "#D55E00", "no view": "#9A9A9A"}
UNKNOWN = {"unknown": "#F0E442"}  # what the expert leaves open
DIGITS = 4  # of the numbers that are drawn: a ten-thousandth of an axis is below a pixel
SOFT = "rgba(128,128,128,0.25)"
DASHED = [4, 3]

THEME: dict[str, Any] = {
    "background": None,
    "font": "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelColor": "currentColor",
        "titleColor": "currentColor",
        "domainColor": SOFT,
        "tickColor": SOFT,
        "gridColor": SOFT,
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "labelLimit": 150,
        "labelFlush": False,
    },
    "legend": {
        "labelColor": "currentColor",
        "titleColor": "currentColor",
        "labelFontSize": 12,
        "orient": "top",
        "direction": "horizontal",
        "title": None,
        "symbolStrokeWidth": 3,
    },
    "text": {"color": "currentColor", "fontSize": 12},
    "rule": {"color": "currentColor"},
}


@dataclass(frozen=True)
class Chart:
    """One chart of the page.

    Attributes:
        spec: the Vega-Lite specification.
        says: what it shows, for those who hear the page.
        title: printed above it; empty where the text around it names it.
    """

    spec: dict[str, Any]
    says: str
    title: str = ""


def values(table: pd.DataFrame) -> alt.InlineData:
    """Return a table as inline CSV, a third of the bytes that a record for each row takes."""
    numbers = {str(name): "number" for name in table.select_dtypes("number").columns}
    text = table.round(DIGITS).to_csv(index=False, lineterminator="\n")
    # told which columns are numbers: Vega-Lite guesses from x and y alone, and would order points as text
    return alt.InlineData(values=text, format={"type": "csv", "parse": numbers})


def finished(chart: Any, says: str, title: str = "", height: int | None = None) -> Chart:
    """Return an Altair chart as the page embeds it."""
    spec = chart.to_dict(validate=False)
    spec.pop("config", None)  # the page's theme stands once, not in every chart
    spec.pop("$schema", None)
    if height is not None:
        spec["height"] = height
    return Chart(spec, says, title)


def palette(models: Sequence[str], baselines: Sequence[str]) -> alt.Scale:
    """Return one colour a model, the same in every chart; baselines are grey. Past twelve models colours repeat."""
    coloured = [model for model in models if model not in baselines]
    colours = dict(zip(coloured, cycle(MODELS + FURTHER), strict=False))
    colours |= {name: BASELINES[place % 2] for place, name in enumerate(baselines)}
    return alt.Scale(domain=list(colours), range=list(colours.values()))


def with_another(scale: alt.Scale, name: str) -> alt.Scale:
    """Return a palette that also draws `name`, in the colour of the text: `chosen` is made of the models' answers."""
    found = scale.to_dict()
    return alt.Scale(domain=[*found["domain"], name], range=[*found["range"], "currentColor"])


def grouped_bars(table: pd.DataFrame, models: Sequence[str], says: str, title: str) -> Chart:
    """Return the study's own kind of figure, lying down so that a phone shows it: columns model, series, value."""
    series = list(dict.fromkeys(table["series"]))
    order = alt.Scale(domain=series, range=list(MODELS[: len(series)]))
    base = alt.Chart(values(table)).encode(
        y=alt.Y("model:N", sort=list(models), title=None),
        yOffset=alt.YOffset("series:N", sort=series),
        x=alt.X("value:Q", title=None, axis=alt.Axis(tickCount=5)),
        tooltip=[alt.Tooltip("model:N"), alt.Tooltip("series:N"), alt.Tooltip("value:Q")],
    )
    bars = base.mark_bar().encode(color=alt.Color("series:N", scale=order, sort=series))
    return finished(bars, says, title, height=len(models) * (11 * len(series) + 10))


def lines(
    table: pd.DataFrame, x: str, y: str, scale: alt.Scale, says: str, title: str,
    names: Mapping[str, str], dash: str | None = None, order: str | None = None, square: bool = False,
) -> Chart:  # fmt: skip
    """Return curves by model; a click on a name in the legend dims the others.

    Args:
        table: columns `model`, x, y and those named by `dash` and `order`.
        x, y: the columns drawn.
        scale: the models' colours.
        says, title: as in `Chart`.
        names: axis titles by column.
        dash: a column of two values, the first drawn through, the second dashed; each fold a line of its own where the
            table has `fold`.
        order: the column that orders the points of a line; x itself where None.
        square: both axes run from 0 to 1.
    """
    unit = alt.Scale(domain=[0, 1]) if square else alt.Scale(zero=False)
    encoding: dict[str, Any] = {
        "x": alt.X(f"{x}:Q", title=names[x], scale=unit, axis=alt.Axis(tickCount=5)),
        "y": alt.Y(f"{y}:Q", title=names[y], scale=unit, axis=alt.Axis(tickCount=5)),
        "color": alt.Color("model:N", scale=scale),
    }
    if dash:
        # no legend of its own: beside that of the models it would be cut on a narrow page; the text tells the dashes
        scale_of_dashes = alt.Scale(domain=list(dict.fromkeys(table[dash])), range=[[1, 0], DASHED])
        encoding["strokeDash"] = alt.StrokeDash(f"{dash}:N", scale=scale_of_dashes, legend=None)
    if "fold" in table.columns:
        encoding["detail"] = alt.Detail("fold:N")
    if order:
        encoding["order"] = alt.Order(f"{order}:Q")
    picked = alt.selection_point("picked", fields=["model"], bind="legend")
    encoding["opacity"] = alt.when(picked).then(alt.value(1.0)).otherwise(alt.value(0.1))
    chart = alt.Chart(values(table)).mark_line(strokeWidth=1.6).encode(**encoding).add_params(picked)
    return finished(chart, says, title, height=240)
