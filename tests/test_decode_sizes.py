"""Pictures beyond the limit of a frame, wherever in a video they stand; and those just within it."""

import io
import subprocess
import sys
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from stages.common.clips.decode import ClipError, frames
from tests.clip_factory import VIDEOS, speckle, write_video
from tests.workspace import ROOT

LIMIT = 200_000  # px a frame
MEASURED = """
import resource, sys
from pathlib import Path
from stages.common.clips.decode import ClipError, frames

before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    list(frames(Path(sys.argv[1]), int(sys.argv[2])))
except ClipError as error:
    print(error)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def jpeg(width: int, height: int) -> bytes:
    """Return a picture of one grey as JPEG: 8000 x 8000 px are 1 MB."""
    stream = io.BytesIO()
    Image.new("RGB", (width, height), (90, 90, 90)).save(stream, "JPEG", quality=30)
    return stream.getvalue()


def of_packets(path: Path, packets: Sequence[bytes]) -> Path:
    """Write a Motion JPEG whose container states 64 x 48 px, whatever its pictures are."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        for number, content in enumerate(packets):
            packet = av.Packet(content)
            packet.stream, packet.time_base, packet.is_keyframe = stream, Fraction(1, 25), True
            packet.pts = packet.dts = number
            container.mux(packet)
    return path


@pytest.mark.parametrize("suffix", ["mkv", "avi", "mov"])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_huge_picture_is_refused_before_it_is_decoded(tmp_path: Path, suffix: str, place: int) -> None:
    packets = [jpeg(64, 48)] * 3
    packets[place] = jpeg(8000, 8000)
    path = of_packets(tmp_path / f"a.{suffix}", packets)
    asked = [sys.executable, "-c", MEASURED, str(path), str(LIMIT)]
    said, grown = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    assert (
        f"damaged clip: expected frames that decode, got 'a picture of 8000 x 8000 px, beyond max_pixels' after {place}"
        in said
    )
    assert int(grown) < 60  # MiB; decoded it is 92, and 183 more as RGB


@pytest.mark.parametrize("size", [(400, 501), (900, 800)])
def test_a_later_picture_a_little_beyond_the_limit_is_refused_by_its_own_size(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    path = of_packets(tmp_path / "a.mkv", [jpeg(64, 48), jpeg(*size)])
    with pytest.raises(ClipError, match=rf"{size[0]} x {size[1]} px exceed {LIMIT} px a frame' after 1 frame\."):
        list(frames(path, LIMIT))


@pytest.mark.parametrize("name", sorted(VIDEOS))
@pytest.mark.parametrize(("width", "height"), [(66, 34), (322, 242), (1026, 98), (130, 1026)])
def test_every_picture_within_the_limit_is_let_through_whatever_its_codec_adds(
    tmp_path: Path, name: str, width: int, height: int
) -> None:
    codec, pixel_format, options = VIDEOS[name]
    path = write_video(tmp_path / name, speckle(3, height, width), codec, pixel_format, options)
    shown = np.stack(list(frames(path, width * height)))
    assert shown.shape[:3] == (3, height, width)
    np.testing.assert_array_equal(shown, np.stack(list(frames(path))))
    np.testing.assert_array_equal(shown, np.stack(list(frames(path, 10**12))))
