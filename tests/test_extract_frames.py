"""A cohort of every container goes in, pictures and two tables come out; or one message, and nothing."""

import itertools
import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages import extract_frames
from stages.common.clips.canvas import draw, place
from stages.common.clips.cine import kept_indices, seconds, survey
from stages.common.core.errors import PipelineError
from stages.common.core.params import read_params
from stages.common.core.tables import FRAME_COLUMNS, read_table
from stages.extract_frames import CLIP_COLUMNS, Params, extract
from stages.phantom.__main__ import write_cohort as write_phantom
from stages.phantom.params import Params as PhantomParams
from stages.phantom.view import View
from tests.clip_factory import PATIENT, VIDEOS, speckle, write_cohort, write_dicom, write_video

ROOT = Path(__file__).parents[1]
REAL = ROOT / "../shared/real/lung"
SECTION: dict[str, Any] = {
    "stride": 1, "max_frames": None, "crop": "auto", "field_mm": 40.0, "least_shown": 0.25,
    "max_pixels": 10**6, "max_clip_frames": 1000,
    "buffer_mb": 64,
    "sector": {
        "sampled_frames": 24, "moves_by": 6, "smoothing": 0.02, "smallest_part": 0.1,
        "smallest_sector": 0.05,
    },
    "cover_lettering": "never", "lettering": {"still": 0.2, "brighter_by": 40},
}  # fmt: skip


def params(size: int = 32, **changes: Any) -> Params:
    return Params.model_validate({"cohort": "mine", "size_px": size, "extract_frames": SECTION | changes})


def framed(frames: int = 20, colour: bool = False) -> np.ndarray:
    """Return 96 x 128 pictures that move in the box x 16, y 0, 80 x 64."""
    pictures = np.zeros((frames, 96, 128), np.uint8)
    pictures[:, :64, 16:96] = speckle(frames, 64, 80)
    pictures[:, 80:90, 4:28:8] = 255  # lettering that stands still
    return np.stack([pictures, pictures // 2, pictures // 3], axis=-1) if colour else pictures


def all_bytes(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cohorts") / "mine"
    for name, (codec, pixel_format, options) in VIDEOS.items():
        write_video(folder / name, framed(colour=True), codec, pixel_format, options)
    for syntax in ("little", "rle", "jpeg", "jpeg2000"):
        write_dicom(folder / f"{syntax}.dcm", framed(colour=syntax != "rle"), syntax)
    files = [*sorted(VIDEOS), "little.dcm", "rle.dcm", "jpeg.dcm", "jpeg2000.dcm"]
    return write_cohort(folder, dict.fromkeys(files, "P001"))  # one recording in many forms: of one patient


@pytest.fixture(scope="module")
def extracted(cohort: Path) -> Path:
    out = cohort.parent / "extract_frames"
    extract(cohort, out, params())
    return out


def test_both_tables_hold_what_the_pictures_are(extracted: Path) -> None:
    frames = read_table(extracted / "frames.csv", FRAME_COLUMNS)
    clips = pd.read_csv(extracted / "clips.csv")
    assert tuple(frames.columns) == FRAME_COLUMNS
    assert tuple(clips.columns) == CLIP_COLUMNS
    assert clips["clip_id"].tolist() == [f"C{number:03d}" for number in range(1, 16)]
    assert (clips["frames_decoded"] == 20).all()
    assert (clips["frames_kept"] == 20).all()
    pictures = {f"{path.parent.name}_{path.stem}" for path in extracted.glob("*/*.png")}
    assert frames["frame_id"].tolist() == sorted(pictures)
    assert frames.loc[frames["clip_id"] == "C004", "time_s"].tolist() == pytest.approx(
        [n / 25 for n in range(20)], abs=1e-3
    )


def test_every_container_finds_the_same_sector(extracted: Path) -> None:
    clips = pd.read_csv(extracted / "clips.csv")
    assert set(clips["crop_source"]) == {"found"}
    boxes = clips[["crop_x_px", "crop_y_px", "crop_width_px", "crop_height_px"]].to_numpy()
    assert np.abs(boxes - (16, 0, 80, 64)).max() <= 8  # half a block, which is what a lossy codec smears
    lossless = [number for number, name in enumerate(sorted(VIDEOS)) if VIDEOS[name][0] in ("ffv1", "rawvideo")]
    assert np.all(boxes[lossless] == (16, 0, 80, 64))
    assert set(clips["scale_source"]) == {"unknown"}
    assert clips["mm_per_px"].isna().all()


def test_pictures_are_the_decoded_ones_resampled_once(cohort: Path, extracted: Path) -> None:
    number = sorted(VIDEOS).index("grey.mkv") + 1
    surveyed = survey(cohort / "grey.mkv", None, None, params().extract_frames, covered=False)
    assert surveyed.pictures is not None
    stored = cv2.imread(str(extracted / f"C{number:03d}/00007.png"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(stored, draw(surveyed.pictures[7], place(surveyed.view, 32, 40.0)))


def test_colour_stays_red_green_blue(extracted: Path) -> None:
    number = sorted(VIDEOS).index("colour.mkv") + 1
    blue, green, red = cv2.split(cv2.imread(str(extracted / f"C{number:03d}/00003.png")))
    assert red.mean() > 1.8 * green.mean() > 1.8 * 1.4 * blue.mean() > 0
    assert pd.read_csv(extracted / "clips.csv").loc[number - 1, "coloured"] == 1


def test_no_name_date_or_identifier_reaches_an_output(cohort: Path, extracted: Path) -> None:
    planted = [
        PATIENT,
        "Erika",
        "Mustermann",
        "MRN-4711",
        "20240229",
        "20240301",
        "Charite",
        "1.2.826",
        *VIDEOS,
        ".dcm",
    ]
    assert PATIENT.encode() in (cohort / "rle.dcm").read_bytes()
    for name, content in all_bytes(extracted).items():
        for text in planted:
            assert text.encode() not in content, f"{text} in {name}"
            assert text not in name


def test_the_same_cohort_gives_the_same_bytes(cohort: Path, extracted: Path, tmp_path: Path) -> None:
    extract(cohort, tmp_path / "again", params(buffer_mb=0))  # and decoding twice changes nothing
    assert all_bytes(tmp_path / "again") == all_bytes(extracted)


def test_thinning_keeps_decode_positions(tmp_path: Path) -> None:
    write_video(tmp_path / "mine/a.mkv", framed(20))
    cohort = write_cohort(tmp_path / "mine", {"a.mkv": "P001"})
    table = extract(cohort, tmp_path / "out", params(stride=3, max_frames=4))
    frames = pd.read_csv(tmp_path / "out/frames.csv")
    assert frames["frame_index"].tolist() == [0, 6, 12, 18]
    assert frames["frame_id"].tolist() == ["C001_00000", "C001_00006", "C001_00012", "C001_00018"]
    assert frames["time_s"].tolist() == pytest.approx([0, 0.24, 0.48, 0.72])
    assert sorted(path.name for path in (tmp_path / "out/C001").iterdir()) == [f"{n:05d}.png" for n in (0, 6, 12, 18)]
    assert table.loc[0, ["frames_decoded", "frames_kept"]].tolist() == [20, 4]


@given(st.integers(1, 500), st.integers(1, 40), st.one_of(st.none(), st.integers(1, 60)))
@settings(max_examples=100, deadline=None)
def test_thinning_is_even_and_within_its_limits(count: int, stride: int, most: int | None) -> None:
    kept = kept_indices(count, stride, most).tolist()
    strided = range(0, count, stride)
    assert len(kept) == min(len(strided), most or len(strided))
    assert kept[0] == 0
    assert set(kept) <= set(strided)
    steps = [later - earlier for earlier, later in itertools.pairwise(kept)]
    assert not steps or (min(steps) > 0 and max(steps) - min(steps) <= 2 * stride)
    assert len(kept) == 1 or kept[-1] == strided[-1]


def test_times_that_are_missing_or_fall_give_way_to_the_rate() -> None:
    assert seconds([5.0, 5.1, 5.3], 25) == pytest.approx([0, 0.1, 0.3])
    assert seconds([0.0, None, 0.2], 10) == pytest.approx([0, 0.1, 0.2])
    assert seconds([0.0, 0.4, 0.2], 10) == pytest.approx([0, 0.1, 0.2])
    assert seconds([None, None], None) == [None, None]


def test_a_person_overrules_crop_and_scale(tmp_path: Path) -> None:
    for name in ("given", "deep", "still"):
        write_video(tmp_path / f"mine/{name}.mkv", framed(1).repeat(9, axis=0) if name == "still" else framed())
    cohort = write_cohort(
        tmp_path / "mine", {"given.mkv": "P001", "deep.mkv": "P001", "still.mkv": "P002"},
        crop=["30 20 40 40", "", ""], depth_cm=["2", "3.2", "3"], position=["prone", "", ""],
    )  # fmt: skip
    table = extract(cohort, tmp_path / "out", params(size=40))
    assert table["crop_source"].tolist() == ["given", "found", "still"]
    assert table["scale_source"].tolist() == ["depth_cm", "depth_cm", "unknown"]
    assert table["mm_per_px"].tolist()[:2] == [1.0, 1.0]
    assert table.loc[2, ["crop_width_px", "crop_height_px"]].tolist() == [128, 96]
    given_picture = cv2.imread(str(tmp_path / "out/C001/00000.png"), cv2.IMREAD_UNCHANGED)
    assert given_picture[:20, 10:30].all()  # 20 mm of 40 x 40 px, centred under the upper edge
    assert not given_picture[20:].any()
    whole = extract(cohort, tmp_path / "whole", params(crop="none"))
    assert whole["crop_source"].tolist() == ["given", "whole", "whole"]
    assert whole["scale_source"].tolist() == ["depth_cm", "unknown", "unknown"]


def test_what_a_person_should_look_at_is_said(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write_video(tmp_path / "mine/a.mkv", framed(1).repeat(9, axis=0))
    (tmp_path / "mine/Kurt 2019.odt").touch()
    extract(write_cohort(tmp_path / "mine", {"a.mkv": "P001"}), tmp_path / "out", params())
    told = capfd.readouterr().err
    assert "files that are no clips are left out: `python -m stages.check" in told
    assert "Kurt" not in told  # a runner's log is read by others
    assert "9 of 9 frames of 1 clips kept" in told
    assert "clips: 1: nothing moves, so the whole picture is kept: C001" in told
    assert "clips: 1: scale unknown" in told


def test_every_clip_is_checked_before_one_message_lists_all(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    for name in ("good", "cut", "crop", "long", "stray"):
        write_video(folder / f"{name}.mkv", framed(30 if name == "long" else 12))
    (folder / "cut.mkv").write_bytes((folder / "cut.mkv").read_bytes()[:-2000])
    (folder / "empty.avi").touch()
    (folder / "film.wmv").touch()
    files = ["good.mkv", "cut.mkv", "empty.avi", "gone.mp4", "crop.mkv", "long.mkv"]
    write_cohort(folder, dict.fromkeys(files, "P001"), crop=["", "", "", "", "100 0 50 50", ""])
    with pytest.raises(PipelineError) as caught:
        extract(folder, tmp_path / "out", params(max_clip_frames=20))
    text = str(caught.value)
    assert text.startswith("the clips of cohort 'mine' cannot be used (7 problems):")
    for expected in (
        "clip 'cut.mkv' (C002, cut.mkv): damaged clip: expected frames that decode, got '",
        "clip 'empty.avi' (C003, empty.avi): damaged clip",
        "clips.csv, row 5, column 'file': no such file",
        "(C005, crop.mkv): crop reaches past the picture: expected a crop within 128 x 96 px, got 100 0 50 50",
        "clip 'long.mkv' (C006, long.mkv): clip too long: expected up to 20 frames",
        "stray.mkv: clip without a row",
        "film.wmv: unknown container",
    ):
        assert expected in text
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "out.partial").exists()  # pictures of the good clip had been written there


@pytest.mark.parametrize("patients", [("P001", "P002"), ("P001", "P001")])
def test_one_recording_of_two_patients_is_refused_before_anything_is_written(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], patients: tuple[str, str]
) -> None:
    for name, pictures in (("a", framed()), ("b", framed()), ("other", framed(20)[::-1]), ("longer", framed(21))):
        write_video(tmp_path / f"mine/{name}.mkv", pictures)
    files = {"a.mkv": patients[0], "other.mkv": "P003", "longer.mkv": "P004", "b.mkv": patients[1]}
    cohort = write_cohort(tmp_path / "mine", files)
    if patients == ("P001", "P001"):
        assert len(extract(cohort, tmp_path / "out", params())) == 4
        assert "C001, C004: the same recording, so it counts 2 times" in capfd.readouterr().err
        return
    with pytest.raises(PipelineError) as caught:
        extract(cohort, tmp_path / "out", params())
    assert str(caught.value).splitlines()[1:] == [
        "  - clips.csv: the same recording under several patients: expected one patient a recording, got clip 'a.mkv' "
        "(C001) of P001, clip 'b.mkv' (C004) of P002. If it is one infant, give it one patient; if a file was copied "
        "in place of another, bring the right one."
    ]
    assert not (tmp_path / "out").exists()


def test_a_recording_stored_anew_without_loss_is_the_same_recording(cohort: Path) -> None:
    def recording(name: str) -> str:
        return survey(cohort / name, None, None, params().extract_frames, covered=False).recording

    assert recording("colour.mkv") == recording("little.dcm")
    assert recording("colour.mkv") != recording("h264.mkv")  # with loss it is left to the leakage stage


def test_memory_does_not_grow_with_the_clip(tmp_path: Path) -> None:
    section = params(buffer_mb=1).extract_frames
    few, many = (
        survey(write_video(tmp_path / f"{n}.mkv", framed(n)), None, None, section, covered=True) for n in (40, 160)
    )
    assert few.pictures is not None
    assert len(few.pictures) == 40
    assert many.pictures is None  # 160 pictures are beyond the budget: decoded a second time instead


def test_main_reads_params_and_writes_the_stage_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_video(tmp_path / "data/cohorts/mine/a.mkv", framed())
    write_cohort(tmp_path / "data/cohorts/mine", {"a.mkv": "P001"})
    (tmp_path / "params.yaml").write_text(json.dumps({"cohort": "mine", "size_px": 32, "extract_frames": SECTION}))
    extract_frames.main()
    assert len(list((tmp_path / "data/extract_frames/C001").glob("*.png"))) == 20
    (tmp_path / "params.yaml").write_text(
        json.dumps({"cohort": "../mine", "size_px": 2, "extract_frames": SECTION | {"crop": "guess", "strid": 2}})
    )
    with pytest.raises(PipelineError) as caught:
        extract_frames.main()
    for key in ("cohort", "size_px", "extract_frames.crop", "extract_frames.strid"):
        assert f"params.yaml: {key}: " in str(caught.value)


def test_the_shipped_parameters_are_valid() -> None:
    assert read_params(Params, ROOT / "params.yaml").extract_frames.stride >= 1


def test_every_phantom_clip_is_cut_at_its_true_sector_and_so_has_its_true_scale(tmp_path: Path) -> None:
    phantom = read_params(PhantomParams, ROOT / "params.yaml")
    write_phantom(phantom, tmp_path / "phantom")
    table = extract(tmp_path / "phantom", tmp_path / "out", read_params(Params, ROOT / "params.yaml"))
    assert (table["scale_source"] == "depth_cm").all()
    assert (table["shown_share"] == 1).all()  # the deepest is 40 mm, as the canvas
    for _, row in table.iterrows():
        view = View(phantom.phantom.width_px, phantom.phantom.height_px, 10 * row["depth_cm"])
        true = (view.left_px, view.top_px, view.columns, view.rows)
        found = tuple(row[f"crop_{part}_px"] for part in ("x", "y", "width", "height"))
        assert np.abs(np.subtract(found, true)).max() <= 0.02 * view.rows, f"{row['clip_id']}: {found}, true {true}"


@pytest.mark.skipif(not REAL.exists(), reason="the real clips are not part of the repository")
def test_real_clips_are_extracted(tmp_path: Path) -> None:
    real = pd.read_csv(REAL / "clips.csv").iloc[[9, 11, 19, 26]]  # .mp4, .MP4, .mpeg, .dcm
    for file in real["file"]:
        (tmp_path / "mine" / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REAL / file, tmp_path / "mine" / file)
    real.to_csv(tmp_path / "mine/clips.csv", index=False)
    table = extract(tmp_path / "mine", tmp_path / "out", params(max_frames=5))
    assert table["frames_decoded"].tolist() == [151, 55, 208, 30]
    assert (table["crop_source"] == "found").all()
    assert not [picture for picture in (tmp_path / "out").glob("*/*.png") if cv2.imread(str(picture)).mean() < 5]
