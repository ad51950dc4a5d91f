"""Which sheet is which clip, the parameters about it, and the study's own workbook."""

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import load_workbook
from pydantic import TypeAdapter, ValidationError
from ruamel.yaml import YAML

from stages.common.core.params import read_params
from stages.common.labels import Label, LabelName
from stages.common.sheets.names import as_yaml, close, normal, same
from stages.common.sheets.settings import LabelParams, mistakes
from tests import workbooks
from tests.workbooks import STUDY, STUDY_CHOICES, kinds, messages, read, read_sheet, sheet, truth, values

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


# ---- parameters


def test_the_shipped_section_is_valid() -> None:
    params = read_params(LabelParams, ROOT / "params.yaml")
    assert not mistakes(params)
    assert params.label_merge.problems.frame_without_label == "stop"


def test_parameters_that_contradict_each_other_are_all_named() -> None:
    params = workbooks.settings(
        {**workbooks.LABELS, "frame_id": {"column": "Cord."}},
        excludes_others="quality",
        definitions={"AM12": "fluids"},
        without={"fluid": {"label": "fluid", "without": "fluid", "column": "y"}},
    )
    said = "\n".join(str(problem) for problem in mistakes(params))
    assert "labels: name of a label" in said
    assert "one column for several things: expected headings that differ in more" in said
    assert "got 'CORD', 'Cord.'" in said
    assert (
        "label_merge.excludes_others: wrong value: expected bad_quality or cord or fluid or frame_id, got 'quality'"
        in said
    )
    assert "label_merge.definitions.AM12: wrong value: expected fluid" in said
    assert "label_merge.without.fluid.without: wrong value" in said
    assert "label_merge.without.fluid: wrong value: expected a name that is no label yet" in said


@pytest.mark.parametrize("name", ["side", "fold", "split", "frame_id", "time_s", "none", "unknown", "Cord", "a-b"])
def test_names_that_tables_need_are_no_labels(name: str) -> None:
    params = workbooks.settings({**workbooks.LABELS, name: {"column": "x"}})
    assert [(problem.where, problem.got) for problem in mistakes(params)] == [("params.yaml: labels", repr(name))]
    with pytest.raises(ValidationError, match="and none of frame_id, clip_id"):
        TypeAdapter(dict[LabelName, Label]).validate_python({name: {"column": "x"}})


# ---- parameters about one sheet


def test_a_parameter_means_the_sheet_that_is_spelt_as_its_key(tmp_path: Path) -> None:
    rows = [list(workbooks.HEADING), *([number, 0, 0, 1] for number in range(1, 5))]
    workbooks.write_workbook(tmp_path / "labels.xlsx", {"LAT 12": rows, "LAT 1.2": rows})
    frames = {"LAT 12": 5, "LAT 1.2": 5}
    both = read(tmp_path, frames, workbooks.settings(first_number_of={"LAT 12": 0, "LAT 1.2": 1}))
    assert both.first_numbers == {"E1": {"C001": 0, "C002": 1}}
    one = read(tmp_path, frames, workbooks.settings(first_number_of={"LAT 12": 0}))
    assert one.first_numbers == {"E1": {"C001": 0}}
    left = read(tmp_path, frames, workbooks.settings(ignored_sheets={"LAT 1.2": "a copy"}, first_number=0))
    assert left.titles == {"E1": {"C001": "LAT 12"}}


def test_an_expert_s_parameter_means_that_expert_s_sheet(tmp_path: Path) -> None:
    rows = [list(workbooks.HEADING), *([number, 0, 0, 1] for number in range(1, 5))]
    for expert in ("a", "ab"):
        workbooks.write_workbook(tmp_path / f"labels_{expert}.xlsx", {"LAT 12": rows, "LAT 1.2": rows, "blat12": rows})
    frames = {"LAT 12": 5, "LAT 1.2": 5, "blat12": 5}
    told = {"ab/LAT 12": 0, "ab/LAT 1.2": 1, "LAT 1.2": 0}
    reading = read(tmp_path, frames, workbooks.settings(first_number_of=told))
    assert reading.first_numbers == {"E1": {"C002": 0}, "E2": {"C001": 0, "C002": 1}}


def test_two_keys_for_one_sheet_are_refused(tmp_path: Path) -> None:
    rows = sheet(truth(5))
    reading = read_sheet(tmp_path, rows, 5, first_number_of={"AM-12": 0, "am 12": 1})
    assert messages(reading) == (
        "params.yaml: label_merge.first_number_of: several entries for labels.xlsx, sheet 'AM12': expected one, or one "
        "spelt exactly as the sheet, got 'AM-12', 'am 12'. Remove all but one."
    )
    assert reading.stopping(workbooks.settings(problems=workbooks.WARN).label_merge)
    assert not read_sheet(tmp_path, rows, 5, first_number_of={"AM-12": 1, "AM12": 0}).findings
    (wrong,) = mistakes(workbooks.settings(column_aliases={"CORDS": "CORD", "cords ": "CORD"}))
    assert "label_merge.column_aliases: one heading twice" in str(wrong)


@pytest.mark.parametrize("value", [True, False, 1.0])
def test_a_first_number_is_a_number(value: object) -> None:
    for section in ({"first_number": value}, {"first_number_of": {"AM12": value}}):
        with pytest.raises(ValidationError, match="a whole number, 0 or 1"):
            workbooks.settings(**section)
