"""Lossless clips, byte-identical from the same frames: FFV1 version 3 in Matroska, every frame a key frame."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

OPTIONS = {"level": "3", "slicecrc": "1", "g": "1", "slices": "4"}


def write_video(path: Path, frames: Iterable[NDArray[np.uint8]], rate_hz: int) -> None:
    """Write uint8 frames, BGR (height, width, 3) or grey (height, width), all of one shape."""
    # +bitexact keeps the encoder's version and the random track number out of the file
    with av.open(str(path), "w", format="matroska", options={"fflags": "+bitexact"}) as container:
        stream = None
        for image in frames:
            if stream is None:
                stream = _open_stream(container, image, rate_hz)
            packets = stream.encode(_as_frame(image))
            container.mux(packets)
        if stream is None:
            raise ValueError(f"{path}: a clip needs at least one frame")
        container.mux(stream.encode(None))


def _open_stream(container: av.container.OutputContainer, image: NDArray[np.uint8], rate_hz: int) -> av.VideoStream:
    stream = container.add_stream("ffv1", rate=rate_hz, options={**OPTIONS, "flags": "+bitexact"})
    stream.height, stream.width = image.shape[:2]
    stream.pix_fmt = "gray" if image.ndim == 2 else "bgr0"
    stream.codec_context.thread_count = 1
    return stream


def _as_frame(image: NDArray[np.uint8]) -> av.VideoFrame:
    if image.ndim == 2:
        return av.VideoFrame.from_ndarray(image, format="gray")
    height, width = image.shape[:2]
    frame = av.VideoFrame(width, height, "bgr0")  # from_ndarray does not know this format
    rows = np.zeros((height, frame.planes[0].line_size // 4, 4), np.uint8)  # lines are padded
    rows[:, :width, :3] = image
    frame.planes[0].update(rows)
    return frame
