"""Where millimetres lie in the video frame, and the pose of the spine in it.

Measured on the study's published frames: the sector fills 0.9 of the height, is as wide as the probe (38.5 mm) or as
the frame, and is centred.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PROBE_MM = 38.5
TOP, BOTTOM = 0.009, 0.905  # sector's rows as shares of the frame's height


def sector_half_mm(depth_mm: float, aspect: float) -> float:
    """Half width of the sector in mm for a video of `aspect` = width / height."""
    return min(PROBE_MM, aspect * depth_mm / (BOTTOM - TOP)) / 2


@dataclass(frozen=True)
class View:
    """Sector of one clip: pixel rectangle and scale."""

    width_px: int
    height_px: int
    depth_mm: float

    @property
    def top_px(self) -> int:
        return round(TOP * self.height_px)

    @property
    def rows(self) -> int:
        return round(BOTTOM * self.height_px) - self.top_px

    @property
    def px_per_mm(self) -> float:
        return self.rows / self.depth_mm

    @property
    def columns(self) -> int:
        return min(self.width_px, round(PROBE_MM * self.px_per_mm))

    @property
    def left_px(self) -> int:
        return (self.width_px - self.columns) // 2

    @property
    def depths_mm(self) -> NDArray[np.float32]:
        """Depth of each row's middle, (rows, 1)."""
        return (np.arange(self.rows, dtype=np.float32)[:, None] + 0.5) / np.float32(self.px_per_mm)

    @property
    def sector(self) -> tuple[slice, slice]:
        """Index of the sector in a frame (height, width)."""
        return slice(self.top_px, self.top_px + self.rows), slice(self.left_px, self.left_px + self.columns)


@dataclass(frozen=True)
class Pose:
    """How the infant lies in the picture: x of the picture's middle, rotation about the sac, soft-tissue height."""

    x_mm: float
    tilt_rad: float
    pressure: float
    pivot_mm: float

    def to_tissue(self, view: View) -> NDArray[np.float64]:
        """Affine (2, 3) from sector pixel (column, row) to tissue (x, y) in mm."""
        cos, sin, mm = np.cos(self.tilt_rad), np.sin(self.tilt_rad), 1 / view.px_per_mm
        middle = (view.columns - 1) / 2
        stretch = mm / self.pressure
        x_of = np.array([cos * mm, sin * stretch, -cos * middle * mm - sin * self.pivot_mm + self.x_mm])
        y_of = np.array([-sin * mm, cos * stretch, sin * middle * mm + (1 - cos) * self.pivot_mm])
        return np.stack([x_of, y_of])
