"""Stretches of frames: neighbours in time that share a doubt are one question, not thirty."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.label_review.suspicion import Suspicion, reason


@dataclass(frozen=True)
class Stretch:
    """Frames of one clip that follow each other and carry the same label value.

    Attributes:
        label: the label asked about.
        start: its first row in labels.csv, sorted by clip and frame.
        stop: the row after its last.
        quality: mean of cleanlab's score over the doubted rows; None for a control.
        reason: who doubts; None for a control.
    """

    label: str
    start: int
    stop: int
    quality: float | None = None
    reason: str | None = None

    def __len__(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True)
class Timeline:
    """All frames of the cohort in order of clip and time, and which of them models were asked about.

    Attributes:
        frames: frame_id, clip_id, frame_index and the labels (1, 0, NaN).
        rows: (asked,) where the rows of the predictions stand in `frames`, ascending.
    """

    frames: pd.DataFrame
    rows: NDArray[np.intp]

    def asked(self) -> NDArray[np.bool_]:
        """Return (frames,): whether models were asked."""
        found = np.zeros(len(self.frames), dtype=bool)
        found[self.rows] = True
        return found

    def breaks(self, label: str) -> NDArray[np.bool_]:
        """Return (frames,): whether a stretch cannot go on from the frame before: new clip, other or unknown value."""
        clips, values = self.frames["clip_id"].to_numpy(), self.frames[label].to_numpy()
        same = (clips[1:] == clips[:-1]) & (values[1:] == values[:-1])  # NaN equals nothing
        return np.r_[True, ~same]


def suspected_stretches(timeline: Timeline, label: str, doubt: Suspicion, bridge: int) -> Iterator[Stretch]:
    """Yield the stretches of doubted rows, each with one given value throughout.

    Args:
        timeline: all frames.
        label: the label doubted.
        doubt: aligned to `timeline.rows`.
        bridge: so many undoubted frames (or frames that no model was asked about) do not end a stretch.
    """
    run = np.cumsum(timeline.breaks(label))
    doubted = np.flatnonzero(doubt.suspected)
    places = timeline.rows[doubted]
    apart = (np.diff(places) > bridge + 1) | (np.diff(run[places]) > 0)
    for part in np.split(np.arange(len(doubted)), np.flatnonzero(apart) + 1):
        if len(part):
            rows = doubted[part]
            why = reason(bool(doubt.cleanlab[rows].any()), bool(doubt.all_models[rows].any()))
            quality = float(doubt.quality[rows].mean())
            yield Stretch(label, int(places[part[0]]), int(places[part[-1]]) + 1, quality, why)


def review_id(label: str, clip_id: str, first: int | str, last: int | str) -> str:
    """Return the name of a question, made of what it asks: it stays the same in every list that asks it."""
    return f"R{zlib.crc32(f'{label} {clip_id} {first} {last}'.encode()):08x}"
