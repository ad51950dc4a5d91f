"""The probe's way along one spine: pauses, reversals, off-midline stretches and spells of bad quality."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stages.phantom.anatomy import SPINE_MM, Array, Patient, interspace_z_mm
from stages.phantom.draws import keyed_rng
from stages.phantom.params import Phantom

POSITIONS = {"prone": (0.0, 1.0), "lateral left": (-0.8, 0.45), "lateral right": (0.8, 0.45), "sitting": (0.0, 0.35)}
SPELLS = ("lost contact", "low gain", "motion smear")
SPELL_RATE_HZ = 0.09  # each kind; at 12 s about one of each a clip
PAUSE_S, TRANSIT_S = 2.2, 0.75  # mean pause at an interspace, mean time from one to the next


@dataclass(frozen=True)
class Settings:
    """What the operator chose for one clip."""

    depth_mm: float
    gain_db: float
    noise_db: float  # electronic noise, relative to fat
    haze_db: float  # side lobes, relative to their source
    trail_db: float  # reverberation behind an echo, relative to it
    position: str
    offset_mm: float  # usual distance from the midline
    tilt_rad: float  # usual rotation of the spine in the picture
    pressure: float  # height of the soft tissue, 1 = untouched

    @property
    def gravity(self) -> tuple[float, float]:
        return POSITIONS[self.position]


@dataclass(frozen=True)
class Sweep:
    """One value a frame: arrays (frames,)."""

    time_s: Array
    z_mm: Array
    x_mm: Array  # midline of the picture, relative to the infant's midline
    tilt_rad: Array
    pressure: Array
    lost: Array  # 0 full contact .. 1 none
    lost_side: Array  # where contact fails first, -1 left .. 1 right
    dark: Array  # 0 normal gain .. 1 lowest
    smear: Array  # 0 still .. 1 as fast as it gets
    dark_db: float  # gain lost at `dark` = 1
    smear_mm: float  # travel within one frame at `smear` = 1
    lost_share: float  # share of the probe's width without contact at `lost` = 1


def draw_settings(clip: str, seed: int, phantom: Phantom) -> Settings:
    rng = keyed_rng(seed, clip, "settings")
    depths = np.arange(phantom.depth_cm.min, phantom.depth_cm.max + 0.25, 0.5) * 10
    return Settings(
        depth_mm=float(rng.choice(depths)),
        gain_db=float(rng.uniform(phantom.gain_db.min, phantom.gain_db.max)),
        noise_db=float(rng.uniform(-48, -37)),
        haze_db=float(rng.uniform(-27, -18)),
        position=_position(clip, rng),
        offset_mm=float(rng.normal(0, 1.8)),
        tilt_rad=float(rng.normal(0, 0.08)),
        pressure=float(rng.uniform(0.93, 1.0)),
        trail_db=float(rng.uniform(-27, -18)),
    )


def _position(clip: str, rng: np.random.Generator) -> str:
    """Two of the study's names tell how the infant lay; the others are drawn."""
    named = {"SITTING": ["sitting"], "LAT": ["lateral left", "lateral right"]}
    allowed = next((positions for word, positions in named.items() if word in clip), list(POSITIONS))
    return str(rng.choice(allowed))


def draw_sweep(patient: Patient, clip: str, candidate: int, frames: int, phantom: Phantom) -> Sweep:
    """Draw one of the clip's possible sweeps, `frames` long at the full frame rate."""
    rng = keyed_rng(patient.seed, clip, "sweep", candidate)
    settings = draw_settings(clip, patient.seed, phantom)
    time_s = np.arange(frames) / phantom.frame_rate_hz
    spells = {kind: _spells(rng, time_s, SPELL_RATE_HZ) for kind in SPELLS}
    away = _spells(rng, time_s, 0.02) * rng.choice([-1.0, 1.0]) * rng.uniform(11, 19)
    return Sweep(
        time_s=time_s,
        z_mm=_course_mm(rng, patient, time_s) + _wander(rng, time_s, 0.35),
        x_mm=settings.offset_mm + _wander(rng, time_s, 1.3) + away,
        tilt_rad=settings.tilt_rad + _wander(rng, time_s, 0.05),
        pressure=settings.pressure + _wander(rng, time_s, 0.008),
        lost=spells["lost contact"],
        lost_side=np.full(frames, rng.choice([-1.0, 1.0])),
        dark=spells["low gain"],
        smear=spells["motion smear"],
        dark_db=float(rng.uniform(14, 22)),
        smear_mm=float(rng.uniform(1.6, 3.2)),
        lost_share=float(rng.uniform(0.7, 1.1)),
    )


def _course_mm(rng: np.random.Generator, patient: Patient, time_s: Array) -> Array:
    """Pause at interspaces (now and then over a lamina), move between neighbours, turn back at times."""
    stops_mm = interspace_z_mm(patient)
    at, step = int(rng.integers(len(stops_mm))), int(rng.choice([-1, 1]))
    knots_s, knots_mm = [0.0], [stops_mm[at]]
    while knots_s[-1] < time_s[-1] + 1:
        knots_s.append(knots_s[-1] + rng.gamma(2.0, PAUSE_S / 2))
        knots_mm.append(knots_mm[-1] + rng.normal(0, 0.4))
        step = -step if rng.uniform() < 0.25 or not 0 <= at + step < len(stops_mm) else step
        at = int(np.clip(at + step, 0, len(stops_mm) - 1))
        knots_s.append(knots_s[-1] + TRANSIT_S * rng.uniform(0.6, 1.4))
        over_bone = 0.5 * patient.level_mm if rng.uniform() < 0.08 else 0.0
        knots_mm.append(stops_mm[at] + rng.normal(0, 0.7) + over_bone)
    start_s = rng.uniform(0, 1)
    course = np.interp(time_s + start_s, knots_s, knots_mm)
    return np.clip(_smooth(course, time_s), *SPINE_MM)


def _smooth(course: Array, time_s: Array) -> Array:
    """A hand does not turn sharply: average over a quarter of a second."""
    span = max(1, round(0.25 / max(time_s[1] - time_s[0], 1e-6))) | 1 if len(time_s) > 1 else 1
    padded = np.pad(course, span // 2, mode="edge")
    return np.convolve(padded, np.ones(span) / span, mode="valid")


def _wander(rng: np.random.Generator, time_s: Array, sd: float) -> Array:
    """Slow drift of a hand held still: three sinusoids of 1.5 to 9 s."""
    period, phase = rng.uniform(1.5, 9, 3), rng.uniform(0, 2 * np.pi, 3)
    waves = np.sin(2 * np.pi * time_s[:, None] / period + phase)
    return sd * np.sqrt(2 / 3) * waves.sum(axis=1)


def _spells(rng: np.random.Generator, time_s: Array, rate_hz: float) -> Array:
    """Severity 0..1 of spells that start at random, last 0.4 to 1.4 s and come and go in 0.15 s."""
    severity = np.zeros_like(time_s)
    length_s = time_s[-1] + 1
    for _ in range(rng.poisson(rate_hz * length_s)):
        start, last = rng.uniform(-0.5, length_s), rng.uniform(0.4, 1.4)
        inside = np.minimum(time_s - start, start + last - time_s)
        severity = np.maximum(severity, np.clip(0.5 + inside / 0.3, 0, 1))
    return severity
