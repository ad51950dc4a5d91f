"""Draw docs/phantom.png: frames of each kind of label.

    python -m tests.phantom.contact_sheet

Not a pytest test. The first and the last frame of each kind among sixteen infants, so none is chosen by eye.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from stages.common.core.params import PARAMS_FILE, read_params
from stages.phantom.params import Params
from tests.phantom.realism import phantom_frames
from tests.workspace import ROOT

KINDS = {"cord": "cord", "cord fluid": "cord and fluid", "fluid": "fluid", "bad_quality": "bad quality"}
EACH, TILE_PX, HEADING_PX = 2, (259, 211), 16  # frames of a kind; width, height of one
PICTURE = ROOT / "docs/phantom.png"


def main() -> None:
    frames = phantom_frames(read_params(Params, ROOT / PARAMS_FILE), 16, 9)
    columns = [_column(heading, [frame for ticks, frame in frames if ticks == kind]) for kind, heading in KINDS.items()]
    cv2.imwrite(str(PICTURE), np.hstack(columns))


def _column(heading: str, frames: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Stack `EACH` frames, as far apart in the list of infants as can be, below their heading."""
    top = np.full((HEADING_PX, TILE_PX[0], 3), 255, np.uint8)
    cv2.putText(top, heading, (4, 12), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 0, 0), 1, cv2.LINE_AA)
    chosen = [frames[round(place)] for place in np.linspace(0, len(frames) - 1, EACH)]
    return np.vstack([top, *(cv2.resize(frame, TILE_PX, interpolation=cv2.INTER_AREA) for frame in chosen)])


if __name__ == "__main__":
    main()
