"""What moves and what stands still in a clip's extracted pictures.

The pictures are crops around the moving sector already. Within them the sector is what moves, as one convex region;
outside lie the canvas, the corners beside a fan, and marks and rulers that reach into the crop. What moves is found as
extract_frames finds it: pixels that span enough grey levels, narrow gaps closed, narrow movers (a counter) dropped.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from stages.common.clips.sector import LIVELIEST_PERCENT, UNREST, spread
from stages.common.core.progress import bar
from stages.leakage.cohort import Cohort, Pictures, Rows
from stages.leakage.params import Sector
from stages.leakage.pictures import grey_of, shrunk

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Standing:
    """The two kinds of picture without the moving sector, (N, side^2) each; black where a clip has no sector.

    Attributes:
        overlays: what stands still, averaged over the clip: one picture a clip, repeated for its frames.
        outside: each frame with its sector blanked out.
        without_sector: clips too short to tell, or in which nothing moves.
        sector_share: clip -> share of the picture that is its sector.
    """

    overlays: NDArray[np.float32]
    outside: NDArray[np.float32]
    without_sector: list[str]
    sector_share: dict[str, float]


def still_and_sector(pictures: list[Pictures], params: Sector) -> tuple[Mask, Mask] | None:
    """Return (S, S) where a clip stands still and where its sector is; None where that cannot be told.

    Args:
        pictures: grey pictures of the clip, evenly spaced.
        params: what counts as moving.
    """
    if len(pictures) < params.least_frames:
        return None
    spans = spread(pictures)
    moving = (spans >= max(params.moves_by, UNREST * float(np.percentile(spans, LIVELIEST_PERCENT)))).astype(np.uint8)
    side = max(3, round(params.smoothing * len(moving)) | 1)
    kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (side, side))
    closed = _framed(moving, cv2.MORPH_CLOSE, kernel)
    large = _large_parts(_framed(closed, cv2.MORPH_OPEN, kernel), params.smallest_part)
    if not large.any():
        return None
    hull = cv2.convexHull(cv2.findNonZero(large))
    sector = cv2.fillConvexPoly(np.zeros_like(large), hull, 1)
    return closed == 0, cv2.dilate(sector, kernel).astype(bool)  # dilated: tissue smears over its edge when resampled


def _framed(mask: Pictures, operation: int, kernel: Pictures) -> Pictures:
    """Return a morphological operation for which beyond the border is still, so that a sector there does not shrink."""
    side = len(kernel)
    framed = cv2.copyMakeBorder(mask, side, side, side, side, cv2.BORDER_CONSTANT, value=0)
    return np.ascontiguousarray(cv2.morphologyEx(framed, operation, kernel)[side:-side, side:-side])


def _large_parts(mask: Pictures, smallest: float) -> Pictures:
    count, parts, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    areas = stats[1:, cv2.CC_STAT_AREA]
    kept = [part for part in range(1, count) if areas[part - 1] >= smallest * areas.max()]
    return np.isin(parts, kept).astype(np.uint8)


def standing(cohort: Cohort, originals: Pictures, side: int, params: Sector) -> Standing:
    """Return what is left of every frame without its moving sector."""
    overlays, outside = (np.zeros((len(originals), side**2), np.float32) for _ in range(2))
    without, shares = [], {}
    for clip_id, rows in bar(list(cohort.clips()), "find what stands still", unit="clip"):
        sampled = [grey_of(originals[row]) for row in _evenly(rows, params.sampled_frames)]
        found = still_and_sector(sampled, params)
        if found is None:
            without.append(clip_id)
            continue
        still, sector = found
        shares[clip_id] = float(sector.mean())
        overlays[rows] = shrunk(np.mean(sampled, axis=0) * still, side)
        if not sector.all():  # else black, as it stands
            for row in rows:
                outside[row] = shrunk(grey_of(originals[row]) * ~sector, side)
    return Standing(overlays, outside, without, shares)


def _evenly(rows: Rows, count: int) -> Rows:
    return rows[np.unique(np.linspace(0, len(rows) - 1, min(count, len(rows))).round().astype(int))]
