"""The seven augmentations against their formulas, and the draws against order and worker count."""

import colorsys
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages import augment
from stages.common.augmentation import (
    VARIANTS,
    Flip,
    Gain,
    Hue,
    Jpeg,
    Quality,
    Range,
    Saturation,
    Shift,
    Whole,
    apply,
    draw,
)
from stages.common.core.errors import PipelineError
from stages.common.variants import VARIANT_NAMES

IDS = [f"C001_{index:05d}" for index in range(400)]
PARAMS = {
    "brightness": Gain(alpha=Range(min=0.5, max=2.0)),
    "contrast": Gain(alpha=Range(min=0.5, max=2.0)),
    "flip_left_right": Flip(probability=0.5),
    "flip_up_down": Flip(probability=0.5),
    "hue": Hue(shift=Shift(min=-10, max=10)),
    "jpeg": Jpeg(quality=Quality(min=50, max=100)),
    "saturation": Saturation(factor=Range(min=0.5, max=2.0)),
}


@pytest.fixture
def picture() -> np.ndarray:
    return np.random.default_rng(7).integers(0, 256, (24, 24, 3), np.uint8)


def test_the_table_of_variants_has_the_declared_names_in_order() -> None:
    assert tuple(VARIANTS) == VARIANT_NAMES


@pytest.mark.parametrize("alpha", [0.5, 1.0, 1.7])
@pytest.mark.parametrize("variant", ["brightness", "contrast"])
def test_gain_multiplies_and_saturates(picture: np.ndarray, variant: str, alpha: float) -> None:
    expected = np.clip(np.rint(picture.astype(np.float64) * alpha), 0, 255)
    assert np.abs(apply(variant, picture, alpha).astype(float) - expected).max() <= 1  # OpenCV rounds halves to even


@pytest.mark.parametrize(("variant", "axis"), [("flip_left_right", 1), ("flip_up_down", 0)])
def test_flips_mirror_or_leave(picture: np.ndarray, variant: str, axis: int) -> None:
    assert np.array_equal(apply(variant, picture, 1), np.flip(picture, axis))
    assert np.array_equal(apply(variant, picture, 0), picture)


def test_hue_turns_the_colour_circle_by_two_degrees_a_unit() -> None:
    red = np.full((2, 2, 3), (0, 0, 255), np.uint8)
    turned = apply("hue", red, 10)[0, 0, ::-1] / 255.0
    assert colorsys.rgb_to_hsv(*turned)[0] * 360 == pytest.approx(20, abs=1)
    assert colorsys.rgb_to_hsv(*(apply("hue", red, -10)[0, 0, ::-1] / 255.0))[0] * 360 == pytest.approx(340, abs=1)


def test_saturation_scales_the_distance_from_grey() -> None:
    pale = np.full((2, 2, 3), (100, 100, 200), np.uint8)
    halved = apply("saturation", pale, 0.5)[0, 0, ::-1] / 255.0
    assert colorsys.rgb_to_hsv(*halved)[1] == pytest.approx(0.25, abs=0.01)


@pytest.mark.parametrize("variant", ["hue", "saturation"])
def test_colour_methods_leave_a_grey_picture_alone(variant: str) -> None:
    grey = np.repeat(np.arange(256, dtype=np.uint8).reshape(16, 16, 1), 3, axis=2)
    assert np.array_equal(apply(variant, grey, 1.5), grey)


def test_jpeg_is_the_codec_at_that_quality(picture: np.ndarray) -> None:
    smooth = cv2.GaussianBlur(picture, (9, 9), 0)
    errors = [np.abs(apply("jpeg", smooth, quality).astype(int) - smooth).mean() for quality in (50, 75, 100)]
    assert errors[0] > errors[1] > errors[2] > 0


@pytest.mark.parametrize("variant", PARAMS)
def test_draws_depend_on_seed_variant_and_frame_alone(variant: str) -> None:
    forward = dict(zip(IDS, draw(variant, PARAMS[variant], 1, IDS), strict=True))
    backward = dict(zip(IDS[::-1], draw(variant, PARAMS[variant], 1, IDS[::-1]), strict=True))
    assert forward == backward
    assert list(forward.values()) != draw(variant, PARAMS[variant], 2, IDS)


def test_brightness_and_contrast_draw_their_own_numbers() -> None:
    assert draw("brightness", PARAMS["brightness"], 1, IDS) != draw("contrast", PARAMS["contrast"], 1, IDS)


def test_draws_fill_their_ranges_uniformly() -> None:
    alphas = np.array(draw("brightness", PARAMS["brightness"], 1, IDS))
    assert 0.5 <= alphas.min() < 0.55
    assert 1.95 < alphas.max() <= 2.0
    assert alphas.mean() == pytest.approx(1.25, abs=4 * 0.433 / 20)  # 4 standard errors of U(.5, 2)
    assert set(draw("hue", PARAMS["hue"], 1, IDS)) == set(range(-10, 11))
    flips = draw("flip_up_down", PARAMS["flip_up_down"], 1, IDS)
    assert np.mean(flips) == pytest.approx(0.5, abs=0.1)
    qualities = draw("jpeg", PARAMS["jpeg"], 1, IDS)
    assert (min(qualities), max(qualities)) == (50, 100)


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(sorted(PARAMS)), st.integers(0, 2**31))
def test_replaying_the_written_number_gives_the_identical_picture(variant: str, seed: int) -> None:
    picture = np.random.default_rng(seed).integers(0, 256, (16, 16, 3), np.uint8)
    number = draw(variant, PARAMS[variant], seed, ["C001_00000"])[0]
    written = float(f"{number:.6f}")
    assert np.array_equal(apply(variant, picture, number), apply(variant, picture, written))


@pytest.mark.parametrize("range_", [Range, Whole])
def test_a_range_the_wrong_way_round_is_refused(range_: type) -> None:
    with pytest.raises(ValueError, match="min not above max"):
        range_(min=2, max=1)


def test_an_unknown_variant_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["augment", "rotate"])
    with pytest.raises(PipelineError, match=r"expected one of original, brightness.*got 'rotate'"):
        augment.main()


def test_an_array_of_another_length_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data/augment").mkdir(parents=True)
    np.save(tmp_path / "data/augment/original.npy", np.zeros((3, 8, 8, 3), np.uint8))
    with pytest.raises(PipelineError, match=r"expected 400 pictures, one a row of frames\.csv, got 3"):
        augment.read_originals(400)


def test_a_missing_or_broken_picture_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data/extract_frames/C001").mkdir(parents=True)
    (tmp_path / "data/extract_frames/C001/00001.png").write_bytes(b"no picture")
    for index in (0, 1):
        with pytest.raises(PipelineError, match=f"C001/0000{index}.png: expected a picture"):
            augment.read_picture("C001", index)
