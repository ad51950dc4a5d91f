"""What an expert would tick for a frame, from how much of cord and fluid the window really shows.

No speckle is needed: the loss along each scan line follows from the geometry. Each clip's reader has own, slowly
changing thresholds with hysteresis, as a person who labels a film frame by frame.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stages.phantom.anatomy import Array, Patient, window_half_mm
from stages.phantom.canal import canal_at
from stages.phantom.draws import keyed_rng
from stages.phantom.sweep import Settings, Sweep
from stages.phantom.view import sector_half_mm

N_LINES = 33  # scan lines across the canal on which visibility is judged
CORD_SEEN = 0.55  # share of the cord in the window that a reader calls cord
CORD_SIZE_MM = 2.0  # half width below which the conus is not told from clumped roots
FLUID_SEEN = 0.43  # share of the sac shown as fluid that a reader calls fluid
FLUID_BESIDE_CORD = 0.50  # the same where a cord draws the eye: only a wide ring counts
CANAL_HIDDEN = 0.36  # share of the sac below which bone covers the canal
SPELL_BAD = 0.5
BEAM_MM = 0.3  # the beam's own width dims the window's edges
HYSTERESIS = 0.06
READER_SD = 0.03  # slow change of a reader's thresholds


@dataclass(frozen=True)
class Visibility:
    """Arrays (frames,): what the plane holds and what of it is seen."""

    cord_share: Array  # of the cord's area in the window
    cord_rx_mm: Array
    fluid_share: Array  # of the sac's area, seen and not cord
    canal_share: Array  # of the sac's area, seen
    in_view: Array  # of the sac's area, inside the sector
    spell: Array  # severity of the worst spell


@dataclass(frozen=True)
class Labels:
    """Boolean arrays (frames,)."""

    bad_quality: NDArray[np.bool_]
    cord: NDArray[np.bool_]
    fluid: NDArray[np.bool_]


def see(patient: Patient, settings: Settings, sweep: Sweep, aspect: float) -> Visibility:
    """Judge every frame; `aspect` is the video's width / height."""
    canal = canal_at(patient, sweep.z_mm, settings.gravity)
    unit = (np.arange(N_LINES) + 0.5) / N_LINES * 2 - 1
    x = canal.sac_x[:, None] + canal.sac_rx[:, None] * unit  # (frames, lines)
    sac = 2 * canal.sac_ry[:, None] * np.sqrt(1 - unit**2)
    reach = 1 - ((x - canal.cord_x[:, None]) / np.maximum(canal.cord_rx, 1e-6)[:, None]) ** 2
    cord = 2 * canal.cord_ry[:, None] * np.sqrt(np.maximum(reach, 0))
    inside = _inside(x - sweep.x_mm[:, None], settings, aspect)
    rise = canal.sac_y - patient.apex_mm - 1  # a tilted spine turns the window away from the canal
    seen = inside * _clear(patient, sweep, x - (np.sin(sweep.tilt_rad) * rise)[:, None])
    whole = sac.sum(axis=1)
    return Visibility(
        cord_share=(cord * seen).sum(axis=1) / np.maximum(cord.sum(axis=1), 1e-6),
        cord_rx_mm=canal.cord_rx,
        fluid_share=((sac - cord) * seen).sum(axis=1) / whole,
        canal_share=(sac * seen).sum(axis=1) / whole,
        in_view=(sac * inside).sum(axis=1) / whole,
        spell=np.maximum.reduce([sweep.lost, sweep.dark, sweep.smear]),
    )


def _inside(x_mm: Array, settings: Settings, aspect: float) -> Array:
    """1 where the sector's rectangle holds `x_mm`."""
    half = sector_half_mm(settings.depth_mm, aspect)
    return (np.abs(x_mm) < half).astype(float)


def _clear(patient: Patient, sweep: Sweep, x_mm: Array) -> Array:
    """Share of the echo that gets past the laminae, 0..1, on lines `x_mm` (frames, lines)."""
    gap = window_half_mm(patient, sweep.z_mm)[:, None] - BEAM_MM
    behind = np.clip(0.5 + (np.abs(x_mm) - gap) / 0.8, 0, 1)
    loss_db = patient.lamina_db * behind
    return 1 / (1 + np.exp((loss_db - 10) / 2.5))


def read(visibility: Visibility, seed: int, clip: str, candidate: int) -> Labels:
    """Turn visibility into a reader's ticks; bad quality excludes the other two."""
    rng = keyed_rng(seed, clip, "reader", candidate)
    frames = len(visibility.spell)
    mood = [_slow(rng, frames) for _ in range(4)]
    size = np.clip(visibility.cord_rx_mm / CORD_SIZE_MM, 0, 1) ** 2
    spell = _trip(visibility.spell - SPELL_BAD + mood[0])
    hidden = _trip((CANAL_HIDDEN - visibility.canal_share) + mood[1]) & (visibility.in_view > 0.5)
    bad = spell | hidden
    cord = _trip(visibility.cord_share * size - CORD_SEEN + mood[2]) & ~bad
    enough = np.where(cord, FLUID_BESIDE_CORD, FLUID_SEEN)
    fluid = _trip(visibility.fluid_share - enough + mood[3]) & ~bad
    return Labels(bad, cord, fluid)


def _slow(rng: np.random.Generator, frames: int) -> Array:
    period, phase = rng.uniform(20, 120, 3), rng.uniform(0, 2 * np.pi, 3)
    return READER_SD * np.sin(2 * np.pi * np.arange(frames)[:, None] / period + phase).sum(axis=1)


def _trip(margin: Array) -> NDArray[np.bool_]:
    """Schmitt trigger: a tick stays until the margin is clearly on the other side."""
    values = margin.tolist()  # plain floats: thrice as fast to walk through
    state, ticks = values[0] > 0, []
    for value in values:
        state = value > -HYSTERESIS if state else value > HYSTERESIS
        ticks.append(state)
    return np.array(ticks)
