"""How long a frame stands, and what lasts how long within a clip."""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.common.core.errors import PipelineError
from stages.common.core.tables import DIGITS, FRAME_COLUMNS, read_table

FRAMES = Path("data/extract_frames/frames.csv")
CONTAINER_S = 0.002  # Matroska states times in whole milliseconds: a run of 0.5 s may read as 0.499
Times = NDArray[np.float64]


def read_clock(longest_frame_s: float, path: Path = FRAMES) -> pd.DataFrame:
    """Return frames.csv with what `durations` adds, frames of a clip in order."""
    return durations(read_table(path, FRAME_COLUMNS, text=("frame_id", "clip_id", "patient")), longest_frame_s)


def durations(frames: pd.DataFrame, longest_frame_s: float) -> pd.DataFrame:
    """Return the frames, clip by clip in time, with duration_s, span_s and clip_frames (how many the clip has).

    A frame stands for the time to the next kept frame of its clip, at most `longest_frame_s`: what a thinned clip
    leaves out was not looked at. The last frame stands for the clip's median step, the only frame of a clip for the
    cohort's. span_s is the same without that limit, but 0 for a last frame whose step would be longer: nothing is known
    after it. Clips that state no times have neither (NaN).
    """
    table = frames.sort_values(["clip_id", "frame_index"], ignore_index=True)
    clips, times = table["clip_id"], table["time_s"].astype(float)
    steps = times.groupby(clips).shift(-1) - times
    cohort = steps.median() if steps.notna().any() else longest_frame_s
    whole = steps.fillna(steps.groupby(clips).transform("median")).fillna(cohort)
    timed = times.notna().groupby(clips).transform("all")
    stands = whole.clip(upper=longest_frame_s).where(timed).round(DIGITS)
    spans = steps.fillna(whole.where(whole <= longest_frame_s, 0.0)).where(timed).round(DIGITS)
    return table.assign(duration_s=stands, span_s=spans, clip_frames=clips.groupby(clips).transform("size"))


def timed(frames: pd.DataFrame, clock: pd.DataFrame) -> pd.DataFrame:
    """Return `frames` with time_s, duration_s, span_s and clip_frames of the clock.

    Raises:
        PipelineError: a frame is not in the clock.
    """
    columns = ["frame_id", "time_s", "duration_s", "span_s", "clip_frames"]
    known = frames["frame_id"].isin(clock["frame_id"])
    if not known.all():
        strange = frames.loc[~known, "frame_id"].iloc[0]
        raise PipelineError(
            f"{FRAMES}: frame {strange} of data/split is missing. Run `dvc repro bedside`, which makes both."
        )
    return frames.merge(clock[columns], on="frame_id", how="left", validate="many_to_one")


def runs(flags: NDArray[np.bool_], seconds: Times) -> tuple[NDArray[np.intp], Times]:
    """Return where runs of true begin and how long each lasts.

    Args:
        flags: (frames,) of one clip, in time.
        seconds: (frames,) how long each frame stands.
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    starts, ends = edges[::2], edges[1::2]
    passed = np.concatenate([[0.0], np.cumsum(seconds)])
    return starts, passed[ends] - passed[starts]


def longest_run(flags: NDArray[np.bool_], seconds: Times) -> float:
    """Return the seconds of the longest run of true, 0 where there is none."""
    _, lengths = runs(flags, seconds)
    return float(lengths.max(initial=0.0))


def first_sustained(flags: NDArray[np.bool_], times: Times, seconds: Times, sustained_s: float) -> float | None:
    """Return when a run of true has first held for `sustained_s`, in seconds from the clip's start; None for never."""
    starts, lengths = runs(flags, seconds)
    long_enough = starts[lengths >= sustained_s - CONTAINER_S]
    if not len(long_enough):
        return None
    held = np.cumsum(seconds[long_enough[0] :])
    last = int(np.argmax(held >= sustained_s - CONTAINER_S))  # the frame in which it has held long enough
    within = min(sustained_s - held[last] + seconds[long_enough[0] + last], seconds[long_enough[0] + last])
    return float(times[long_enough[0] + last] - times[0] + within)


def boundaries(decisions: NDArray[np.int64], indices: NDArray[np.int64]) -> tuple[Times, NDArray[np.int64]]:
    """Return where the decision changes, halfway between the two frames, and (changes, 2) from what to what.

    Args:
        decisions: (frames,) of one clip, in time.
        indices: (frames,) their places in the recorded clip.
    """
    changes = np.flatnonzero(np.diff(decisions))
    places = (indices[changes] + indices[changes + 1]) / 2
    return places, np.stack([decisions[changes], decisions[changes + 1]], axis=1)


def matched(
    places: Times, turns: NDArray[np.int64], others: Times, their_turns: NDArray[np.int64], window: float
) -> list[float]:
    """Return how far apart the changes are that belong together: one to one, the nearest pair of all first.

    Two changes belong together where both go from the same decision to the same and lie at most `window` apart: a GO
    that ends in a stop has no counterpart in one that ends because nothing is seen. Of equally near pairs the earliest.

    Args:
        places, turns: where one side changes, and (changes, 2) from what to what.
        others, their_turns: the same of the other side.
        window: in the unit of the places.
    """
    far = np.abs(places[:, None] - others[None, :])
    alike = (turns[:, None, :] == their_turns[None, :, :]).all(axis=2)
    rows, columns = np.nonzero(alike & (far <= window))
    taken: set[int] = set()
    given: set[int] = set()
    found = []
    for pair in np.argsort(far[rows, columns], kind="stable"):
        row, column = int(rows[pair]), int(columns[pair])
        if row not in taken and column not in given:
            taken.add(row)
            given.add(column)
            found.append(float(far[row, column]))
    return found
