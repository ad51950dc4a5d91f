"""Hand-made features against closed formulas, and the stage on a few made-up pictures."""

from pathlib import Path

import cv2
import joblib
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from skimage.feature import hog

from stages.common.core.errors import PipelineError
from stages.texture import __main__ as texture
from stages.texture.features import (
    PROPERTIES,
    binary_patterns,
    co_occurrence,
    co_occurrence_names,
    columns,
    features,
    gradients,
    histogram,
)
from stages.texture.params import Glcm, Histogram, Hog, Lbp, Texture

PARAMS = """
texture:
  histogram: {bins: 8}
  glcm: {levels: 4, distances_px: [1, 2]}
  lbp: {radii_px: [1, 2]}
  hog: {cells: 4, block_cells: 2, orientations: 9}
"""
SECTION = Texture(
    histogram=Histogram(bins=8),
    glcm=Glcm(levels=4, distances_px=[1, 2]),
    lbp=Lbp(radii_px=[1, 2]),
    hog=Hog(cells=4, block_cells=2, orientations=9),
)
CONSTANT = np.full((24, 24), 100, np.uint8)
CHECKERBOARD = (np.indices((24, 24)).sum(axis=0) % 2 * 255).astype(np.uint8)
NOISE = np.random.default_rng(0).integers(0, 256, (24, 24)).astype(np.uint8)


def co_occurring(grey: NDArray[np.uint8], distances: list[int]) -> dict[str, float]:
    params = Glcm(levels=4, distances_px=distances)
    return dict(zip(co_occurrence_names(params), co_occurrence(grey, params).tolist(), strict=True))


def test_histogram_is_shares_of_equal_bins() -> None:
    grey = np.array([[0, 31, 32], [255, 224, 223]], np.uint8)
    assert histogram(grey, 8).tolist() == pytest.approx([2 / 6, 1 / 6, 0, 0, 0, 0, 1 / 6, 2 / 6])


def test_a_constant_picture_has_no_contrast_and_no_entropy() -> None:
    found = co_occurring(CONSTANT, [1])
    assert {name: found[f"{name} 1 px mean"] for name in PROPERTIES} == {
        "contrast": 0, "dissimilarity": 0, "homogeneity": 1, "energy": 1, "correlation": 1, "entropy": 0,
    }  # fmt: skip
    assert not any(found[f"{name} 1 px range"] for name in PROPERTIES)


def test_a_checkerboard_co_occurs_as_the_formulas_say() -> None:
    """Beside each other always levels 0 and 3, diagonally and two apart always the same."""
    found = co_occurring(CHECKERBOARD, [1, 2])
    # of four directions two are across (contrast 3 squared, homogeneity 1 / (1 + 9)), two along the diagonals
    assert found["contrast 1 px mean"] == pytest.approx(9 / 2)
    assert found["contrast 1 px range"] == pytest.approx(9)
    assert found["dissimilarity 1 px mean"] == pytest.approx(3 / 2)
    assert found["homogeneity 1 px mean"] == pytest.approx((0.1 + 1) / 2)
    assert found["correlation 1 px range"] == pytest.approx(2)
    assert found["energy 1 px mean"] == pytest.approx(np.sqrt(0.5), abs=1e-3)  # two equally frequent pairs
    # straight two px apart lies the same level; the diagonal's offset is rounded to one px, the same too
    assert found["contrast 2 px mean"] == 0


@pytest.mark.parametrize("turned", [np.fliplr, np.flipud], ids=["left-right", "up-down"])
def test_a_mirror_image_has_the_same_co_occurrence_and_histogram(turned: object) -> None:
    mirrored = turned(NOISE)  # type: ignore[operator]
    assert co_occurrence(mirrored, SECTION.glcm) == pytest.approx(co_occurrence(NOISE, SECTION.glcm), abs=1e-6)
    assert np.array_equal(histogram(mirrored, 8), histogram(NOISE, 8))
    assert not np.allclose(gradients(mirrored, SECTION.hog), gradients(NOISE, SECTION.hog))


def test_binary_patterns_are_shares_and_do_not_see_brightness() -> None:
    found = binary_patterns(NOISE, SECTION.lbp)
    assert (found[:10].sum(), found[10:].sum()) == (pytest.approx(1), pytest.approx(1))
    darker = (NOISE // 2 * 2).astype(np.uint8)
    assert np.array_equal(
        binary_patterns(darker, SECTION.lbp), binary_patterns((darker // 2).astype(np.uint8), SECTION.lbp)
    )


def test_every_neighbour_of_a_constant_picture_is_as_bright() -> None:
    names = [name for name, group in columns(SECTION) if group == "lbp"]
    found = dict(zip(names, binary_patterns(CONSTANT, SECTION.lbp).tolist(), strict=True))
    assert found["lbp 1 px 8"] > 0.8  # but for the rim, whose circle leaves the picture
    assert found["lbp 2 px 16"] > 0.6


def test_an_edge_shows_in_its_own_orientation() -> None:
    """Brightness that grows to the right has its gradient along the rows: orientation 0 in every cell."""
    ramp = np.tile(np.arange(24) * 10, (24, 1)).astype(np.uint8)
    of_cells = gradients(ramp, Hog(cells=4, block_cells=1, orientations=9)).reshape(-1, 9)
    assert (of_cells.argmax(axis=1) == 0).all()
    upright = gradients(ramp.T.copy(), Hog(cells=4, block_cells=1, orientations=9)).reshape(-1, 9)
    assert (upright.argmax(axis=1) == 4).all()  # 90 of 180 degrees


def test_gradients_are_scikit_image_s_of_the_middle_that_cells_divide() -> None:
    odd = np.random.default_rng(1).integers(0, 256, (27, 27)).astype(np.uint8)
    wanted = hog(odd[1:25, 1:25], 9, (6, 6), (2, 2))
    assert gradients(odd, SECTION.hog) == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize("side_px", [24, 27, 64])
def test_columns_name_every_number_at_any_size(side_px: int) -> None:
    named = columns(SECTION)
    assert len(features(cv2.resize(NOISE, (side_px, side_px)), SECTION)) == len(named)
    assert len({name for name, _ in named}) == len(named)
    counts = pd.Series([group for _, group in named]).value_counts().to_dict()
    assert counts == {"histogram": 8, "glcm": 6 * 2 * 2, "lbp": 10 + 18, "hog": 3 * 3 * 2 * 2 * 9}


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Forty colour pictures."""
    (tmp_path / "data/augment").mkdir(parents=True)
    pictures = np.random.default_rng(2).integers(0, 256, (40, 24, 24, 3)).astype(np.uint8)
    np.save(tmp_path / "data/augment/original.npy", pictures)
    (tmp_path / "params.yaml").write_text(PARAMS, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run() -> None:
    with joblib.parallel_config(backend="threading"):
        texture.main()


def test_rows_are_those_of_the_pictures_and_bytes_repeat(workspace: Path) -> None:
    run()
    files = sorted((workspace / "data/features/texture").iterdir())
    first = [path.read_bytes() for path in files]
    found = np.load(workspace / "data/features/texture/frames.npy")
    named = pd.read_csv(workspace / "data/features/texture/columns.csv")
    assert (found.shape, found.dtype) == ((40, len(named)), np.float32)
    pictures = np.load(workspace / "data/augment/original.npy")
    for row in (0, 17, 39):
        grey = cv2.cvtColor(pictures[row], cv2.COLOR_BGR2GRAY)
        assert np.array_equal(found[row], features(grey, SECTION))
    run()
    assert [path.name for path in files] == ["columns.csv", "frames.npy"]
    assert [path.read_bytes() for path in files] == first


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        ("bins: 8", "bins: 1", r"texture\.histogram\.bins: wrong value"),
        ("levels: 4", "level: 4", r"texture\.glcm\.level: unknown key"),
        ("cells: 4", "cells: 12", r"texture\.hog\.cells: too large: .*at most 8 at 24 px, got 12"),
        ("block_cells: 2", "block_cells: 5", r"texture\.hog\.block_cells: too large: .*at most 4"),
        ("[1, 2]}\n  lbp", "[1, 24]}\n  lbp", r"texture\.glcm\.distances_px: too large: .*at most 23"),
        ("radii_px: [1, 2]", "radii_px: [12]", r"texture\.lbp\.radii_px: too large: .*at most 11"),
        ("radii_px: [1, 2]", "radii_px: []", r"texture\.lbp\.radii_px"),
    ],
)
def test_mistakes_in_params_are_named(workspace: Path, right: str, wrong: str, message: str) -> None:
    assert right in PARAMS
    (workspace / "params.yaml").write_text(PARAMS.replace(right, wrong), encoding="utf-8")
    with pytest.raises(PipelineError, match=message):
        run()
