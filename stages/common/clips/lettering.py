"""Find the lettering that a machine burnt into a clip: a name, a date, a number, also where it lies over tissue.

Strokes stand still while the tissue behind them moves, and are brighter than what surrounds them. Lines of strokes are
covered as blocks: a black letter would be as legible as a white one. Bright edges that stand still are covered too.
"""

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from stages.common.clips.sector import LIVELIEST_PERCENT, Sample, spread
from stages.common.core.params import Strict

Mask = NDArray[np.bool_]
LETTER = 0.04  # of the picture's short side: lettering up to this height is found, and so far apart it is one line
LEAST_LETTER_PX = 9
MARGIN_PX = 2  # round a block, in px of the reduced picture: a codec smears strokes


class LetteringParams(Strict):
    """How burnt-in lettering is told from tissue."""

    still: float = Field(gt=0, le=1)  # of the liveliest pixels' span over the clip: what spans less stands still
    brighter_by: int = Field(ge=1, le=255)  # grey levels above its surroundings


def find_lettering(sample: Sample, moves_by: int, params: LetteringParams) -> Mask:
    """Return where lettering stands, (H, W) of the clip's own pictures; says nothing where the whole clip is still.

    Args:
        sample: pictures of the clip.
        moves_by: grey levels a pixel spans at least where it moves, whatever the rest of the clip does.
        params: how lettering is told from tissue.
    """
    spans = spread(sample.pictures)
    threshold = max(moves_by, params.still * float(np.percentile(spans, LIVELIEST_PERCENT)))
    blocks = _blocks((spans < threshold) & (_above_surroundings(sample) >= params.brighter_by))
    whole = cv2.resize(blocks, (sample.shape[1], sample.shape[0]), interpolation=cv2.INTER_NEAREST)
    return whole.astype(bool)


def black_out(picture: NDArray[np.uint8], lettering: Mask | None) -> NDArray[np.uint8]:
    """Return the picture, (H, W) or (H, W, 3), black where lettering stands."""
    if lettering is None or not lettering.any():
        return picture
    covered = picture.copy()
    covered[lettering] = 0
    return covered


def _above_surroundings(sample: Sample) -> NDArray[np.uint8]:
    """Return by how many grey levels each pixel's mean over time exceeds what is wider than a letter."""
    mean = np.mean(sample.pictures, axis=0).astype(np.uint8)
    above: NDArray[np.uint8] = cv2.morphologyEx(mean, cv2.MORPH_TOPHAT, _rectangle(1, _letter_px(mean)))
    return above


def _blocks(strokes: Mask) -> NDArray[np.uint8]:
    side = _letter_px(strokes)
    framed = np.pad(strokes.astype(np.uint8), 2 * side)
    framed = cv2.morphologyEx(framed, cv2.MORPH_CLOSE, _rectangle(2, side))
    blocks = np.ascontiguousarray(framed[2 * side : -2 * side, 2 * side : -2 * side])
    return np.asarray(cv2.dilate(blocks, _rectangle(1, 2 * MARGIN_PX + 1)))


def _letter_px(picture: NDArray[np.generic]) -> int:
    return max(LEAST_LETTER_PX, round(LETTER * min(picture.shape)) | 1)


def _rectangle(widths: int, side: int) -> NDArray[np.uint8]:
    return cv2.getStructuringElement(cv2.MORPH_RECT, (widths * side | 1, side))
