"""Which clips there are, and for each the sweep that lets the cohort meet its prevalences. No picture is drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stages.phantom.anatomy import Patient, draw_patient
from stages.phantom.labels import Labels, Visibility, read, see
from stages.phantom.params import Layout, Params, Phantom
from stages.phantom.sweep import Settings, Sweep, draw_settings, draw_sweep

# clip, patient, frames: STUDY.md; which clips share an infant follows from their names
STUDY = (
    ("LPILOT SITTING2", "P001", 373), ("LPILOT LAT2", "P001", 373), ("US00000L", "P002", 67),
    ("LPILOT LAT1", "P001", 288), ("LPILOT LAT3", "P001", 221), ("LPSON0001POSTFNLCONUS", "P003", 108),
    ("LPSON0001POSTFSTCONUS", "P003", 108), ("01.09.3hrs-0025097", "P004", 180), ("01.09.47hrs-0025098", "P004", 180),
    ("AM12", "P005", 373), ("BM12", "P006", 373), ("XM12", "P007", 371), ("YM12", "P008", 373),
)  # fmt: skip
MIN_FRAMES = 4  # the fewest that still show a change of label
# Weight of each clip's own mix of labels beside the cohort's: a clip shows all labels if it can. At 0.3 half of the
# infants never show a cord, and a side of the split by infants holds one of them: its answers prove nothing
BALANCES = (1.0, 0.7, 0.3)  # tried in turn, since the greater, the further the cohort may stray from its prevalences
NEAR = 0.02  # as near as each must be to its aim; where none is, the nearest is kept
ROUNDS = 6  # passes over the clips when sweeps are chosen; it settles in three


@dataclass(frozen=True)
class ClipPlan:
    """One clip, ready to render: what is shown in which frame, and how it is labelled."""

    clip: str
    patient: Patient
    settings: Settings
    sweep: Sweep
    visibility: Visibility
    labels: Labels
    kept: NDArray[np.int_]  # positions in the full-rate sweep of the frames to render

    @property
    def frames(self) -> int:
        return len(self.kept)


def list_clips(layout: str | Layout) -> list[tuple[str, str, int]]:
    """Return (clip, patient, frames at scale 1.0)."""
    if isinstance(layout, str):
        return list(STUDY)
    return [
        (f"P{patient:03d}_{clip}", f"P{patient:03d}", layout.frames_per_clip)
        for patient in range(1, layout.patients + 1)
        for clip in range(1, layout.clips_per_patient + 1)
    ]


def plan_cohort(params: Params) -> list[ClipPlan]:
    """Plan every clip of the cohort; the same params give the same plans."""
    phantom = params.phantom
    clips = list_clips(phantom.layout)
    patients = {name: draw_patient(name, params.seed, phantom) for _, name, _ in clips}
    candidates = [
        [_plan_clip(clip, patients[name], frames, number, phantom) for number in range(phantom.sweep_candidates)]
        for clip, name, frames in clips
    ]
    accounts = np.array([[_accounts(plan.labels, _target(phantom)) for plan in row] for row in candidates])
    chosen = choose(accounts, sum(frames for *_, frames in clips))
    return [row[pick] for row, pick in zip(candidates, chosen, strict=True)]


def _plan_clip(clip: str, patient: Patient, frames: int, candidate: int, phantom: Phantom) -> ClipPlan:
    settings = draw_settings(clip, patient.seed, phantom)
    sweep = draw_sweep(patient, clip, candidate, frames, phantom)
    visibility = see(patient, settings, sweep, phantom.width_px / phantom.height_px)
    labels = read(visibility, patient.seed, clip, candidate)
    return ClipPlan(clip, patient, settings, sweep, visibility, labels, thin(frames, phantom.scale))


def thin(frames: int, scale: float) -> NDArray[np.int_]:
    """Positions kept at `scale`: the whole sweep at a lower frame rate."""
    count = min(frames, max(MIN_FRAMES, round(frames * scale)))
    return ((np.arange(count) + 0.5) * frames / count).astype(int)


def _accounts(labels: Labels, target: NDArray[np.float64]) -> NDArray[np.float64]:
    """What the cohort's sum shall be zero of, in frames, float64 (6,).

    Four label events in excess of `target` (cord, fluid, bad quality, cord and fluid), and how much later than the
    middle of the clip cord and fluid come: a frame's number must not tell its label.
    """
    events = np.stack([labels.cord, labels.fluid, labels.bad_quality, labels.cord & labels.fluid], axis=1)
    lateness = np.linspace(-0.5, 0.5, len(events))
    return np.concatenate([events.sum(axis=0) - target * len(events), lateness @ events[:, :2]])


def _target(phantom: Phantom) -> NDArray[np.float64]:
    aim = phantom.prevalence
    return np.array([aim.cord, aim.fluid, aim.bad_quality, aim.cord_and_fluid])


def choose(accounts: NDArray[np.float64], frames: int) -> NDArray[np.int_]:
    """Pick one candidate a clip: the first of `BALANCES` that brings the cohort near its prevalences, else the nearest.

    Args:
        accounts: float64 (clips, candidates, accounts), see `_accounts`.
        frames: of all clips.
    """
    tried: list[tuple[float, NDArray[np.int_]]] = []
    for balance in BALANCES:
        picks = _balanced(accounts, balance)
        miss = float(np.abs(accounts[np.arange(len(picks)), picks, :4].sum(axis=0)).max()) / frames
        if miss <= NEAR:
            return picks
        tried.append((miss, picks))
    return min(tried, key=lambda one: one[0])[1]


def _balanced(accounts: NDArray[np.float64], balance: float) -> NDArray[np.int_]:
    """Pick so that each account sums to nearly zero over the clips, each clip's own not far from it.

    Coordinate descent: each clip in turn takes the candidate that suits the others' choice best.
    """
    own = balance * np.abs(accounts).sum(axis=2)  # (clips, candidates)
    picks = np.zeros(len(accounts), int)
    for _ in range(ROUNDS):
        for clip in range(len(accounts)):
            others = sum(accounts[other, picks[other]] for other in range(len(accounts)) if other != clip)
            miss = np.abs(accounts[clip] + others).sum(axis=1)
            picks[clip] = int(np.argmin(miss + own[clip]))
    return picks
