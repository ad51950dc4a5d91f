"""Decode a video frame by frame with FFmpeg.

Whatever FFmpeg reports as an error is damage, even where its decoder conceals it and goes on (FFV1 does).
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import av
import av.logging
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from stages.common.clips.container import FORMATS
from stages.common.clips.damaged import DamagedError, RefusedError

STRICT = {"err_detect": "crccheck+explode"}  # H.264, MPEG-4 and MJPG raise on damage instead of concealing it
# FFmpeg counts a picture's margins, too, up to 63 px at the right and 31 below: by this it lets everything through that
# is at least 128 x 96 px, or small. What is shown is counted exactly, once it is decoded
MARGIN, MARGIN_PX, MOST_PX = 2, 1 << 20, 2**31 - 1  # the last is FFmpeg's own limit, and it takes no larger one
TOO_LARGE = re.compile(r"Picture size (\d+)x(\d+) exceeds specified max pixel count")

Picture = NDArray[np.uint8]
Value = TypeVar("Value")


def timed_frames(path: Path, max_pixels: int) -> Iterator[tuple[Picture, float | None]]:
    """Yield `(picture, seconds)`: (H, W, 3) RGB or (H, W) grey, uint8, upright.

    Raises:
        DamagedError: damaged, no video, or too large, be it the stream or a single picture.
        FFmpegError: what FFmpeg itself says of the file.
    """
    # Each picture is asked before it is decoded: the stream tells the size of the first alone
    options = STRICT | {"max_pixels": str(min(MARGIN * max_pixels + MARGIN_PX, MOST_PX))}
    with _watched(lambda: opened(path, options)) as container:
        stream = stream_of(container)
        if stream.codec_context is None:
            raise DamagedError("a video stream that nothing here decodes")
        stream.codec_context.options = options
        stream.codec_context.thread_count = 1  # clips run side by side; one thread also logs where it is heard
        _refuse_large(stream.width, stream.height, max_pixels)
        packets, reformatter = container.demux(stream), VideoReformatter()
        while (packet := _watched(lambda: next(packets, None))) is not None:
            if packet.is_corrupt:  # an MPEG programme cut short tells it here alone
                raise DamagedError("a packet is cut short")
            for frame in _watched(packet.decode):
                _refuse_large(frame.width, frame.height, max_pixels)
                yield _picture(frame, reformatter), frame.time


def _refuse_large(width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise DamagedError(f"{width} x {height} px exceed {max_pixels} px a frame")


def opened(path: Path, options: dict[str, str] | None = None) -> av.container.InputContainer:
    """Return a file opened as one of `container.FORMATS`. Raises RefusedError where it is none."""
    limits = {"format_whitelist": FORMATS, "protocol_whitelist": "file"}
    try:
        # a title or a maker's name in another encoding than UTF-8 is nothing that is read here
        return av.open(str(path), options=(options or {}) | limits, metadata_errors="replace")
    except av.error.ArgumentError as error:
        if error.log and "whitelist" not in error.log[2]:
            raise
        expected, remedy = "AVI, Matroska, MP4, QuickTime or MPEG", "Export the clip again, or convert it without loss."
        raise RefusedError("another content than its name says", expected, "another format", remedy) from error


def stream_of(container: av.container.InputContainer) -> av.VideoStream:
    """Return the first video stream. Raises DamagedError where there is none."""
    if not container.streams.video:
        raise DamagedError("no video stream")
    return container.streams.video[0]


def _watched(step: Callable[[], Value]) -> Value:
    """Return `step()`; an error that FFmpeg only logs is raised."""
    # Set at each step: the level is global, off by default, and repeated messages would be swallowed across clips
    av.logging.set_level(av.logging.ERROR)
    av.logging.set_skip_repeated(False)
    with av.logging.Capture() as logs:
        try:
            value = step()
        finally:
            _refuse_logged_size([message for _, _, message in logs])
    errors = [message.strip() for level, _, message in logs if level <= av.logging.ERROR]
    if errors:
        raise DamagedError(errors[0])
    return value


def _refuse_logged_size(messages: list[str]) -> None:
    # FFmpeg's own words name a limit that nobody set, and may come long before its last ones
    for large in filter(None, map(TOO_LARGE.search, messages)):
        raise DamagedError(f"a picture of {large[1]} x {large[2]} px, beyond max_pixels")


def _picture(frame: av.VideoFrame, reformatter: VideoReformatter) -> Picture:
    # A palette has one component, too, but is coloured
    grey = len(frame.format.components) == 1 and not frame.format.has_palette
    # One reformatter a clip, without threads of its own: a new one a frame takes three times as long
    shown = reformatter.reformat(frame, format="gray" if grey else "rgb24", threads=1)
    picture: Picture = shown.to_ndarray().astype(np.uint8, copy=False)
    # Phones and some exporters store a picture lying and a note to turn it
    return np.ascontiguousarray(np.rot90(picture, round(frame.rotation / 90))) if frame.rotation else picture
