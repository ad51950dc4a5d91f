"""The picture of one gallery entry: what the network saw, and the same under its heat."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from stages.explain.heat import Heat

STRONGEST = 0.65  # opacity of the hottest spot: the tissue still shines through
CYAN = (255, 255, 0)  # BGR; inferno holds no such colour
HALF = 128
Colour = NDArray[np.uint8]


def panels(grey: NDArray[np.uint8], heat: Heat, mask: Heat | None, side_px: int) -> Colour:
    """Return (side_px, 2 side_px, 3) BGR: the picture, and the picture under its heat.

    Args:
        grey: (S, S) uint8, what the network saw.
        heat: (S, S), scaled to its own maximum; where it is 0 the picture is untouched.
        mask: (S, S), 0 to 1, or None: the structure that the label names; its rim is drawn on the second panel.
        side_px: of one panel.
    """
    plain = cv2.cvtColor(_resized(grey, side_px), cv2.COLOR_GRAY2BGR)
    relative = heat / heat.max() if heat.max() > 0 else heat
    large = np.clip(_resized(relative.astype(np.float32), side_px), 0, 1)
    colours = cv2.applyColorMap(np.rint(large * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)
    opacity = STRONGEST * large[..., None]
    hot = np.rint(plain * (1 - opacity) + colours * opacity).astype(np.uint8)
    if mask is not None:
        filled = (_resized((mask * 255).astype(np.uint8), side_px) >= HALF).astype(np.uint8)
        outlines, _ = cv2.findContours(filled, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(hot, outlines, -1, CYAN, 1)
    return np.hstack([plain, hot])


def encoded(picture: Colour) -> bytes:
    """Return a picture as PNG, lossless."""
    return bytes(cv2.imencode(".png", picture, (cv2.IMWRITE_PNG_COMPRESSION, 9))[1].tobytes())


def _resized(picture: NDArray[Any], side_px: int) -> NDArray[Any]:
    shrinks = side_px < picture.shape[0]
    return cv2.resize(picture, (side_px, side_px), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
