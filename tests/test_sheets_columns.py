"""Which column holds which label: spellings are forgiven, other definitions are not."""

from pathlib import Path

import pytest

from stages.common.sheets.settings import mistakes
from tests import workbooks
from tests.workbooks import kinds, messages, read, read_sheet, sheet, truth, values


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


def test_a_heading_spelt_as_expected_does_not_win_over_its_twin(tmp_path: Path) -> None:
    rows = [[*row, row[2]] for row in sheet(truth(5), heading=("FILENAME", "BAD QUALITY", "CORD", "FLUID"))]
    rows[0][4] = "Cord "
    assert "several columns 'CORD': expected one, got 2: 'CORD', 'Cord'" in messages(read_sheet(tmp_path, rows, 5))
    (tmp_path / "labels.xlsx").unlink()
    (tmp_path / "labels.csv").write_text("CLIP,FILENAME,clip\nAM12,0,AM12\n", encoding="utf-8")
    assert "expected one column 'CLIP', got 2 of them among" in messages(read(tmp_path, {"AM12": 5}))


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
    assert "row 3, columns 'FLUID', 'CORD': labels that exclude each other: expected at most one of them 1" in messages(
        reading
    )
    assert values(reading, "fluid") == [None, None]


def test_both_definitions_in_one_sheet_are_refused(tmp_path: Path) -> None:
    rows = [[*row, row[3]] for row in sheet(truth(5))]
    rows[0][4] = "FLUID without cord"
    assert (
        "two definitions in one sheet: expected one of the columns, got 'FLUID' and 'FLUID without cord'"
        in messages(read_sheet(tmp_path, rows, 5, definitions={"AM12": "fluid"}))
    )


def test_another_organ_s_labels_run(tmp_path: Path) -> None:
    labels = {"effusion": {"column": "EFF"}, "mass": {"column": "Mass"}}
    params = workbooks.settings(labels, without={}, excludes_others=None)
    assert not mistakes(params)
    workbooks.write_workbook(
        tmp_path / "labels.xlsx", {"AM12": [["FILENAME", "eff", "MASS"], ["a_0", 1, 1], ["a_1", 0, None]]}
    )
    reading = read(tmp_path, {"AM12": 2}, params)
    assert list(reading.votes["E1"]) == ["effusion", "mass"]
    assert values(reading, "mass") == [True, None]


@pytest.mark.parametrize("heading", ["FLUID no cord", "FLUID w/o cord", "fluid (cord not seen)", "FLUD-CORD"])
def test_a_heading_that_mentions_the_other_label_is_no_other_spelling(tmp_path: Path, heading: str) -> None:
    rows = [[*workbooks.HEADING[:3], heading], ["0", 0, 0, 1], ["1", 0, 1, 0], ["2", 0, 0, 7]]
    reading = read_sheet(tmp_path, rows, 3)
    assert [finding.kind for finding in reading.findings] == ["definition", "not_binary"]
    said = messages(reading)
    assert f"column '{heading}' mentions cord, so it may be another definition than 'fluid': expected a column" in said
    assert "FLUID without cord}" in said
    assert ": FLUID}" not in said
    assert reading.findings[0].proposal is None
    rows[3][3] = 0
    aliases = {heading: "FLUID without cord"}
    assert kinds(read_sheet(tmp_path, rows, 3, column_aliases=aliases)) == {"definition"}
    told = read_sheet(tmp_path, rows, 3, column_aliases=aliases, definitions={"AM12": "fluid_without_cord"})
    assert not told.findings
    assert values(told, "fluid") == [True, None, False]


def test_a_heading_that_mentions_another_label_is_never_proposed(tmp_path: Path) -> None:
    rows = sheet(truth(5), heading=("FILENAME", "BAD QUALITY", "CORD FLUID", "FLUID"))
    said = messages(read_sheet(tmp_path, rows, 5))
    assert "no column 'CORD'" in said
    assert "column_aliases" not in said


OPPOSITE = [
    (2, "NO CORD"), (2, "NoCord"), (2, "NONCORD"), (2, "CORD absent"), (2, "CORD not seen"), (2, "!CORD"),
    (2, "CORD (-)"), (2, "CORD 0"), (2, "kein Cord"), (2, "CORD FREE"), (2, "N CORD"), (1, "GOOD QUALITY"),
    (1, "QUALITY"), (1, "NOT BAD QUALITY"), (1, "QUALITY OK"), (3, "NO FLUID"), (3, "FLUID ABSENT"), (3, "FREE FLUID"),
    (3, "no-fluid"),
]  # fmt: skip
LESS = [
    "FLUID ONLY", "FLUID no SC", "FLUID EXCL. SC", "FLUIDNC", "only fluid", "FLUID w/o SC", "FLUID except SC",
    "FLUID wo sc", "Fluid minus SC", "FLUID, not canal",
]  # fmt: skip


@pytest.mark.parametrize(("place", "heading"), OPPOSITE)
def test_a_heading_that_may_mean_the_opposite_is_never_proposed(tmp_path: Path, place: int, heading: str) -> None:
    title = workbooks.HEADING[place]
    rows = sheet(truth(30), heading=(*workbooks.HEADING[:place], heading, *workbooks.HEADING[place + 1 :]))
    reading = read_sheet(tmp_path, rows, 30)
    said = messages(reading)
    assert kinds(reading) == {"column"}
    assert f"no column '{title}'" in said
    assert f"'{heading}' may mean the opposite of '{title}', or something else: ask the expert" in said
    assert "column_aliases" not in said
    assert all(finding.proposal is None for finding in reading.findings)


@pytest.mark.parametrize("heading", LESS)
def test_a_heading_that_leaves_something_out_is_another_definition(tmp_path: Path, heading: str) -> None:
    rows = [[*workbooks.HEADING[:3], heading], ["0", 0, 0, 1], ["1", 0, 1, 0]]
    reading = read_sheet(tmp_path, rows, 2)
    assert kinds(reading) == {"definition"}
    assert f"column '{heading}' leaves something out, so it may be another definition than 'fluid'" in messages(reading)
    assert ": FLUID}" not in messages(reading)
    aliases = {heading: "FLUID without cord"}
    assert kinds(read_sheet(tmp_path, rows, 2, column_aliases=aliases)) == {"definition"}
    told = read_sheet(tmp_path, rows, 2, column_aliases=aliases, definitions={"AM12": "fluid_without_cord"})
    assert values(told, "fluid") == [True, None]


@pytest.mark.parametrize(
    ("heading", "title"),
    [*((heading, workbooks.HEADING[place]) for place, heading in OPPOSITE), *((heading, "FLUID") for heading in LESS)],
)
def test_an_alias_that_may_turn_a_label_round_wants_an_expert_s_word(heading: str, title: str) -> None:
    aliases = {heading: title}
    (wrong,) = mistakes(workbooks.settings(column_aliases=aliases))
    assert f"label_merge.column_aliases.{heading}: a heading that may mean the opposite, or less" in str(wrong)
    assert "label_merge.confirmed_headings" in str(wrong)
    assert ("label_merge.definitions" in str(wrong)) == (title == "FLUID")
    assert not mistakes(workbooks.settings(column_aliases=aliases, confirmed_headings={heading: "says expert 1"}))


def test_an_alias_to_what_leaves_the_cord_out_or_of_a_plain_word_needs_none() -> None:
    plain = {"SPINAL CORD": "CORD", "Liquor": "FLUID", "CORDS": "CORD", "UNSHARP": "BAD QUALITY", "No.": "FILENAME"}
    assert not mistakes(workbooks.settings(column_aliases=plain))
    assert not mistakes(
        workbooks.settings(column_aliases=dict.fromkeys(["FLUIDNC", "FLUID-CORD"], "FLUID without cord"))
    )
    (wrong,) = mistakes(workbooks.settings(column_aliases={"FLUID-CORD": "FLUID"}))
    assert "may mean the opposite, or less" in str(wrong)
    (wrong,) = mistakes(workbooks.settings(confirmed_headings={"FREE FLUID": "says expert 1"}))
    assert "heading without an alias" in str(wrong)


def test_a_confirmed_heading_is_read_as_the_label(tmp_path: Path) -> None:
    labels = truth(20)
    rows = sheet(labels, heading=(*workbooks.HEADING[:3], "FREE FLUID"))
    told = {"column_aliases": {"FREE FLUID": "FLUID"}, "confirmed_headings": {"free fluid": "says expert 1"}}
    assert not mistakes(workbooks.settings(**told))
    assert values(read_sheet(tmp_path, rows, 20, **told), "fluid") == [bool(triple[2]) for triple in labels]


@pytest.mark.parametrize("heading", ["FLIUD", "FLUD", "Fluids", "FLU1D"])
def test_a_slip_of_the_pen_is_still_proposed(tmp_path: Path, heading: str) -> None:
    rows = sheet(truth(5), heading=(*workbooks.HEADING[:3], heading))
    said = messages(read_sheet(tmp_path, rows, 5))
    assert ": FLUID}" in said
    assert not mistakes(workbooks.settings(column_aliases={heading: "FLUID"}))


def test_a_column_may_be_headed_by_a_sign_alone(tmp_path: Path) -> None:
    labels = {**workbooks.LABELS, "fluid": {"column": "+"}}
    workbooks.write_workbook(tmp_path / "labels.xlsx", {"AM12": sheet(truth(5))})
    assert "no column '+'" in messages(read(tmp_path, {"AM12": 5}, workbooks.settings(labels)))
