"""Echo strength and loss of every tissue in one transverse plane: the map that the speckle is weighted with."""

from __future__ import annotations

import numpy as np

from stages.phantom.anatomy import Flank, Patient, collection_mm, flank_at
from stages.phantom.bone import draw_arch
from stages.phantom.canal import Canal, canal_at, roots_at
from stages.phantom.nerve import draw_cord, draw_roots
from stages.phantom.plane import Map, Slice, by_side, deformed_plane, ellipse_radius, facing, inside
from stages.phantom.view import Pose, View

FLUID_DB = -60.0
SLICE_MM = 0.35  # the slice is thick: a wall that leans blurs


def draw_slice(patient: Patient, view: View, pose: Pose, z_mm: float, gravity: tuple[float, float],
               time_s: float) -> Slice:  # fmt: skip
    """Draw every tissue of plane `z_mm` as the probe in `pose` sees it."""
    plane = deformed_plane(patient, view, pose, z_mm)
    canal = canal_at(patient, np.asarray(z_mm), gravity)
    _soft_tissue(plane, patient, z_mm)
    _spine_front(plane, patient, canal, z_mm)
    _ring(plane, patient, canal)
    _sac(plane, canal)
    draw_cord(plane, patient, canal, z_mm)
    draw_roots(plane, patient, roots_at(patient, z_mm, gravity, time_s), view)
    _collection(plane, patient, canal, z_mm)
    draw_arch(plane, patient, z_mm)
    return plane


def _soft_tissue(plane: Slice, patient: Patient, z_mm: float) -> None:
    """Fat, fascia, two bellies of muscle with septa, and the ligament between them."""
    fat = patient.fat_db - 5 + 2 * plane.streaks + 3 * plane.sheets
    plane.paint(fat, inside(patient.fascia_mm - plane.y))
    lobules = patient.fat_db - 4 + 5 * plane.sheets + 2 * plane.patches
    plane.glint(lobules, inside(patient.fascia_mm - plane.y))
    plane.loss *= np.maximum(1 + 0.4 * plane.patches, 0.2)  # uneven tissue casts faint streaks
    side = np.abs(plane.x)
    lean = plane.x * np.float32(0.25 * np.sin(z_mm / 11)) * 0.1  # no infant is symmetric
    side = side + lean
    belly = np.minimum(plane.y - patient.fascia_mm, side - 1.6 - 0.06 * plane.y)
    own = by_side(plane, *(half.muscle_db for half in patient.sides))
    muscle = patient.muscle_db + own + 3.2 * plane.streaks + 3.0 * plane.patches
    plane.paint(muscle, inside(np.minimum(belly, 26 - plane.y), 0.5))
    _fibrils(plane, patient, side, z_mm, inside(belly, 0.5))
    plane.line(patient.fat_db + 5 + 2 * plane.patches, plane.y - patient.fascia_mm - 0.02 * side, 0.45)
    _septa(plane, patient, side, z_mm, inside(belly - 0.3))
    deep = inside(plane.y - 20 - 0.2 * side, 2.0) * inside(side - 9, 2.0)
    plane.paint(-7 + 5 * plane.patches + 2 * plane.streaks, deep)
    for sign, half in zip((-1, 1), patient.sides, strict=True):
        _flank(plane, flank_at(half, z_mm), sign)


def _fibrils(plane: Slice, patient: Patient, side: Map, z_mm: float, belly: Map) -> None:
    """Fine sheets of connective tissue along the bundles, here dense, there none."""
    phase = 4.6 * plane.y - 1.1 * side + 2.6 * plane.patches + np.float32(0.35 * np.sin(z_mm / 5) + patient.fascia_mm)
    level = patient.muscle_db + 5 + 4 * plane.sheets + 3 * plane.patches - 9 * (1 - np.sin(phase))
    plane.glint(level, belly)


def _flank(plane: Slice, flank: Flank, sign: int) -> None:
    """What lies beside the spine on one side, kidney or bowel: the near wall, and a darker inside."""
    x, y, rx, ry = (np.asarray(mm) for mm in (sign * flank.x_mm, flank.y_mm, flank.rx_mm, flank.ry_mm))
    depth = (1 - ellipse_radius(plane, x, y, rx, ry)) * np.float32(ry)
    plane.paint(flank.echo_db + 3 * plane.patches + 2 * plane.streaks, inside(depth, 1.2))
    near = facing(plane, y, ry) * inside(np.float32(y) - plane.y, 1.5)
    plane.line(flank.echo_db - 8 + 15 * near + 4 * plane.patches, depth, 0.5)


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
    half = 4.2 + 2.4 * plane.patches + 1.2 * plane.sheets
    body = inside(depth, 0.5) * inside(half - np.abs(plane.x), 3.0)
    bands = 3.5 * np.sin(depth * 2.1 + 1.8 * plane.patches + z_mm) + 2.5 * plane.sheets + 4 * plane.patches
    plane.paint(patient.body_db + 2 + bands + 2 * plane.streaks - 1.6 * np.maximum(depth, 0), body)
    plane.loss += np.float32(2.2) * inside(depth - 4.5, 1.5) * inside(8 - np.abs(plane.x), 1.5)


def _ring(plane: Slice, patient: Patient, canal: Canal) -> None:
    """Epidural fat, ligament and dura around the sac."""
    radius = ellipse_radius(plane, canal.sac_x, canal.sac_y, canal.sac_rx, canal.sac_ry)
    out = (radius - 1) * np.float32((canal.sac_rx + canal.sac_ry) / 2)
    behind = 1 + 0.5 * np.clip((canal.sac_y - plane.y) / 5, -1, 1)
    thick = patient.rim_mm * behind * (1 + 0.35 * plane.patches)
    square = facing(plane, canal.sac_y, canal.sac_ry)
    level = patient.rim_db - 6 * (1 - square) + 4 * plane.sheets + 3 * plane.patches
    plane.paint(level, inside(out, 0.4) * inside(thick - out, 0.7))
    plane.line(
        patient.rim_db - 9 + 12 * square + 5 * plane.patches + 3 * plane.sheets, out - 0.15 - 0.2 * plane.patches, 0.34
    )


def _sac(plane: Slice, canal: Canal) -> None:
    radius = ellipse_radius(plane, canal.sac_x, canal.sac_y, canal.sac_rx, canal.sac_ry)
    fluid = inside((1 - radius) * np.float32(canal.sac_ry), SLICE_MM)
    plane.paint(FLUID_DB, fluid)
    plane.loss *= 1 - fluid


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
