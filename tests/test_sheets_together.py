"""Every problem at once: what is mended after a first look must not bring new problems to light."""

from pathlib import Path

import pytest

from tests import workbooks
from tests.workbooks import Rows, messages, read, read_sheet, sheet

WRONG = (
    "row 3, column 'CORD': not a label: expected 0, 1 or blank, got 7",
    "rows 5, 13: duplicate frame: expected one row a frame, got 2 rows with number 3",
    "row 7, columns 'BAD QUALITY', 'CORD': labels that exclude each other",
    "frames without a label: expected a row for each frame, got no row numbered 11 (1 frame)",
)


def flawed(clip: str = "AM12") -> Rows:
    """Return a sheet for 12 frames with a wrong value, a frame twice, a contradiction, and frame 11 left out."""
    rows = sheet([(0, 0, 0)] * 12, clip)
    rows[2][2] = 7
    rows[6][1:3] = [1, 1]
    rows[12][0] = rows[4][0]
    return rows


def stops(cohort: Path, frames: dict[str, int], **section: object) -> list[str]:
    """Return what stops the run, without the clip that a sheet is taken for."""
    params = workbooks.settings(**section)
    found = [str(finding.problem) for finding in read(cohort, frames, params).stopping(params.label_merge)]
    return [text.replace(", taken for clip 'AM12'", "") for text in found]


@pytest.mark.parametrize(
    ("place", "heading", "mended"),
    [
        (3, "FLUID without cord", {"definitions": {"AM12": "fluid_without_cord"}}),
        (2, "CORDS", {"column_aliases": {"CORDS": "CORD"}}),
        (3, "Fluids", {"column_aliases": {"Fluids": "FLUID"}}),
        (0, "FILENAMES", {"column_aliases": {"FILENAMES": "FILENAME"}}),
    ],
)
def test_a_column_in_doubt_hides_no_cell(tmp_path: Path, place: int, heading: str, mended: dict[str, object]) -> None:
    rows = flawed()
    rows[0][place] = heading
    workbooks.write_workbook(tmp_path / "labels.xlsx", {"AM12": rows})
    first = stops(tmp_path, {"AM12": 12})
    assert len(first) == 5
    then = stops(tmp_path, {"AM12": 12}, **mended)
    assert len(then) == 4
    assert set(then) < set(first)
    assert not workbooks.read(tmp_path, {"AM12": 12}).first_numbers["E1"]


def test_a_column_that_nothing_resembles_hides_no_other(tmp_path: Path) -> None:
    rows = flawed()
    rows[0][3] = "Liquor"
    said = messages(read_sheet(tmp_path, rows, 12))
    assert "no column 'FLUID'" in said
    for part in WRONG:
        assert part in said
    rows[0][3], rows[0][0] = "FLUID", "Picture"
    said = messages(read_sheet(tmp_path, rows, 12))
    assert "no column 'FILENAME'" in said
    assert WRONG[0] in said
    assert "frames without a label" not in said


def test_a_sheet_of_no_clip_is_read_as_the_clip_that_it_seems_to_be(tmp_path: Path) -> None:
    workbooks.write_workbook(tmp_path / "labels.xlsx", {"AMM12": flawed()})
    first = stops(tmp_path, {"AM12": 12})
    then = stops(tmp_path, {"AM12": 12}, aliases={"AMM12": "AM12"})
    assert len(then) == 4
    assert set(then) < set(first)
    assert "sheet 'AMM12', taken for clip 'AM12', row 3, column 'CORD'" in messages(read(tmp_path, {"AM12": 12}))


def test_two_sheets_for_one_clip_are_both_read(tmp_path: Path) -> None:
    workbooks.write_workbook(tmp_path / "labels.xlsx", {"AM12": flawed(), "AM 12": flawed()})
    first = stops(tmp_path, {"AM12": 12})
    for ignored in ("AM12", "AM 12"):
        assert set(stops(tmp_path, {"AM12": 12}, ignored_sheets={ignored: "a copy"})) < set(first)


def test_a_sheet_like_no_clip_is_looked_at_only_where_it_holds_labels(tmp_path: Path) -> None:
    sheets = {"AM12": sheet([(0, 0, 0)] * 12), "Zebra": flawed(), "Notes": [["A note", "CORD"], ["7", "x"]]}
    workbooks.write_workbook(tmp_path / "labels.xlsx", sheets)
    first = stops(tmp_path, {"AM12": 12})
    assert [text.split(":")[0] for text in first] == [
        "labels.xlsx, sheet 'Zebra'",
        "labels.xlsx, sheet 'Notes'",
        "labels.xlsx, sheet 'Zebra', row 3, column 'CORD'",
        "labels.xlsx, sheet 'Zebra', rows 5, 13",
        "labels.xlsx, sheet 'Zebra', row 7, columns 'BAD QUALITY', 'CORD'",
    ]
