"""What the expert said: labels by clip and infant, what goes with what, and the frames worth a second look."""

from typing import Any

import altair as alt
import pandas as pd

from stages.report.charts import LABELS, Chart, finished, values
from stages.report.inputs import Data
from stages.report.wording import percent, words

REVIEWED = ("macro F1", "Wrong answers", "Misclassified images")  # printed on frozen and on reviewed labels


def section(data: Data) -> dict[str, Any]:
    """Return shares by clip, totals, combinations, infants with and without, and the review list's own results."""
    found = data.results["labels"]
    return {
        "shares": _shares(data),
        "total": found["total"],
        "rows": [_row(name, of, found["patients"].get(name, {})) for name, of in found["total"]["labels"].items()],
        "combinations": {name: n for name, n in found["total"]["combinations"].items() if n},
        "clips": len(found["clips"]),
        "problems": found["problems"],
        "experts": found["experts"],
        "review": data.results["label_review"],
        "figures": REVIEWED,
    }


def _row(label: str, of: dict[str, Any], patients: dict[str, int]) -> list[str]:
    infants = [str(patients.get(side, "—")) for side in ("positive", "negative")]
    return [
        words(label),
        *(str(of[name]) for name in ("positive", "negative", "unknown")),
        percent(of["share"], 1),
        *infants,
    ]


def _shares(data: Data) -> Chart:
    table = data.tables["labels"].assign(share=lambda rows: pd.to_numeric(rows["share"]))
    clips, labels = list(dict.fromkeys(table["clip_id"])), list(dict.fromkeys(table["label"]))
    bars = alt.Chart(values(table[["clip_id", "label", "share"]])).mark_bar().encode(
        y=alt.Y("clip_id:N", sort=clips, title=None),
        yOffset=alt.YOffset("label:N", sort=labels),
        x=alt.X("share:Q", title="share of the clip's known frames", scale=alt.Scale(domain=[0, 1])),
        color=alt.Color("label:N", sort=labels, scale=alt.Scale(domain=labels, range=list(LABELS[: len(labels)]))),
        tooltip=["clip_id:N", "label:N", "share:Q"],
    )  # fmt: skip
    says = "Share of frames with each label, a group of bars a clip."
    return finished(bars, says, "Label shares per clip", height=len(clips) * (9 * len(labels) + 8))
