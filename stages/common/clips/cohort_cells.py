"""Parse the cells of a cohort's clips.csv; each function returns the value, or raises ValueError with what is wrong."""

import math
import re
import unicodedata
from pathlib import Path, PurePosixPath

from stages.common.clips.container import CONTAINERS, is_clip
from stages.common.clips.inside import leads_out

MASKS = "masks"  # folder of a cohort whose videos say what lies where in a clip (the phantom knows it): no clips
DEEPEST_CM = 40.0  # no scanner images deeper; a larger number is a depth in mm

Crop = tuple[int, int, int, int]


def composed(name: str) -> str:
    """Return a name in Unicode's composed form: macOS unpacks names decomposed, spreadsheets write them composed."""
    return unicodedata.normalize("NFC", name)


def parse_name(text: str) -> str:
    """Return a clip's name."""
    if not text:
        raise ValueError("no name")
    return text


def parse_file(text: str, files: dict[str, Path]) -> Path:
    """Return the path that a file cell names; it must lie inside the cohort, in a known container.

    Args:
        text: relative to the cohort, with forward slashes.
        files: what lies in the cohort, by composed relative name.
    """
    if not text:
        raise ValueError("no file")
    if PurePosixPath(text).is_absolute() or ".." in PurePosixPath(text).parts or "\\" in text or ":" in text[1:2]:
        raise ValueError("path must stay inside the cohort, with forward slashes")
    if PurePosixPath(text).parts[0] == MASKS:
        raise ValueError("a mask, no clip")
    path = files.get(composed(PurePosixPath(text).as_posix()))
    if path is None and PurePosixPath(text).suffix.lower() in CONTAINERS:
        raise ValueError("no such file")
    if path is not None and _leaves(path, text):
        raise ValueError("link leads out of the cohort")
    if path is not None and not path.is_file():  # before it is looked into: a pipe would be waited for
        raise ValueError("no such file")
    if path is None or not is_clip(path):
        raise ValueError("unknown container")
    return path


def _leaves(path: Path, text: str) -> bool:
    cohort = path.parents[len(PurePosixPath(text).parts) - 1]
    return leads_out(path, cohort)


def parse_patient(text: str) -> str:
    """Return a pseudonym."""
    if not re.fullmatch(r"P[0-9]{3,}", text):
        raise ValueError("no pseudonym")
    return text


def parse_position(text: str) -> str:
    """Return how the infant lay."""
    # Letters only and short: this one text goes downstream, so it has no room for a date or a number
    if not re.fullmatch(r"[A-Za-z][A-Za-z -]{0,19}", text):
        raise ValueError("wrong position")
    return text


def parse_depth_cm(text: str) -> float:
    """Return a depth in cm."""
    try:
        depth_cm = float(re.sub(r"^([0-9]+),([0-9]+)$", r"\1.\2", text))  # 3,5 is 3.5 to half of Europe
    except ValueError:
        raise ValueError("no number") from None
    if not (math.isfinite(depth_cm) and 0 < depth_cm <= DEEPEST_CM):
        raise ValueError("impossible depth")
    return depth_cm


def parse_crop(text: str) -> Crop:
    """Return x, y, width, height in px, from `x y width height` or `x,y,width,height`."""
    if not re.fullmatch(r"[0-9]+(\s*,\s*|\s+)[0-9]+(\s*,\s*|\s+)[0-9]+(\s*,\s*|\s+)[0-9]+", text):
        raise ValueError("wrong crop")
    x, y, width, height = (int(part) for part in re.split(r"[,\s]+", text))
    if not (width and height):
        raise ValueError("empty crop")
    return x, y, width, height
