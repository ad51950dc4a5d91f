"""Hand-made features of one grey picture; scikit-image computes them, this module only chooses and names them."""

import numpy as np
from numpy.typing import NDArray
from skimage.feature import graycomatrix, graycoprops, hog, local_binary_pattern

from stages.common.core.errors import Problem
from stages.texture.params import Glcm, Hog, Lbp, Texture

Grey = NDArray[np.uint8]
Vector = NDArray[np.float32]
PROPERTIES = ("contrast", "dissimilarity", "homogeneity", "energy", "correlation", "entropy")
ANGLES = (0.0, np.pi / 4, np.pi / 2, 3 * np.pi / 4)  # a symmetric matrix holds the four opposite ones too
POINTS_PER_PX = 8  # neighbours on the circle a pixel of radius, so that they stay about a pixel apart


def histogram(grey: Grey, bins: int) -> Vector:
    """Return (bins,) shares of the pixels, which add up to 1."""
    counts = np.histogram(grey, bins=bins, range=(0, 256))[0]
    return (counts / grey.size).astype(np.float32)


def co_occurrence(grey: Grey, params: Glcm) -> Vector:
    """Return Haralick's mean and range over four directions of each property at each distance.

    Mean and range say the same of a picture and its mirror image; the order is that of `co_occurrence_names`.
    """
    steps = (grey.astype(np.uint16) * params.levels // 256).astype(np.uint8)
    matrix = graycomatrix(steps, params.distances_px, ANGLES, params.levels, symmetric=True, normed=True)
    values = np.stack([graycoprops(matrix, name) for name in PROPERTIES])  # (properties, distances, angles)
    return np.stack([values.mean(-1), np.ptp(values, -1)], axis=-1).astype(np.float32).ravel()


def co_occurrence_names(params: Glcm) -> list[str]:
    """Return the name of each number of `co_occurrence`."""
    kinds = ("mean", "range")
    return [f"{name} {px} px {kind}" for name in PROPERTIES for px in params.distances_px for kind in kinds]


def binary_patterns(grey: Grey, params: Lbp) -> Vector:
    """Return the shares of the uniform patterns for each radius, then of all others."""
    parts = []
    for radius in params.radii_px:
        points = POINTS_PER_PX * radius
        codes = local_binary_pattern(grey, points, radius, method="uniform").astype(np.int64)
        parts.append(np.bincount(codes.ravel(), minlength=points + 2) / codes.size)
    return np.concatenate(parts).astype(np.float32)


def binary_pattern_names(params: Lbp) -> list[str]:
    """Return the name of each number of `binary_patterns`: how many neighbours are bright, side by side."""
    return [
        f"{radius} px {'other' if code > POINTS_PER_PX * radius else code}"
        for radius in params.radii_px
        for code in range(POINTS_PER_PX * radius + 2)
    ]


def gradients(grey: Grey, params: Hog) -> Vector:
    """Return the oriented gradients of `cells` x `cells` equal cells; a rim narrower than a cell is left out."""
    side_px = min(grey.shape) // params.cells
    used = side_px * params.cells
    top, left = ((length - used) // 2 for length in grey.shape)
    found = hog(
        grey[top : top + used, left : left + used],
        orientations=params.orientations,
        pixels_per_cell=(side_px, side_px),
        cells_per_block=(params.block_cells, params.block_cells),
    )
    return found.astype(np.float32)


def gradient_names(params: Hog) -> list[str]:
    """Return the name of each number of `gradients`, as scikit-image orders them: block, cell, orientation."""
    blocks, inside, turns = range(params.cells - params.block_cells + 1), range(params.block_cells), params.orientations
    return [
        f"block {top} {left} cell {row} {column} orientation {turn}"
        for top in blocks
        for left in blocks
        for row in inside
        for column in inside
        for turn in range(turns)
    ]


def features(grey: Grey, params: Texture) -> Vector:
    """Return (D,) float32: all groups side by side, in the order of `columns`."""
    return np.concatenate(
        [
            histogram(grey, params.histogram.bins),
            co_occurrence(grey, params.glcm),
            binary_patterns(grey, params.lbp),
            gradients(grey, params.hog),
        ]
    )


def columns(params: Texture) -> list[tuple[str, str]]:
    """Return (name, group) of each column."""
    groups = {
        "histogram": [str(number) for number in range(params.histogram.bins)],
        "glcm": co_occurrence_names(params.glcm),
        "lbp": binary_pattern_names(params.lbp),
        "hog": gradient_names(params.hog),
    }
    return [(f"{group} {name}", group) for group, names in groups.items() for name in names]


def mistakes(params: Texture, side_px: int) -> list[Problem]:
    """Return what of the section does not go with pictures of that side."""
    widest, circle = max(params.glcm.distances_px), max(params.lbp.radii_px)
    at_most = {
        "glcm.distances_px": (widest, side_px - 1, "less than the picture's side"),
        "lbp.radii_px": (circle, (side_px - 1) // 2, "a circle inside the picture"),
        "hog.cells": (params.hog.cells, side_px // 3, "cells of at least 3 px"),
        "hog.block_cells": (params.hog.block_cells, params.hog.cells, "no more than `cells`"),
    }
    return [
        Problem(
            f"params.yaml: texture.{key}", "too large", f"{why}, at most {most} at {side_px} px", str(got), "Lower it."
        )
        for key, (got, most, why) in at_most.items()
        if got > most
    ]
