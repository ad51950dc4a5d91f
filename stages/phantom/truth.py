"""What only a simulator knows of a frame: masks and boxes of cord, sac and bone, and the plan behind the picture.

Masks show where a structure lies, seen or shadowed; truth.csv says how much of it the window shows.
"""

from __future__ import annotations

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.phantom.bone import bone_mask
from stages.phantom.canal import canal_at
from stages.phantom.plan import ClipPlan
from stages.phantom.plane import deformed_plane, ellipse_radius
from stages.phantom.render import pose_at
from stages.phantom.sweep import SPELLS
from stages.phantom.view import View

CLASSES = {"sac": 1, "cord": 2, "bone": 3}  # grey values of masks/<clip>.mkv; 0 is none of them
MIN_CORD_MM = 0.25  # half width below which the conus is filum


def draw_mask(plan: ClipPlan, view: View, frame: int) -> NDArray[np.uint8]:
    """Return class numbers in the full frame, uint8 (height, width); the cord lies over the sac."""
    z_mm = float(plan.sweep.z_mm[frame])
    plane = deformed_plane(plan.patient, view, pose_at(plan, frame), z_mm)
    canal = canal_at(plan.patient, np.asarray(z_mm), plan.settings.gravity)
    sector = np.where(bone_mask(plane, plan.patient, z_mm), CLASSES["bone"], 0).astype(np.uint8)
    sector[ellipse_radius(plane, canal.sac_x, canal.sac_y, canal.sac_rx, canal.sac_ry) <= 1] = CLASSES["sac"]
    if canal.cord_rx >= MIN_CORD_MM:
        sector[ellipse_radius(plane, canal.cord_x, canal.cord_y, canal.cord_rx, canal.cord_ry) <= 1] = CLASSES["cord"]
    mask = np.zeros((view.height_px, view.width_px), np.uint8)
    mask[view.sector] = sector
    return mask


def list_boxes(clip: str, index: int, mask: NDArray[np.uint8]) -> list[dict[str, object]]:
    """Return one row a structure in the picture; the sac's box holds the cord's."""
    members = {"sac": (1, 2), "cord": (2,), "bone": (3,)}
    rows: list[dict[str, object]] = []
    for structure, numbers in members.items():
        x, y, width, height = cv2.boundingRect(np.isin(mask, numbers).astype(np.uint8))
        if width:
            rows.append({"clip": clip, "frame_index": index, "structure": structure,
                         "x_px": x, "y_px": y, "width_px": width, "height_px": height})  # fmt: skip
    return rows


def truth_table(plan: ClipPlan) -> pd.DataFrame:
    """Return one row a rendered frame: position, what is seen of what, kind of spell, and the true ticks."""
    sweep, seen, labels, kept = plan.sweep, plan.visibility, plan.labels, plan.kept
    columns = {
        "time_s": sweep.time_s, "spine_mm": sweep.z_mm, "conus_distance_mm": sweep.z_mm, "lateral_mm": sweep.x_mm,
        "tilt_rad": sweep.tilt_rad, "pressure": sweep.pressure, "cord_half_width_mm": seen.cord_rx_mm,
        "cord_seen": seen.cord_share, "fluid_seen": seen.fluid_share, "canal_seen": seen.canal_share,
        "canal_in_view": seen.in_view, "spell": _spell_names(plan), "bad_quality": labels.bad_quality.astype(int),
        "cord": labels.cord.astype(int), "fluid": labels.fluid.astype(int),
    }  # fmt: skip
    table = pd.DataFrame({name: values[kept] for name, values in columns.items()})
    table.insert(0, "frame_index", np.arange(len(kept)))
    table.insert(0, "patient", plan.patient.name)
    table.insert(0, "clip", plan.clip)
    return table


def _spell_names(plan: ClipPlan) -> NDArray[np.object_]:
    """Name the cause of each bad frame; blank where the frame is usable."""
    sweep = plan.sweep
    strength = np.stack([sweep.lost, sweep.dark, sweep.smear])
    cause = np.array(SPELLS, object)[strength.argmax(axis=0)]
    cause = np.where(strength.max(axis=0) < 0.3, "bone over canal", cause)
    return np.where(plan.labels.bad_quality, cause, "")
