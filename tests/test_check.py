"""The check that a doctor meets first: its words, its exit status, its speed on real clips."""

import copy
import re
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML

from stages import check, extract_frames
from stages.common.clips.cohort import Clip
from stages.common.core.errors import PipelineError
from stages.common.core.params import read_params
from stages.common.protocols import Nothing
from stages.common.sheets.overview import Size
from stages.common.sheets.settings import mistakes
from stages.split import __main__ as split
from tests import workbooks
from tests.clip_factory import speckle, write_cohort, write_video
from tests.workbooks import STUDY, STUDY_CHOICES, sheet, truth

ROOT = Path(__file__).parents[1]
REAL = ROOT / "../shared/real/lung"
SHIPPED: dict[str, Any] = YAML(typ="safe", pure=True).load((ROOT / "params.yaml").read_text(encoding="utf-8"))


def content(**changes: Any) -> dict[str, Any]:
    """Return the shipped params.yaml with the tests' labels, and top-level keys replaced."""
    return SHIPPED | {"labels": workbooks.LABELS, "label_merge": workbooks.SECTION} | changes


def settings(**section: Any) -> check.Params:
    """Return the shipped parameters, with keys of `label_merge` replaced."""
    whole = content(label_merge={**workbooks.SECTION, **section})
    return check.Params.model_validate({key: whole[key] for key in check.Params.model_fields})


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Stand in for decoding: clip name -> frames, to be filled by the test."""
    frames: dict[str, int] = {}

    def in_parallel(_: Any, clips: Sequence[Clip], *__: Any, **___: Any) -> Iterator[tuple[Clip, Size]]:
        return ((clip, Size(frames[clip.name], 640, 480, 29.97)) for clip in clips)

    monkeypatch.setattr(check, "in_parallel", in_parallel)
    return frames


def test_a_flawed_cohort_is_told_whole_with_lines_to_paste(tmp_path: Path, decoded: dict[str, int]) -> None:
    decoded |= STUDY
    workbooks.write_clips(tmp_path, STUDY)
    workbooks.write_workbook(tmp_path / "labels.xlsx", workbooks.study_workbook())
    report = check.check(tmp_path, settings())
    assert report.stops
    assert f"cohort {tmp_path.name}: 13 clips of 7 patients" in report.text
    assert "problems that stop the run (5):" in report.text
    assert "warnings: unknown in labels.csv, or left out (4):" in report.text
    pasted = YAML(typ="safe", pure=True).load(report.text[report.text.index("  aliases:") :])
    assert pasted == {
        "aliases": {"LPPILOTSITTING2": "LPILOT SITTING2"},
        "definitions": {"XM12": "fluid_without_cord"},
    }
    mended = check.check(tmp_path, settings(**{**STUDY_CHOICES, **pasted}))
    assert not mended.stops
    assert mended.text.endswith("Nothing stops the run.")
    assert "'LPPILOTSITTING2'" in mended.text


def test_the_table_shows_each_clip_with_its_sheet_numbering_and_counts(tmp_path: Path, decoded: dict[str, int]) -> None:
    decoded |= {"AM12": 20, "BM12": 10}
    workbooks.write_clips(tmp_path, decoded)
    labels = [(0, 1, 0)] * 20
    workbooks.write_workbook(
        tmp_path / "labels.xlsx", {"AM12": sheet(labels, first=1), "b m12": sheet(truth(10), "BM12")}
    )
    lines = check.check(tmp_path, settings()).text.splitlines()
    heading = next(line for line in lines if line.startswith("id "))
    assert " ".join(heading.split()) == (
        "id clip patient frames size fps sector mm_per_px sheet first bad_quality cord fluid fluid_without_cord"
    )
    first = lines[lines.index(heading) + 1]
    assert " ".join(first.split()) == "C001 AM12 P001 20 640x480 30 - - as the clip 1 0 20 0 0"
    assert "'b m12'" in lines[lines.index(heading) + 2]
    assert "  P001: AM12, BM12" in lines
    assert any(
        line.startswith("warning: cord is positive in frames of 1 patient(s), at least 6 are needed") for line in lines
    )


def write_params(root: Path, **changes: Any) -> None:
    with (root / "params.yaml").open("w", encoding="utf-8") as file:
        YAML(typ="safe", pure=True).dump(content(**changes), file)


def run_main(cohort: Path, root: Path, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    write_params(root, **changes)
    monkeypatch.chdir(root)
    monkeypatch.setattr(sys, "argv", ["check", str(cohort)])
    check.main()


def test_clips_are_decoded_and_damage_stops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cohort = tmp_path / "cohort"
    write_video(cohort / "a.mkv", speckle(12, 48, 64))
    (cohort / "b.mkv").write_bytes(b"no video")
    (cohort / "stray.mkv").touch()
    rows = ["AM12,a.mkv,P001", "BM12,b.mkv,P002", "CM12,gone.mkv,P003", "DM12,d.mkv,Erika"]
    (cohort / "clips.csv").write_text("\n".join(["clip,file,patient", *rows]), encoding="utf-8")
    workbooks.write_workbook(
        cohort / "labels.xlsx",
        {"AM12": sheet(truth(12)), "BM12": sheet([(0, 3, 0)], "BM12"), "CM12": sheet(truth(9), "CM12")},
    )
    with pytest.raises(SystemExit) as status:
        run_main(cohort, tmp_path, monkeypatch)
    assert status.value.code == 1
    said = capsys.readouterr().out
    assert "clip 'BM12' (C002, b.mkv): damaged clip: expected" in said
    assert "stray.mkv: clip without a row" in said
    assert "clips.csv, row 4, column 'file': no such file" in said
    assert "clips.csv, row 5, column 'patient': no pseudonym" in said
    assert "clip 'DM12' (C004): clip without a sheet" in said
    assert "sheet 'BM12', row 2, column 'CORD': not a label" in said
    assert "problems that stop the run (7):" in said
    assert next(line for line in said.splitlines() if line.startswith("C001")).split()[3:5] == ["12", "64x48"]


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PipelineError, match=r"nowhere: expected the folder of a cohort, got none"):
        run_main(tmp_path / "nowhere", tmp_path, monkeypatch)


def small_cohort(cohort: Path, patients: int = 3, crop: str = "") -> Path:
    """Write flawless clips of 12 frames, 64 x 48 px, with their labels; the first has the crop."""
    files = {f"{letter}.mkv": f"P00{number}" for number, letter in enumerate("ABCD"[:patients])}
    for seed, file in enumerate(files):
        write_video(cohort / file, speckle(12, 48, 64, seed))
    write_cohort(cohort, files, crop=[crop, *[""] * (patients - 1)])
    workbooks.write_workbook(cohort / "labels.xlsx", {file: sheet(truth(12), file) for file in files})
    return cohort


def test_a_depth_in_millimetres_is_refused_here_and_by_extract_frames(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cohort = small_cohort(tmp_path / "data/cohorts/mine")
    table = pd.read_csv(cohort / "clips.csv")
    table.assign(depth_cm=[35, 3.5, 3.0]).to_csv(cohort / "clips.csv", index=False)
    write_params(tmp_path, cohort="mine")
    monkeypatch.chdir(tmp_path)
    report = check.check(cohort, read_params(check.Params))
    assert report.stops
    (line,) = [line for line in report.text.splitlines() if "cut off" in line]
    # 48 px are 350 mm, and 64 px 467 mm, of which 40 mm find room: 5/48 by 5/64
    assert "0.8% of 467 x 350 mm, by depth_cm" in line
    assert "depth_cm is in centimetres" in line
    with pytest.raises(PipelineError, match=r"nearly all of the sector would be cut off"):
        extract_frames.main()


def test_a_scale_that_rests_on_a_found_edge_is_shown_and_doubted(tmp_path: Path) -> None:
    cohort = small_cohort(tmp_path / "data/cohorts/mine", crop="0 0 64 40")
    table = pd.read_csv(cohort / "clips.csv")
    table.assign(depth_cm=[3.0, 3.0, None]).to_csv(cohort / "clips.csv", index=False)
    said = check.check(cohort, settings()).text
    cells = {line[:4]: line.split()[6:9] for line in said.splitlines() if line.startswith("C00")}
    assert cells["C001"] == ["64x40", "given", f"{30 / 40:.3f}"]
    width, height = map(int, cells["C002"][0].split("x"))
    assert width <= 64
    assert cells["C002"][1:] == ["found", f"{30 / height:.3f}"]
    assert cells["C003"][1:] == ["found", "unknown"]
    assert "mm_per_px of C002 is depth_cm over the height of the sector found" in said


@pytest.mark.parametrize(
    ("crop", "section", "refused"),
    [
        ("", {}, ""),
        ("0 0 64 48", {}, ""),
        ("8 0 64 48", {}, "crop reaches past the picture"),
        ("", {"max_pixels": 64 * 48 - 1}, "px exceed"),
        ("", {"max_clip_frames": 11}, "clip too long"),
    ],
)
def test_check_refuses_the_clips_that_extract_frames_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, crop: str, section: dict[str, int], refused: str
) -> None:
    small_cohort(tmp_path / "data/cohorts/mine", crop=crop)
    write_params(tmp_path, cohort="mine", extract_frames=SHIPPED["extract_frames"] | section)
    monkeypatch.chdir(tmp_path)
    # absolute, as worker processes outlive a test and keep its folder
    report = check.check(tmp_path / "data/cohorts/mine", read_params(check.Params))
    problems = []
    try:
        extract_frames.main()
    except PipelineError as error:
        problems = str(error).splitlines()[1:]
    assert report.stops == bool(problems) == bool(refused)
    assert all(refused in line and line in report.text for line in problems)


def test_thinning_wants_labels_of_the_kept_frames_alone(tmp_path: Path, decoded: dict[str, int]) -> None:
    decoded |= {"AM12": 20, "BM12": 20, "CM12": 20, "DM12": 20, "EM12": 20}
    workbooks.write_clips(tmp_path, decoded)
    sheets = {
        name: [row for place, row in enumerate(sheet(truth(20), name)) if place % 2 != 0 or not place]
        for name in decoded
    }
    workbooks.write_workbook(tmp_path / "labels.xlsx", sheets)
    params = settings(first_number=0)
    thinned = params.extract_frames.model_copy(update={"stride": 2})
    assert check.check(tmp_path, params).stops
    assert not check.check(tmp_path, params.model_copy(update={"extract_frames": thinned})).stops


@pytest.mark.parametrize("name", ["my clips", "Mine"])
def test_a_folder_that_params_yaml_cannot_name_is_refused_readably(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    report = check.check(small_cohort(tmp_path / name), settings())
    readable = (
        "expected a folder name of small letters a to z, digits, '_', '-' and '.': "
        f"no capital, no space, no accent, no slash, got {name!r}"
    )
    assert f"the cohort's folder: name of a cohort: {readable}. Rename the folder." in report.text
    assert report.stops
    write_params(tmp_path, cohort=name)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PipelineError, match=re.escape(f"cohort: wrong value: {readable}")):
        read_params(extract_frames.Params)


@pytest.mark.parametrize("patients", [2, 3])
@pytest.mark.parametrize(("protocols", "folds"), [(["frame"], 0), (["frame", "patient"], 0), (["frame"], 3), ([], 4)])
def test_check_wants_the_patients_that_split_wants(patients: int, protocols: list[str], folds: int) -> None:
    names = [f"P00{number}" for number in range(patients)]
    declared = {"protocols": {name: {} for name in protocols}, "folds": {str(fold): {} for fold in range(folds)}}
    whole = content(**declared)
    frames = pd.DataFrame({"patient": np.repeat(names, 60)})
    for label in workbooks.LABELS:
        frames[label] = np.tile([0.0, 1.0], len(frames) // 2)
    params = split.Params.model_validate({key: whole[key] for key in split.Params.model_fields})
    refused = False
    try:
        list(split.splits(frames, params))
    except PipelineError:
        refused = True
    clips = [Clip(f"C00{place}", name, Path(), name, None, None, None) for place, name in enumerate(names)]
    checked = check.Params.model_validate({key: whole[key] for key in check.Params.model_fields})
    assert bool(check.too_few(clips, checked)) == refused


def test_folds_alone_are_told_to_stop_the_run(tmp_path: Path) -> None:
    cohort, folds = small_cohort(tmp_path / "mine"), {str(fold): Nothing() for fold in range(3)}
    for protocols, stops in (({}, True), ({"patient": Nothing()}, False)):
        report = check.check(cohort, settings().model_copy(update={"protocols": protocols, "folds": folds}))
        assert report.stops == stops
        assert ("Declare `patient: {}` beside folds." in report.text) == stops


def test_two_patients_are_too_few(tmp_path: Path) -> None:
    report = check.check(small_cohort(tmp_path / "mine", patients=2), settings())
    assert report.stops
    assert "clips.csv: too few patients: expected at least 3 for a patient-disjoint split" in report.text


def test_labels_that_sections_name_and_nobody_declares_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cohort = small_cohort(tmp_path / "mine")
    labels = {"bad_quality": {"column": "BAD QUALITY"}, "conus": {"column": "CORD"}, "fluid": {"column": "FLUID"}}
    section = {**workbooks.SECTION, "without": {}}
    with pytest.raises(SystemExit):
        run_main(cohort, tmp_path, monkeypatch, labels=labels, label_merge=section)
    said = capsys.readouterr().out
    evaluated = [f"evaluate.{key}" for key in ("decision.go", "decision.stop", "rule.minimise", "rule.subject_to")]
    for key in [*evaluated, "bedside.operating_point.maximise", "bedside.operating_point.caps", "explain.masks"]:
        assert f"params.yaml: {key}: unknown label: expected one of bad_quality, conus, fluid, got 'cord'" in said
    section = {**workbooks.SECTION, "without": {}, "excludes_others": "quality"}
    with pytest.raises(
        PipelineError, match=r"(?s)params.yaml has mistakes \(8 problems\).*excludes_others.*subject_to.*masks"
    ):
        run_main(cohort, tmp_path, monkeypatch, labels=labels, label_merge=section)


def naming(content: Any, path: str = "") -> Iterator[tuple[str, str, bool]]:
    """Yield (path, label, whether it is a key) wherever a label of the shipped params.yaml stands; of a key, whose."""
    if not isinstance(content, dict):
        if isinstance(content, str) and content in SHIPPED["labels"]:
            yield path, content, False
        return
    for key, value in content.items():
        if key in SHIPPED["labels"]:
            yield path, key, True
        yield from naming(value, f"{path}.{key}".lstrip("."))


# Words of the phantom's anatomy that are spelt like labels; another cohort's labels leave them as they are
ANATOMY = ("phantom.prevalence", "explain.structures", "explain.masks.")
NAMED = [
    found
    for found in naming({key: value for key, value in SHIPPED.items() if key != "labels"})
    if not found[0].startswith(ANATOMY)
]


def test_labels_are_named_where_the_readme_says() -> None:
    paragraph = (
        (ROOT / "README.md").read_text(encoding="utf-8").split("Other labels than these three:")[1].split("\n\n")[0]
    )
    for path, _, _ in NAMED:
        section, key = path.split(".")[:2]
        assert f"`{section}.{key}`" in paragraph or f"`{key}`" in paragraph, f"README: {path} names a label"
    assert {"bedside.operating_point.maximise", "bedside.operating_point.caps"} < {path for path, _, _ in NAMED}


@pytest.mark.parametrize(("path", "label", "is_key"), NAMED, ids=str)
def test_every_parameter_that_names_a_label_is_checked(path: str, label: str, is_key: bool) -> None:
    changed = copy.deepcopy(SHIPPED)
    *parents, last = path.split(".")
    place = changed
    for parent in parents:
        place = place[parent]
    place[last] = (
        {"nobody" if key == label else key: value for key, value in place[last].items()} if is_key else "nobody"
    )
    params = check.Params.model_validate({key: changed[key] for key in check.Params.model_fields})
    (problem,) = [*mistakes(params), *check.misnamed(params)]
    assert str(problem).startswith(f"params.yaml: {path}: ")
    assert "got 'nobody'" in str(problem)


@pytest.mark.parametrize("frames", [1, 2, 3, 4, 6, 9, 10, 12])
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("protocols", [["frame"], ["patient"]])
def test_check_wants_the_frames_that_split_wants(frames: int, seed: int, protocols: list[str]) -> None:
    whole = content(protocols={name: {} for name in protocols}, folds={})
    drawn = np.random.default_rng(seed).integers(0, 3, size=(frames, 3))
    table = pd.DataFrame(np.where(drawn == 2, np.nan, drawn), columns=list(workbooks.LABELS))
    params = split.Params.model_validate({key: whole[key] for key in split.Params.model_fields})
    refused = False
    try:
        split.frame_sides(table, list(table), list(params.split.shares.model_dump().values()), np.random.default_rng(1))
    except PipelineError as error:
        refused = "frame" in protocols and f"{frames} frames are too few" in str(error)
    checked = check.Params.model_validate({key: whole[key] for key in check.Params.model_fields})
    assert bool(check.too_few_frames(table.astype("boolean"), checked)) == refused


def test_six_frames_are_too_few(tmp_path: Path, decoded: dict[str, int]) -> None:
    decoded |= {"AM12": 2, "BM12": 2, "CM12": 1, "DM12": 0, "EM12": 1}
    workbooks.write_clips(tmp_path, decoded)
    labels = [(0, 1, 0), (0, 1, 1)]
    sheets = {name: sheet(labels[:frames], name) for name, frames in decoded.items()}
    workbooks.write_workbook(tmp_path / "labels.xlsx", sheets)
    report = check.check(tmp_path, settings(first_number=0))
    assert report.stops
    assert (
        "protocol frame: too few frames: expected enough for train, validation, test at [70, 10, 20] per cent, got 6. "
        "Add clips, or change split.shares in params.yaml."
    ) in report.text


@pytest.mark.skipif(not REAL.is_dir(), reason="the real clips lie outside the repository")
def test_27_real_clips_are_checked_in_under_a_minute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    start = time.perf_counter()
    run_main(REAL.resolve(), tmp_path, monkeypatch)
    assert time.perf_counter() - start < 60
    said = capsys.readouterr().out
    assert "27 clips of 25 patients" in said
    assert "labels of 4190 frames" in said
    assert said.endswith("Nothing stops the run.\n")
