"""Hold the numbers of a DICOM header to how many their tag takes and to what can be computed with."""

from collections.abc import Mapping

import numpy as np
from pydicom import Dataset

from stages.common.clips.damaged import DamagedError, RefusedError
from stages.common.core.errors import short

Counts = Mapping[str, int | None]

# How many numbers a tag holds where it is given and not empty; None: any number of them. PS3.6, value multiplicity
HEADER: Counts = {
    "NumberOfFrames": 1, "Rows": 1, "Columns": 1, "SamplesPerPixel": 1, "BitsAllocated": 1, "BitsStored": 1,
    "PixelRepresentation": 1, "RescaleSlope": 1, "RescaleIntercept": 1, "FrameTime": 1, "CineRate": 1,
    "RecommendedDisplayFrameRate": 1, "PixelAspectRatio": 2, "WindowCenter": None, "WindowWidth": None,
    "FrameTimeVector": None,
}  # fmt: skip
REGION: Counts = {
    "RegionLocationMinX0": 1, "RegionLocationMinY0": 1, "RegionLocationMaxX1": 1, "RegionLocationMaxY1": 1,
    "PhysicalDeltaX": 1, "PhysicalDeltaY": 1,
}  # fmt: skip
LARGEST = 1e15  # no tag means more, and sums and products of such numbers stay exact enough to be drawn
# Of a pixel: no scanner's is finer than a micrometre, or as wide as a hand
LEAST_CM, MOST_CM = 1e-4, 10.0
LEAST_HZ, MOST_HZ = 1e-6, 1e6  # of frames: no cine loop is slower or faster, and a loop's times stay finite


def drop_blanks(dataset: Dataset) -> None:
    """Take out the numbers that are nothing but spaces: they say as little as an empty tag, and are text to pydicom."""
    for name in HEADER:
        if dataset.get(name) == "":
            del dataset[name]


def refuse_other_numbers(dataset: Dataset, counts: Counts) -> None:
    """Raise DamagedError with every tag of `counts` that does not hold its count of finite numbers."""
    wrong = [
        f"{name}: expected {_expected(count)}, got {short(dataset.get(name))}"
        for name, count in counts.items()
        if not _holds(dataset.get(name), count)
    ]
    if wrong:
        raise DamagedError("; ".join(wrong))


def _expected(count: int | None) -> str:
    return {1: "one finite number", None: "finite numbers"}.get(count, f"{count} finite numbers")


def _holds(value: object, count: int | None) -> bool:
    if value is None:
        return True
    try:
        numbers = np.atleast_1d(np.asarray(value, dtype=float))
    except (ValueError, TypeError, ArithmeticError):
        return False
    return count in (None, numbers.size) and bool((np.abs(numbers) <= LARGEST).all())  # NaN is never less


def refuse_odd_scale(item: Dataset) -> None:
    """Raise RefusedError where a region's pixels measure what no scanner's do."""
    for name in ("PhysicalDeltaX", "PhysicalDeltaY"):
        if not LEAST_CM <= abs(float(item[name].value)) <= MOST_CM:
            expected, got = f"{LEAST_CM:g} to {MOST_CM:g} cm a pixel", f"{name} {item[name].value}"
            remedy = "Export the clip again; or take SequenceOfUltrasoundRegions out and give depth_cm in clips.csv."
            raise RefusedError("a scale that no scanner has", expected, got, remedy)


def refuse_odd_pace(rate_hz: float | None) -> None:
    """Raise RefusedError where frames are said to follow each other as no scanner's do; None: nothing is said."""
    if rate_hz is not None and not LEAST_HZ <= rate_hz <= MOST_HZ:
        expected, got = f"{LEAST_HZ:g} to {MOST_HZ:g} frames a second", f"{rate_hz:g}"
        remedy = "Export the clip again; or take FrameTime, CineRate and RecommendedDisplayFrameRate out."
        raise RefusedError("a pace that no scanner has", expected, got, remedy)
