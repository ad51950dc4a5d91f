"""Burnt-in names and dates are drawn black, over tissue and beside it; tissue stays; a still clip is refused."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from stages.common.clips.cine import covers, survey
from stages.common.clips.decode import ClipError, read_header, timed_frames
from stages.common.clips.lettering import black_out, find_lettering
from stages.common.clips.sector import Sample
from stages.common.core.errors import PipelineError
from stages.extract_frames import extract
from tests.clip_factory import Pictures, speckle, write_cohort, write_dicom, write_video
from tests.test_decode import region
from tests.test_extract_frames import REAL, params

NAME = "MUSTERMANN 4711"
HEIGHT, WIDTH = 240, 320
ALL_OF_IT = {
    "RegionLocationMinX0": 0, "RegionLocationMinY0": 0, "RegionLocationMaxX1": WIDTH - 1,
    "RegionLocationMaxY1": HEIGHT - 1, "PhysicalDeltaX": 0.01, "PhysicalDeltaY": 0.01,
}  # fmt: skip
COVERED: dict[str, Any] = {"cover_lettering": "auto"}


def lettered(pictures: Pictures, text: str, left: int, base: int, grey: int = 230) -> tuple[Pictures, np.ndarray]:
    """Burn text into every picture; return them, and 2 at its strokes, 1 in the box that the line fills."""
    strokes = np.zeros(pictures.shape[1:3], np.uint8)
    cv2.putText(strokes, text, (left, base), cv2.FONT_HERSHEY_SIMPLEX, 0.6, 255, 2)
    rows, columns = np.nonzero(strokes)
    line = np.zeros(strokes.shape, np.uint8)
    line[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] = 1
    line[strokes > 0] = 2
    return np.where(strokes > 0, np.uint8(grey), pictures), line


def found(path: Path) -> np.ndarray:
    """Return what is covered of a clip."""
    section = params().extract_frames
    sample = Sample(section.sector.sampled_frames)
    for picture, _ in timed_frames(path, section.max_pixels):
        sample.add(picture)
    return find_lettering(sample, section.sector.moves_by, section.lettering)


@pytest.mark.parametrize("codec", [("ffv1", "gray", None), ("libx264", "yuv420p", {"crf": "23"})])
@pytest.mark.parametrize("beside", [False, True])
def test_a_name_is_covered_as_a_block(tmp_path: Path, codec: tuple[str, str, dict[str, str]], beside: bool) -> None:
    pictures = speckle(24, HEIGHT, WIDTH)
    pictures = pictures // 2 + 10
    if beside:
        pictures[:, :40] = 0
    clip, line = lettered(pictures, NAME, 50, 30 if beside else 130)
    covered = found(write_video(tmp_path / "clip.mkv", clip, *codec))
    assert covered[line == 2].mean() > 0.99
    assert covered[line == 1].mean() > 0.92  # and what lies between the strokes: no letter's shape is left to read
    assert covered[line == 0].mean() < 0.03


def test_tissue_that_moves_is_not_covered(tmp_path: Path) -> None:
    assert not found(write_video(tmp_path / "clip.mkv", speckle(24, HEIGHT, WIDTH))).any()


@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 3)])
def test_covering_blackens_what_is_lettering_alone(shape: tuple[int, ...]) -> None:
    picture, lettering = np.full(shape, 7, np.uint8), np.zeros((4, 6), bool)
    lettering[1, 2:4] = True
    covered = black_out(picture, lettering)
    assert not covered[lettering].any()
    assert (covered[~lettering] == 7).all()
    assert (picture == 7).all()
    assert black_out(picture, None) is picture


@pytest.mark.parametrize(
    ("setting", "cohort", "expected"),
    [("auto", "phantom", False), ("auto", "mine", True), ("always", "phantom", True), ("never", "mine", False)],
)
def test_every_cohort_but_the_phantom_is_covered_unless_params_say_otherwise(
    setting: str, cohort: str, expected: bool
) -> None:
    assert covers(params(cover_lettering=setting).extract_frames, cohort) is expected


def test_pictures_and_table_show_what_was_covered(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    clip, line = lettered(speckle(24, 240, 240) // 2, NAME, 30, 130)
    write_video(tmp_path / "mine/a.mkv", clip)
    write_video(tmp_path / "mine/b.mkv", speckle(24, 240, 240))
    cohort = write_cohort(tmp_path / "mine", {"a.mkv": "P001", "b.mkv": "P002"})
    table = extract(cohort, tmp_path / "out", params(size=240, **COVERED))
    assert table.loc[0, "covered_share"] == pytest.approx((line > 0).mean(), abs=0.03)
    assert table.loc[1, "covered_share"] == 0
    assert "clips: 1: lettering, or what looks like it, covered in black: C001" in capfd.readouterr().err
    for index in range(24):
        picture = cv2.imread(str(tmp_path / f"out/C001/{index:05d}.png"), cv2.IMREAD_UNCHANGED)
        assert not picture[line == 2].any()


def test_where_nothing_moves_a_person_must_say_where_no_name_stands(tmp_path: Path) -> None:
    still = speckle(1, 96, 128).repeat(12, axis=0)
    write_video(tmp_path / "mine/a.mkv", still)
    write_video(tmp_path / "mine/b.mkv", still)
    cohort = write_cohort(tmp_path / "mine", {"a.mkv": "P001", "b.mkv": "P002"}, crop=["10 20 60 60", ""])
    with pytest.raises(PipelineError, match=r"b\.mkv.*a name or a date might be kept") as refused:
        extract(cohort, tmp_path / "out", params(**COVERED))
    assert "a.mkv" not in str(refused.value)
    assert "give `crop` in clips.csv" in str(refused.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("frames", [1, 12])
@pytest.mark.parametrize("regions", [False, True])
def test_a_still_dicom_is_refused_whatever_region_it_states(tmp_path: Path, frames: int, regions: bool) -> None:
    pictures, _ = lettered(speckle(1, HEIGHT, WIDTH).repeat(frames, axis=0), "GEHEIM", 100, 120)  # inside the region
    stated = {"SequenceOfUltrasoundRegions": region(**ALL_OF_IT)} if regions else {}
    path = write_dicom(tmp_path / "clip.dcm", pictures, **stated)
    assert (read_header(path).region is not None) == regions
    section = params().extract_frames
    with pytest.raises(ClipError, match="stands still") as refused:
        survey(path, None, None, section, covered=True)
    assert "give `crop` in clips.csv" in str(refused.value)
    assert survey(path, (0, 0, 50, 50), None, section, covered=True).lettering is None  # a person looked


@pytest.mark.skipif(not REAL.is_dir(), reason="../shared/real/lung is not here")
def test_little_of_real_tissue_is_taken_for_lettering() -> None:
    clips = sorted(path for path in REAL.rglob("*") if path.suffix.lower() in (".avi", ".mov", ".mp4", ".mpeg"))
    assert clips
    shares = {path.name: found(path).mean() for path in clips}
    assert max(shares.values()) < 0.05, shares
