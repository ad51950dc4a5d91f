"""Where sac, cord and roots lie in one transverse plane; used by the labels (fast) and by the picture alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stages.phantom.anatomy import N_ROOTS, Array, Patient, collection_mm, cord_radius_mm
from stages.phantom.draws import keyed_rng

PULSE_HZ = 2.2  # an infant's heart, 130 beats a minute
PULSE_MM = 0.12  # travel of the roots with each beat


@dataclass(frozen=True)
class Canal:
    """Sac and cord in planes `z`: arrays of one shape, mm, in the infant's coordinates."""

    sac_x: Array
    sac_y: Array
    sac_rx: Array
    sac_ry: Array
    cord_x: Array
    cord_y: Array
    cord_rx: Array
    cord_ry: Array


def canal_at(patient: Patient, z_mm: Array, gravity: tuple[float, float]) -> Canal:
    """Return the canal in planes `z_mm`; the cord sinks a little along `gravity` (unit vector x, y)."""
    squeeze = collection_mm(patient, z_mm)
    wave = np.sin(z_mm / 6.1 + patient.level_phase_mm)
    sac_rx = patient.sac_rx_mm * (1 + 0.04 * wave)
    sac_ry = patient.sac_ry_mm * (1 - 0.03 * wave) - 0.35 * squeeze
    sac_y = patient.sac_depth_mm + 0.35 * squeeze + 0.4 * np.sin(z_mm / 9.0)
    cord_rx = cord_radius_mm(patient, z_mm)
    cord_ry = np.minimum(cord_rx * patient.cord_flatness, 0.87 * sac_ry)
    slack_x, slack_y = np.maximum(sac_rx - cord_rx - 0.4, 0), np.maximum(sac_ry - cord_ry - 0.4, 0)
    cord_x = 0.45 * slack_x * gravity[0] + 0.25 * slack_x * np.sin(z_mm / 7.3 + 1.0)
    cord_y = sac_y + 0.35 * slack_y * gravity[1] + 0.25 * slack_y * np.sin(z_mm / 8.7 + 2.0)
    return Canal(np.zeros_like(z_mm), sac_y, sac_rx, sac_ry, cord_x, cord_y, cord_rx, cord_ry)


@dataclass(frozen=True)
class Roots:
    """Rootlets of one plane: arrays (N_ROOTS,), mm and dB relative to the infant's root level."""

    x: Array
    y: Array
    r: Array
    db: Array
    long: Array  # length / width of the section: the plane cuts some roots aslant
    turn_rad: Array


def roots_at(patient: Patient, z_mm: float, gravity: tuple[float, float], time_s: float) -> Roots:
    """Return the rootlets in plane `z_mm` at `time_s` of the clip."""
    canal = canal_at(patient, np.asarray(z_mm), gravity)
    unit = _strands(patient, z_mm, gravity)  # (N_ROOTS, 2) in the unit disc of the sac
    unit = _around_cord(unit, canal)
    unit = _clumped(patient, unit, z_mm, gravity, canal)
    rng = keyed_rng(patient.seed, patient.name, "root size")
    radius, level = 0.2 + 0.45 * rng.uniform(0, 1, N_ROOTS) ** 2, rng.uniform(-13, 5, N_ROOTS)
    phase = rng.uniform(0, 1, N_ROOTS)
    long, turn = rng.uniform(1.0, 2.6, N_ROOTS), rng.normal(0, 0.6, N_ROOTS)
    beat = PULSE_MM * np.sin(2 * np.pi * (PULSE_HZ * time_s + 0.15 * phase))
    return Roots(
        canal.sac_x + unit[:, 0] * canal.sac_rx,
        canal.sac_y + unit[:, 1] * canal.sac_ry + beat,
        radius,
        level,
        long,
        turn,
    )


def _strands(patient: Patient, z_mm: float, gravity: tuple[float, float]) -> NDArray[np.float64]:
    """Each root wanders slowly along the spine; all sink along gravity."""
    rng = keyed_rng(patient.seed, patient.name, "roots")
    angle, reach = rng.uniform(0, 2 * np.pi, N_ROOTS), np.sqrt(rng.uniform(0, 1, N_ROOTS))
    home = np.stack([reach * np.cos(angle), reach * np.sin(angle)], axis=1)
    length, phase = rng.uniform(9, 30, (N_ROOTS, 2)), rng.uniform(0, 2 * np.pi, (N_ROOTS, 2))
    drift = 0.22 * np.sin(2 * np.pi * z_mm / length + phase)
    sunk = 0.58 * (home + drift) + 0.30 * np.asarray(gravity)
    return _within(sunk, 0.86)


def _around_cord(unit: NDArray[np.float64], canal: Canal) -> NDArray[np.float64]:
    """Push roots out of the cord, towards the wall of the sac."""
    if canal.cord_rx <= 0.3:
        return unit
    centre = np.array([(canal.cord_x - canal.sac_x) / canal.sac_rx, (canal.cord_y - canal.sac_y) / canal.sac_ry])
    size = np.array([canal.cord_rx / canal.sac_rx, canal.cord_ry / canal.sac_ry])
    ray = (unit - centre) / size
    distance = np.hypot(ray[:, 0], ray[:, 1])[:, None]
    outside = np.maximum(distance, 1.12 + 0.15 * np.minimum(distance, 1))
    return _within(centre + ray / np.maximum(distance, 1e-6) * outside * size, 0.93)


def _clumped(patient: Patient, unit: NDArray[np.float64], z_mm: float, gravity: tuple[float, float],
             canal: Canal) -> NDArray[np.float64]:  # fmt: skip
    """Gather the roots into a knot or ring where the infant has a clump."""
    for clump in patient.clumps:
        pull = float(np.exp(-(((z_mm - clump.z_mm) / clump.half_length_mm) ** 4)))
        angle = np.arctan2(unit[:, 1], unit[:, 0]) + np.arange(len(unit)) * 2.4
        ring = np.where(np.arange(len(unit)) % 9 == 0, 0.08, 1.0)
        reach = clump.hollow * ring + (1 - clump.hollow) * np.sqrt(np.arange(len(unit)) / len(unit))
        size = np.array([clump.radius_mm / canal.sac_rx, clump.radius_mm * 0.9 / canal.sac_ry])
        knot = 0.28 * np.asarray(gravity) + size * (reach * np.array([np.cos(angle), np.sin(angle)])).T
        unit = (1 - pull) * unit + pull * knot
    return _within(unit, 0.93)


def _within(unit: NDArray[np.float64], limit: float) -> NDArray[np.float64]:
    distance = np.hypot(unit[:, 0], unit[:, 1])[:, None]
    return unit * np.minimum(1, limit / np.maximum(distance, 1e-6))
