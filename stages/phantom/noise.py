"""Random fields that are fixed in the infant's tissue: scatterers, fibres and irregular shape.

A field is a stack of planes along the spine; the field at `z` is a variance-preserving blend of the two planes about
it. So a resting probe shows standing speckle, and a sliding one lets it melt within a plane's distance.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from stages.phantom.draws import keyed_rng

Field = NDArray[np.float32]

TISSUE_MM = ((-36.0, 36.0), (-4.0, 46.0))  # x and y range that a field covers
SCATTER_MM = (0.12, 0.07)  # pitch across and in depth: finer than the resolution cell
SCATTER_STEP_MM = 0.9  # elevational correlation: slice thickness at the focus
FIBRE_MM = (0.24, 0.16)
GRAINS = ((1.7, 0.8), (9.0, 6.0), (3.5, 0.9))  # streaks, patches, sheets: sigma across and in depth, in pitches
FIBRE_STEP_MM = 5.0  # muscle fibres and septa run along the spine
SHAPE_MM = (6.5, 5.5)
SHAPE_STEP_MM = 9.0
LOOKS = 2  # compounded views of each scatterer, complex


def grid_size(pitch_mm: tuple[float, float]) -> tuple[int, int]:
    """Rows and columns of a field of this pitch."""
    (left, right), (top, bottom) = TISSUE_MM
    return round((bottom - top) / pitch_mm[1]), round((right - left) / pitch_mm[0])


@lru_cache(maxsize=6)
def scatter_plane(seed: int, name: str, number: int) -> Field:
    """Complex Gaussian scatterers of `LOOKS` views as (rows, columns, 2 * LOOKS), unit variance."""
    rng = keyed_rng(seed, name, "scatter", number)
    return rng.standard_normal((*grid_size(SCATTER_MM), 2 * LOOKS), dtype=np.float32)


@lru_cache(maxsize=6)
def fibre_plane(seed: int, name: str, number: int) -> Field:
    """Texture of muscle and fat, (rows, columns, 3): fine streaks, coarse patches, long sheets; unit variance."""
    rng = keyed_rng(seed, name, "fibre", number)
    noise = rng.standard_normal((*grid_size(FIBRE_MM), 3), dtype=np.float32)
    grains = [cv2.GaussianBlur(noise[..., i], (0, 0), sigmaX=x, sigmaY=y) for i, (x, y) in enumerate(GRAINS)]
    return np.stack([grain / grain.std() for grain in grains], axis=2)


@lru_cache(maxsize=6)
def shape_plane(seed: int, name: str, number: int) -> Field:
    """Displacement of tissue borders, (rows, columns, 2), unit variance."""
    rng = keyed_rng(seed, name, "shape", number)
    return rng.standard_normal((*grid_size(SHAPE_MM), 2), dtype=np.float32)


def blend(plane: Callable[[int, str, int], Field], seed: int, name: str, z_mm: float, step_mm: float) -> Field:
    """Field of `plane` (one of the functions above) at `z_mm`; the two weights' squares sum to 1."""
    number, part = divmod(z_mm / step_mm, 1.0)
    first, second = plane(seed, name, int(number)), plane(seed, name, int(number) + 1)
    angle = np.float32(part * np.pi / 2)
    return cv2.addWeighted(first, float(np.cos(angle)), second, float(np.sin(angle)), 0)


def sample(field: Field, to_tissue: NDArray[np.float64], pitch_mm: tuple[float, float], size: tuple[int, int],
           interpolation: int) -> Field:  # fmt: skip
    """Look the field up at every sector pixel; `to_tissue` maps (column, row) to mm, `size` is (rows, columns)."""
    (left, _), (top, _) = TISSUE_MM
    scale = 1 / np.asarray(pitch_mm)
    origin = np.array([left, top])
    affine = to_tissue * scale[:, None]
    affine[:, 2] -= origin * scale + 0.5
    flags = interpolation | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(field, affine, size[::-1], flags=flags, borderMode=cv2.BORDER_REFLECT_101)
