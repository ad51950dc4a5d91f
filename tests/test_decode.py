"""Every container and transfer syntax, whole and damaged; OpenCV and pydicom are the second opinion."""

import re
import shutil
import warnings
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence

from stages.common.clips.cohort import read_clips
from stages.common.clips.decode import ClipError, frames, read_header, timed_frames
from tests.clip_factory import SYNTAXES, VIDEOS, probe, speckle, write_dicom, write_video

REAL = Path(__file__).parents[1] / "../shared/real/lung"
GREY = speckle(12, 48, 64)
COLOUR = np.stack([GREY, GREY // 2, 255 - GREY], axis=-1)


def opencv_count(path: Path) -> int:
    capture, count = cv2.VideoCapture(str(path)), 0
    while capture.read()[0]:
        count += 1
    return count


@pytest.fixture(scope="module", params=sorted(VIDEOS))
def video(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    codec, pixel_format, options = VIDEOS[request.param]
    path = tmp_path_factory.mktemp("a folder with spaces") / request.param
    return write_video(path, COLOUR, codec, pixel_format, options)


def test_every_container_is_counted_as_opencv_counts_it(video: Path) -> None:
    found = probe(video)
    assert (found.frames, found.width_px, found.height_px) == (12, 64, 48)
    assert found.frames == opencv_count(video)
    assert found.frame_rate_hz == pytest.approx(25)


def test_every_container_shows_the_pictures_in_order(video: Path) -> None:
    original = np.stack([cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in COLOUR])
    for index, decoded in enumerate(frames(video)):
        grey = cv2.cvtColor(decoded, cv2.COLOR_RGB2GRAY) if decoded.ndim == 3 else decoded
        likeness = np.corrcoef(grey.ravel(), original.reshape(12, -1))[0, 1:]
        assert likeness.argmax() == index
        assert likeness.max() > 0.85  # MPEG-1 at its usual rate keeps no more of speckle


@pytest.mark.parametrize(
    ("pictures", "pixel_format"), [(GREY, "gray"), (COLOUR, "bgr0"), (COLOUR[:, :47, :63], "bgr0")]
)
def test_lossless_video_comes_back_to_the_bit(tmp_path: Path, pictures: np.ndarray, pixel_format: str) -> None:
    path = write_video(tmp_path / "a.mkv", pictures, "ffv1", pixel_format)
    np.testing.assert_array_equal(np.stack(list(frames(path))), pictures)


def test_one_frame_is_a_clip(tmp_path: Path) -> None:
    assert probe(write_video(tmp_path / "one.mkv", GREY[:1])).frames == 1


def test_variable_frame_rate_keeps_its_times(tmp_path: Path) -> None:
    times_ms = [0, 40, 200, 210, 500, 540, 600, 700, 900, 1000, 1010, 1500]
    path = write_video(tmp_path / "vfr.mp4", GREY, "libx264", "yuv420p", {"bf": "0"}, times_ms)
    assert [time for _, time in timed_frames(path)] == pytest.approx([time / 1000 for time in times_ms], abs=0.001)


def test_oblong_pixels_are_told(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", GREY, "libx264", "yuv420p", aspect=Fraction(4, 3))
    assert read_header(path).pixel_aspect == pytest.approx(4 / 3)


def _turn(path: Path) -> None:
    """Note in an MP4 that its picture lies."""
    content = bytearray(path.read_bytes())
    matrix = content.index(b"tkhd") + 44  # QuickTime's track header: the 3 x 3 matrix, 16.16 fixed point
    assert content[matrix : matrix + 4] == b"\x00\x01\x00\x00"
    content[matrix : matrix + 20] = b"".join(
        number.to_bytes(4, "big", signed=True) for number in (0, 65536, 0, -65536, 0)
    )
    path.write_bytes(content)


def test_a_turned_clip_stands_upright_as_opencv_shows_it(tmp_path: Path) -> None:
    path = write_video(tmp_path / "turned.mp4", GREY, "libx264", "yuv420p")
    _turn(path)
    ours, theirs = next(frames(path)), cv2.VideoCapture(str(path)).read()[1][..., ::-1]
    assert ours.shape == theirs.shape == (64, 48, 3)
    assert np.abs(ours.astype(int) - theirs).max() <= 3


@pytest.mark.parametrize("turned", [False, True])
def test_oblong_pixels_turn_with_their_clip(tmp_path: Path, turned: bool) -> None:
    path = write_video(tmp_path / "a.mp4", GREY, "libx264", "yuv420p", aspect=Fraction(4, 3))
    if turned:
        _turn(path)
    assert next(frames(path)).shape[:2] == ((64, 48) if turned else (48, 64))
    assert read_header(path).pixel_aspect == pytest.approx(3 / 4 if turned else 4 / 3)


@pytest.mark.parametrize("name", ["evil.mkv", "evil.avi", "evil.mp4", "evil.mov", "evil.mpeg", "evil.mpg"])
@pytest.mark.parametrize("read", [lambda path: list(frames(path)), read_header], ids=["frames", "header"])
def test_a_text_that_names_another_clip_is_no_clip(tmp_path: Path, name: str, read: Callable[[Path], object]) -> None:
    write_video(tmp_path / "other.mkv", GREY)
    (tmp_path / name).write_text("ffconcat version 1.0\nfile other.mkv\n")
    with pytest.raises(ClipError, match=f"^{name}: another content than its name says: expected .*, got another"):
        read(tmp_path / name)


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".avi", ".mpg"])
def test_content_of_no_container_here_is_told_from_damage(tmp_path: Path, suffix: str) -> None:
    content = write_video(tmp_path / "a.flv", GREY, "flv", "yuv420p").read_bytes()
    (tmp_path / f"a{suffix}").write_bytes(content)
    with pytest.raises(ClipError, match="another content than its name says"):
        probe(tmp_path / f"a{suffix}")


def test_one_container_under_another_ones_name_is_read(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", GREY, "libx264", "yuv420p")  # as published clips of the lung are
    assert probe(Path(shutil.copy(path, tmp_path / "a.avi"))) == probe(path)


def test_every_video_cut_short_is_refused(video: Path, tmp_path: Path) -> None:
    path = tmp_path / video.name
    path.write_bytes(video.read_bytes()[: int(video.stat().st_size * 0.6)])
    with pytest.raises(ClipError, match=re.escape(f"{video.name}: damaged clip: expected frames that decode")):
        probe(path)


def test_a_flipped_byte_is_refused_in_every_file_alike(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv", GREY)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x5A
    for name in ("first.mkv", "second.mkv"):  # FFmpeg would keep quiet about the second, identical error
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ClipError, match=rf"{name}: damaged clip: .*CRC mismatch.* after \d+ frames"):
            probe(tmp_path / name)


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4", "a.avi", "a.mov", "a.mpeg", "a.dcm"])
@pytest.mark.parametrize("content", [b"", b"no clip at all " * 1000])
def test_what_is_no_clip_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ClipError, match=f"^{name}: damaged clip"):
        probe(tmp_path / name)


def test_sound_without_pictures_is_refused(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "sound.mkv"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        sound.rate = 8000
        container.mux(stream.encode(sound))
    with pytest.raises(ClipError, match="no video stream"):
        probe(tmp_path / "sound.mkv")


def test_absurd_pictures_are_refused_before_they_are_decoded(tmp_path: Path) -> None:
    for path in (write_video(tmp_path / "a.mkv", GREY), write_dicom(tmp_path / "a.dcm", GREY)):
        with pytest.raises(ClipError, match="64 x 48 px exceed 3000 px a frame"):
            next(frames(path, max_pixels=3000))


@pytest.mark.parametrize("syntax", sorted(SYNTAXES))
@pytest.mark.parametrize("pictures", [GREY, COLOUR], ids=["grey", "colour"])
def test_every_transfer_syntax_agrees_with_pydicom(tmp_path: Path, syntax: str, pictures: np.ndarray) -> None:
    path = write_dicom(tmp_path / "cine.DCM", pictures, syntax)
    decoded = np.stack(list(frames(path)))
    if syntax == "jpeg":  # another decoder may be installed beside the pinned one, and smooths colours otherwise
        assert np.abs(decoded.astype(int) - dcmread(path).pixel_array).mean() < 1
    else:
        np.testing.assert_array_equal(decoded, dcmread(path).pixel_array)
        np.testing.assert_array_equal(decoded, pictures)
    assert probe(path).frame_rate_hz == pytest.approx(25)


def test_monochrome1_is_inverted(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", GREY, PhotometricInterpretation="MONOCHROME1")
    np.testing.assert_array_equal(np.stack(list(frames(path))), 255 - GREY)


def test_sixteen_bits_take_the_full_range_without_a_window(tmp_path: Path) -> None:
    deep = GREY.astype(np.uint16) * 257  # 255 * 257 = 65535
    np.testing.assert_array_equal(np.stack(list(frames(write_dicom(tmp_path / "a.dcm", deep)))), GREY)
    twelve = write_dicom(tmp_path / "b.dcm", np.array([[[0, 4095]]], np.uint16), BitsStored=12, HighBit=11)
    assert next(frames(twelve)).max() == 255


def test_deep_values_in_a_sliver_of_their_range_without_a_window_are_refused(tmp_path: Path) -> None:
    twelve_in_sixteen = GREY.astype(np.uint16) * 16  # up to 4080 of 65535
    for inverted in ({}, {"PhotometricInterpretation": "MONOCHROME1"}):
        path = write_dicom(tmp_path / "a.dcm", twelve_in_sixteen, **inverted)
        with pytest.raises(ClipError, match=r"span \d+/255 of what 16 bits hold, and no WindowCenter"):
            list(frames(path))
    write_dicom(path, twelve_in_sixteen, WindowCenter=2048, WindowWidth=4096)
    assert next(frames(path)).max() > 200


def test_sixteen_bits_follow_their_window(tmp_path: Path) -> None:
    # PS3.3 C.11.2.1.2 with centre 1000.5, width 1001: 500 is black, 1500 white, linear between, clipped beyond
    values = np.array([[0, 500, 1000, 1500, 60000]], np.uint16)[None].repeat(2, axis=0)
    path = write_dicom(tmp_path / "a.dcm", values, WindowCenter=1000.5, WindowWidth=1001)
    assert next(frames(path)).tolist() == [[0, 0, 128, 255, 255]]


def test_eight_bits_follow_their_window_too(tmp_path: Path) -> None:
    values = np.array([[0, 16, 32, 48, 63]], np.uint8)[None].repeat(2, axis=0)
    path = write_dicom(tmp_path / "a.dcm", values, WindowCenter=32, WindowWidth=64)  # 0 is black, 63 white
    assert next(frames(path)).tolist() == [[0, 65, 130, 194, 255]]  # round(value / 63 * 255)


def test_a_frame_time_vector_gives_the_times(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", GREY[:3], FrameTimeVector=[0, 30, 50])
    assert [time for _, time in timed_frames(path)] == pytest.approx([0, 0.03, 0.08])


@pytest.mark.parametrize("syntax", sorted(SYNTAXES))
@pytest.mark.parametrize("share", [0.3, 0.7, 0.98])
def test_a_dicom_cut_short_is_refused(tmp_path: Path, syntax: str, share: float) -> None:
    path = write_dicom(tmp_path / "a.dcm", COLOUR, syntax)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with warnings.catch_warnings(), pytest.raises(ClipError, match=r"a.dcm: damaged clip"):
        probe(path)


@pytest.mark.parametrize("syntax", sorted(SYNTAXES))
@pytest.mark.parametrize("stated", [11, 13])
def test_another_number_of_frames_than_stated_is_refused(tmp_path: Path, syntax: str, stated: int) -> None:
    path = write_dicom(tmp_path / "a.dcm", GREY, syntax, NumberOfFrames=stated)
    with pytest.raises(ClipError, match=f"where (NumberOfFrames states )?{stated}"):
        probe(path)


@pytest.mark.parametrize("tags", [{"Rows": 0}, {"BitsAllocated": 7}, {"PhotometricInterpretation": "NONSENSE"}])
def test_a_malformed_dicom_is_refused_without_a_traceback(tmp_path: Path, tags: dict[str, object]) -> None:
    with pytest.raises(ClipError, match="damaged clip"):
        probe(write_dicom(tmp_path / "a.dcm", GREY, **tags))


def test_a_number_that_is_none_is_refused(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", GREY)
    path.write_bytes(path.read_bytes().replace(b"IS\x02\x0012", b"IS\x02\x00xy", 1))
    with pytest.raises(ClipError, match="damaged clip"):
        probe(path)


def test_an_unsupported_transfer_syntax_says_which_are_supported(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", GREY, "rle")
    path.write_bytes(path.read_bytes().replace(b"1.2.840.10008.1.2.5\0", b"1.2.840.10008.1.2.99", 1))
    with pytest.raises(ClipError, match=r"transfer syntax .*supported are .*RLE Lossless.*JPEG Baseline"):
        probe(path)


def region(**changes: object) -> DicomSequence:
    item = Dataset()
    item.RegionSpatialFormat, item.RegionDataType, item.RegionFlags = 1, 1, 0
    item.RegionLocationMinX0, item.RegionLocationMinY0 = 10, 5
    item.RegionLocationMaxX1, item.RegionLocationMaxY1 = 49, 34
    item.PhysicalUnitsXDirection = item.PhysicalUnitsYDirection = 3
    item.PhysicalDeltaX, item.PhysicalDeltaY = 0.05, 0.04
    for name, value in changes.items():
        setattr(item, name, value)
    return DicomSequence([item])


def test_an_ultrasound_region_gives_sector_and_scale(tmp_path: Path) -> None:
    found = read_header(write_dicom(tmp_path / "a.dcm", GREY, SequenceOfUltrasoundRegions=region())).region
    assert found is not None
    assert (found.x, found.y, found.width, found.height) == (10, 5, 40, 30)
    assert (found.mm_per_px_x, found.mm_per_px_y) == pytest.approx((0.5, 0.4))


@pytest.mark.parametrize(
    "changes",
    [
        {"RegionSpatialFormat": 2},  # M-mode
        {"PhysicalUnitsXDirection": 4},  # seconds
        {"RegionLocationMaxX1": 200},  # past the picture
        {"PhysicalDeltaX": 0.0},
    ],
)
def test_a_region_that_measures_no_tissue_here_is_left_out(tmp_path: Path, changes: dict[str, object]) -> None:
    path = write_dicom(tmp_path / "a.dcm", GREY, SequenceOfUltrasoundRegions=region(**changes))
    assert read_header(path).region is None


def test_a_real_cine_loop_of_a_scanner(tmp_path: Path) -> None:
    source = get_testdata_file("examples_ybr_color.dcm", download=False)
    if source is None:
        pytest.skip("pydicom came without examples_ybr_color.dcm")
    path = Path(shutil.copy(source, tmp_path / "echo.dcm"))
    assert probe(path).frames == 30
    np.testing.assert_allclose(np.stack(list(frames(path))).astype(int), dcmread(path).pixel_array, atol=4)
    assert read_header(path).region is None  # its regions are those of the picture before it was scaled down


@pytest.mark.skipif(not REAL.exists(), reason="the real clips are not part of the repository")
def test_real_clips_decode_as_opencv_decodes_them() -> None:
    for clip in read_clips(REAL)[9:27:3]:
        assert clip.path.suffix == ".dcm" or probe(clip.path).frames == opencv_count(clip.path)
