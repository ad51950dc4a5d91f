"""Find the ultrasound sector of a clip: what moves over the clip is ultrasound, what stands still is overlay.

A bounded, evenly spaced sample of the clip is compared pixel by pixel. The darkest and brightest few values of each
pixel are left out, so that a pointer that passes or a title page that flashes by moves nothing.

The far field is often too dark to count as moving, yet the displayed depth reaches down to its end. So the box is let
down over rows that are neither black nor still: noise there, however faint, tells the sector from footer and ground.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from stages.common.core.params import Strict

LONG_SIDE_PX = 640  # pictures are compared at this size: finer adds time and no edge
LIVELIEST_PERCENT = 99  # and not the maximum, which a counter's digits would set
# A coarse codec smears movement round still lettering in proportion to how lively a picture is. On 27 real clips,
# nearly all lossy, this share costs no sector an edge; 0.08 cuts 3 to 7 % of the width off three, at their dim sides.
UNREST = 0.05
OUTLIERS = 1 / 20  # share of the sampled frames that may show something else
FAR_SPAN = 2  # grey levels that faint noise spans: a still overlay spans none, or a codec's one
FAR_GREY = 2  # grey levels of its median: black ground under compression noise stays below
# Of the box's width in one row: a fan of 60 degrees ends 1 % below the last such row, lettering and smear are narrower
FAR_SHARE = 1 / 4

COLOURED_FROM = 16  # grey levels between channels: less is the rounding of a grey picture stored in colour

Box = tuple[int, int, int, int]  # x, y, width, height in px
Picture = NDArray[np.uint8]


class SectorParams(Strict):
    """How the sector is told from the overlay."""

    sampled_frames: int = Field(ge=8, le=256)  # frames of a clip compared, evenly spaced over it
    moves_by: int = Field(ge=1, le=255)  # grey levels a pixel spans over the clip to count as moving
    smoothing: float = Field(gt=0, le=0.2)  # share of the short side: narrower gaps close, narrower movers vanish
    smallest_part: float = Field(gt=0, le=1)  # of the largest moving part's area: less is a clock, not tissue
    smallest_sector: float = Field(gt=0, le=1)  # of the picture's area: less is no sector


class Sample:
    """At most `2 * size` grey pictures of a clip, evenly spaced, gathered without knowing how long the clip is."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._step = 1
        self._seen = 0
        self.pictures: list[Picture] = []
        self.shape: tuple[int, ...] = ()
        self.colour = 0

    @property
    def coloured(self) -> bool:
        """Whether a colour was seen."""
        return self.colour > COLOURED_FROM

    def add(self, picture: Picture) -> None:
        """Take one more picture, (H, W) or (H, W, 3)."""
        self.shape = picture.shape
        if self._seen % self._step == 0:
            self._keep(picture)
        self._seen += 1

    def _keep(self, picture: Picture) -> None:
        self.pictures.append(_reduced(picture))
        if picture.ndim == 3:
            self.colour = max(self.colour, _colour(picture[::2, ::2]))
        if len(self.pictures) == 2 * self._size:
            self.pictures = self.pictures[::2]
            self._step *= 2


def _reduced(picture: Picture) -> Picture:
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) if picture.ndim == 3 else picture
    scale = LONG_SIDE_PX / max(grey.shape)
    if scale >= 1:
        return grey.copy()
    size = (max(1, round(grey.shape[1] * scale)), max(1, round(grey.shape[0] * scale)))
    reduced: Picture = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    return reduced


def _colour(picture: Picture) -> int:
    """Return the largest difference between channels."""
    red, green, blue = cv2.split(picture)
    high, low = cv2.max(cv2.max(red, green), blue), cv2.min(cv2.min(red, green), blue)
    return int(cv2.subtract(high, low).max())


def find_sector(sample: Sample, params: SectorParams) -> Box | None:
    """Return the box around what moves, down to the far edge, in px of the clip's own pictures; None where nothing of
    size moves."""
    moving = _moving(sample.pictures, params)
    count, _, stats, _ = cv2.connectedComponentsWithStats(moving, connectivity=8)
    if count < 2:
        return None
    parts = stats[1:]  # the first is the background
    areas = parts[:, cv2.CC_STAT_AREA]
    parts = parts[areas >= params.smallest_part * areas.max()]
    left, top = parts[:, cv2.CC_STAT_LEFT].min(), parts[:, cv2.CC_STAT_TOP].min()
    right = (parts[:, cv2.CC_STAT_LEFT] + parts[:, cv2.CC_STAT_WIDTH]).max()
    bottom = (parts[:, cv2.CC_STAT_TOP] + parts[:, cv2.CC_STAT_HEIGHT]).max()
    if (right - left) * (bottom - top) < params.smallest_sector * moving.size:
        return None
    far = _far_edge([picture[bottom:, left:right] for picture in sample.pictures], _side(moving.shape, params))
    return _unreduced((int(left), int(top), int(right), int(bottom) + far), moving.shape, sample.shape)


def _far_edge(below: Sequence[Picture], gap: int) -> int:
    """Return how many of the rows `below` what moves, (h, w) each, are sector still; gaps of `gap` rows are bridged."""
    if not below[0].size:
        return 0
    alive = (spread(below) >= FAR_SPAN) & (np.median(below, axis=0) >= FAR_GREY)
    edge = 0
    for row in np.flatnonzero(alive.mean(axis=1) >= FAR_SHARE).tolist():
        if row - edge > gap:
            break
        edge = row + 1
    return edge


def _moving(pictures: Sequence[Picture], params: SectorParams) -> NDArray[np.uint8]:
    """Return 1 where the picture moves: gaps closed (dark canal, shadows), thin movers (pointer, noise) opened away."""
    spans = spread(pictures)
    threshold = max(params.moves_by, UNREST * float(np.percentile(spans, LIVELIEST_PERCENT)))
    moving = (spans >= threshold).astype(np.uint8)
    side = _side(moving.shape, params)
    kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (side, side))
    # Beyond the border counts as still for closing and opening alike, else a sector at the border would shrink
    framed = cv2.copyMakeBorder(moving, side, side, side, side, cv2.BORDER_CONSTANT, value=0)
    framed = cv2.morphologyEx(framed, cv2.MORPH_CLOSE, kernel)
    framed = cv2.morphologyEx(framed, cv2.MORPH_OPEN, kernel)
    return np.ascontiguousarray(framed[side:-side, side:-side])


def _side(shape: Sequence[int], params: SectorParams) -> int:
    """Return the smoothing in px, odd."""
    return max(3, round(params.smoothing * min(shape)) | 1)


def spread(pictures: Sequence[Picture]) -> Picture:
    """Return each pixel's range over time, (H, W) uint8, without its most extreme `OUTLIERS` at either end."""
    rank = 1 + int(len(pictures) * OUTLIERS)
    highest = [np.zeros_like(pictures[0]) for _ in range(rank)]
    lowest = [np.full_like(pictures[0], 255) for _ in range(rank)]
    for picture in pictures:
        high = low = picture
        for place in range(rank):  # each value sinks to its place, as in an insertion sort
            highest[place], high = np.maximum(highest[place], high), np.minimum(highest[place], high)
            lowest[place], low = np.minimum(lowest[place], low), np.maximum(lowest[place], low)
    values: Picture = cv2.subtract(highest[-1], lowest[-1])
    return values


def _unreduced(edges: tuple[int, int, int, int], reduced: Sequence[int], whole: Sequence[int]) -> Box:
    """Return the edges found in the reduced picture as a box of the whole one."""
    along_x, along_y = whole[1] / reduced[1], whole[0] / reduced[0]
    left, right = round(edges[0] * along_x), round(edges[2] * along_x)
    top, bottom = round(edges[1] * along_y), round(edges[3] * along_y)
    return left, top, right - left, bottom - top
