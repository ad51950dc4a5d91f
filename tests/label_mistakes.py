"""Mistakes as an expert makes them, planted in labels: whole spells flipped, boundaries too early or too late."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

SHARE = 0.03  # of all labels that are made wrong
SHIFT = (3, 15)  # frames of the clip's own frame rate
LONGEST_SPELL = 60  # frames of the clip's own rate; a longer spell flipped would be half a clip


@dataclass(frozen=True)
class Mistake:
    """One planted mistake: rows of the sorted labels whose value of `label` was turned round."""

    label: str
    kind: str  # flip or shift
    rows: NDArray[np.intp]


def spells(frames: pd.DataFrame, label: str) -> list[NDArray[np.intp]]:
    """Return the rows of every spell: frames of a clip in a row with one known value. `frames` is sorted."""
    clips, values = frames["clip_id"].to_numpy(), frames[label].to_numpy()
    breaks = np.flatnonzero((clips[1:] != clips[:-1]) | (values[1:] != values[:-1])) + 1
    parts = np.split(np.arange(len(frames)), breaks)
    return [part for part in parts if not np.isnan(values[part[0]])]


def flips(frames: pd.DataFrame, label: str) -> list[NDArray[np.intp]]:
    """Return the spells that may be flipped whole: not too long, and not a whole clip."""
    times, sizes = frames["frame_index"].to_numpy(), frames.groupby("clip_id").size()
    return [
        rows
        for rows in spells(frames, label)
        if times[rows[-1]] - times[rows[0]] < LONGEST_SPELL and len(rows) < sizes[frames["clip_id"].iloc[rows[0]]]
    ]


def shifts(frames: pd.DataFrame, label: str, rng: np.random.Generator) -> list[NDArray[np.intp]]:
    """Return, for each boundary between two spells, the frames that a shift of 3 to 15 frames makes wrong."""
    clips, times = frames["clip_id"].to_numpy(), frames["frame_index"].to_numpy()
    found = []
    parts = spells(frames, label)
    for before, after in pairwise(parts):
        if clips[before[0]] == clips[after[0]] and before[-1] + 1 == after[0]:
            far = rng.integers(SHIFT[0], SHIFT[1] + 1)
            earlier = before[times[before] >= times[after[0]] - far]
            later = after[times[after] < times[after[0]] + far]
            found.append(earlier if rng.random() < 0.5 else later)
    return [rows for rows in found if len(rows)]


def plant(frames: pd.DataFrame, labels: Sequence[str], rng: np.random.Generator) -> tuple[pd.DataFrame, list[Mistake]]:
    """Return labels with about SHARE of them wrong, half by flipped spells and half by shifted boundaries.

    Args:
        frames: what `read_labels` returns, sorted by clip and frame.
        labels: the label columns.
        rng: draws the mistakes.
    """
    noisy, mistakes = frames.copy(), []
    free = {label: np.ones(len(frames), dtype=bool) for label in labels}
    for kind in ("shift", "flip"):
        offered = [
            Mistake(label, kind, rows)
            for label in labels
            for rows in (flips(frames, label) if kind == "flip" else shifts(frames, label, rng))
        ]
        wanted = SHARE / 2 * frames[list(labels)].notna().to_numpy().sum()
        for place in rng.permutation(len(offered)):
            mistake = offered[place]
            if len(mistake.rows) <= wanted and free[mistake.label][mistake.rows].all():
                wanted -= len(mistake.rows)
                near = slice(max(mistake.rows[0] - 1, 0), mistake.rows[-1] + 2)  # mistakes do not touch
                free[mistake.label][near] = False
                noisy.loc[mistake.rows, mistake.label] = 1 - frames.loc[mistake.rows, mistake.label]
                mistakes.append(mistake)
    return noisy, mistakes


def simulated_scores(
    frames: pd.DataFrame, labels: Sequence[str], rng: np.random.Generator, skill: float = 1.6
) -> NDArray:
    """Return (frames, labels) probabilities of a network that knows the true labels with an AUC of about .97.

    Its errors last: they are a noise with a memory of ten frames and an offset a clip, as of neighbouring pictures.
    """
    truth = frames[list(labels)].to_numpy(float)
    noise = rng.normal(size=truth.shape)
    for row in range(1, len(frames)):
        noise[row] = 0.9 * noise[row - 1] + np.sqrt(1 - 0.9**2) * noise[row]
    offset = frames["clip_id"].map({clip: rng.normal(0, 0.5) for clip in sorted(set(frames["clip_id"]))})
    logit = skill * (2 * np.nan_to_num(truth, nan=0.5) - 1) + 0.9 * noise + offset.to_numpy()[:, None]
    return 1 / (1 + np.exp(-2 * logit))
