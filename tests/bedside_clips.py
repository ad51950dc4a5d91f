"""Tiny clips written as decisions, so that every figure of the bedside verdict can be counted on fingers."""

import numpy as np
import pandas as pd

from stages.bedside.clock import durations
from stages.bedside.decided import Decided, on_test
from stages.bedside.operating import Decider, baseline
from stages.common.core.tables import frame_id
from stages.common.evaluation.answers import Rows
from stages.common.evaluation.decision import Decision

LABELS = ["bad_quality", "cord", "fluid"]
DECISION = Decision(go={"fluid": 1, "cord": 0, "bad_quality": 0}, stop={"cord": 1})
ROWS = {"G": (0, 0, 1), "S": (0, 1, 1), "N": (0, 0, 0), "B": (1, 0, 0), "V": (1, 0, 1), "?": (np.nan, np.nan, np.nan)}


def labels_of(letters: str) -> np.ndarray:
    """Return (frames, labels): G fluid, S cord, N nothing, B bad quality, V bad quality and fluid, ? unknown."""
    return np.array([ROWS[letter] for letter in letters], dtype=float)


def clip_of(
    truth: dict[tuple[str, str], str], step_s: float | None = 0.1, side: str = "test"
) -> tuple[Rows, pd.DataFrame]:
    """Return rows and frames.csv of clips given as (patient, clip) -> letters."""
    parts = [
        pd.DataFrame(
            {
                "fold": "0",
                "frame_id": [frame_id(clip, index) for index in range(len(letters))],
                "side": side,
                "clip_id": clip,
                "patient": patient,
                "frame_index": range(len(letters)),
            }
        )
        for (patient, clip), letters in truth.items()
    ]
    frames = pd.concat(parts, ignore_index=True)
    times = frames["frame_index"] * step_s if step_s else np.nan
    clock = frames[["frame_id", "clip_id", "patient", "frame_index"]].assign(time_s=times)
    return Rows(frames, labels_of("".join(truth.values()))), clock


def judged(
    truth: dict[tuple[str, str], str], said: dict[tuple[str, str], str], step_s: float | None = 0.1,
    longest_frame_s: float = 1.0, decider: Decider | None = None,
) -> Decided:  # fmt: skip
    """Return a model's decisions, both sides written as letters."""
    rows, frames = clip_of(truth, step_s)
    who = decider or baseline("any", labels_of("".join(said.values())) == 1)
    return on_test(rows, who, durations(frames, longest_frame_s), LABELS, DECISION)
