"""Echo strength and loss of every tissue in one transverse plane: the map that the speckle is weighted with."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stages.phantom.anatomy import Patient, collection_mm, window_half_mm, window_openness
from stages.phantom.canal import Canal, Roots, canal_at, roots_at
from stages.phantom.plane import Map, Slice, deformed_plane, ellipse_radius, inside
from stages.phantom.view import Pose, View

FLUID_DB = -60.0


def draw_slice(patient: Patient, view: View, pose: Pose, z_mm: float, gravity: tuple[float, float],
               time_s: float) -> Slice:  # fmt: skip
    """Draw every tissue of plane `z_mm` as the probe in `pose` sees it."""
    plane = deformed_plane(patient, view, pose, z_mm)
    canal = canal_at(patient, np.asarray(z_mm), gravity)
    _soft_tissue(plane, patient, z_mm)
    _spine_front(plane, patient, canal, z_mm)
    _ring(plane, patient, canal)
    _sac(plane, canal)
    _cord(plane, patient, canal, z_mm)
    _roots(plane, patient, roots_at(patient, z_mm, gravity, time_s), view)
    _collection(plane, patient, canal, z_mm)
    _arch(plane, patient, z_mm)
    return plane


def _soft_tissue(plane: Slice, patient: Patient, z_mm: float) -> None:
    """Fat, fascia, two bellies of muscle with septa, and the ligament between them."""
    fat = patient.fat_db - 2 + 2 * plane.streaks + 3 * np.sin(6.5 * plane.y + 1.5 * plane.patches)
    plane.paint(fat, inside(patient.fascia_mm - plane.y))
    plane.loss *= np.maximum(1 + 0.4 * plane.patches, 0.2)  # uneven tissue casts faint streaks
    side = np.abs(plane.x)
    lean = plane.x * np.float32(0.25 * np.sin(z_mm / 11)) * 0.1  # no infant is symmetric
    side = side + lean
    belly = np.minimum(plane.y - patient.fascia_mm, side - 1.6 - 0.06 * plane.y)
    muscle = patient.muscle_db + 3.2 * plane.streaks + 3.0 * plane.patches
    plane.paint(muscle, inside(np.minimum(belly, 26 - plane.y), 0.5))
    plane.line(patient.fat_db + 5 + 2 * plane.patches, plane.y - patient.fascia_mm - 0.02 * side, 0.45)
    _septa(plane, patient, side, z_mm, inside(belly - 0.3))
    deep = inside(plane.y - 20 - 0.2 * side, 2.0) * inside(side - 9, 2.0)
    plane.paint(-7 + 4 * plane.patches + 2 * plane.streaks, deep)


def _septa(plane: Slice, patient: Patient, side: Map, z_mm: float, belly: Map) -> None:
    """Sheaths between multifidus and longissimus, and short strands within them."""
    sheath = side - 7.0 - 0.35 * (plane.y - 8) + 1.1 * plane.patches + np.float32(1.5 * np.sin(z_mm / 13))
    level = patient.muscle_db + 13 + 4 * plane.streaks
    strands = np.sin(plane.y * 1.3 - 0.35 * side + 2.4 * plane.patches + np.float32(z_mm / 8))
    core = np.sin(side * 0.8 + 0.5 * plane.y + plane.patches + np.float32(z_mm / 17))
    plane.paint(patient.muscle_db - 7 + 3 * plane.streaks, inside(core - 0.1, 0.5) * belly * 0.8)
    plane.paint(level, inside(0.3 - np.abs(sheath), 0.3) * belly * 0.7)
    plane.paint(level - 1, inside(strands - 0.86, 0.08) * inside(plane.patches + 0.3, 0.5) * belly * 0.8)


def _spine_front(plane: Slice, patient: Patient, canal: Canal, z_mm: float) -> None:
    """Vertebral body or disc in front of the sac: bright, streaked, fading, and dark behind."""
    depth = plane.y - np.float32(canal.sac_y + canal.sac_ry) + 0.12 * np.abs(plane.x)
    half = 4.6 + 1.3 * plane.patches + 0.8 * plane.streaks
    body = inside(depth, 0.5) * inside(half - np.abs(plane.x) + 0.15 * depth, 1.6)
    bands = 3.5 * np.sin(depth * 2.1 + 1.8 * plane.patches + z_mm) + 3 * plane.patches
    plane.paint(patient.body_db + bands + 2 * plane.streaks - 0.9 * np.maximum(depth, 0), body)
    plane.loss += np.float32(2.2) * inside(depth - 4.5, 1.5) * inside(8 - np.abs(plane.x), 1.5)


def _ring(plane: Slice, patient: Patient, canal: Canal) -> None:
    """Epidural fat, ligament and dura around the sac."""
    radius = ellipse_radius(plane, canal.sac_x, canal.sac_y, canal.sac_rx, canal.sac_ry)
    out = (radius - 1) * np.float32((canal.sac_rx + canal.sac_ry) / 2)
    behind = 1 + 0.5 * np.clip((canal.sac_y - plane.y) / 5, -1, 1)
    thick = patient.rim_mm * behind * (1 + 0.35 * plane.patches)
    plane.paint(patient.rim_db + 2 * plane.streaks + 3 * plane.patches, inside(out) * inside(thick - out, 0.5))
    square = np.abs(plane.y - np.float32(canal.sac_y)) / np.float32(canal.sac_ry)  # faces the beam
    plane.line(patient.rim_db - 2 + 6 * np.minimum(square, 1) + 3 * plane.patches, out - 0.15, 0.3)


def _sac(plane: Slice, canal: Canal) -> None:
    radius = ellipse_radius(plane, canal.sac_x, canal.sac_y, canal.sac_rx, canal.sac_ry)
    fluid = inside((1 - radius) * np.float32(canal.sac_ry))
    plane.paint(FLUID_DB, fluid)
    plane.loss *= 1 - fluid


def _cord(plane: Slice, patient: Patient, canal: Canal, z_mm: float) -> None:
    """Dark disc, bright rim where the beam meets it squarely, central dot that drops out at times."""
    if canal.cord_rx < 0.25:
        return
    radius = ellipse_radius(plane, canal.cord_x, canal.cord_y, canal.cord_rx, canal.cord_ry)
    depth = (1 - radius) * np.float32(canal.cord_ry)
    plane.paint(patient.cord_db + 1.5 * plane.patches, inside(depth))
    square = np.abs(plane.y - np.float32(canal.cord_y)) / np.float32(canal.cord_ry)
    plane.line(patient.root_db - 4 + 6 * np.minimum(square, 1) + 2 * plane.patches, depth - 0.1, 0.28)
    dot = patient.root_db + 1 - 9 * max(0.0, float(np.sin(z_mm / 1.9 + patient.level_phase_mm)))
    centre = np.hypot(plane.x - np.float32(canal.cord_x), (plane.y - np.float32(canal.cord_y)) * 1.6)
    plane.line(float(dot), centre, 0.75)


def _roots(plane: Slice, patient: Patient, roots: Roots, view: View) -> None:
    """Rootlets as short bright dots, a little wider than high."""
    for x, y, r, level in zip(roots.x, roots.y, roots.r, roots.db, strict=True):
        near = _near(plane, x, y, 2.2, view)
        distance = np.hypot((plane.x[near] - np.float32(x)) / 1.25, plane.y[near] - np.float32(y))
        ridge = np.float32(patient.root_db + level) - 9 * (distance / np.float32(r)) ** 2
        plane.echo_db[near] = np.maximum(plane.echo_db[near], ridge)


def _near(plane: Slice, x: float, y: float, reach_mm: float, view: View) -> tuple[slice, slice]:
    """Pixel window that surely holds the point (x, y): the whole plane's slope is close to 1 px per px."""
    middle = plane.x[len(plane.x) // 2]
    column = int(np.argmin(np.abs(middle - np.float32(x))))
    row = int(np.argmin(np.abs(plane.y[:, column] - np.float32(y))))
    column = int(np.argmin(np.abs(plane.x[row] - np.float32(x))))
    reach = round(reach_mm * view.px_per_mm)
    return slice(max(row - reach, 0), row + reach + 1), slice(max(column - reach, 0), column + reach + 1)


def _collection(plane: Slice, patient: Patient, canal: Canal, z_mm: float) -> None:
    """Crescent of fluid or clot behind the sac."""
    thickness = float(collection_mm(patient, np.asarray(z_mm)))
    if thickness < 0.2:
        return
    radius = ellipse_radius(plane, canal.sac_x, canal.sac_y, canal.sac_rx, canal.sac_ry)
    out = (radius - 1) * np.float32(canal.sac_ry)
    crescent = thickness * np.clip((canal.sac_y - plane.y) / np.float32(canal.sac_ry), 0, 1) + 0.3
    mask = inside(out - 0.3) * inside(crescent - out)
    plane.paint(-19 + 4 * plane.patches, mask)


def _arch(plane: Slice, patient: Patient, z_mm: float) -> None:
    """Laminae or facets with their shadow, and the cartilage of the spinous process between them."""
    gap = float(window_half_mm(patient, np.asarray(z_mm)))
    openness = float(window_openness(patient, np.asarray(z_mm)))
    side = np.abs(plane.x)
    roof = _roof_mm(patient, side)
    depth, span = plane.y - roof, _arch_span(side, gap)
    plane.paint(-9 + 2 * plane.patches, inside(depth - 0.3) * span * 0.8)
    flavum = patient.rim_db + 6 + 3 * plane.patches + 1.5 * plane.streaks - 0.5 * side
    plane.line(flavum, depth + 0.7 + 0.3 * plane.patches, 0.45)
    facing = patient.bone_db - 2.5 * openness + 3.5 * plane.patches + 3 * plane.streaks - 14 * (1 - span)
    trail = np.where(depth > 0, depth * 0.4, depth)  # reverberation thickens the far side
    plane.line(facing, trail, 0.4)
    plane.line(facing - 9 + 3 * plane.streaks, depth - 1.1 - 0.3 * plane.patches, 0.5)
    _facets(plane, patient, side, openness)
    plane.loss += np.float32(patient.lamina_db / 2.0) * span * inside(depth) * inside(2.0 - depth)
    _spinous_process(plane, patient, 1 - openness)


def _facets(plane: Slice, patient: Patient, side: Map, openness: float) -> None:
    """Rounded caps of the joints beside an open window, with a shadow of their own."""
    top = _roof_mm(patient, np.asarray([9.3]))[0] + 1.6
    cap = np.hypot((side - 9.3) / 1.4, plane.y - top - 1.6) - 1.6
    facing = patient.bone_db - 4 - 12 * (1 - openness) + 3 * plane.streaks + 2 * plane.patches
    plane.line(facing - 5 * np.maximum(plane.y - top - 0.3, 0), cap, 0.4)
    plane.loss += np.float32(0.25 * patient.lamina_db * openness) * inside(1.8 - np.abs(side - 9.3), 0.6) * inside(-cap)


def _roof_mm(patient: Patient, side: Map) -> Map:
    """Depth of the laminae's surface `side` mm from the midline; it levels out towards the facets."""
    return patient.apex_mm + patient.lamina_slope * np.maximum(side - 1, 0) - 0.045 * np.maximum(side - 6, 0) ** 2


def _arch_span(side: Map, gap_mm: float) -> Map:
    """1 where there is bone: from the window's edge to the facet."""
    return inside(side - gap_mm, 0.4) * inside(11.5 - side, 1.0)


def bone_mask(plane: Slice, patient: Patient, z_mm: float) -> NDArray[np.bool_]:
    """Surface of the bone, 1.2 mm thick; what lies behind it is shadow."""
    side = np.abs(plane.x)
    span = _arch_span(side, float(window_half_mm(patient, np.asarray(z_mm))))
    return (np.abs(plane.y - _roof_mm(patient, side)) < 0.6) & (span > 0.5)


def _spinous_process(plane: Slice, patient: Patient, present: float) -> None:
    """Cartilage: dark, oval, with a thin bright border; it weakens the beam a little."""
    top, bottom = patient.fascia_mm - 0.6, patient.apex_mm + 0.8
    radius = np.hypot(plane.x / 2.1, (plane.y - (top + bottom) / 2) / ((bottom - top) / 2))
    mask = inside(1 - radius, 0.2) * np.float32(0.25 + 0.75 * present)
    plane.paint(-15 + 2 * plane.patches, mask)
    plane.line(np.float32(-4 - 8 * (1 - present)) + 2 * plane.patches, (radius - 1) * 2.1, 0.4)
    plane.loss += np.float32(present * patient.cartilage_db / max(bottom - top, 1)) * inside(1 - radius, 0.2)
