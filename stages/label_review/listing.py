"""The list for the expert, which does not tell doubts from controls, and the key to it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.label_review.stretches import Stretch, Timeline, review_id

COLUMNS = ("review_id", "frame_id", "clip_id", "frame_index", "last_frame_index", "label", "question", "answer")
KEY_COLUMNS = (
    "review_id", "kind", "reason", "score", "label", "clip_id", "frame_index", "last_frame_index", "frames", "given",
    "mean_probability",
)  # fmt: skip
QUESTION = "{label} in {frames} of clip {clip}? 1 = yes, 0 = no, blank = cannot be said or changes in between"


def blind_list(timeline: Timeline, stretches: Sequence[Stretch], order: NDArray[np.intp]) -> pd.DataFrame:
    """Return the rows for the expert: where to look and what to say, neither the label given nor who doubts it.

    Args:
        timeline: all frames.
        stretches: suspects and controls.
        order: (stretches,) a random order.
    """
    return pd.DataFrame([_question(timeline, stretches[place]) for place in order], columns=list(COLUMNS))


def _question(timeline: Timeline, of: Stretch) -> dict[str, object]:
    clip, first, last = place_of(timeline, of)
    frames = f"frame {first}" if first == last else f"frames {first} to {last}"
    return {
        "review_id": review_id(of.label, clip, first, last),
        "frame_id": timeline.frames["frame_id"].iloc[of.start],
        "clip_id": clip,
        "frame_index": first,
        "last_frame_index": last,
        "label": of.label,
        "question": QUESTION.format(label=of.label, frames=frames, clip=clip),
        "answer": None,
    }


def place_of(timeline: Timeline, of: Stretch) -> tuple[str, int, int]:
    """Return the clip and the first and last frame index of a stretch."""
    rows = timeline.frames.iloc[of.start : of.stop]
    return str(rows["clip_id"].iloc[0]), int(rows["frame_index"].iloc[0]), int(rows["frame_index"].iloc[-1])


def key_of(
    timeline: Timeline, stretches: Sequence[Stretch], order: NDArray[np.intp], means: Mapping[str, NDArray[np.float64]]
) -> list[dict[str, Any]]:
    """Return what the list hides, row by row in its order: kind, who doubts, score, label given, mean probability.

    Args:
        timeline: all frames.
        stretches: suspects and controls.
        order: that of the list.
        means: label -> (frames,) mean probability over models, NaN where none was asked.
    """
    return [_entry(timeline, stretches[place], means) for place in order]


def _entry(timeline: Timeline, of: Stretch, means: Mapping[str, NDArray[np.float64]]) -> dict[str, Any]:
    clip, first, last = place_of(timeline, of)
    return {
        "review_id": review_id(of.label, clip, first, last),
        "kind": "suspect" if of.reason else "control",
        "reason": of.reason,
        "score": None if of.quality is None else round(of.quality, 4),
        "label": of.label,
        "clip_id": clip,
        "frame_index": first,
        "last_frame_index": last,
        "frames": len(of),
        "given": int(timeline.frames[of.label].iloc[of.start]),
        "mean_probability": round(float(np.nanmean(means[of.label][of.start : of.stop])), 4),
    }
