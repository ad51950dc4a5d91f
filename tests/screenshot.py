"""Take the README's picture of the report: python -m tests.screenshot

Reads metrics/report.html (`dvc repro report` makes it), writes docs/report.png: the top of the page at 1400 px.
Needs a Chromium: apt-get install chromium.
"""

import sys

import cv2
import numpy as np

from tests.browser import browser, missing, opened, wait_for_charts
from tests.workspace import ROOT

PAGE, PICTURE = ROOT / "metrics/report.html", ROOT / "docs/report.png"
WIDTH, HEIGHT = 1400, 1250  # CSS pixels
MOST_BYTES = 400_000


def taken() -> bytes:
    """Return the top of the page as a PNG."""
    with browser() as running, opened(running, PAGE, WIDTH, HEIGHT) as page:
        wait_for_charts(page)
        shot: bytes = page.screenshot()
    return shot


def main() -> None:
    """Take the picture, or say what is missing."""
    lacking = missing() or ("" if PAGE.is_file() else f"{PAGE.name} is missing: run `dvc repro report`")
    if lacking:
        sys.exit(f"error: no picture can be taken: {lacking}")
    shot = taken()
    picture = cv2.imdecode(np.frombuffer(shot, np.uint8), cv2.IMREAD_COLOR)
    packed = cv2.imencode(".png", picture, [cv2.IMWRITE_PNG_COMPRESSION, 9])[1].tobytes()
    smallest = min(shot, packed, key=len)
    if len(smallest) > MOST_BYTES:
        sys.exit(f"error: the picture has {len(smallest)} bytes, more than {MOST_BYTES}: take less of the page")
    PICTURE.write_bytes(smallest)
    print(f"{PICTURE.relative_to(ROOT)}: {len(smallest)} bytes")


if __name__ == "__main__":
    main()
