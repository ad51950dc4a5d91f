"""What sheets may look like, what they must not, and the words in which that is said."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from openpyxl import load_workbook

from stages.common.params import read_params
from stages.common.sheets.names import as_yaml, close, normal, same
from stages.common.sheets.settings import LabelParams, mistakes
from tests import workbooks
from tests.workbooks import STUDY, STUDY_CHOICES, WARN, kinds, messages, read, read_sheet, sheet, truth, values

ROOT = Path(__file__).parents[1]


def test_a_flawless_sheet_gives_its_labels_and_no_finding(tmp_path: Path) -> None:
    labels = truth(40)
    reading = read_sheet(tmp_path, sheet(labels), 40)
    assert not reading.findings
    assert not reading.notes
    for place, label in enumerate(("bad_quality", "cord", "fluid")):
        assert values(reading, label) == [bool(triple[place]) for triple in labels]
    assert values(reading, "fluid_without_cord") == [bool(fluid and not cord) for _, cord, fluid in labels]


def test_the_study_s_workbook_is_refused_with_every_flaw_named(tmp_path: Path) -> None:
    workbooks.write_workbook(tmp_path / "labels.xlsx", workbooks.study_workbook())
    reading = read(tmp_path, STUDY)
    said = messages(reading).splitlines()
    assert len(said) == 9
    for part in (
        "sheet 'LPPILOTSITTING2': no clip of this name: expected a clip's name, perhaps 'LPILOT SITTING2'",
        "label_merge.aliases: {LPPILOTSITTING2: LPILOT SITTING2}",
        "clip 'LPILOT SITTING2' (C001): clip without a sheet",
        "sheet 'LPILOT LAT2': cannot tell whether its frame numbers start at 0 or 1",
        "sheet 'LPILOT LAT1': frames without a label: expected a row for each frame, got no row numbered 100 (1 frame)",
        "sheet 'US00000L', row 10, column 'CORD': blank cell: expected 0 or 1, got nothing",
        "sheet 'XM12': column 'FLUID without cord' is another definition than 'fluid'",
        "label_merge.definitions: {XM12: fluid_without_cord} or {XM12: fluid}",
    ):
        assert any(part in line for line in said), part
    assert reading.first_numbers["E1"]["C013"] == 1


def test_the_study_s_workbook_gives_the_truth_after_explicit_choices(tmp_path: Path) -> None:
    workbooks.write_workbook(tmp_path / "labels.xlsx", workbooks.study_workbook())
    params = workbooks.settings(**STUDY_CHOICES)
    reading = read(tmp_path, STUDY, params)
    assert not reading.stopping(params.label_merge)
    votes = reading.votes["E1"]
    truths = workbooks.study_labels()
    for number, name in enumerate(STUDY, start=1):
        its = votes.xs(f"C{number:03d}", level="clip_id")
        expected = pd.DataFrame(truths[name], columns=["bad_quality", "cord", "fluid"]).astype(bool)
        for label in expected:
            known = its[label].notna().to_numpy()
            assert (its[label][known].astype(bool).to_numpy() == expected[label][known].to_numpy()).all(), (name, label)
    unknown = votes["cord"].isna().groupby("clip_id").sum()
    assert unknown[unknown > 0].to_dict() == {"C003": 2, "C004": 1}
    cord_in_xm12 = votes.xs("C012", level="clip_id")["cord"].astype(bool)
    assert votes.xs("C012", level="clip_id")["fluid"].isna().equals(cord_in_xm12)


# ---- names


def test_names_are_equal_without_case_spaces_and_punctuation() -> None:
    assert normal("LPILOT-Lat 1") == normal(" lpilot_LAT1 ") == "lpilotlat1"
    assert same("A-1", ["A-1", "A1"]) == ["A-1"]
    assert same("a 1", ["A-1", "A1"]) == ["A-1", "A1"]
    assert close("LPPILOTSITTING2", list(STUDY))[0] == "LPILOT SITTING2"


@given(st.text())
def test_any_name_reads_back_from_yaml(name: str) -> None:
    from ruamel.yaml import YAML

    printable = "".join(character for character in name if character.isprintable())
    assert YAML(typ="safe", pure=True).load(f"{{key: {as_yaml(printable)}}}") == {"key": printable}


def test_a_sheet_that_could_be_two_clips_is_refused(tmp_path: Path) -> None:
    workbooks.write_workbook(tmp_path / "labels.xlsx", {"a 1": sheet(truth(5), "x")})
    reading = read(tmp_path, {"A-1": 5, "A1": 5})
    assert "sheet 'a 1': ambiguous name: expected the name of one clip, got several: 'A-1', 'A1'" in messages(reading)
    told = read(tmp_path, {"A-1": 5, "A1": 5}, workbooks.settings(aliases={"a 1": "A-1"}))
    assert told.titles == {"E1": {"C001": "a 1"}}


def test_two_sheets_for_one_clip_are_refused(tmp_path: Path) -> None:
    workbooks.write_workbook(tmp_path / "labels.xlsx", {"AM12": sheet(truth(5)), "A M12": sheet(truth(5))})
    reading = read(tmp_path, {"AM12": 5})
    assert (
        "clip 'AM12': several sheets for one clip: expected one sheet, got 2: labels.xlsx, sheet 'AM12'; labels.xlsx, "
        "sheet 'A M12'. Remove or rename all but one"
    ) in messages(reading)


def test_an_extra_sheet_is_refused_until_it_is_ignored_with_a_reason(tmp_path: Path) -> None:
    sheets = {"AM12": sheet(truth(5)), "Legend": [["1", "yes"]], "Sheet3": []}
    workbooks.write_workbook(tmp_path / "labels.xlsx", sheets)
    reading = read(tmp_path, {"AM12": 5})
    assert kinds(reading) == {"sheet"}
    assert "sheet 'Legend': no clip of this name" in messages(reading)
    assert "label_merge.ignored_sheets" in messages(reading)
    told = read(tmp_path, {"AM12": 5}, workbooks.settings(ignored_sheets={"legend": "explains"}, aliases={"BM12": "x"}))
    assert not told.findings
    assert told.notes == [
        "labels.xlsx, sheet 'Legend': ignored, as label_merge.ignored_sheets says (explains)",
        "labels.xlsx, sheet 'Sheet3': ignored, as it is empty and named like no clip",
        "label_merge.aliases: 'BM12' is no sheet of this cohort; left unused",
    ]


def test_an_alias_to_a_clip_that_is_not_there_is_refused(tmp_path: Path) -> None:
    reading = read_sheet(tmp_path, sheet(truth(5)), 5, title="sitting", aliases={"sitting": "AM13"})
    assert "perhaps 'AM12', got 'sitting', in label_merge.aliases called 'AM13'" in messages(reading)


def test_hidden_and_empty_sheets_are_refused(tmp_path: Path) -> None:
    path = workbooks.write_workbook(tmp_path / "labels.xlsx", {"AM12": sheet(truth(5)), "BM12": [], "CM12": []})
    book = load_workbook(path)
    book["AM12"].sheet_state = "veryHidden"
    book.save(path)
    reading = read(tmp_path, {"AM12": 5, "BM12": 5})
    assert "sheet 'AM12': hidden sheet: expected sheets that are seen, got a hidden one" in messages(reading)
    assert "sheet 'BM12': empty sheet: expected the heading FILENAME, BAD QUALITY, CORD, FLUID" in messages(reading)


def test_a_clip_without_a_sheet_stops_or_is_unknown(tmp_path: Path) -> None:
    workbooks.write_workbook(tmp_path / "labels.xlsx", {"AM12": sheet(truth(5))})
    reading = read(tmp_path, {"AM12": 5, "BM12": 3})
    assert messages(reading) == (
        "clip 'BM12' (C002): clip without a sheet: expected a sheet named as the clip, got none. "
        "Add the sheet, or say in label_merge.aliases which one it is."
    )
    assert values(reading, "cord")[5:] == [None] * 3


# ---- columns


def test_headings_may_be_spelt_otherwise_and_stand_anywhere(tmp_path: Path) -> None:
    labels = truth(20)
    rows = sheet(labels, heading=(" file-name ", "Bad_Quality", "cord ", "Fluid"))
    mixed = [[row[3], row[1], "x", row[0], row[2]] for row in rows]
    reading = read_sheet(tmp_path, [[], *mixed], 20)
    assert not reading.findings
    assert values(reading, "cord") == [bool(triple[1]) for triple in labels]


def test_a_missing_column_is_refused_with_the_closest_heading(tmp_path: Path) -> None:
    rows = sheet(truth(5), heading=("FILENAME", "BAD QUALITY", "CORDS", "FLUID"))
    assert messages(read_sheet(tmp_path, rows, 5)) == (
        "labels.xlsx, sheet 'AM12', row 1: no column 'CORD': expected a heading 'CORD', got 'FILENAME', 'BAD QUALITY', "
        "'CORDS', 'FLUID'. Correct the heading, or set in params.yaml label_merge.column_aliases: {CORDS: CORD}."
    )
    assert not read_sheet(tmp_path, rows, 5, column_aliases={"cords": "CORD"}).findings


def test_a_column_that_stands_twice_is_refused(tmp_path: Path) -> None:
    rows = [[*row, row[2]] for row in sheet(truth(5))]
    assert "several columns 'CORD': expected one, got 2: 'CORD', 'CORD'" in messages(read_sheet(tmp_path, rows, 5))


def test_another_definition_is_not_another_spelling(tmp_path: Path) -> None:
    heading = (*workbooks.HEADING[:3], "Fluid WITHOUT cord")
    rows = [list(heading), ["0", 0, 0, 1], ["1", 0, 0, 0], ["2", 0, 1, 0], ["3", 0, None, 0], ["4", 0, None, 1]]
    undecided = read_sheet(tmp_path, rows, 5)
    assert kinds(undecided) == {"definition"}
    assert undecided.findings[0].proposal == ("definitions", "AM12", "fluid_without_cord")
    other = read_sheet(tmp_path, rows, 5, definitions={"AM12": "fluid_without_cord"})
    assert values(other, "fluid") == [True, False, None, None, True]
    assert values(other, "fluid_without_cord") == [True, False, False, False, True]
    assert values(other, "cord") == [False, False, True, None, False]
    same_word = read_sheet(tmp_path, rows, 5, definitions={"AM12": "fluid"})
    assert values(same_word, "fluid") == [True, False, False, False, True]
    assert values(same_word, "fluid_without_cord") == [True, False, False, False, None]


def test_a_plain_column_can_be_said_to_mean_the_other_definition(tmp_path: Path) -> None:
    rows = [list(workbooks.HEADING), ["0", 0, 1, 0], ["1", 0, 1, 1]]
    reading = read_sheet(tmp_path, rows, 2, definitions={"AM12": "fluid_without_cord"})
    assert "row 3, columns 'FLUID', 'CORD': labels that exclude each other: expected at most one of them 1" in messages(reading)
    assert values(reading, "fluid") == [None, None]


def test_both_definitions_in_one_sheet_are_refused(tmp_path: Path) -> None:
    rows = [[*row, row[3]] for row in sheet(truth(5))]
    rows[0][4] = "FLUID without cord"
    assert "two definitions in one sheet: expected one of the columns, got 'FLUID' and 'FLUID without cord'" in messages(
        read_sheet(tmp_path, rows, 5, definitions={"AM12": "fluid"})
    )


def test_another_organ_s_labels_run(tmp_path: Path) -> None:
    labels = {"effusion": {"column": "EFF"}, "mass": {"column": "Mass"}}
    params = workbooks.settings(labels, without={}, excludes_others=None)
    assert not mistakes(params)
    workbooks.write_workbook(tmp_path / "labels.xlsx", {"AM12": [["FILENAME", "eff", "MASS"], ["a_0", 1, 1], ["a_1", 0, None]]})
    reading = read(tmp_path, {"AM12": 2}, params)
    assert list(reading.votes["E1"]) == ["effusion", "mass"]
    assert values(reading, "mass") == [True, None]


# ---- cells


@pytest.mark.parametrize("entry", [1, 1.0, "1", " 1 ", "1.0", "\u00a01"])
def test_what_counts_as_one(tmp_path: Path, entry: object) -> None:
    reading = read_sheet(tmp_path, [list(workbooks.HEADING), ["0", 0, 0, entry]], 1)
    assert not reading.findings
    assert values(reading, "fluid") == [True]


@pytest.mark.parametrize("entry", [2, -1, 0.5, "yes", True, False, "01", "#N/A", "-", "1 0", pd.Timestamp("1900-01-01")])
def test_what_is_no_label_is_named_with_its_place(tmp_path: Path, entry: Any) -> None:
    rows = [list(workbooks.HEADING), ["0", 0, 0, 0], ["1", 0, entry, 1]]
    reading = read_sheet(tmp_path, rows, 2)
    assert messages(reading).startswith("labels.xlsx, sheet 'AM12', row 3, column 'CORD': not a label: expected 0, 1 or blank, got ")
    assert reading.findings[0].case == {"rows": "3", "label": "cord", "expert": "E1", "clip_id": "C001"}
    assert values(reading, "cord") == [False, None]
    assert values(reading, "fluid") == [False, True]


def test_formulas_are_refused_not_computed(tmp_path: Path) -> None:
    rows = sheet(truth(9))
    for row in range(3, 7):
        rows[row][2] = f"=D{row + 1}"
    rows[1][0] = '="AM12_"&0'
    said = messages(read_sheet(tmp_path, rows, 9, problems=WARN)).splitlines()
    assert said[:2] == [
        "labels.xlsx, sheet 'AM12', row 2, column 'FILENAME': computed entry: expected a value, got a formula. Replace the "
        "formula by its value: copy the column, then paste special, values.",
        "labels.xlsx, sheet 'AM12', rows 4 to 7, column 'CORD': computed entry: expected a value, got a formula. Replace the "
        "formula by its value: copy the column, then paste special, values.",
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


def test_rows_without_a_frame_number_are_refused(tmp_path: Path) -> None:
    rows = [*sheet(truth(9)), ["TOTAL", 3, 4, 5], [None, 0, 0, 1]]
    said = messages(read_sheet(tmp_path, rows, 9))
    assert "row 11, column 'FILENAME': no frame number: expected a name that ends in one, e.g. 'AM12_206.jpg', got 'TOTAL'" in said
    assert "row 12, column 'FILENAME': no frame number" in said


def test_a_number_glued_to_the_name_is_refused(tmp_path: Path) -> None:
    workbooks.write_workbook(tmp_path / "labels.xlsx", {"LAT1": [list(workbooks.HEADING), ["LAT15.jpg", 0, 0, 1]]})
    assert "frame number runs into the clip's name: expected both told apart, got 'LAT15.jpg'" in messages(read(tmp_path, {"LAT1": 20}))


# ---- frames


def test_duplicate_frames_stop_or_keep_what_agrees(tmp_path: Path) -> None:
    rows = [list(workbooks.HEADING), ["0", 0, 1, 1], ["1", 0, 0, 1], ["0", 0, 0, 1]]
    reading = read_sheet(tmp_path, rows, 2)
    assert "sheet 'AM12', rows 2, 4: duplicate frame: expected one row a frame, got 2 rows with number 0" in messages(reading)
    assert values(reading, "cord") == [None, False]
    assert values(reading, "fluid") == [True, True]


def test_bad_quality_with_a_target_stops_or_is_unknown(tmp_path: Path) -> None:
    rows = [list(workbooks.HEADING), ["0", 1, 1, 0], ["1", 1, 0, 0], ["2", 1, 0, 1], ["3", 1, 0, 1]]
    reading = read_sheet(tmp_path, rows, 4)
    said = messages(reading)
    assert "row 2, columns 'BAD QUALITY', 'CORD': labels that exclude each other: expected at most one of them 1, got all 1" in said
    assert "rows 4 to 5, columns 'BAD QUALITY', 'FLUID': labels that exclude each other" in said
    assert values(reading, "bad_quality") == [None, True, None, None]
    assert values(reading, "fluid") == [None, False, None, None]


def test_frames_and_labels_without_each_other_are_told_in_the_sheet_s_own_numbers(tmp_path: Path) -> None:
    rows = [*sheet(truth(9), first=1), ["AM12_12.jpg", 0, 0, 1]]
    del rows[4:7]
    said = messages(read_sheet(tmp_path, rows, 9, first_number_of={"AM12": 1}))
    assert "row 8: label without a frame: expected numbers 1 to 9 for a clip of 9 frames, got number 12" in said
    assert "frames without a label: expected a row for each frame, got no row numbered 4 to 6 (3 frames)" in said


ENTRY = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.sampled_from(["0", "1", " 1", "x", "", "2"])


@hypothesis_settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), ENTRY, ENTRY, ENTRY), min_size=1, max_size=8))
def test_whatever_stands_in_a_sheet_no_label_is_invented(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[Any, ...]]) -> None:
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


# ---- parameters


def test_the_shipped_section_is_valid() -> None:
    params = read_params(LabelParams, ROOT / "params.yaml")
    assert not mistakes(params)
    assert params.label_merge.problems.frame_without_label == "stop"


def test_parameters_that_contradict_each_other_are_all_named() -> None:
    params = workbooks.settings(
        {**workbooks.LABELS, "frame_id": {"column": "x"}},
        excludes_others="quality",
        definitions={"AM12": "fluids"},
        without={"fluid": {"label": "fluid", "without": "fluid", "column": "y"}},
    )
    said = "\n".join(str(problem) for problem in mistakes(params))
    assert "labels: name of a label" in said
    assert "label_merge.excludes_others: wrong value: expected bad_quality or cord or fluid or frame_id, got 'quality'" in said
    assert "label_merge.definitions.AM12: wrong value: expected fluid" in said
    assert "label_merge.without.fluid.without: wrong value" in said
    assert "label_merge.without.fluid: wrong value: expected a name that is no label yet" in said
