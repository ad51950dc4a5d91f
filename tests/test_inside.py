"""Whatever lies in a cohort under the name of a table, a sheet or a mask: only its own plain files are opened."""

import os
from pathlib import Path

import pandas as pd
import pytest

from stages.common.clips.cohort import check_clips
from stages.common.clips.inside import NotOfCohortError, read_table_bytes, strange
from stages.common.core.errors import PipelineError
from stages.common.core.params import read_params
from stages.common.sheets.files import read_files
from stages.explain.masks import read_masks
from stages.explain.params import Params
from tests.workspace import ROOT

SECRET = "root:x:0:0"
HEADER = "clip,file,patient\n"


# a pipe that is waited for, or a device without end, fails the test instead of holding it
pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def cohort(tmp_path: Path) -> Path:
    """A folder with a file beside it that is nobody's business."""
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/A.csv").write_text(f"{SECRET}\n")
    (tmp_path / "cohort").mkdir()
    return tmp_path / "cohort"


def planted(cohort: Path, name: str, kind: str) -> str:
    """Put something strange below the cohort; return the words that tell it."""
    path = cohort / name
    path.parent.mkdir(exist_ok=True)
    if kind == "pipe":
        os.mkfifo(path)
        return "a device, a pipe or a socket"
    beside = {"link": "secret", "folder": "elsewhere", "device": "/dev/zero"}
    path.symlink_to(path.name if kind == "ring" else cohort.parent / beside[kind])
    return "leads out of the cohort"


@pytest.mark.parametrize("kind", ["link", "device", "ring", "pipe"])
def test_clips_csv_is_a_file_of_the_cohort(cohort: Path, kind: str) -> None:
    said = planted(cohort, "clips.csv", kind)
    with pytest.raises(PipelineError, match=said) as refused:
        check_clips(cohort)
    assert SECRET not in str(refused.value)
    assert "clips.csv" in str(refused.value)
    assert str(refused.value).endswith(("in place of the link.", "or remove it."))


@pytest.mark.parametrize("kind", ["link", "device", "ring", "pipe"])
@pytest.mark.parametrize("name", ["labels.csv", "labels.xlsx", "labels/A.csv", "labels_anna.csv"])
def test_label_files_are_files_of_the_cohort(cohort: Path, name: str, kind: str) -> None:
    said = planted(cohort, name, kind)
    sheets, findings = read_files(cohort, "CLIP")
    text = "\n".join(str(finding.problem) for finding in findings)
    assert not sheets
    assert f"{name}: " in text
    assert said in text
    assert SECRET not in text


def test_a_folder_of_labels_is_the_cohort_s_own(cohort: Path) -> None:
    said = planted(cohort, "labels", "folder")
    sheets, (finding,) = read_files(cohort, "CLIP")
    assert not sheets
    assert f"labels: {said}" in str(finding.problem)


def test_links_within_the_cohort_and_to_a_whole_cohort_are_followed(cohort: Path) -> None:
    (cohort / "tables").mkdir()
    (cohort / "tables/mine.csv").write_text("CLIP,FILENAME\nA,0\n")
    (cohort / "labels.csv").symlink_to("tables/mine.csv")
    (cohort.parent / "linked").symlink_to(cohort)
    for folder in (cohort, cohort.parent / "linked"):
        sheets, findings = read_files(folder, "CLIP")
        assert not findings
        assert [sheet.title for sheet in sheets] == ["A"]


def test_a_clip_s_row_may_name_a_link_to_a_pipe(cohort: Path) -> None:
    os.mkfifo(cohort / "pipe")
    (cohort / "IM_0001").symlink_to("pipe")
    (cohort / "clips.csv").write_text(f"{HEADER}A,IM_0001,P001\n")
    (problem,) = check_clips(cohort).problems
    assert problem.what == "no such file"


@pytest.mark.parametrize(
    ("name", "kind"), [("A", "link"), ("A", "device"), ("A", "ring"), ("A", "pipe"), ("../../x", "")]
)
def test_masks_are_files_of_the_cohort(cohort: Path, name: str, kind: str) -> None:
    (cohort / "a.mkv").touch()
    (cohort / "clips.csv").write_text(f"{HEADER}{name},a.mkv,P001\n")
    (cohort / "masks").mkdir()
    (cohort.parent / "x.mkv").touch()
    said = planted(cohort, f"masks/{name}.mkv", kind) if kind else "leads out of the cohort"
    with pytest.raises(PipelineError, match=said) as refused:
        read_masks(
            cohort, pd.DataFrame({"clip_id": ["C001"]}), {"C001": [0]}, read_params(Params, ROOT / "params.yaml")
        )
    assert f"masks/{name}.mkv" in str(refused.value)


@pytest.mark.parametrize("size", [9, 10, 11, 5000])
def test_no_more_than_the_limit_and_one_byte_is_read(cohort: Path, size: int) -> None:
    (cohort / "table.csv").write_bytes(b"x" * size)
    if size <= 10:
        assert read_table_bytes(cohort / "table.csv", cohort, 10) == b"x" * size
        return
    with pytest.raises(NotOfCohortError, match=r"table\.csv: too large: expected at most 0 MiB, got more"):
        read_table_bytes(cohort / "table.csv", cohort, 10)


def test_a_file_that_is_not_there_is_not_strange(cohort: Path) -> None:
    assert strange(cohort / "clips.csv", cohort) is None
    with pytest.raises(PipelineError, match="got no such file"):
        check_clips(cohort)
