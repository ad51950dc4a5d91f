"""Each preprocessing method against a formula or a second implementation."""

import cv2
import numpy as np
import pytest

from stages.common.preprocessing import Clahe, Equalize, Gamma, Preprocess, Stretch, preprocess


def params(method: str, blur_px: int = 1) -> Preprocess:
    return Preprocess(
        method=method,
        equalize=Equalize(blur_px=blur_px),
        clahe=Clahe(clip_limit=2.0, tiles=4),
        stretch=Stretch(low_percent=0.0, high_percent=100.0),
        gamma=Gamma(gamma=0.5),
    )


@pytest.fixture
def grey() -> np.ndarray:
    return np.random.default_rng(3).integers(40, 200, (32, 32), np.uint8)


@pytest.fixture
def picture(grey: np.ndarray) -> np.ndarray:
    return np.repeat(grey[..., None], 3, axis=2)


def test_none_is_the_grey_picture(grey: np.ndarray, picture: np.ndarray) -> None:
    assert np.array_equal(preprocess(picture, params("none")), grey)


def test_grey_weighs_colours_as_bt601() -> None:
    colours = np.random.default_rng(1).integers(0, 256, (8, 8, 3), np.uint8)
    expected = colours @ np.array([0.114, 0.587, 0.299])  # BGR
    assert np.abs(preprocess(colours, params("none")) - expected).max() <= 1


def test_equalize_is_the_cumulative_histogram(grey: np.ndarray, picture: np.ndarray) -> None:
    counts = np.bincount(grey.ravel(), minlength=256)
    cumulative = counts.cumsum()
    first = cumulative[np.flatnonzero(counts)[0]]
    expected = np.rint((cumulative - first) * 255.0 / (grey.size - first))[grey]
    assert np.abs(preprocess(picture, params("equalize")) - expected).max() <= 1


def test_equalize_blurs_first() -> None:
    dot = np.zeros((31, 31, 3), np.uint8)
    dot[15, 15] = 255
    spread = np.count_nonzero(preprocess(dot, params("equalize", blur_px=7)))
    assert spread > np.count_nonzero(preprocess(dot, params("equalize", blur_px=1)))


def test_equalize_undoes_a_gain_that_does_not_saturate(grey: np.ndarray) -> None:
    dark = np.repeat((grey // 2)[..., None], 3, axis=2)
    bright = np.repeat((grey // 2 * 2)[..., None], 3, axis=2)
    assert np.array_equal(preprocess(dark, params("equalize")), preprocess(bright, params("equalize")))


def test_clahe_evens_out_a_lit_half() -> None:
    noise = np.random.default_rng(5).integers(0, 40, (64, 64), np.uint8)
    noise[:, 32:] += 150
    done = preprocess(np.repeat(noise[..., None], 3, axis=2), params("clahe"))
    before = float(noise[:, 40:].mean() - noise[:, :24].mean())
    assert float(done[:, 40:].mean() - done[:, :24].mean()) < before


def test_stretch_fills_the_range(picture: np.ndarray, grey: np.ndarray) -> None:
    low, high = grey.min(), grey.max()
    expected = np.rint((grey.astype(float) - low) / (high - low) * 255)
    assert np.abs(preprocess(picture, params("stretch")) - expected).max() <= 1


def test_stretch_leaves_a_blank_picture() -> None:
    blank = np.full((8, 8, 3), 77, np.uint8)
    assert np.array_equal(preprocess(blank, params("stretch")), blank[..., 0])


@pytest.mark.parametrize("method", ["gamma", "log"])
def test_power_and_log_curves(picture: np.ndarray, grey: np.ndarray, method: str) -> None:
    level = grey.astype(float)
    expected = (level / 255) ** 0.5 if method == "gamma" else np.log1p(level) / np.log(256)
    assert np.abs(preprocess(picture, params(method)) - expected * 255).max() <= 0.51


def test_an_even_kernel_is_refused() -> None:
    with pytest.raises(ValueError, match="an odd number"):
        Equalize(blur_px=4)


def test_percentiles_the_wrong_way_round_are_refused() -> None:
    with pytest.raises(ValueError, match="low_percent below high_percent"):
        Stretch(low_percent=90.0, high_percent=10.0)


def test_opencv_is_the_pinned_major_version() -> None:
    assert cv2.__version__.startswith("4.")  # 5 changes pixels
