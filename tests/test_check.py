"""The check that a doctor meets first: its words, its exit status, its speed on real clips."""

import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from ruamel.yaml import YAML

from stages import check
from stages.common.clips.cohort import Clip
from stages.common.clips.decode import Probe
from stages.common.errors import PipelineError
from tests import workbooks
from tests.workbooks import STUDY, STUDY_CHOICES, settings, sheet, truth

REAL = Path(__file__).parents[1] / "../shared/real/lung"


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Stand in for decoding: clip name -> frames, to be filled by the test."""
    frames: dict[str, int] = {}

    def in_parallel(_: Any, clips: Sequence[Clip], *__: Any, **___: Any) -> Iterator[tuple[Clip, Probe]]:
        return ((clip, Probe(frames[clip.name], 640, 480, 29.97)) for clip in clips)

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
        "id clip patient frames size fps sheet first bad_quality cord fluid fluid_without_cord"
    )
    first = lines[lines.index(heading) + 1]
    assert " ".join(first.split()) == "C001 AM12 P001 20 640x480 30 as the clip 1 0 20 0 0"
    assert "'b m12'" in lines[lines.index(heading) + 2]
    assert "  P001: AM12, BM12" in lines
    assert any(
        line.startswith("warning: cord is positive in frames of 1 patient(s), at least 2 are needed") for line in lines
    )


def clip_file(path: Path, frames: int) -> None:
    """Write a small lossless clip."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "gray"
        for number in range(frames):
            picture = np.full((48, 64), number * 9, dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="gray")))
        container.mux(stream.encode())


def run_main(cohort: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (root / "params.yaml").open("w", encoding="utf-8") as file:
        YAML(typ="safe", pure=True).dump({"labels": workbooks.LABELS, "label_merge": workbooks.SECTION}, file)
    monkeypatch.chdir(root)
    monkeypatch.setattr(sys, "argv", ["check", str(cohort)])
    check.main()


def test_clips_are_decoded_and_damage_stops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cohort = tmp_path / "cohort"
    cohort.mkdir()
    (cohort / "clips.csv").write_text("clip,file,patient\nAM12,a.mkv,P001\nBM12,b.mkv,P002\n", encoding="utf-8")
    clip_file(cohort / "a.mkv", 12)
    (cohort / "b.mkv").write_bytes(b"no video")
    workbooks.write_workbook(cohort / "labels.xlsx", {"AM12": sheet(truth(12)), "BM12": sheet([(0, 3, 0)], "BM12")})
    with pytest.raises(SystemExit) as status:
        run_main(cohort, tmp_path, monkeypatch)
    assert status.value.code == 1
    said = capsys.readouterr().out
    assert "b.mkv: damaged clip: expected" in said
    assert "sheet 'BM12', row 2, column 'CORD': not a label" in said
    assert "problems that stop the run (2):" in said
    assert next(line for line in said.splitlines() if line.startswith("C001")).split()[3:5] == ["12", "64x48"]


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PipelineError, match=r"nowhere: expected the folder of a cohort, got none"):
        run_main(tmp_path / "nowhere", tmp_path, monkeypatch)


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
