"""Choose which part of a clip's picture to show, and draw it on a square canvas of one size for all clips.

Where the scale is known, a millimetre is as long in every clip and the skin lies on the canvas's upper edge, so that
one row is one depth. Where it is not, the part is fitted whole. Nothing is stretched; what is left over stays black.
"""

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from stages.common.clips.decode import Header

Box = tuple[int, int, int, int]  # x, y, width, height in px
Picture = NDArray[np.uint8]
CropSource = Literal["given", "dicom", "found", "whole", "still"]
ScaleSource = Literal["dicom", "depth_cm", "unknown"]


@dataclass(frozen=True)
class View:
    """The part of a clip that is shown.

    Attributes:
        crop: in px of the decoded pictures.
        crop_source: `given` in clips.csv, `dicom` region, `found` by movement, the `whole` picture because it was asked
            for, or the whole picture because it stands `still`.
        pixel_mm: width and height of a decoded pixel in mm; where the scale is unknown, their ratio alone holds.
        scale_source: what the scale was taken from.
    """

    crop: Box
    crop_source: CropSource
    pixel_mm: tuple[float, float]
    scale_source: ScaleSource


@dataclass(frozen=True)
class Placement:
    """How a view comes to lie on the canvas.

    Attributes:
        source: the part of the decoded picture drawn: the crop, or what of it the canvas has room for.
        target: where on the canvas it lies.
        size: side of the square canvas in px.
        mm_per_px: of the canvas; None where unknown.
        shown_share: share of the crop's area that is drawn.
    """

    source: Box
    target: Box
    size: int
    mm_per_px: float | None
    shown_share: float


def choose_crop(
    search: Literal["auto", "none"], whole: Box, given: Box | None, header: Header, found: Box | None
) -> tuple[Box, CropSource]:
    """Return a clip's crop and where it comes from: a person's first, then the DICOM's region, then what moves.

    Args:
        search: `none` keeps the whole picture unless a person gave a crop.
        whole: the decoded picture.
        given: the crop of clips.csv.
        header: the clip's own header.
        found: the sector found by movement; None where nothing moves.
    """
    if given is not None:
        return given, "given"
    if search == "none":
        return whole, "whole"
    if header.region is not None:
        return (header.region.x, header.region.y, header.region.width, header.region.height), "dicom"
    return (found, "found") if found is not None else (whole, "still")


def choose_view(crop: Box, source: CropSource, header: Header, depth_cm: float | None) -> View:
    """Return a crop with its scale: a DICOM's own, else `depth_cm` from the crop's upper to its lower edge.

    That edge is a person's, or where the far field of the found sector ends: no more and no less than the depth shown.
    """
    if header.region is not None:
        return View(crop, source, (header.region.mm_per_px_x, header.region.mm_per_px_y), "dicom")
    # A whole picture may hold more than the sector: its height is no depth
    if depth_cm is None or source in ("still", "whole"):
        return View(crop, source, (header.pixel_aspect, 1.0), "unknown")
    pixel_mm = 10 * depth_cm / crop[3]
    return View(crop, source, (pixel_mm * header.pixel_aspect, pixel_mm), "depth_cm")


def place(view: View, size: int, field_mm: float) -> Placement:
    """Return where a view lies on a canvas of `size` px that shows `field_mm` along each side where scale is known."""
    if view.scale_source == "unknown":
        return _letterboxed(view, size)
    x, y, width, height = view.crop
    mm_per_px = field_mm / size
    # A sector wider than the canvas loses both sides alike, a deeper one its far end: the canal lies near the skin
    source_width = min(width, max(1, round(field_mm / view.pixel_mm[0])))
    source_height = min(height, max(1, round(field_mm / view.pixel_mm[1])))
    target_width = _within(source_width * view.pixel_mm[0] / mm_per_px, size)
    target_height = _within(source_height * view.pixel_mm[1] / mm_per_px, size)
    return Placement(
        source=(x + (width - source_width) // 2, y, source_width, source_height),
        target=((size - target_width) // 2, 0, target_width, target_height),
        size=size,
        mm_per_px=mm_per_px,
        shown_share=source_width * source_height / (width * height),
    )


def _letterboxed(view: View, size: int) -> Placement:
    width, height = view.crop[2] * view.pixel_mm[0], view.crop[3] * view.pixel_mm[1]
    factor = size / max(width, height)
    target_width, target_height = _within(width * factor, size), _within(height * factor, size)
    target = ((size - target_width) // 2, (size - target_height) // 2, target_width, target_height)
    return Placement(view.crop, target, size, None, 1.0)


def _within(length: float, size: int) -> int:
    return min(size, max(1, round(length)))


def draw(picture: Picture, placement: Placement) -> Picture:
    """Return the canvas, (size, size) or (size, size, 3) uint8 as `picture` is grey or colour, resampled once."""
    x, y, width, height = placement.source
    left, top, target_width, target_height = placement.target
    shrinks = target_width <= width and target_height <= height
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    part = picture[y : y + height, x : x + width]
    resized = cv2.resize(part, (target_width, target_height), interpolation=interpolation)
    canvas = np.zeros((placement.size, placement.size, *picture.shape[2:]), dtype=np.uint8)
    canvas[top : top + target_height, left : left + target_width] = resized
    return canvas
