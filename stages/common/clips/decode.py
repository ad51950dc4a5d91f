"""Decode a clip from its first frame to its last, in any container of DESIGN.md.

Frames are counted by decoding: a damaged file may promise 120 frames and hold none. Nothing here seeks.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from stages.common.clips import dicom, dicom_header, video
from stages.common.clips.container import is_dicom
from stages.common.clips.damaged import DamagedError, RefusedError
from stages.common.core.errors import PipelineError, Problem

MAX_PIXELS = 8192 * 8192  # beyond any scanner; a header that claims more would only fill the memory
REMEDY = "Export or copy the clip again."
DAMAGE = (av.error.FFmpegError, DamagedError)

Picture = NDArray[np.uint8]


class ClipError(PipelineError):
    """A clip that cannot be decoded; `problem` goes into a stage's one list."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


@dataclass(frozen=True)
class Header:
    """What a clip's header tells besides its pictures.

    Attributes:
        frames_stated: never to be trusted, only compared; None where the container states none.
        frame_rate_hz: as the container states it; None where it does not.
        pixel_aspect: width of a pixel divided by its height, in the picture as it is shown.
        region: where a DICOM's sector lies and what it measures; None elsewhere.
        regions_dropped: regions of a DICOM that do not fit its picture.
    """

    frames_stated: int | None
    frame_rate_hz: float | None
    pixel_aspect: float
    region: dicom_header.Region | None
    regions_dropped: int = 0


def frames(path: Path, max_pixels: int = MAX_PIXELS) -> Iterator[Picture]:
    """Yield every picture of a clip in order of display: (H, W, 3) RGB or (H, W) grey, uint8.

    Args:
        path: a clip in one of `container.CONTAINERS`.
        max_pixels: the largest H x W accepted.

    Raises:
        ClipError: the clip is damaged, empty, no video, too large or changes its size; names the file.
    """
    for picture, _ in timed_frames(path, max_pixels):
        yield picture


def timed_frames(
    path: Path, max_pixels: int = MAX_PIXELS, max_frames: int | None = None
) -> Iterator[tuple[Picture, float | None]]:
    """Yield `(picture, seconds)` as `frames` does; seconds is None where the container states no time.

    A DICOM file that states more than `max_frames` is refused unread; a video states what is not to be trusted, so
    whoever counts its frames stops.
    """
    decoded = (
        dicom.timed_frames(path, max_pixels, max_frames) if is_dicom(path) else video.timed_frames(path, max_pixels)
    )
    count, first_shape = 0, None
    try:
        for picture, time_s in decoded:
            first_shape = first_shape or picture.shape
            if picture.shape != first_shape:
                raise DamagedError(f"a picture of shape {picture.shape} after others of {first_shape}")
            yield picture, time_s
            count += 1
    except DAMAGE as error:
        raise _clip_error(path, "frames that decode", error, count) from error
    if count == 0:
        raise ClipError(Problem(path.name, "empty clip", "at least one frame", "none", REMEDY))


def _clip_error(path: Path, expected: str, error: Exception, count: int) -> ClipError:
    if isinstance(error, RefusedError):
        return ClipError(Problem(path.name, error.what, error.expected, error.got, error.remedy))
    log = getattr(error, "log", None)  # FFmpeg's own last words say more than its error code
    reason = log[2] if log else getattr(error, "strerror", None) or str(error) or type(error).__name__
    got = f"'{' '.join(reason.split())}' after {count} frame{'' if count == 1 else 's'}"
    return ClipError(Problem(path.name, "damaged clip", expected, got, REMEDY))


def read_header(path: Path) -> Header:
    """Return what the header tells. Raises ClipError where it cannot be read."""
    try:
        if is_dicom(path):
            return _dicom_header(path)
        with video.opened(path) as container:
            return _video_header(container, video.stream_of(container))
    except DAMAGE as error:
        raise _clip_error(path, "a readable header", error, 0) from error


def _video_header(container: av.container.InputContainer, stream: av.VideoStream) -> Header:
    rate, aspect = stream.average_rate or stream.guessed_rate, float(stream.sample_aspect_ratio or 1)
    if aspect != 1:  # stated of the stored picture; a frame alone tells whether it is shown lying
        first = next(container.decode(stream), None)
        aspect = 1 / aspect if first and round(first.rotation / 90) % 2 else aspect
    return Header(stream.frames or None, float(rate) if rate else None, aspect, None)


def _dicom_header(path: Path) -> Header:
    dataset = dicom_header.read_header(path)
    region, dropped = dicom_header.regions(dataset)
    return Header(
        frames_stated=int(dataset.get("NumberOfFrames") or 1),
        frame_rate_hz=dicom_header.frame_rate_hz(dataset),
        pixel_aspect=dicom_header.pixel_aspect(dataset),
        region=region,
        regions_dropped=dropped,
    )
