"""Decode a DICOM cine loop frame by frame, as a screen would show it."""

from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset
from pydicom.encaps import generate_frames
from pydicom.pixels import iter_pixels

from stages.common.clips.damaged import DamagedError, RefusedError
from stages.common.clips.dicom_display import Display
from stages.common.clips.dicom_header import (
    MALFORMED,
    NATIVE,
    PLUGINS,
    frame_rate_hz,
    read_header,
)

PIXEL_DATA = 0x7FE00010


def timed_frames(
    path: Path, max_pixels: int, max_frames: int | None = None
) -> Iterator[tuple[NDArray[np.uint8], float | None]]:
    """Yield `(picture, seconds)`: (H, W, 3) RGB or (H, W) grey, uint8, bright tissue bright.

    Raises:
        DamagedError: truncated, unsupported, too large, another number of frames than stated.
        RefusedError: too many frames, or no window that tells how to show them.
    """
    dataset = read_header(path)
    if int(dataset.Rows) * int(dataset.Columns) > max_pixels:
        raise DamagedError(f"{dataset.Columns} x {dataset.Rows} px exceed {max_pixels} px a frame")
    stated = _stated_frames(dataset)
    if max_frames is not None and stated > max_frames:
        remedy = "Correct clips.csv, or the limits in params.yaml."
        raise RefusedError("clip too long", f"up to {max_frames} frames", str(stated), remedy)
    _refuse_offsets_beyond(path, dataset)
    _refuse_other_sizes(path, dataset, stated)
    time_s, display, count = _clock(dataset, stated), Display(dataset), 0
    for raw in _raw_frames(path, dataset):
        if count < stated:
            yield display.shown(raw), time_s(count)
        count += 1
    if count != stated:
        raise DamagedError(f"{count} frames where NumberOfFrames states {stated}")
    display.refuse_untold_window()


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


def _refuse_offsets_beyond(path: Path, dataset: Dataset) -> None:
    """Raise where a table leads past the file's end: its reader would ask for that much memory, and only then read."""
    tables = _offsets(dataset)
    if tables is None:
        return
    room = path.stat().st_size - dataset.get_item(PIXEL_DATA, keep_deferred=True).value_tell
    try:
        places, lengths = (np.frombuffer(table, "<u8").tolist() for table in tables)
    except ValueError as error:
        raise DamagedError(f"ExtendedOffsetTable: {error}") from error
    ends = [place + length for place, length in zip(places, lengths, strict=True)]
    if max(ends) > room:
        raise DamagedError(f"ExtendedOffsetTable leads to byte {max(ends)} of {room} bytes of pixels")


def _refuse_other_sizes(path: Path, dataset: Dataset, stated: int) -> None:
    """Raise where a compressed frame tells another size than the file's header, so before anything is decoded."""
    if PLUGINS[dataset.file_meta.TransferSyntaxUID] != "pillow":  # an RLE frame tells none
        return
    size, others = (int(dataset.Columns), int(dataset.Rows)), []
    try:
        with path.open("rb") as file:
            file.seek(dataset.get_item(PIXEL_DATA, keep_deferred=True).value_tell)
            found = map(_size_of, generate_frames(file, number_of_frames=stated, extended_offsets=_offsets(dataset)))
            others = [(number, told) for number, told in enumerate(found, start=1) if told not in (None, size)]
    except MALFORMED as error:
        raise DamagedError(str(error)) from error
    if others:
        number, told = others[0]
        got = f"{len(others)} of {stated} frames have another size, frame {number} {told[0]} x {told[1]} px"
        raise DamagedError(f"the header states {size[0]} x {size[1]} px, and {got}")


def _offsets(dataset: Dataset) -> tuple[bytes, bytes] | None:
    """Return where frames begin and how long they are, where the decoder goes by it."""
    tables = dataset.get("ExtendedOffsetTable"), dataset.get("ExtendedOffsetTableLengths")
    return tables if all(tables) and len(tables[0]) == len(tables[1]) else None


def _size_of(frame: bytes) -> tuple[int, int] | None:
    """Return width and height (px) as a JPEG or JPEG 2000 frame tells them; None where its decoder will refuse it."""
    try:
        with Image.open(BytesIO(frame), formats=("JPEG", "JPEG2000")) as image:
            return image.size
    except (*MALFORMED, SyntaxError, Image.DecompressionBombError):
        return None


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


def _clock(dataset: Dataset, stated: int) -> Callable[[int], float | None]:
    """Return a frame's seconds by its index; nothing here grows with the number of frames that a file only states."""
    steps_ms = dataset.get("FrameTimeVector")
    if steps_ms is not None and np.size(steps_ms) == stated:
        times_s = np.cumsum(np.atleast_1d(steps_ms).astype(float)) / 1000
        return lambda index: float(times_s[index])
    rate = frame_rate_hz(dataset)
    return lambda index: index / rate if rate else None
