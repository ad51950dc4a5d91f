"""Cord and nerve roots in the sac, as the beam shows them."""

from __future__ import annotations

from dataclasses import astuple

import numpy as np

from stages.phantom.anatomy import Patient
from stages.phantom.canal import Canal, Roots
from stages.phantom.plane import Slice, ellipse_radius, facing, inside
from stages.phantom.view import View

REACH_MM = 2.6  # a root and its mesh have faded by then


def draw_cord(plane: Slice, patient: Patient, canal: Canal, z_mm: float) -> None:
    """Dark disc, bright rim where the beam meets it squarely, central dot that drops out at times."""
    if canal.cord_rx < 0.25:
        return
    radius = ellipse_radius(plane, canal.cord_x, canal.cord_y, canal.cord_rx, canal.cord_ry)
    depth = (1 - radius) * np.float32(canal.cord_ry)
    plane.paint(patient.cord_db + 1.5 * plane.patches, inside(depth))
    rim = patient.root_db - 3 + 10 * facing(plane, canal.cord_y, canal.cord_ry) + 4 * plane.patches + 2 * plane.sheets
    plane.line(rim, depth - 0.1, 0.28)
    dot = patient.root_db + 3 - 9 * max(0.0, float(np.sin(z_mm / 1.9 + patient.level_phase_mm)))
    centre = np.hypot(plane.x - np.float32(canal.cord_x), (plane.y - np.float32(canal.cord_y)) * 1.6)
    plane.line(float(dot), centre, 0.75)


def draw_roots(plane: Slice, patient: Patient, roots: Roots, view: View) -> None:
    """Rootlets, some cut aslant, in the faint mesh of arachnoid and finer roots that holds them together."""
    for x, y, r, level, long, turn in zip(*astuple(roots), strict=True):
        near = _near(plane, x, y, REACH_MM, view)
        dx, dy = plane.x[near] - np.float32(x), plane.y[near] - np.float32(y)
        along = np.float32(np.cos(turn)) * dx + np.float32(np.sin(turn)) * dy
        across = np.float32(np.cos(turn)) * dy - np.float32(np.sin(turn)) * dx
        distance = (along / np.float32(1.25 * r * long)) ** 2 + (across / np.float32(r)) ** 2
        ridge = np.float32(patient.root_db + level) - 9 * distance
        mesh = np.float32(patient.root_db - 20) + 4 * plane.streaks[near] - 5 * np.hypot(dx / 1.3, dy) ** 2
        plane.echo_db[near] = np.maximum(plane.echo_db[near], np.maximum(ridge, mesh))


def _near(plane: Slice, x: float, y: float, reach_mm: float, view: View) -> tuple[slice, slice]:
    """Pixel window that surely holds the point (x, y): the whole plane's slope is close to 1 px per px."""
    middle = plane.x[len(plane.x) // 2]
    column = int(np.argmin(np.abs(middle - np.float32(x))))
    row = int(np.argmin(np.abs(plane.y[:, column] - np.float32(y))))
    column = int(np.argmin(np.abs(plane.x[row] - np.float32(x))))
    reach = round(reach_mm * view.px_per_mm)
    return slice(max(row - reach, 0), row + reach + 1), slice(max(column - reach, 0), column + reach + 1)
