"""What a DICOM file says of its values, its regions and its size; pydicom's own arrays are the oracle."""

import struct
import tracemalloc
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import DeflatedExplicitVRLittleEndian

from stages.common.clips import dicom
from stages.common.clips.cine import survey
from stages.common.clips.decode import ClipError, frames, read_header
from stages.extract_frames import extract
from tests.clip_factory import encoded, speckle, write_cohort, write_dicom
from tests.test_decode import region
from tests.test_extract_frames import params

GREY = speckle(4, 48, 64)


def shown(path: Path) -> np.ndarray:
    return np.stack(list(frames(path)))


# ---- values


@pytest.mark.parametrize("inverted", [False, True])
def test_signed_eight_bits_go_from_black_to_white_without_a_fold(tmp_path: Path, inverted: bool) -> None:
    signed = (GREY.astype(int) - 128).astype(np.int8)
    tags = {"PhotometricInterpretation": "MONOCHROME1"} if inverted else {}
    path = write_dicom(tmp_path / "a.dcm", signed, PixelRepresentation=1, **tags)
    wanted = dcmread(path).pixel_array.astype(int) + 128
    np.testing.assert_array_equal(shown(path), 255 - wanted if inverted else wanted)


@pytest.mark.parametrize("bits", [1, 4, 6, 7])
@pytest.mark.parametrize("inverted", [False, True])
def test_fewer_bits_take_the_whole_range(tmp_path: Path, bits: int, inverted: bool) -> None:
    tags = {"PhotometricInterpretation": "MONOCHROME1"} if inverted else {}
    path = write_dicom(tmp_path / "a.dcm", GREY >> (8 - bits), BitsStored=bits, HighBit=bits - 1, **tags)
    wanted = np.rint(dcmread(path).pixel_array * (255 / (2**bits - 1)))
    np.testing.assert_array_equal(shown(path), 255 - wanted if inverted else wanted)


def deep(bits: int) -> np.ndarray:
    """Return pictures of so many bits, over their whole range, stored in sixteen."""
    lowest, highest = int(GREY.min()), int(GREY.max())
    return ((GREY.astype(np.int64) - lowest) * (2**bits - 1) // (highest - lowest)).astype(np.uint16)


def marked() -> np.ndarray:
    """Return twelve bits with a mark of full brightness, less than a hundredth of the picture."""
    values = deep(12)
    values[:, :5, :5] = 65535
    return values


@pytest.mark.parametrize("values", [deep(12), deep(14), marked()], ids=["12 bits", "14 bits", "12 bits and a mark"])
@pytest.mark.parametrize("inverted", [False, True])
def test_values_that_fill_a_part_of_their_bits_need_a_window(
    tmp_path: Path, values: np.ndarray, inverted: bool
) -> None:
    tags = {"PhotometricInterpretation": "MONOCHROME1"} if inverted else {}
    path = write_dicom(tmp_path / "a.dcm", values, **tags)
    with pytest.raises(ClipError, match=r"a\.dcm: nothing says how bright .* of what 16 bits hold.* WindowCenter") as e:
        shown(path)
    assert "damaged" not in str(e.value)
    assert "Export or copy" not in str(e.value)
    tags |= {"WindowCenter": 2048, "WindowWidth": 4096}
    assert np.ptp(shown(write_dicom(path, values, **tags))) == 255


def test_values_that_fill_their_bits_need_none(tmp_path: Path) -> None:
    np.testing.assert_allclose(shown(write_dicom(tmp_path / "a.dcm", deep(16))), np.rint(deep(16) / 257))
    twelve = write_dicom(tmp_path / "b.dcm", deep(12), BitsStored=12, HighBit=11)
    np.testing.assert_allclose(shown(twelve), np.rint(deep(12) / (4095 / 255)))


# ---- bombs


@pytest.mark.parametrize("limit", [100, None])
def test_frames_that_are_only_stated_fill_no_memory(tmp_path: Path, limit: int | None) -> None:
    path = write_dicom(tmp_path / "a.dcm", GREY, "rle", NumberOfFrames=2_000_000_000)
    tracemalloc.start()
    try:
        if limit:
            with pytest.raises(ClipError, match=r"clip too long: expected up to 100 frames, got 2000000000\. Correct"):
                survey(path, None, None, params(max_clip_frames=limit).extract_frames, covered=False)
        else:
            with pytest.raises(ClipError, match="where NumberOfFrames states 2000000000"):
                shown(path)
        assert tracemalloc.get_traced_memory()[1] < 32 * 2**20
    finally:
        tracemalloc.stop()


def deflated_bomb(path: Path, size: int) -> Path:
    """Write a file whose body, a comment, inflates to `size` bytes of zeros."""
    write_dicom(path, GREY[:1])
    content = path.read_bytes()
    old, new = b"1.2.840.10008.1.2.1\0", DeflatedExplicitVRLittleEndian.encode().ljust(22, b"\0")
    start = content.index(old)
    head = bytearray(content[: start - 2] + len(new).to_bytes(2, "little") + new + content[start + len(old) :])
    length = int.from_bytes(head[140:144], "little") + len(new) - len(old)  # of the file meta, behind its own element
    head[140:144] = length.to_bytes(4, "little")
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    body = packer.compress(b"\x08\x00\x05\x00OB\0\0" + size.to_bytes(4, "little") + bytes(size)) + packer.flush()
    path.write_bytes(bytes(head[: 144 + length]) + body)
    return path


def test_a_deflated_file_is_refused_before_it_is_inflated(tmp_path: Path) -> None:
    path = deflated_bomb(tmp_path / "a.dcm", 200 * 2**20)
    assert path.stat().st_size < 2**20
    tracemalloc.start()
    try:
        for read in (read_header, shown):
            with pytest.raises(ClipError, match=r"transfer syntax Deflated Explicit.*supported are"):
                read(path)
        assert tracemalloc.get_traced_memory()[1] < 32 * 2**20
    finally:
        tracemalloc.stop()


def of_size(syntax: str, width: int, height: int) -> bytes:
    """Return a compressed frame of 64 x 48 px whose header tells another size, as a bomb of a few bytes does."""
    frame = encoded(GREY[0], syntax)
    if syntax == "jpeg2000":  # SIZ of ISO 15444-1: Xsiz and Ysiz, each 32 bits
        return frame.replace(struct.pack(">II", 64, 48), struct.pack(">II", width, height), 1)
    return frame.replace(struct.pack(">HH", 48, 64), struct.pack(">HH", height, width), 1)  # SOF of ISO 10918-1


@pytest.mark.parametrize("syntax", ["jpeg", "jpeg2000"])
@pytest.mark.parametrize("size", [(9_000, 9_000), (48, 64), (64, 49)])
def test_frames_of_another_size_than_the_headers_are_refused_before_any_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, syntax: str, size: tuple[int, int]
) -> None:
    path, right = tmp_path / "a.dcm", encoded(GREY[0], syntax)
    other = of_size(syntax, *size)
    with Image.open(BytesIO(other)) as image:
        assert image.size == size
    write_dicom(path, GREY, syntax, PixelData=encapsulate([right, other, right, other]))
    monkeypatch.setattr(dicom, "iter_pixels", None)
    told = f"64 x 48 px, and 2 of 4 frames have another size, frame 2 {size[0]} x {size[1]} px' after 0 frames"
    with pytest.raises(ClipError, match=told):
        shown(path)


@pytest.mark.parametrize("syntax", ["jpeg", "jpeg2000"])
def test_a_frame_beyond_what_its_decoder_takes_is_a_message(tmp_path: Path, syntax: str) -> None:
    other = encapsulate([of_size(syntax, 60_000, 60_000)])
    with pytest.raises(ClipError, match=r"damaged clip.*exceeds limit"):
        shown(write_dicom(tmp_path / "a.dcm", GREY[:1], syntax, PixelData=other))


def test_a_table_of_offsets_leads_past_no_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What begins as a frame of the right size holds a second one, and the table points there."""
    right, other = encoded(GREY[0], "jpeg2000"), of_size("jpeg2000", 13_000, 13_000)
    tables = {"ExtendedOffsetTable": len(right), "ExtendedOffsetTableLengths": len(other)}
    packed = {name: struct.pack("<Q", value) for name, value in tables.items()}
    path = write_dicom(tmp_path / "a.dcm", GREY[:1], "jpeg2000", PixelData=encapsulate([right + other]), **packed)
    monkeypatch.setattr(dicom, "iter_pixels", None)
    with pytest.raises(ClipError, match="1 of 1 frames have another size, frame 1 13000 x 13000 px"):
        shown(path)


# ---- regions


@pytest.mark.parametrize("changes", [{"RegionLocationMaxX1": 64}, {"RegionLocationMaxY1": 48}])
def test_a_region_with_exclusive_maxima_is_cut_to_the_picture(tmp_path: Path, changes: dict[str, int]) -> None:
    path = write_dicom(tmp_path / "a.dcm", GREY, SequenceOfUltrasoundRegions=region(**changes))
    header = read_header(path)
    assert header.region is not None
    assert header.region.x + header.region.width == (64 if "RegionLocationMaxX1" in changes else 50)
    assert header.region.y + header.region.height == (48 if "RegionLocationMaxY1" in changes else 35)
    assert header.region.mm_per_px_x == pytest.approx(0.5)
    assert header.regions_dropped == 0


def test_a_region_that_does_not_fit_leaves_the_others_and_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    both = DicomSequence([region()[0], region(RegionLocationMaxX1=65)[0]])
    cohort = write_cohort(tmp_path / "mine", {"a.dcm": "P001"})
    path = write_dicom(cohort / "a.dcm", GREY, SequenceOfUltrasoundRegions=both)
    header = read_header(path)
    assert header.region is not None
    assert (header.region.width, header.region.height, header.regions_dropped) == (40, 30, 1)
    extract(cohort, tmp_path / "out", params())
    assert "C001: DICOM regions not used, because they reach past the picture: 1" in capsys.readouterr().err
