"""Clips as stretches: frames that follow each other so closely that one may say something of the next.

Time is in seconds, never in frames: a clip may be thinned, or recorded at a varying rate.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.common.core.errors import PipelineError

Rows = NDArray[np.int64]
Times = NDArray[np.float64]
SEVERAL = 3  # clips that a message names


@dataclass(frozen=True)
class Stretch:
    """Consecutive frames of one clip, without a gap.

    Attributes:
        rows: (T,) row numbers of frames.csv, in time.
        times_s: (T,) seconds since the first of them.
    """

    rows: Rows
    times_s: Times


def seconds(frames: pd.DataFrame, assumed_rate_hz: float) -> Times:
    """Return (N,) the time of each frame in its clip; in a clip that lacks a time, its place over the assumed rate."""
    times = frames["time_s"].astype(float)
    stated = times.notna().groupby(frames["clip_id"]).transform("all")
    told: Times = times.where(stated, frames["frame_index"] / assumed_rate_hz).to_numpy()
    return told


def cut(frames: pd.DataFrame, rows: Rows, times_s: Times, gap_s: float) -> list[Stretch]:
    """Return the stretches of `rows`, clip by clip in time.

    Args:
        frames: (N) frames.csv.
        rows: those of one side.
        times_s: (N,) as `seconds` returns them.
        gap_s: frames further apart belong to two stretches: nothing is carried from one to the other.
    """
    clips = frames["clip_id"].to_numpy(dtype=str)[rows]
    order = rows[np.lexsort((frames["frame_index"].to_numpy()[rows], clips))]
    clips, times = frames["clip_id"].to_numpy()[order], times_s[order]
    new = (clips[1:] != clips[:-1]) | (np.diff(times) > gap_s)
    parts = np.split(order, np.flatnonzero(new) + 1)
    return [Stretch(part, times_s[part] - times_s[part[0]]) for part in parts if len(part)]


def refuse_shared_clips(frames: pd.DataFrame, sides: dict[str, Rows], where: str) -> None:
    """Raise PipelineError naming the clips that stand on several sides: half a clip is no sequence, and a leak."""
    on = {side: set(frames["clip_id"].iloc[rows]) for side, rows in sides.items()}
    names = list(on)
    shared = sorted({clip for i, a in enumerate(names) for b in names[i + 1 :] for clip in on[a] & on[b]})
    if shared:
        listed = ", ".join(shared[:SEVERAL]) + (f" and {len(shared) - SEVERAL} more" if len(shared) > SEVERAL else "")
        raise PipelineError(
            f"{where}: a clip on several sides: expected each clip whole on one side, got {listed}. "
            "Run `dvc repro split`."
        )


def alone(stretches: Sequence[Stretch]) -> int:
    """Return how many frames have no neighbour within the gap: of those time cannot tell anything."""
    return sum(len(stretch.rows) == 1 for stretch in stretches)


def buckets(stretches: Sequence[Stretch], size: int) -> list[list[Stretch]]:
    """Return the stretches in groups of `size` of nearly equal length, so that little is padded."""
    ordered = sorted(stretches, key=lambda stretch: (len(stretch.rows), int(stretch.rows[0])))
    return [ordered[start : start + size] for start in range(0, len(ordered), size)]
