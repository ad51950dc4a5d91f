"""Decode a DICOM cine loop frame by frame, as a screen would show it.

Decoding plugins are pinned: another one installed on a machine differs by a grey level.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.pixels import apply_color_lut, iter_pixels
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

from stages.common.clips.dicom_header import MALFORMED, DamagedError, frame_rate_hz, read_header

NATIVE = frozenset({ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian})
PLUGINS: dict[UID, str] = dict.fromkeys(NATIVE, "") | {
    RLELossless: "pydicom",
    JPEGBaseline8Bit: "pillow",
    JPEGExtended12Bit: "pillow",
    JPEG2000: "pillow",
    JPEG2000Lossless: "pillow",
}
PIXEL_DATA = 0x7FE00010
TOLD_APART = 32  # grey levels of 255: a clip that spans fewer is nearly one grey on a screen


def timed_frames(path: Path, max_pixels: int) -> Iterator[tuple[NDArray[np.uint8], float | None]]:
    """Yield `(picture, seconds)`: (H, W, 3) RGB or (H, W) grey, uint8, bright tissue bright.

    Raises:
        DamagedError: truncated, unsupported, too large, another number of frames than stated, or no window that tells
            how to show it.
    """
    dataset = read_header(path)
    _check_syntax(dataset)
    if int(dataset.Rows) * int(dataset.Columns) > max_pixels:
        raise DamagedError(f"{dataset.Columns} x {dataset.Rows} px exceed {max_pixels} px a frame")
    stated = _stated_frames(dataset)
    times = _times_s(dataset, stated)
    count, darkest, brightest = 0, 255, 0
    for raw in _raw_frames(path, dataset):
        if count < stated:
            picture = _displayed(raw, dataset)
            darkest, brightest = min(darkest, int(picture.min())), max(brightest, int(picture.max()))
            yield picture, times[count]
        count += 1
    if count != stated:
        raise DamagedError(f"{count} frames where NumberOfFrames states {stated}")
    _refuse_untold_window(dataset, brightest - darkest)


def _refuse_untold_window(dataset: Dataset, span: int) -> None:
    """Refuse values that fill a sliver of their range while no window says how to show them: all would be one grey."""
    if int(dataset.BitsStored) > 8 and not _has_window(dataset) and span < TOLD_APART:
        raise DamagedError(
            f"values that span {span}/255 of what {dataset.BitsStored} bits hold, and no WindowCenter and WindowWidth "
            "that say how to show them; a viewer can write these"
        )


def _has_window(dataset: Dataset) -> bool:
    return dataset.get("WindowWidth") is not None and dataset.get("WindowCenter") is not None


def _check_syntax(dataset: Dataset) -> None:
    syntax = dataset.file_meta.get("TransferSyntaxUID")
    if syntax not in PLUGINS:
        known = ", ".join(uid.name for uid in PLUGINS)
        raise DamagedError(f"transfer syntax {syntax.name if syntax else 'missing'}; supported are {known}")


def _stated_frames(dataset: Dataset) -> int:
    """Return NumberOfFrames; uncompressed pixels must have the length for it, which their decoder does not check."""
    stated = int(dataset.get("NumberOfFrames") or 1)
    if dataset.file_meta.TransferSyntaxUID in NATIVE:
        samples = 2 if dataset.PhotometricInterpretation == "YBR_FULL_422" else int(dataset.SamplesPerPixel)
        frame_bytes = int(dataset.Rows) * int(dataset.Columns) * samples * int(dataset.BitsAllocated) // 8
        length = dataset.get_item(PIXEL_DATA, keep_deferred=True).length
        if length // max(1, frame_bytes) != stated:  # one byte may pad an odd length
            raise DamagedError(f"{length} bytes of pixels where {stated} frames need {stated * frame_bytes}")
    return stated


def _raw_frames(path: Path, dataset: Dataset) -> Iterator[NDArray[np.generic]]:
    decoded = iter_pixels(path, decoding_plugin=PLUGINS[dataset.file_meta.TransferSyntaxUID])
    while True:
        try:
            raw = next(decoded, None)
        except MALFORMED as error:
            raise DamagedError(str(error)) from error
        if raw is None:
            return
        yield raw


def _displayed(raw: NDArray[np.generic], dataset: Dataset) -> NDArray[np.uint8]:
    """Return stored values as a screen shows them: (H, W) or (H, W, 3) uint8."""
    bits = int(dataset.BitsStored)
    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        raw = apply_color_lut(raw, dataset)
        bits = 8 * raw.dtype.itemsize
    levels = _windowed(raw, dataset, bits) if bits > 8 or _has_window(dataset) else raw.astype(np.uint8)
    return 255 - levels if dataset.PhotometricInterpretation == "MONOCHROME1" else levels


def _windowed(raw: NDArray[np.generic], dataset: Dataset, bits: int) -> NDArray[np.uint8]:
    """Return the linear window of DICOM PS3.3 C.11.2.1.2, or the full range of the stored bits where none is given."""
    values = raw.astype(np.float64)
    if raw.ndim == 3 or not _has_window(dataset):
        low = -(2.0 ** (bits - 1)) if dataset.get("PixelRepresentation") else 0.0
        high = low + 2.0**bits - 1
    else:
        values = values * float(dataset.get("RescaleSlope") or 1) + float(dataset.get("RescaleIntercept") or 0)
        centre, width = _first(dataset.WindowCenter), max(_first(dataset.WindowWidth), 2.0)
        low, high = centre - 0.5 - (width - 1) / 2, centre - 0.5 + (width - 1) / 2
    return np.clip(np.rint((values - low) / (high - low) * 255), 0, 255).astype(np.uint8)


def _first(value: object) -> float:
    # a file may offer several windows; the first is the one a viewer shows
    return float(value[0] if hasattr(value, "__getitem__") else value)  # type: ignore[arg-type]


def _times_s(dataset: Dataset, stated: int) -> list[float | None]:
    steps_ms = dataset.get("FrameTimeVector")
    if steps_ms is not None and np.size(steps_ms) == stated:
        return [float(time) for time in np.cumsum(np.atleast_1d(steps_ms).astype(float)) / 1000]
    rate = frame_rate_hz(dataset)
    return [index / rate if rate else None for index in range(stated)]
