"""Frames, features and stretches made up for the tests of stage sequence."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from stages.sequence.params import Section
from stages.sequence.stretches import Stretch, cut

SECTION: dict[str, Any] = {
    "causal": True,
    "window_s": 2.0,
    "median_s": {"tried": [0.5, 1.0], "fixed": 1.0},
    "temperature": {"tried": [1.0, 2.0, 4.0], "fixed": 2.0},
    "gap_s": 1.0,
    "assumed_rate_hz": 30.0,
    "components": None,
    "hidden": 16,
    "layers": 1,
    "heads": 2,
    "dropout": 0.0,
    "noise": 0.0,
    "weight_decay": 0.0,
    "lr": 0.01,
    "epochs": 3,
    "batch": 4,
    "clip_norm": 1.0,
    "chosen_by": {"patient": "validation", "leave_one_patient_out": "fixed"},
    "threads": 1,
}


def section(**changes: Any) -> Section:
    """Return the section with some values changed."""
    return Section.model_validate(SECTION | changes)


def frames_of(times: Sequence[Sequence[float]]) -> pd.DataFrame:
    """Return a frames.csv, a clip for each list of times in seconds."""
    rows = [
        (f"C{clip:03d}_{place:05d}", f"C{clip:03d}", f"P{clip:03d}", place, time)
        for clip, of_clip in enumerate(times)
        for place, time in enumerate(of_clip)
    ]
    return pd.DataFrame(rows, columns=["frame_id", "clip_id", "patient", "frame_index", "time_s"])


def uneven(rng: np.random.Generator, count: int, step_s: float = 0.1) -> list[float]:
    """Return `count` times that begin at 0, unevenly about `step_s` apart, to the microsecond."""
    return np.round(np.concatenate([[0], np.cumsum(rng.uniform(0.5, 1.5, count - 1) * step_s)]), 6).tolist()


def stretches_of(times: Sequence[Sequence[float]], gap_s: float = 1.0) -> list[Stretch]:
    """Return the stretches of all clips."""
    frames = frames_of(times)
    return cut(frames, np.arange(len(frames)), frames["time_s"].to_numpy(), gap_s)
