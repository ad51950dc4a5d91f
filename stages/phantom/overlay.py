"""The machine's burnt-in overlays: mark, grey bar, depth ruler in faint yellow, focus arrows.

They depend on the depth setting alone, as in the study, and so say nothing about the labels. The mark reads PH for
phantom, so that no frame can pass for a patient's.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from stages.phantom.view import View

Frame = NDArray[np.uint8]

RULER_BGR = (113, 168, 165)  # measured on the study's frames
ARROW_BGR = (20, 235, 250)
FOCI_MM = (5.8, 13.9)
SLANT, FINE = 0.25, 8  # of the maker's mark: shear, and how much larger it is drawn
BAR = (0.018, 0.048, 0.13, 0.385)  # left, right, top, bottom as shares of width and height


def draw_overlay(view: View) -> Frame:
    """Return the overlay alone, uint8 BGR (height, width, 3); 0 where the sector shows through."""
    overlay = np.zeros((view.height_px, view.width_px, 3), np.uint8)
    _mark(overlay, view)
    _bar(overlay, view)
    _ruler(overlay, view)
    return overlay


def compose(sector: NDArray[np.uint8], overlay: Frame, view: View) -> Frame:
    """Put a sector (rows, columns) into its frame (height, width, 3) under the overlay."""
    frame = np.zeros_like(overlay)
    frame[view.sector] = sector[..., None]
    return np.where(overlay.max(axis=2, keepdims=True) > 24, overlay, frame)


def _mark(overlay: Frame, view: View) -> None:
    """Maker's mark, bold and slanted: drawn large, sheared, and shrunk into place."""
    unit = view.height_px / 352
    size = (round(26 * unit), round(30 * unit))  # width, height
    large = np.zeros((30 * FINE, 26 * FINE), np.uint8)
    for text, x, y, scale, bold in (("PH", 5, 12, 0.40, 1.3), ("Le", 9, 23, 0.30, 0.9)):
        cv2.putText(large, text, (x * FINE, y * FINE), cv2.FONT_HERSHEY_SIMPLEX, scale * FINE, 235, round(bold * FINE),
                    cv2.LINE_AA)  # fmt: skip
    slant = np.array([[1, -SLANT, SLANT * 15 * FINE], [0, 1, 0]])
    mark = cv2.resize(cv2.warpAffine(large, slant, large.shape[::-1]), size, interpolation=cv2.INTER_AREA)
    top, left = 2, max(0, view.left_px - round(21 * unit))
    place = overlay[top : top + size[1], left : left + size[0]]
    np.maximum(place, mark[..., None], out=place)


def _write(overlay: Frame, text: str, at: tuple[int, int], size: float, colour: tuple[int, int, int]) -> None:
    cv2.putText(overlay, text, at, cv2.FONT_HERSHEY_SIMPLEX, size, colour, 1, cv2.LINE_AA)


def _bar(overlay: Frame, view: View) -> None:
    left, right = (round(share * view.width_px) for share in BAR[:2])
    top, bottom = (round(share * view.height_px) for share in BAR[2:])
    shade = np.linspace(255, 25, bottom - top).astype(np.uint8)
    overlay[top:bottom, left:right] = shade[:, None, None]


def _ruler(overlay: Frame, view: View) -> None:
    unit, right = view.height_px / 352, view.width_px - 1
    for quarter in range(int(view.depth_mm / 2.5) + 1):
        row = view.top_px + round(quarter * 2.5 * view.px_per_mm)
        whole = quarter % 4 == 0
        long = round((9 if whole else 5) * unit)
        inset = 0 if whole else round(2 * unit)
        cv2.line(overlay, (right - long - inset, row), (right - inset, row), RULER_BGR, 1)
        if whole and quarter:
            at = (right - round(17 * unit), row + round(5 * unit))
            _write(overlay, str(quarter // 4), at, 0.38 * unit, RULER_BGR)
    for focus in FOCI_MM:
        row, size = view.top_px + round(focus * view.px_per_mm), round(6 * unit)
        tip = np.array([[right - size, row], [right, row - size], [right, row + size]])
        cv2.fillConvexPoly(overlay, tip, ARROW_BGR, cv2.LINE_AA)
