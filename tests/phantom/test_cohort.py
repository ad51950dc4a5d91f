"""The cohort on disk: one form, the same bytes again, truth that fits the labels."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from stages.phantom.__main__ import BOX_COLUMNS, write_cohort
from stages.phantom.params import Params
from stages.phantom.truth import CLASSES
from stages.phantom.video import write_video

ROOT = Path(__file__).parents[2]
AGAIN = """
import sys, joblib
from pathlib import Path
from stages.phantom.__main__ import write_cohort
from stages.phantom.params import Params
params = Params.model_validate_json(Path(sys.argv[1]).read_text())
with joblib.parallel_config(n_jobs=1):
    write_cohort(params, Path(sys.argv[2]))
"""


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.md5(path.read_bytes()).hexdigest() for path in files}


def decode(path: Path) -> list[np.ndarray]:
    capture, frames = cv2.VideoCapture(str(path)), []
    while (answer := capture.read())[0]:
        frames.append(answer[1])
    return frames


def test_same_bytes_in_another_process_with_one_worker(small: Params, cohort: Path, tmp_path: Path) -> None:
    settings = tmp_path / "params.json"
    settings.write_text(small.model_dump_json())
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "LOKY_MAX_CPU_COUNT": "1"}
    subprocess.run([sys.executable, "-c", AGAIN, settings, tmp_path / "again"], check=True, env=environment)
    assert digests(tmp_path / "again") == digests(cohort)


def test_form_of_the_cohort(cohort: Path) -> None:
    clips = pd.read_csv(cohort / "clips.csv")
    assert list(clips.columns) == ["clip", "file", "patient", "position", "depth_cm"]
    assert list(clips.patient) == ["P001", "P002", "P003"]
    assert clips.depth_cm.between(2, 4).all()
    assert all((cohort / file).is_file() for file in clips.file)
    assert {path.name for path in cohort.iterdir()} == {
        "clips", "masks", "clips.csv", "boxes.csv", "truth.csv", "labels.xlsx"
    }  # fmt: skip


def test_clips_and_masks_have_the_planned_frames(small: Params, cohort: Path) -> None:
    for name in pd.read_csv(cohort / "clips.csv")["clip"]:
        clip, masks = decode(cohort / "clips" / f"{name}.mkv"), decode(cohort / "masks" / f"{name}.mkv")
        assert len(clip) == len(masks) == 12
        assert clip[0].shape == (small.phantom.height_px, small.phantom.width_px, 3)
        assert {int(value) for mask in masks for value in np.unique(mask)} <= {0, *CLASSES.values()}


def test_frames_are_dark_with_a_yellow_ruler(cohort: Path) -> None:
    frame = decode(next((cohort / "clips").iterdir()))[5].astype(int)
    assert 2 < np.median(frame) < 60
    yellow = (frame[..., 2] - frame[..., 0] > 30) & (frame[..., 1] - frame[..., 0] > 30)
    assert yellow[:, -20:].sum() > 5
    assert not yellow[:, :-30].any()


def test_a_labelled_cord_is_in_the_mask_and_has_a_box(cohort: Path) -> None:
    truth, boxes = pd.read_csv(cohort / "truth.csv"), pd.read_csv(cohort / "boxes.csv")
    assert list(boxes.columns) == BOX_COLUMNS
    seen = truth[truth.cord == 1]
    assert len(seen) > 0
    for row in seen.itertuples():
        mask = decode(cohort / "masks" / f"{row.clip}.mkv")[row.frame_index][..., 0]
        box = boxes[(boxes["clip"] == row.clip) & (boxes.frame_index == row.frame_index) & (boxes.structure == "cord")]
        assert len(box) == 1
        x, y, width, height = box.iloc[0][["x_px", "y_px", "width_px", "height_px"]].astype(int)
        assert (mask[y : y + height, x : x + width] == CLASSES["cord"]).sum() == (mask == CLASSES["cord"]).sum() > 0


def test_no_cord_below_the_conus(cohort: Path) -> None:
    truth = pd.read_csv(cohort / "truth.csv")
    assert (truth[truth.conus_distance_mm > 0].cord == 0).all()
    assert (truth[truth.conus_distance_mm > 0].cord_half_width_mm == 0).all()


def test_a_second_run_leaves_nothing_of_the_first(small: Params, tmp_path: Path) -> None:
    out = tmp_path / "cohort"
    (out / "clips").mkdir(parents=True)
    (out / "clips" / "old.mkv").touch()
    write_cohort(small.model_copy(update={"phantom": small.phantom.model_copy(update={"scale": 0.02})}), out)
    assert "old.mkv" not in {path.name for path in (out / "clips").iterdir()}
    assert [path.name for path in tmp_path.iterdir()] == ["cohort"]


def test_video_is_lossless_in_colour_and_grey(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for shape in ((46, 62, 3), (46, 62)):
        frames = [rng.integers(0, 256, shape, dtype=np.uint8) for _ in range(5)]
        write_video(tmp_path / "clip.mkv", frames, 30)
        back = decode(tmp_path / "clip.mkv")
        assert len(back) == 5
        colour = [cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR) if frame.ndim == 2 else frame for frame in frames]
        assert np.array_equal(colour, back)


def test_an_empty_clip_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="needs at least one frame"):
        write_video(tmp_path / "clip.mkv", [], 30)
