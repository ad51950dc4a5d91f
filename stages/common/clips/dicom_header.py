"""Read what a DICOM file tells about its cine loop: frame rate, where the sector lies, what a pixel measures.

Only the tags named here are read, so no name, date or identifier ever enters the program.
"""

import struct
import warnings
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.filereader import read_file_meta_info
from pydicom.uid import (
    JPEG2000,
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    RLELossless,
)

from stages.common.clips.damaged import DamagedError
from stages.common.clips.dicom_numbers import (
    HEADER,
    REGION,
    drop_blanks,
    refuse_odd_pace,
    refuse_odd_scale,
    refuse_other_numbers,
)

NATIVE = frozenset({ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian})
# Decoding plugins are pinned: another one installed on a machine differs by a grey level.
PLUGINS: dict[UID, str] = dict.fromkeys(NATIVE, "") | {
    RLELossless: "pydicom",
    JPEGBaseline8Bit: "pillow",
    JPEGExtended12Bit: "pillow",
    JPEG2000: "pillow",
    JPEG2000Lossless: "pillow",
}

TAGS = (
    "SamplesPerPixel", "PhotometricInterpretation", "NumberOfFrames", "Rows", "Columns", "BitsAllocated", "BitsStored",
    "PixelRepresentation", "PixelAspectRatio", "WindowCenter", "WindowWidth", "RescaleSlope", "RescaleIntercept",
    "RedPaletteColorLookupTableDescriptor", "GreenPaletteColorLookupTableDescriptor",
    "BluePaletteColorLookupTableDescriptor", "RedPaletteColorLookupTableData", "GreenPaletteColorLookupTableData",
    "BluePaletteColorLookupTableData", "FrameTime", "FrameTimeVector", "CineRate", "RecommendedDisplayFrameRate",
    "SequenceOfUltrasoundRegions", "ExtendedOffsetTable", "ExtendedOffsetTableLengths",
)  # fmt: skip
REQUIRED = ("Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated", "BitsStored")
DEFERRED_BYTES = 1 << 16  # larger elements, so the pixels, stay on disk until a frame is asked for
TISSUE_2D = 1  # Region Spatial Format 0018,6012: a B-mode picture, not an M-mode or spectral strip
CENTIMETRE = 3  # Physical Units X Direction 0018,6024
# What pydicom and its plugins raise on a malformed file; anything else is a bug and keeps its traceback.
MALFORMED = (
    InvalidDicomError, BytesLengthException, ArithmeticError, AttributeError, EOFError, IndexError, KeyError,
    NotImplementedError, OSError, RuntimeError, TypeError, ValueError, struct.error,
)  # fmt: skip


@dataclass(frozen=True)
class Region:
    """Where a DICOM's B-mode picture lies (px) and what its pixels measure (mm), both along x and y."""

    x: int
    y: int
    width: int
    height: int
    mm_per_px_x: float
    mm_per_px_y: float


def read_header(path: Path) -> Dataset:
    """Return the tags of `TAGS`, the pixels left on disk. Raises DamagedError where they are missing."""
    try:
        # A truncated file only warns, and then lacks PixelData. The filter stays: undoing it is not safe among threads
        warnings.filterwarnings("ignore", module="pydicom")
        warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)  # of a size that is refused here
        _check_syntax(read_file_meta_info(path).get("TransferSyntaxUID"))  # dcmread would first inflate a deflated file
        dataset = dcmread(path, defer_size=DEFERRED_BYTES, specific_tags=[*TAGS, "PixelData"])
        drop_blanks(dataset)
        _check(dataset)
    except MALFORMED as error:
        raise DamagedError(str(error) or "no DICOM file") from error
    return dataset


def _check_syntax(syntax: UID | None) -> None:
    if syntax not in PLUGINS:
        known = ", ".join(uid.name for uid in PLUGINS)
        raise DamagedError(f"transfer syntax {syntax.name if syntax else 'missing'}; supported are {known}")


def _check(dataset: Dataset) -> None:
    """Raise DamagedError where a tag is missing or no number of its kind, one of `MALFORMED` where it is no value."""
    if "PixelData" not in dataset:
        raise DamagedError("no PixelData: truncated, or no picture")
    missing = [name for name in REQUIRED if dataset.get(name) is None]
    if missing:
        raise DamagedError(f"no {', '.join(missing)}")
    refuse_other_numbers(dataset, HEADER)
    refuse_odd_pace(frame_rate_hz(dataset))
    regions(dataset)


def frame_rate_hz(dataset: Dataset) -> float | None:
    """Return the frame rate that the header states, or None."""
    frame_time_ms = float(dataset.get("FrameTime") or 0)
    if frame_time_ms > 0:
        return 1000 / frame_time_ms
    rate = float(dataset.get("CineRate") or dataset.get("RecommendedDisplayFrameRate") or 0)
    return rate if rate > 0 else None


def pixel_aspect(dataset: Dataset) -> float:
    """Return a pixel's width divided by its height; PixelAspectRatio 0028,0034 states height\\width."""
    aspect = dataset.get("PixelAspectRatio")
    return float(aspect[1]) / float(aspect[0]) if aspect and all(float(part) > 0 for part in aspect) else 1.0


def regions(dataset: Dataset) -> tuple[Region | None, int]:
    """Return the largest B-mode region measured in cm that fits the picture, or None, and how many do not fit.

    A file scaled down after the examination keeps its old regions (pydicom's own example does): a region that
    reaches past the picture says nothing about this picture.

    Raises:
        DamagedError: a region's numbers are none.
        RefusedError: its scale is no scanner's.
    """
    stated = dataset.get("SequenceOfUltrasoundRegions") or []
    tissue = [item for item in stated if item.get("RegionSpatialFormat") == TISSUE_2D]
    for item in tissue:
        refuse_other_numbers(item, REGION)
    found = [_as_region(item) for item in tissue if _is_measured(item)]
    within = [one for one in (_within(one, int(dataset.Columns), int(dataset.Rows)) for one in found) if one]
    return max(within, key=lambda one: one.width * one.height, default=None), len(found) - len(within)


def _within(one: Region, columns: int, rows: int) -> Region | None:
    """Return a region cut to the picture, or None; writers that count to the edge itself reach one pixel too far."""
    width, height = min(one.width, columns - one.x), min(one.height, rows - one.y)
    if one.x < 0 or one.y < 0 or one.width - width > 1 or one.height - height > 1 or min(width, height) < 1:
        return None
    return replace(one, width=width, height=height)


def _is_measured(item: Dataset) -> bool:
    return (
        item.get("PhysicalUnitsXDirection") == item.get("PhysicalUnitsYDirection") == CENTIMETRE
        and bool(item.get("PhysicalDeltaX"))
        and bool(item.get("PhysicalDeltaY"))
        and item.get("RegionLocationMaxX1", 0) > item.get("RegionLocationMinX0", 0)
        and item.get("RegionLocationMaxY1", 0) > item.get("RegionLocationMinY0", 0)
    )


def _as_region(item: Dataset) -> Region:
    refuse_odd_scale(item)
    x, y = int(item.RegionLocationMinX0), int(item.RegionLocationMinY0)
    width, height = int(item.RegionLocationMaxX1) - x + 1, int(item.RegionLocationMaxY1) - y + 1
    return Region(x, y, width, height, 10 * abs(float(item.PhysicalDeltaX)), 10 * abs(float(item.PhysicalDeltaY)))
