"""The picture: both views, coloured by what the expert saw and by the clip."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import color_sequences
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from stages.common.core.files import replacing

COLOURS = color_sequences["tab10"]
MARKERS = "os^Dv"  # another shape for each ten colours; a cohort of more than fifty clips repeats them
DPI = 90


def draw(path: Path, table: pd.DataFrame, title: str, axes_titles: dict[str, str]) -> None:
    """Write a PNG of a row a view and a column a colouring; test frames bear a ring.

    Args:
        path: the picture.
        table: rows of one or more `view`s: view, x, y, side, labels, clip_id.
        title: above all.
        axes_titles: view -> what is written above its panels.
    """
    figure = Figure(figsize=(12, 5.2 * len(axes_titles)), dpi=DPI, layout="constrained")
    figure.suptitle(title)
    panels = figure.subplots(len(axes_titles), 2, squeeze=False)
    for row, (view, text) in zip(panels, axes_titles.items(), strict=True):
        of_view = table[table["view"] == view]
        for axes, column in zip(row, ("labels", "clip_id"), strict=True):
            _panel(axes, of_view, column)
            axes.set_title(f"{text}, by {'label' if column == 'labels' else 'clip'}", fontsize=10)
    with replacing(path) as partial:
        # no Software entry: matplotlib's version would change the bytes
        FigureCanvasAgg(figure).print_png(partial, metadata={"Software": None})


def _panel(axes: Axes, table: pd.DataFrame, column: str) -> None:
    for number, (name, rows) in enumerate(table.groupby(column)):
        on_test = (rows["side"] == "test").to_numpy()
        colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number // len(COLOURS) % len(MARKERS)]
        axes.scatter(
            rows["x"], rows["y"], s=np.where(on_test, 34, 14), color=colour, marker=marker, alpha=0.8,
            edgecolors="black", linewidths=np.where(on_test, 1.0, 0.0).tolist(), label=f"{name} ({len(rows)})",
        )  # fmt: skip
    axes.set_xticks([])
    axes.set_yticks([])
    axes.legend(fontsize=7, loc="best", framealpha=0.6)
