"""Laminae, facets and spinous process: their surfaces, and the shadow that they cast."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stages.phantom.anatomy import Patient, Side, window_half_mm, window_openness
from stages.phantom.plane import Map, Slice, by_side, inside


def draw_arch(plane: Slice, patient: Patient, z_mm: float) -> None:
    """Laminae or facets with their shadow, and the cartilage of the spinous process between them."""
    gap = float(window_half_mm(patient, np.asarray(z_mm)))
    openness = float(window_openness(patient, np.asarray(z_mm)))
    side = np.abs(plane.x)
    roof = _roof_mm(plane, patient)
    depth, span = plane.y - roof, _arch_span(side, gap)
    plane.paint(-9 + 2 * plane.patches, inside(depth - 0.3) * span * 0.8)
    flavum = patient.rim_db + 6 + 3 * plane.patches + 1.5 * plane.streaks - 0.5 * side
    plane.line(flavum, depth + 0.7 + 0.3 * plane.patches, 0.45)
    own = by_side(plane, *(half.bone_db for half in patient.sides))
    facing = patient.bone_db + own - 2.5 * openness + 5 * plane.patches + 2 * plane.sheets - 14 * (1 - span)
    front = np.where(depth > 0, depth * 0.4, depth)  # sharp towards the probe; ringing thickens the far side
    plane.line(facing, front, 0.24, rough_db=-8)
    plane.line(facing - 9 + 3 * plane.streaks, depth - 1.1 - 0.3 * plane.patches, 0.5)
    for sign, half in zip((-1, 1), patient.sides, strict=True):
        _facet(plane, patient, half, sign * plane.x, openness)
    plane.loss += np.float32(patient.lamina_db / 2.0) * span * inside(depth) * inside(2.0 - depth)
    _spinous_process(plane, patient, 1 - openness)


def _facet(plane: Slice, patient: Patient, half: Side, side: Map, openness: float) -> None:
    """Rounded cap of one side's joint beside an open window, with a shadow of its own."""
    middle = np.asarray(half.facet_mm, np.float32)
    top = _roof_at(patient, half.slope, middle) + np.float32(half.facet_drop_mm)
    cap = np.hypot((side - middle) / 1.5, plane.y - top - 1.6) - 1.6
    seen = half.facet_share * openness
    level = patient.bone_db + half.bone_db - 4 - 14 * (1 - seen) + 4 * plane.sheets + 3 * plane.patches
    plane.line(level - 5 * np.maximum(plane.y - top - 0.3, 0), cap, 0.45)
    under = inside(1.8 - np.abs(side - middle), 1.0) * inside(-cap)
    plane.loss += np.float32(0.2 * patient.lamina_db * seen) * under


def _roof_mm(plane: Slice, patient: Patient) -> Map:
    """Depth of the laminae's surface at every pixel."""
    return _roof_at(patient, by_side(plane, *(half.slope for half in patient.sides)), np.abs(plane.x))


def _roof_at(patient: Patient, slope: Map | float, side: Map) -> Map:
    """Depth of the laminae `side` mm from the midline; it levels out towards the facets."""
    rise = np.float32(patient.lamina_slope) * slope * np.maximum(side - 1, 0)
    return np.float32(patient.apex_mm) + rise - 0.045 * np.maximum(side - 6, 0) ** 2


def _arch_span(side: Map, gap_mm: float) -> Map:
    """1 where there is bone: from the window's edge to the facet."""
    return inside(side - gap_mm, 0.4) * inside(11.5 - side, 1.0)


def bone_mask(plane: Slice, patient: Patient, z_mm: float) -> NDArray[np.bool_]:
    """Surface of the bone, 1.2 mm thick; what lies behind it is shadow."""
    span = _arch_span(np.abs(plane.x), float(window_half_mm(patient, np.asarray(z_mm))))
    return (np.abs(plane.y - _roof_mm(plane, patient)) < 0.6) & (span > 0.5)


def _spinous_process(plane: Slice, patient: Patient, present: float) -> None:
    """Cartilage: dark, oval, with a thin bright border; it weakens the beam a little."""
    top, bottom = patient.fascia_mm - 0.6, patient.apex_mm + 0.8
    radius = np.hypot(plane.x / 2.1, (plane.y - (top + bottom) / 2) / ((bottom - top) / 2))
    mask = inside(1 - radius, 0.2) * np.float32(0.25 + 0.75 * present)
    plane.paint(-15 + 2 * plane.patches, mask)
    plane.line(np.float32(-4 - 8 * (1 - present)) + 2 * plane.patches, (radius - 1) * 2.1, 0.4)
    plane.loss += np.float32(present * patient.cartilage_db / max(bottom - top, 1)) * inside(1 - radius, 0.2)
