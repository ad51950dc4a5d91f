"""Values of a DICOM header that are odd and well formed, which no flipped byte reaches: a message, or a picture."""

import math
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.encaps import encapsulate
from pydicom.tag import Tag

from stages.common.clips.cine import drawn, placement, survey
from stages.common.clips.decode import ClipError, frames, read_header
from stages.common.clips.dicom_header import TAGS
from tests.clip_factory import encoded, speckle, write_dicom
from tests.damage import TIMEOUT_S, survive
from tests.test_decode import region
from tests.test_fuzz import CINE

GREY = speckle(3, 48, 64)
WINDOW = {"WindowCenter": 128, "WindowWidth": 256, "RescaleSlope": 1, "RescaleIntercept": 0}
TABLES = {"ExtendedOffsetTable": bytes(24), "ExtendedOffsetTableLengths": struct.pack("<3Q", 100, 100, 100)}
OF_REGIONS = tuple(element.keyword for element in region()[0])
WHOLE = {"US": "H", "UL": "I", "SL": "I", "OW": "H", "OV": "Q"}  # VR -> struct's letter
WORDS = {
    "CS": ["", "RGB", r"RGB\RGB", "PALETTE COLOR", "YBR_FULL_422", "YBR_RCT", "MONOCHROME1", "NONSENSE"],
    "IS": ["", " ", "0", "-1", "0.5", "nan", "1e300", "9" * 400, r"33\33", r"1\0", r"1\2\3", "\\", "1\\"],
}
WORDS["DS"] = [*WORDS["IS"], "inf", "-inf", "1e400", "5e-324", r"nan\1", r"1\inf"]
FRACTIONS = [(), *((x,) for x in (math.nan, math.inf, -math.inf, 5e-324, 1e-300, 1e300, -1.0, 0.0, 11.0)), (0.1, 0.1)]

pytestmark = [pytest.mark.timeout(TIMEOUT_S), pytest.mark.filterwarnings("ignore::UserWarning:pydicom")]


def kind_of(tag: str) -> str:
    """Return a tag's value representation, the first where the standard leaves several."""
    return dictionary_VR(tag_for_keyword(tag)).split(" or ")[0]


def odd_values(kind: str) -> list[bytes]:
    """Return values as they stand in a file, each well formed for its kind."""
    if kind in WORDS:
        return [word.encode() + b" " * (len(word) % 2) for word in WORDS[kind]]
    if kind == "FD":
        return [struct.pack(f"<{len(numbers)}d", *numbers) for numbers in FRACTIONS]
    letter = WHOLE[kind]
    most = 2 ** (8 * struct.calcsize(f"<{letter}")) - 1
    numbers = [[number & most] for number in (0, 1, 3, 7, 9, 12, 16, 17, 48, 255, 2**15, 2**40, 2**63, most)]
    several = [[], [48, 48], [0, 0, 0], [most] * 3, [2**40 & most] * 3, [2**63 & most] * 3]
    return [struct.pack(f"<{len(values)}{letter}", *values) for values in numbers + several]


def put(dataset: Dataset, tag: str, value: bytes) -> None:
    """Set a value as a file holds it: pydicom's attributes refuse most of the odd ones."""
    number = Tag(tag_for_keyword(tag))
    dataset[number] = RawDataElement(number, kind_of(tag), len(value), value, 0, False, True, True)


def shown(path: Path) -> None:
    """Read a clip as a stage does, and draw its first frame; NaN and infinities end it."""
    with np.errstate(divide="raise", over="raise", invalid="raise"):
        surveyed = survey(path, None, None, CINE, covered=False)
        assert all(time is None or math.isfinite(time) for time in surveyed.times_s)
        list(drawn(surveyed, [0], placement(surveyed, 64, CINE)))


@pytest.mark.parametrize("syntax", ["little", "jpeg", "rle"])
@pytest.mark.parametrize("tag", [tag for tag in (*TAGS, *OF_REGIONS) if tag != "SequenceOfUltrasoundRegions"])
def test_every_tag_with_odd_values(tmp_path: Path, syntax: str, tag: str) -> None:
    more = WINDOW | (TABLES if tag.startswith("ExtendedOffset") else {})
    whole = write_dicom(tmp_path / "whole.dcm", GREY, syntax, SequenceOfUltrasoundRegions=region(), **more)
    for value in odd_values(kind_of(tag)):
        dataset = dcmread(whole)
        put(dataset.SequenceOfUltrasoundRegions[0] if tag in OF_REGIONS else dataset, tag, value)
        dataset.save_as(tmp_path / "odd.dcm")
        survive(lambda: shown(tmp_path / "odd.dcm"), f"{syntax}, {tag} {value!r}")


# ---- what is told


@pytest.mark.parametrize("tag", ["Rows", "Columns", "SamplesPerPixel", "BitsAllocated", "BitsStored"])
def test_two_values_where_one_is_due(tmp_path: Path, tag: str) -> None:
    path = write_dicom(tmp_path / "a.dcm", GREY, **{tag: [8, 8]})
    with pytest.raises(ClipError, match=rf"^a\.dcm: damaged clip: .*{tag}: expected one finite number, got \[8, 8\]"):
        list(frames(path))


@pytest.mark.parametrize(
    ("tags", "told"),
    [
        ({"NumberOfFrames": [4, 4]}, "NumberOfFrames: expected one finite number"),
        ({"FrameTime": [33, 33]}, "FrameTime: expected one finite number"),
        ({"RescaleSlope": [1, 1], "WindowCenter": 5, "WindowWidth": 9}, "RescaleSlope: expected one finite number"),
        ({"PixelAspectRatio": 1}, "PixelAspectRatio: expected 2 finite numbers"),
        ({"WindowCenter": float("nan"), "WindowWidth": 9}, "WindowCenter: expected finite numbers"),
        ({"WindowCenter": 5, "WindowWidth": float("inf")}, "WindowWidth: expected finite numbers"),
        ({"FrameTime": [33, 33], "PixelAspectRatio": 1}, "FrameTime: .*; PixelAspectRatio: |PixelAspectRatio.*; Frame"),
    ],
)
def test_numbers_that_are_none_or_not_as_many_as_are_due(tmp_path: Path, tags: dict[str, object], told: str) -> None:
    path = written(tmp_path / "a.dcm", tags)
    for read in (read_header, shown):
        with pytest.raises(ClipError, match=told):
            read(path)


def written(path: Path, tags: dict[str, object]) -> Path:
    """Write a clip with tags as text, where pydicom would refuse the number."""
    write_dicom(path, GREY)
    dataset = dcmread(path)
    for tag, value in tags.items():
        text = "\\".join(map(str, value if isinstance(value, list) else [value]))
        put(dataset, tag, text.encode() + b" " * (len(text) % 2))
    dataset.save_as(path)
    return path


@pytest.mark.parametrize("tag", ["WindowCenter", "WindowWidth", "RescaleSlope", "FrameTimeVector", "PixelAspectRatio"])
def test_a_blank_number_is_none(tmp_path: Path, tag: str) -> None:
    path = write_dicom(tmp_path / "a.dcm", GREY[:1], WindowCenter=128, WindowWidth=256, FrameTimeVector=[0])
    dataset = dcmread(path)
    put(dataset, tag, b"  ")
    dataset.save_as(path)
    np.testing.assert_array_equal(list(frames(path)), GREY[:1])


@pytest.mark.parametrize("tag", ["PhysicalDeltaX", "PhysicalDeltaY"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_scale_that_is_no_number(tmp_path: Path, tag: str, value: float) -> None:
    path = write_dicom(tmp_path / "a.dcm", GREY, SequenceOfUltrasoundRegions=region(**{tag: value}))
    with pytest.raises(ClipError, match=f"{tag}: expected one finite number, got {value}"):
        read_header(path)


@pytest.mark.parametrize("tag", ["PhysicalDeltaX", "PhysicalDeltaY"])
@pytest.mark.parametrize("value", [5e-324, 1e-300, 9.9e-5, 10.1, -11.0, 1e12])
def test_a_scale_that_no_scanner_has(tmp_path: Path, tag: str, value: float) -> None:
    path = write_dicom(tmp_path / "a.dcm", GREY, SequenceOfUltrasoundRegions=region(**{tag: value}))
    told = rf"^a\.dcm: a scale that no scanner has: expected 0\.0001 to 10 cm a pixel, got {tag} .*depth_cm in clips"
    with pytest.raises(ClipError, match=told):
        read_header(path)


@pytest.mark.parametrize("value", [1e-4, -0.05, 10.0])
def test_a_scale_that_a_scanner_may_have(tmp_path: Path, value: float) -> None:
    path = write_dicom(tmp_path / "a.dcm", GREY, SequenceOfUltrasoundRegions=region(PhysicalDeltaX=value))
    found = read_header(path).region
    assert found is not None
    assert found.mm_per_px_x == pytest.approx(10 * abs(value))


@pytest.mark.parametrize("text", ["5e-324", "1e-4", "1e10"])
def test_a_pace_that_no_scanner_has(tmp_path: Path, text: str) -> None:
    path = written(tmp_path / "a.dcm", {"FrameTime": text})
    with pytest.raises(ClipError, match=r"a pace that no scanner has: expected 1e-06 to 1e\+06 frames a second, got"):
        read_header(path)


@pytest.mark.parametrize("syntax", ["jpeg", "jpeg2000", "rle"])
@pytest.mark.parametrize("length", [2**40, 2**63, 2**64 - 1, 10**7])
@pytest.mark.parametrize("table", sorted(TABLES))
def test_a_table_of_offsets_that_leads_past_the_file(tmp_path: Path, syntax: str, length: int, table: str) -> None:
    tables = TABLES | {table: struct.pack("<3Q", 0, 100, length)}
    path = write_dicom(tmp_path / "a.dcm", GREY, syntax, **tables)
    tracemalloc.start()
    try:
        with pytest.raises(ClipError, match=r"ExtendedOffsetTable leads to byte \d+ of \d+ bytes of pixels"):
            list(frames(path))
        assert tracemalloc.get_traced_memory()[1] < 5 * 10**6
    finally:
        tracemalloc.stop()


def test_a_table_of_offsets_that_is_right_is_followed(tmp_path: Path) -> None:
    packed = [encoded(frame, "jpeg2000") for frame in GREY]
    packed = [frame + b"\0" * (len(frame) % 2) for frame in packed]
    lengths = [len(frame) for frame in packed]
    places = [8 * number + sum(lengths[:number]) for number in range(3)]  # an item's tag and length stand before it
    tables = {"ExtendedOffsetTable": places, "ExtendedOffsetTableLengths": lengths}
    path = write_dicom(
        tmp_path / "a.dcm", GREY, "jpeg2000", PixelData=encapsulate(packed, has_bot=False),
        **{name: struct.pack("<3Q", *numbers) for name, numbers in tables.items()},
    )  # fmt: skip
    np.testing.assert_array_equal(np.stack(list(frames(path))), GREY)


def test_a_table_of_offsets_that_holds_no_whole_numbers(tmp_path: Path) -> None:
    tables = dict.fromkeys(TABLES, bytes(12))
    with pytest.raises(ClipError, match="damaged clip: expected frames that decode, got 'ExtendedOffsetTable: buffer"):
        list(frames(write_dicom(tmp_path / "a.dcm", GREY, "jpeg", **tables)))


def test_a_palette_without_its_table(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", GREY, PhotometricInterpretation="PALETTE COLOR")
    with pytest.raises(ClipError, match=r"damaged clip: .*Palette Color Lookup Table"):
        list(frames(path))
