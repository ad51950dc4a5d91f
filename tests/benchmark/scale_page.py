"""The table and the picture of docs/scale.md, from the figures of the part `scale`."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from stages.common.core.files import write_text
from tests.workspace import ROOT

PAGE, PICTURE = ROOT / "docs/scale.md", ROOT / "docs/scale.png"
BEGIN, END = "<!-- table: python -m tests.benchmark scale -->\n", "<!-- end of table -->\n"
LARGE_CLIPS, LARGE_FRAMES = 10_000, 260  # of each
GROWS = 1.25  # a curve that ends less than so much above its beginning tells no exponent
HOUR_S, GIB = 3600.0, 1024
OF_PATIENTS = ("split",)  # whose search does not see how many frames a clip has
SHOWN = 6  # curves with a colour and a name, the highest


def write(found: Mapping[str, Any], page: Path = PAGE, picture: Path = PICTURE) -> None:
    """Put the table between its two marks and draw the picture anew."""
    before, rest = page.read_text(encoding="utf-8").split(BEGIN)
    write_text(page, before + BEGIN + table(found) + END + rest.split(END)[1])
    draw(found, picture)


def at(fitted: Mapping[str, float], clips: Any) -> Any:
    """Return what a curve a + b n^p says of so many clips."""
    return fitted["a"] + fitted["b"] * clips ** fitted["p"]


def table(found: Mapping[str, Any]) -> str:
    """Return one row a stage, the costliest first: time at each size, how it grows, memory, and the large cohort."""
    sizes, same = found["clips"], LARGE_CLIPS * LARGE_FRAMES / found["frames_a_clip"]
    heads = ["stage", *(f"{clips} clips" for clips in sizes), "grows as", "10,000 small clips"]
    heads += [f"as many frames as 10,000 clips of {LARGE_FRAMES}", "largest process", "of 10,000 small clips"]
    rows = [heads, ["---"] * len(heads)]
    timed = {stage: of for stage, of in found["stages"].items() if "cpu_s" in of}
    for stage, of in sorted(timed.items(), key=lambda item: -item[1]["cpu_s"][-1]):
        curve = of["cpu_s_curve"]
        times = [*map(seconds, of["cpu_s"]), exponent(curve, sizes), seconds(at(curve, LARGE_CLIPS))]
        memory = [mebibytes(of["mib"][-1]), mebibytes(at(of["mib_curve"], LARGE_CLIPS))]
        frames = seconds(at(curve, same)) if stage not in OF_PATIENTS else "the same"
        rows.append([f"`{stage}`", *times, frames, *memory])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def exponent(curve: Mapping[str, float], sizes: list[int]) -> str:
    """Return the power of n, or that the figures do not tell it."""
    grown = at(curve, sizes[-1]) / at(curve, sizes[0])
    power = "n" if curve["p"] == 1 else f"n^{curve['p']:.1f}"
    return power if grown > GROWS else "-"


def seconds(value: float) -> str:
    """Return seconds, minutes or hours in two figures."""
    for unit, name in ((HOUR_S, "h"), (60.0, "min")):
        if value >= 2 * unit:
            return f"{_two(value / unit)} {name}"
    return f"{_two(value)} s"


def mebibytes(value: float) -> str:
    """Return MiB or GiB in two figures."""
    return f"{_two(value / GIB)} GiB" if value >= GIB else f"{_two(value)} MiB"


def _two(value: float) -> str:
    return f"{float(f'{value:.2g}'):,g}"


def draw(found: Mapping[str, Any], picture: Path) -> None:
    """Draw time and memory of each stage over the number of clips, with the curves; the costliest are named."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    axes = figure.subplots(1, 2)
    _panel(axes[0], found, "cpu_s", "seconds of a core")
    _panel(axes[1], found, "mib", "largest process, MiB")
    figure.savefig(picture, dpi=80, metadata={"Software": None})


def _panel(axis: Any, found: Mapping[str, Any], kind: str, title: str) -> None:
    clips = np.asarray(found["clips"])
    fine = np.geomspace(clips[0], LARGE_CLIPS)
    stages = {stage: of for stage, of in found["stages"].items() if "cpu_s" in of}
    last: Callable[[str], float] = lambda stage: float(at(stages[stage][f"{kind}_curve"], LARGE_CLIPS))  # noqa: E731
    named = sorted(stages, key=last, reverse=True)[:SHOWN]
    for stage in sorted(stages, key=last):
        look = {"color": f"C{named.index(stage)}", "label": stage, "zorder": 3} if stage in named else {"color": "0.8"}
        axis.plot(fine, at(stages[stage][f"{kind}_curve"], fine), linewidth=1, **look)
        axis.plot(clips, stages[stage][kind], ".", color=look["color"], zorder=look.get("zorder", 2))
    axis.axvspan(clips[-1], LARGE_CLIPS, color="0.95", zorder=0)
    axis.set(xscale="log", yscale="log", xlabel="clips of 8 frames; shaded: not measured", title=title)
    handles, labels = axis.get_legend_handles_labels()
    axis.legend(handles[::-1], labels[::-1], fontsize=8)
