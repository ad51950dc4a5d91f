"""What may stand in a sheet's cells and rows, what must not, and the words in which that is said."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from openpyxl import load_workbook

from tests import workbooks
from tests.workbooks import WARN, messages, read, read_sheet, sheet, truth, values


@pytest.mark.parametrize("entry", [1, 1.0, "1", " 1 ", "1.0", "\u00a01"])
def test_what_counts_as_one(tmp_path: Path, entry: object) -> None:
    reading = read_sheet(tmp_path, [list(workbooks.HEADING), ["0", 0, 0, entry]], 1)
    assert not reading.findings
    assert values(reading, "fluid") == [True]


@pytest.mark.parametrize(
    "entry", [2, -1, 0.5, "yes", True, False, "01", "#N/A", "-", "1 0", pd.Timestamp("1900-01-01")]
)
def test_what_is_no_label_is_named_with_its_place(tmp_path: Path, entry: Any) -> None:
    rows = [list(workbooks.HEADING), ["0", 0, 0, 0], ["1", 0, entry, 1]]
    reading = read_sheet(tmp_path, rows, 2)
    assert messages(reading).startswith(
        "labels.xlsx, sheet 'AM12', row 3, column 'CORD': not a label: expected 0, 1 or blank, got "
    )
    assert reading.findings[0].case == {"rows": "3", "label": "cord", "expert": "E1", "clip_id": "C001"}
    assert values(reading, "cord") == [False, None]
    assert values(reading, "fluid") == [False, True]


def test_formulas_are_refused_not_computed(tmp_path: Path) -> None:
    rows = sheet(truth(9))
    for row in range(3, 7):
        rows[row][2] = f"=D{row + 1}"
    rows[1][0] = '="AM12_"&0'
    said = messages(read_sheet(tmp_path, rows, 9, problems=WARN)).splitlines()
    wrong = "computed entry: expected a value, got a formula."
    remedy = "Replace the formula by its value: copy the column, then paste special, values."
    assert said[:2] == [
        f"labels.xlsx, sheet 'AM12', row 2, column 'FILENAME': {wrong} {remedy}",
        f"labels.xlsx, sheet 'AM12', rows 4 to 7, column 'CORD': {wrong} {remedy}",
    ]


def test_merged_cells_are_refused(tmp_path: Path) -> None:
    path = workbooks.write_workbook(tmp_path / "labels.xlsx", {"AM12": sheet(truth(9))})
    book = load_workbook(path)
    book["AM12"].merge_cells("C3:C6")
    book.save(path)
    said = messages(read(tmp_path, {"AM12": 9}))
    assert "sheet 'AM12', cells C3:C6: merged cells: expected one value a cell, got C3:C6. Unmerge them" in said


def test_rows_that_name_another_clip_are_refused(tmp_path: Path) -> None:
    sheets = {"AM12": sheet(truth(9)), "BM12": sheet(truth(9), "am12")}
    workbooks.write_workbook(tmp_path / "labels.xlsx", sheets)
    reading = read(tmp_path, {"AM12": 9, "BM12": 9}, workbooks.settings(problems=WARN))
    assert (
        "sheet 'BM12', rows 2 to 10, column 'FILENAME': frame of another clip, 'AM12': expected frames of 'BM12', got "
        "'am12_...'. Move the row to the sheet of 'AM12', or correct the cell."
    ) in messages(reading)
    assert reading.stopping(workbooks.settings(problems=WARN).label_merge)


@pytest.mark.parametrize("name", ["XX99", "AM12", "am 12", "AMM12", "2021 AM12 frame"])
def test_a_name_of_no_clip_is_warned_of_and_its_labels_stay(tmp_path: Path, name: str) -> None:
    reading = read_sheet(tmp_path, sheet([(0, 0, 1)] * 9, name), 9)
    expected = (
        "labels.xlsx, sheet 'AM12', rows 2 to 10, column 'FILENAME': name of no clip: expected names like 'AM12', got "
        "'xx99'. Make sure that these rows are about this clip, and correct the name."
    )
    assert messages(reading) == (expected if name == "XX99" else "")
    assert not reading.stopping(workbooks.settings().label_merge)
    assert values(reading, "fluid") == [True] * 9


def test_a_name_unlike_the_other_rows_is_warned_of(tmp_path: Path) -> None:
    rows = sheet(truth(9))
    rows[4][0] = "AM13_3.jpg"
    said = messages(read_sheet(tmp_path, rows, 9))
    assert (
        "row 5, column 'FILENAME': another name than in the other rows: expected names like 'AM12', got 'am13'" in said
    )


def test_rows_without_a_frame_number_are_refused(tmp_path: Path) -> None:
    rows = [*sheet(truth(9)), ["TOTAL", 3, 4, 5], [None, 0, 0, 1]]
    said = messages(read_sheet(tmp_path, rows, 9))
    assert (
        "row 11, column 'FILENAME': no frame number: expected a name that ends in one, e.g. 'AM12_206.jpg', got 'TOTAL'"
        in said
    )
    assert "row 12, column 'FILENAME': no frame number" in said


def test_names_with_the_same_defect_make_one_line(tmp_path: Path) -> None:
    rows = sheet(truth(9))
    for number in (1, 2, 3, 7, 8):
        rows[number][0] = f"AM12_{number} (1).jpg"
    reading = read_sheet(tmp_path, rows, 9)
    (finding,) = (finding for finding in reading.findings if finding.kind == "filename")
    assert finding.count == 5
    assert (
        "rows 2 to 4, 8 to 9, column 'FILENAME': no frame number: expected a name that ends in one, e.g. "
        "'AM12_206.jpg', got 5 such entries: 'AM12_1 (1).jpg', 'AM12_2 (1).jpg', 'AM12_3 (1).jpg', ..."
    ) in str(finding.problem)


def test_a_number_glued_to_the_name_is_refused(tmp_path: Path) -> None:
    workbooks.write_workbook(tmp_path / "labels.xlsx", {"LAT1": [list(workbooks.HEADING), ["LAT15.jpg", 0, 0, 1]]})
    assert "frame number runs into the clip's name: expected both told apart, got 'LAT15.jpg'" in messages(
        read(tmp_path, {"LAT1": 20})
    )


# ---- frames


def test_duplicate_frames_stop_or_keep_what_agrees(tmp_path: Path) -> None:
    rows = [list(workbooks.HEADING), ["0", 0, 1, 1], ["1", 0, 0, 1], ["0", 0, 0, 1]]
    reading = read_sheet(tmp_path, rows, 2)
    assert "sheet 'AM12', rows 2, 4: duplicate frame: expected one row a frame, got 2 rows with number 0" in messages(
        reading
    )
    assert values(reading, "cord") == [None, False]
    assert values(reading, "fluid") == [True, True]


def test_bad_quality_with_a_target_stops_or_is_unknown(tmp_path: Path) -> None:
    rows = [list(workbooks.HEADING), ["0", 1, 1, 0], ["1", 1, 0, 0], ["2", 1, 0, 1], ["3", 1, 0, 1]]
    reading = read_sheet(tmp_path, rows, 4)
    said = messages(reading)
    assert (
        "row 2, columns 'BAD QUALITY', 'CORD': labels that exclude each other: expected at most one of them 1, got all"
        in said
    )
    assert "rows 4 to 5, columns 'BAD QUALITY', 'FLUID': labels that exclude each other" in said
    assert values(reading, "bad_quality") == [None, True, None, None]
    assert values(reading, "fluid") == [None, False, None, None]


def test_frames_and_labels_without_each_other_are_told_in_the_sheet_s_own_numbers(tmp_path: Path) -> None:
    rows = [*sheet(truth(9), first=1), ["AM12_12.jpg", 0, 0, 1]]
    del rows[4:7]
    said = messages(read_sheet(tmp_path, rows, 9, first_number_of={"AM12": 1}))
    assert "row 8: label without a frame: expected numbers 1 to 9 for a clip of 9 frames, got number 12" in said
    assert "frames without a label: expected a row for each frame, got no row numbered 4 to 6 (3 frames)" in said


ENTRY = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.sampled_from(["0", "1", " 1", "x", "", "2"])
)


@hypothesis_settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), ENTRY, ENTRY, ENTRY), min_size=1, max_size=8))
def test_whatever_stands_in_a_sheet_no_label_is_invented(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[Any, ...]]
) -> None:
    table = [list(workbooks.HEADING), *([f"AM12_{row[0]}.jpg", *row[1:]] for row in rows)]
    table = [["" if entry == "" else entry for entry in row] for row in table]
    reading = read_sheet(tmp_path_factory.mktemp("cohort"), table, 6, first_number=0, first_number_of={"AM12": 0})
    for frame in range(6):
        its = [row[2] for row in rows if row[0] == frame]
        known = values(reading, "cord")[frame]
        if known is not None:
            accepted = {True: {"1", "1.0"}, False: {"0", "0.0"}}[known]
            assert its
            assert all(str(entry).strip().lstrip("-") in accepted for entry in its)
