"""The scanner and its probe, as they are over one clip: settings, noise, contact, and the layers under the probe."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stages.phantom.anatomy import Patient
from stages.phantom.draws import keyed_rng
from stages.phantom.params import Phantom
from stages.phantom.plan import ClipPlan
from stages.phantom.plane import Map
from stages.phantom.view import View

LAYERS = 9  # thin bright lines between the probe and the fat


@dataclass(frozen=True)
class Scanner:
    """What stays the same over a clip."""

    view: View
    range_db: float  # from black to white
    gain_db: float
    noise_db: float
    haze_db: float
    trail_db: float
    skin_mm: float
    coupling_db: Map  # (columns,) dB lost where hair or a bubble keeps the probe off
    bands: Map  # (rows,) dB, layers under the probe
    bend_mm: Map  # (columns,) how the layers bow
    ring_mm: float  # distance of the echoes between the probe's face and the air


def make_scanner(plan: ClipPlan, phantom: Phantom) -> Scanner:
    settings = plan.settings
    view = View(phantom.width_px, phantom.height_px, settings.depth_mm)
    bands = _bands(keyed_rng(plan.patient.seed, plan.clip, "bands"), view, plan.patient)
    rng = keyed_rng(plan.patient.seed, plan.clip, "bend")
    bend, ring = _bend_mm(rng, view), float(rng.uniform(0.7, 1.5))
    coupling = _coupling(keyed_rng(plan.patient.seed, plan.clip, "coupling"), view)
    return Scanner(view, phantom.dynamic_range_db, settings.gain_db, settings.noise_db, settings.haze_db,
                   settings.trail_db, plan.patient.skin_mm, coupling, bands, bend, ring)  # fmt: skip


def _bands(rng: np.random.Generator, view: View, patient: Patient) -> Map:
    """Gel and skin: thin layers of uneven strength, dB to be reached at each depth; -99 far below."""
    y = view.depths_mm
    reach = 2.2 * patient.skin_mm
    at, width = rng.uniform(0.1, reach, LAYERS), rng.uniform(0.05, 0.14, LAYERS)
    lines = rng.uniform(-9, 7, LAYERS) - 4 * ((y - at) / width) ** 2
    base = rng.uniform(-10, -3) + 2 * np.sin(2 * np.pi * (y / rng.uniform(0.8, 2.0) + rng.uniform()))
    level = (
        patient.fat_db + np.maximum(lines.max(axis=1, keepdims=True), base) - 7 * np.maximum(y / reach - 0.5, 0) ** 2
    )
    return np.where(y < 1.3 * reach, level, -99).astype(np.float32)[:, 0]


def _bend_mm(rng: np.random.Generator, view: View) -> Map:
    """How far the skin's layers bow towards the probe, (columns,) mm: a back is round, the probe straight."""
    x = (np.arange(view.columns) + 0.5) / view.px_per_mm
    period, phase = np.array([60.0, 25.0, 11.0, 5.0]), rng.uniform(0, 2 * np.pi, 4)
    waves = np.sin(2 * np.pi * x[:, None] / period + phase) * [0.5, 0.22, 0.09, 0.04]
    return waves.sum(axis=1).astype(np.float32)


def _coupling(rng: np.random.Generator, view: View) -> Map:
    """Uneven contact of one clip: shallow dips anywhere, and often one edge of the probe in the air."""
    x = (np.arange(view.columns) + 0.5) / view.px_per_mm
    at, width = rng.uniform(0, x[-1], 4), rng.uniform(0.8, 3.0, 4)
    dips = rng.uniform(1, 6, 4) * np.exp(-(((x[:, None] - at) / width) ** 2))
    edge = rng.choice([x, x[::-1]]) / rng.uniform(2, 7)  # mm from one of the edges, in widths of the gap
    return (dips.sum(axis=1) + rng.choice([0, 25]) * np.exp(-(edge**2))).astype(np.float32)


def below_skin(view: View) -> Map:
    """0 under the probe, where it sees its own layers, 1 from 3 mm on; (rows, 1)."""
    return np.clip((view.depths_mm - 1) / 2, 0, 1)
