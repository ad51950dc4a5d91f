"""Sectors of known place among overlays of known place; canvases of known scale."""

from itertools import pairwise

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.common.clips.canvas import Box, View, choose_crop, choose_view, draw, place
from stages.common.clips.decode import Header
from stages.common.clips.dicom_header import Region
from stages.common.clips.sector import Sample, SectorParams, find_sector, spread
from tests.clip_factory import speckle

PARAMS = SectorParams(sampled_frames=24, moves_by=6, smoothing=0.02, smallest_part=0.1, smallest_sector=0.05)
BARE = Header(None, 25.0, 1.0, None)


def sampled(pictures: np.ndarray) -> Sample:
    sample = Sample(PARAMS.sampled_frames)
    for picture in pictures:
        sample.add(picture)
    return sample


def overlaid(mask: np.ndarray, frames: int = 60) -> np.ndarray:
    """Return a clip (frames, H, W) whose tissue moves where `mask` is, under the overlays of the study's scanner."""
    pictures = np.where(mask, speckle(frames, *mask.shape), 0).astype(np.uint8)
    for index, picture in enumerate(pictures):
        cv2.putText(picture, "GE 2024", (4, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.6, 255)  # maker's mark
        picture[60:160, 6:14] = np.linspace(255, 0, 100).astype(np.uint8)[:, None]  # grey bar
        picture[20:220:20, -12:-6] = 200  # depth ruler
        cv2.putText(picture, f"{index:03d}", (260, 235), cv2.FONT_HERSHEY_SIMPLEX, 0.4, 255)  # frame counter
    return pictures


def linear() -> np.ndarray:
    mask = np.zeros((240, 320), bool)
    mask[30:200, 40:280] = True
    return mask


def curved() -> np.ndarray:
    rows, columns = np.mgrid[:240, :320]
    radius, angle = np.hypot(rows + 40, columns - 160), np.arctan2(columns - 160, rows + 40)
    return (radius > 70) & (radius < 250) & (np.abs(angle) < 0.5)


def bounds(mask: np.ndarray) -> Box:
    rows, columns = np.where(mask)
    return columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1


def assert_near(found: Box | None, true: Box, px: int) -> None:
    assert found is not None
    edges = [(x, y, x + width, y + height) for x, y, width, height in (found, true)]
    assert np.abs(np.subtract(*edges)).max() <= px, f"{found} against {true}"


@pytest.mark.parametrize("mask", [linear(), curved()], ids=["linear", "curved"])
@pytest.mark.parametrize("frames", [12, 60, 200])
def test_the_sector_is_found_among_overlays(mask: np.ndarray, frames: int) -> None:
    assert_near(find_sector(sampled(overlaid(mask, frames)), PARAMS), bounds(mask), px=3)


def test_a_large_picture_is_compared_small_and_cut_large() -> None:
    mask = np.kron(linear(), np.ones((4, 4), bool))
    pictures = overlaid(linear(), 24).repeat(4, axis=1).repeat(4, axis=2)
    assert_near(find_sector(sampled(pictures), PARAMS), bounds(mask), px=10)


def test_a_pointer_a_flash_and_noise_move_nothing() -> None:
    pictures = overlaid(linear(), 100)
    noise = np.random.default_rng(3).integers(-2, 3, pictures.shape)  # as lossy video leaves round still edges
    pictures = np.clip(pictures + noise, 0, 255).astype(np.uint8)
    for index in range(100):
        cv2.circle(pictures[index], (290 + index // 5, 10 + 2 * index), 4, 255, -1)
    pictures[0] = 180  # a title page
    assert_near(find_sector(sampled(pictures), PARAMS), bounds(linear()), px=3)


def test_a_dark_canal_and_a_dark_spell_leave_the_sector_whole() -> None:
    mask = linear()
    pictures = overlaid(mask)
    pictures[:, 100:110, 60:260] = 8  # a shadow across the whole depth but for the rim
    pictures[20:35][:, mask] //= 20  # contact lost
    assert_near(find_sector(sampled(pictures), PARAMS), bounds(mask), px=3)


@pytest.mark.parametrize("noise", [0, 2], ids=["lossless", "codec noise"])
def test_a_dark_far_field_belongs_to_the_sector_and_a_footer_does_not(noise: int) -> None:
    pictures = overlaid(linear())
    rng = np.random.default_rng(7)
    pictures[:, 120:200, 40:280] = rng.integers(3, 7, (60, 80, 240))  # spans 3 grey levels: too few to count as moving
    pictures[:, 140:143, 40:280] = 0  # a shadow across it
    pictures[:, 206:222, 40:280] = 90  # a panel beneath, lettered
    for picture in pictures:
        cv2.putText(picture, "MI 0.9 TIS 0.7 12 MHz", (44, 219), cv2.FONT_HERSHEY_SIMPLEX, 0.5, 255)
    pictures[:, 30:200:10, 276:280] = 200  # a ruler within
    pictures = np.clip(pictures + rng.integers(-noise, noise + 1, pictures.shape), 0, 255).astype(np.uint8)
    pictures[:, 206:222, 40:280] = pictures[0, 206:222, 40:280]
    assert_near(find_sector(sampled(pictures), PARAMS), bounds(linear()), px=3)


@pytest.mark.parametrize("frames", [1, 2, 50])
def test_nothing_is_found_in_a_still(frames: int) -> None:
    assert find_sector(sampled(overlaid(linear(), 1).repeat(frames, axis=0)), PARAMS) is None


def test_a_counter_alone_is_no_sector() -> None:
    assert find_sector(sampled(overlaid(np.zeros((240, 320), bool))), PARAMS) is None


def test_spread_is_the_range_without_the_outermost_values() -> None:
    pictures = np.random.default_rng(5).integers(0, 256, (40, 7, 9)).astype(np.uint8)
    ordered = np.sort(pictures, axis=0)
    np.testing.assert_array_equal(spread(pictures), ordered[-3] - ordered[2])  # 40 / 20 = 2 left out at either end


@given(st.integers(1, 2000))
@settings(max_examples=50, deadline=None)
def test_the_sample_is_small_even_and_begins_at_the_beginning(frames: int) -> None:
    sample = Sample(8)
    for index in range(frames):
        sample.add(np.array([divmod(index, 256)], np.uint8))
    indices = [int(picture[0, 0]) * 256 + int(picture[0, 1]) for picture in sample.pictures]
    assert min(frames, 8) <= len(indices) < 16
    assert indices[0] == 0
    steps = {later - earlier for earlier, later in pairwise(indices)} or {1}
    assert len(steps) == 1  # even
    assert frames - 1 - indices[-1] < max(steps)  # the next one would lie beyond the end


def test_colour_is_seen_and_rounding_is_not() -> None:
    grey = np.stack([speckle(2, 40, 40)] * 3, axis=-1)
    tinted = grey.copy()
    tinted[..., 2] //= 2
    assert sampled(grey).colour == 0
    assert sampled(tinted).colour > 16


REGION = Region(5, 6, 70, 80, 0.2, 0.25)
WHOLE, FOUND, GIVEN = (0, 0, 100, 90), (10, 10, 50, 40), (1, 2, 30, 40)


@pytest.mark.parametrize(
    ("search", "given_crop", "region", "found", "expected"),
    [
        ("auto", GIVEN, REGION, FOUND, (GIVEN, "given")),
        ("none", GIVEN, None, FOUND, (GIVEN, "given")),
        ("auto", None, REGION, FOUND, ((5, 6, 70, 80), "dicom")),
        ("auto", None, None, FOUND, (FOUND, "found")),
        ("auto", None, None, WHOLE, (WHOLE, "found")),
        ("auto", None, None, None, (WHOLE, "still")),
        ("none", None, REGION, FOUND, (WHOLE, "whole")),
    ],
)
def test_a_person_overrules_the_scanner_and_the_scanner_what_is_found(
    search: str, given_crop: Box | None, region: Region | None, found: Box | None, expected: tuple[Box, str]
) -> None:
    assert choose_crop(search, WHOLE, given_crop, Header(None, None, 1.0, region), found) == expected


def test_scale_comes_from_the_dicom_then_from_the_depth() -> None:
    measured = choose_view(GIVEN, "given", Header(None, None, 1.0, REGION), 4.0)
    assert (measured.pixel_mm, measured.scale_source) == ((0.2, 0.25), "dicom")
    told = choose_view(GIVEN, "given", Header(None, None, 1.5, None), 4.0)
    assert (told.pixel_mm, told.scale_source) == ((1.5, 1.0), "depth_cm")  # 40 mm over 40 px, pixels half as wide again
    assert choose_view(GIVEN, "given", BARE, None).scale_source == "unknown"
    assert choose_view(WHOLE, "still", BARE, 4.0).scale_source == "unknown"
    assert choose_view(WHOLE, "whole", BARE, 4.0).scale_source == "unknown"  # it may hold more than the sector


def test_one_millimetre_is_as_long_in_every_clip() -> None:
    # two clips of one phantom, 20 mm and 40 mm deep, both 200 px high: a 10 mm line is 100 px and 50 px before
    for depth_cm, length_px in ((2.0, 100), (4.0, 50)):
        picture = np.zeros((200, 150), np.uint8)
        picture[40 : 40 + length_px, 70:80] = 255
        where = place(choose_view((0, 0, 150, 200), "given", BARE, depth_cm), 160, field_mm=40.0)
        assert where.mm_per_px == 0.25
        canvas = draw(picture, where)
        assert canvas.shape == (160, 160)
        assert (canvas.max(axis=1) > 127).sum() == 40  # 10 mm at 0.25 mm


def test_a_shallow_sector_leaves_the_rest_of_the_canvas_black() -> None:
    where = place(choose_view((10, 20, 100, 200), "given", BARE, 2.0), 80, field_mm=40.0)
    assert where.target == (30, 0, 20, 40)  # 10 x 20 mm at 0.5 mm, the skin on the upper edge, centred
    canvas = draw(np.full((300, 200, 3), 99, np.uint8), where)
    assert canvas.shape == (80, 80, 3)
    assert (canvas == 99).sum() == 20 * 40 * 3
    assert where.shown_share == 1


def test_what_the_canvas_has_no_room_for_is_cut_far_and_sideways() -> None:
    where = place(choose_view((10, 20, 100, 160), "given", BARE, 8.0), 80, field_mm=40.0)
    assert where.source == (20, 20, 80, 80)
    assert where.target == (0, 0, 80, 80)
    assert where.shown_share == pytest.approx(80 * 80 / (100 * 160))


def test_unknown_scale_keeps_the_aspect_and_says_so() -> None:
    wide = place(View((0, 0, 200, 100), "found", (1.0, 1.0), "unknown"), 64, 40.0)
    assert (wide.target, wide.mm_per_px) == ((0, 16, 64, 32), None)
    oblong = place(View((0, 0, 100, 100), "found", (2.0, 1.0), "unknown"), 64, 40.0)
    assert oblong.target == (0, 16, 64, 32)


@given(
    st.integers(1, 900), st.integers(1, 900), st.integers(16, 256), st.floats(0.01, 5), st.floats(0.01, 5),
    st.sampled_from(["unknown", "dicom"]),
)  # fmt: skip
@settings(max_examples=100, deadline=None)
def test_every_view_finds_room(width: int, height: int, size: int, mm_x: float, mm_y: float, scale: str) -> None:
    where = place(View((3, 5, width, height), "found", (mm_x, mm_y), scale), size, 40.0)
    x, y, target_width, target_height = where.target
    assert min(where.target[2:]) >= 1
    assert min(x, y) >= 0
    assert max(x + target_width, y + target_height) <= size
    left, top, source_width, source_height = where.source
    assert left >= 3
    assert left + source_width <= 3 + width
    assert top >= 5
    assert top + source_height <= 5 + height
    assert draw(np.zeros((height + 5, width + 3), np.uint8), where).shape == (size, size)


def test_shrinking_averages_and_enlarging_interpolates() -> None:
    checks = np.indices((64, 64)).sum(axis=0).astype(np.uint8) % 2 * 200
    view = View((0, 0, 64, 64), "found", (1.0, 1.0), "unknown")
    assert np.all(draw(checks, place(view, 32, 40.0)) == 100)
    expected = cv2.resize(checks, (96, 96), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_array_equal(draw(checks, place(view, 96, 40.0)), expected)
