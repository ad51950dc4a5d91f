"""Two answers that open no picture; a model that does not beat them has shown nothing.

`label_copy` gives a frame the labels of the nearest training frame of its clip. Under a frame-level split that alone
reaches the study's published table. `majority` gives every frame the commoner class of each label in training.

Both read training labels only, and answer 0 or 1: they have no scores, so no ROC AUC and no average precision.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.common.evaluation.scores import Said

BASELINES = ("label_copy", "majority")
RESERVED = (*BASELINES, "chosen")  # rows of tables that no model may be called as; `chosen` is the bedside's


def majority(training: pd.DataFrame, labels: Sequence[str], rows: int) -> Said:
    """Return (rows, labels) of the commoner class in training; a tie, or no known label, gives no.

    Args:
        training: the training frames with their labels (1, 0, NaN).
        labels: the label columns.
        rows: how many frames ask.
    """
    usual = (training[list(labels)].mean() > 0.5).to_numpy()
    return np.tile(usual, (rows, 1))


def label_copy(training: pd.DataFrame, asked: pd.DataFrame, labels: Sequence[str]) -> Said:
    """Return (asked, labels): each label of the nearest training frame in time of the same clip, ties to the earlier.

    A training frame whose label is unknown has nothing to copy, so the nearest one that knows it is taken. A clip
    without such a frame, as under a patient split, falls back on the majority.

    Args:
        training: clip_id, frame_index and the labels (1, 0, NaN) of the training frames.
        asked: clip_id and frame_index of the frames to answer for.
        labels: the label columns.
    """
    answers = majority(training, labels, len(asked))
    clips = asked["clip_id"].to_numpy()
    for clip_id in asked["clip_id"].unique():
        rows = np.flatnonzero(clips == clip_id)
        times = asked["frame_index"].to_numpy()[rows]
        clip = training[training["clip_id"] == clip_id].sort_values("frame_index")
        for column, label in enumerate(labels):
            known = clip[clip[label].notna()]
            if len(known):
                nearest = _nearest(known["frame_index"].to_numpy(), times)
                answers[rows, column] = known[label].to_numpy()[nearest] == 1
    return answers


def _nearest(sorted_times: NDArray[np.int64], times: NDArray[np.int64]) -> NDArray[np.intp]:
    """Return, for each of `times`, the place of the nearest in `sorted_times`; the earlier of two as near."""
    after = np.searchsorted(sorted_times, times).clip(max=len(sorted_times) - 1)
    before = (after - 1).clip(min=0)
    closer = np.abs(sorted_times[before] - times) <= np.abs(sorted_times[after] - times)
    return np.where(closer, before, after)
