"""One transverse plane while it is drawn: coordinates, echo strength and loss of every sector pixel.

All maps are float32 arrays (rows, columns); echo strength in dB relative to subcutaneous fat.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from stages.phantom import noise
from stages.phantom.anatomy import Array, Patient
from stages.phantom.view import Pose, View

Map = NDArray[np.floating[Any]]

NO_SHINE_DB = -99.0
EDGE_MM = 0.16  # width over which one tissue passes into another


@dataclass
class Slice:
    """A plane while it is drawn: coordinates (mm), echo strength (dB) and two-way loss (dB/mm)."""

    x: Map
    y: Map
    streaks: Map  # fine fibres, unit variance
    patches: Map  # coarse, unit variance
    sheets: Map  # long thin layers, unit variance
    echo_db: Map  # diffuse scatter
    shine_db: Map  # interfaces that mirror the beam, without speckle
    loss: Map

    def paint(self, level: Map | float, mask: Map) -> None:
        """Replace the echo strength where `mask` (0..1) is set; interfaces there vanish."""
        self.echo_db += (level - self.echo_db) * mask
        self.shine_db += (NO_SHINE_DB - self.shine_db) * mask

    def glint(self, level: Map | float, mask: Map) -> None:
        """Add mirrors of `level` within `mask` (0..1), over whatever scatters there."""
        np.maximum(self.shine_db, level - 60 * (1 - mask), out=self.shine_db)

    def top(self, rows: int) -> Slice:
        """Return the first rows as views: what is painted there is painted here."""
        return Slice(*(getattr(self, field.name)[:rows] for field in fields(self)))

    def line(self, level: Map | float, distance: Map, width_mm: float, rough_db: float = -5) -> None:
        """Add a bright interface along `distance` = 0: a mirror that scatters `rough_db` of what it reflects."""
        ridge = level - 12 * (distance / np.float32(width_mm)) ** 2
        np.maximum(self.shine_db, ridge, out=self.shine_db)
        np.maximum(self.echo_db, ridge + np.float32(rough_db), out=self.echo_db)


def inside(depth: Map, edge_mm: float = EDGE_MM) -> Map:
    """Soft step: 1 where `depth` (mm inwards from a border) is positive."""
    return np.clip(0.5 + depth / np.float32(2 * edge_mm), 0, 1)


def by_side(plane: Slice, left: float, right: float) -> Map:
    """`left` on the left of the midline, `right` on its right, and a passage of 2 mm between them."""
    return np.float32(left) + np.float32(right - left) * inside(plane.x, 1.0)


def facing(plane: Slice, y: Array, ry: Array) -> Map:
    """0 where a round wall about depth `y` runs along the beam, 1 where the beam meets it squarely."""
    return np.minimum(np.abs(plane.y - np.float32(y)) / np.float32(ry), 1) ** 2


def ellipse_radius(plane: Slice, x: Array, y: Array, rx: Array, ry: Array) -> Map:
    """Radius in units of the ellipse's border."""
    return np.hypot((plane.x - np.float32(x)) / np.float32(rx), (plane.y - np.float32(y)) / np.float32(ry))


def deformed_plane(patient: Patient, view: View, pose: Pose, z_mm: float) -> Slice:
    """Coordinates of the plane under the infant's irregular shape, and its connective tissue."""
    affine, size = pose.to_tissue(view), (view.rows, view.columns)
    columns, rows = np.arange(view.columns, dtype=np.float32), np.arange(view.rows, dtype=np.float32)[:, None]
    x, y = (np.float32(a) * columns + np.float32(b) * rows + np.float32(c) for a, b, c in affine)
    shape = noise.blend(noise.shape_plane, patient.seed, patient.name, z_mm, noise.SHAPE_STEP_MM)
    wobble = noise.sample(shape, affine, noise.SHAPE_MM, size, cv2.INTER_CUBIC) * np.float32(patient.stretch_mm)
    fibre = noise.blend(noise.fibre_plane, patient.seed, patient.name, z_mm, noise.FIBRE_STEP_MM)
    fibre = noise.sample(fibre, affine, noise.FIBRE_MM, size, cv2.INTER_LINEAR)
    echo = np.full(size, -6, np.float32) + 3 * fibre[..., 1]
    loss = np.full(size, patient.loss_db_per_mm, np.float32)
    shine = np.full(size, NO_SHINE_DB, np.float32)
    ragged = 0.3 * fibre[..., 1] + 0.08 * fibre[..., 0]  # borders follow the fibres
    x, y = x + wobble[..., 0] + ragged, y + wobble[..., 1] + ragged
    return Slice(x, y, fibre[..., 0], fibre[..., 1], fibre[..., 2], echo, shine, loss)
