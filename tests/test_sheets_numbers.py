"""Frame numbers: the study's own bug was an off-by-one, so this part has the most properties."""

from datetime import date, datetime, time, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.common.sheets.numbering import FrameName, bases, frame_name, runs_into
from stages.common.sheets.placement import Frames
from stages.common.sheets.reading import read_labels
from tests import workbooks
from tests.workbooks import messages, read_sheet, sheet, truth, values

NAME_END = st.text(alphabet="abcXYZ_- .()", max_size=12).map(lambda text: text + "_")


@pytest.mark.parametrize(
    ("entry", "number"),
    [
        ("AM12_206.jpg", 206), ("206.jpg", 206), ("frame 206.png", 206), ("206", 206), (206, 206), (206.0, 206),
        ("206.0", 206), (" AM12_206.JPG ", 206), ("AM12_0000.tiff", 0), ("01.09.3hrs-0025097_7.jpg", 7),
        ("LPILOT LAT1-12", 12), ("AM12.206", 206),
    ],
)  # fmt: skip
def test_the_number_that_ends_the_stem_is_the_frame(entry: object, number: int) -> None:
    found = frame_name(entry)
    assert found is not None
    assert found.number == number


@pytest.mark.parametrize(
    "entry",
    [None, True, "", "TOTAL", "AM12_206 (1).jpg", "AM12_206_copy.jpg", -5, "-5", 2.5, "2,5", "1e5", "9" * 12,
     "x" * 300 + "1", "AM12_２"],
)  # fmt: skip
def test_what_counts_nothing_is_no_frame_number(entry: object) -> None:
    assert frame_name(entry) is None


@given(NAME_END, st.integers(0, 10**9 - 1), st.sampled_from(["", ".jpg", ".PNG", ".tif"]), st.integers(0, 3))
def test_any_name_before_the_number_leaves_it_alone(before: str, number: int, suffix: str, zeros: int) -> None:
    text = f"{before}{'0' * zeros}{number}{suffix}"
    found = frame_name(text)
    expected = number if len(f"{'0' * zeros}{number}") <= 9 else None
    assert (found.number if found else None) == expected


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    found = frame_name(text)
    assert found is None or 0 <= found.number < 10**9


def test_a_number_glued_to_the_clip_s_name_is_ambiguous() -> None:
    assert runs_into(FrameName(15, "LPILOT LAT"), "LPILOT LAT1")
    assert not runs_into(FrameName(5, "LPILOT LAT1_"), "LPILOT LAT1")
    assert not runs_into(FrameName(15, ""), "1")


@given(st.integers(1, 40), st.data())
def test_bases_are_those_that_put_every_number_on_a_frame(frames: int, data: st.DataObject) -> None:
    numbers = data.draw(st.lists(st.integers(0, frames + 1), min_size=1, max_size=frames))
    expected = [base for base in (0, 1) if set(numbers) <= set(range(base, base + frames))]
    assert bases(numbers, frames) == expected


def one_row_decides_out_of_order(numbers: list[int], decisive: int) -> bool:
    """Return whether one number breaks the order of all others: it may as well be the other end's, mistyped."""
    others = [number for number in numbers if number != decisive]
    if len(others) < 2:
        return False
    return any(others == sorted(others, key=key) for key in (int, str)) and not any(
        numbers == sorted(numbers, key=key) for key in (int, str)
    )


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 30), st.randoms(use_true_random=False), st.sampled_from([0, 1]))
def test_neither_row_order_nor_first_number_changes_a_label(
    tmp_path_factory: pytest.TempPathFactory, frames: int, random: object, first: int
) -> None:
    labels = truth(frames, seed=frames)
    rows = sheet(labels, first=first)
    body = rows[1:]
    random.shuffle(body)  # type: ignore[attr-defined]
    reading = read_sheet(tmp_path_factory.mktemp("cohort"), [rows[0], *body], frames)
    if one_row_decides_out_of_order([int(row[0][5:-4]) for row in body], 0 if first == 0 else frames):
        assert [finding.kind for finding in reading.findings] == ["first_number"]
        assert set(values(reading, "cord")) == {None}
        return
    assert not reading.findings
    assert reading.first_numbers == {"E1": {"C001": first}}
    for place, label in enumerate(("bad_quality", "cord", "fluid")):
        assert values(reading, label) == [bool(triple[place]) for triple in labels]


def test_a_missing_row_shifts_nothing(tmp_path: Path) -> None:
    labels = truth(50)
    rows = sheet(labels)
    del rows[1 + 20]
    read_back = values(read_sheet(tmp_path, rows, 50), "fluid")
    expected = [bool(triple[2]) for triple in labels]
    assert read_back[:20] + read_back[21:] == expected[:20] + expected[21:]
    assert read_back[20] is None
    by_position = [bool(row[3]) for row in rows[1:]]  # the study's first code
    assert by_position[20:] != expected[20:49]


@pytest.mark.parametrize(("first", "last"), [(5, 10), (1, 49)])
def test_a_sheet_that_fits_both_is_refused(tmp_path: Path, first: int, last: int) -> None:
    rows = [workbooks.HEADING, *([f"{number}.jpg", 0, 0, 1] for number in range(first, last + 1))]
    reading = read_sheet(tmp_path, [list(row) for row in rows], 50)
    assert messages(reading) == (
        "labels.xlsx, sheet 'AM12': cannot tell whether its frame numbers start at 0 or 1: expected numbers 0 to 49 or "
        f"1 to 50 for a clip of 50 frames, got {last - first + 1} numbers from {first} to {last}, which fits both. "
        "Open the clip beside the sheet, then correct the numbers or set in params.yaml label_merge.first_number_of: "
        "{AM12: 0} or {AM12: 1}."
    )
    told = read_sheet(tmp_path, [list(row) for row in rows], 50, first_number_of={"am 12": 1})
    assert values(told, "fluid")[first - 1 : last] == [True] * (last - first + 1)


def test_a_sheet_that_fits_neither_is_refused(tmp_path: Path) -> None:
    reading = read_sheet(tmp_path, sheet(truth(51)), 50)
    assert "which fits neither (no frame for 50 if the first is 0, no frame for 0 if the first is 1)" in messages(
        reading
    )
    assert "if the first is 1), in row(s) 52 and 2. Open the clip" in messages(reading)
    assert not reading.first_numbers["E1"]


@pytest.mark.parametrize(
    ("entry", "row"),
    [(datetime(2024, 1, 12), 11), (date(2024, 1, 12), 11), (time(0, 10), 11), (timedelta(days=10), 11),
     ("2024-01-12", 11), ("12.01.2024", 11), ("1/12/24", 11), ("2024-01-12 00:00:00", 11), ("0:10", 11)],
)  # fmt: skip
def test_a_date_is_no_frame_and_shifts_nothing(tmp_path: Path, entry: object, row: int) -> None:
    rows = sheet([(0, 0, 1)] * 10, first=1)
    rows[10][0] = entry
    reading = read_sheet(tmp_path, rows, 10)
    assert f"row {row}, column 'FILENAME': no frame number" in messages(reading)
    assert "9 numbers from 1 to 9, which fits both" in messages(reading)
    assert values(reading, "fluid") == [None] * 10
    told = read_sheet(tmp_path, rows, 10, first_number_of={"AM12": 1})
    assert values(told, "fluid") == [True] * 9 + [None]


@pytest.mark.parametrize("name", ["XX_0.jpg", "AM13_0.jpg", "0.jpg"])
def test_a_row_of_another_name_does_not_choose_the_first_number(tmp_path: Path, name: str) -> None:
    rows = sheet([(0, 0, 1)] * 10, first=1)
    rows[10][0] = name
    reading = read_sheet(tmp_path, rows, 10)
    assert "got 9 numbers from 1 to 9, which fits both; not counting 1 row(s) of another name. Open" in messages(
        reading
    )
    assert reading.first_numbers == {"E1": {}}


@pytest.mark.parametrize(("first", "row", "typed"), [(1, 11, 0), (0, 2, 10)])
def test_one_number_out_of_order_does_not_choose_the_first_number(
    tmp_path: Path, first: int, row: int, typed: int
) -> None:
    rows = sheet([(0, 0, 1)] * 10, first=first)
    rows[row - 1][0] = f"AM12_{typed}.jpg"
    assert messages(read_sheet(tmp_path, rows, 10)) == (
        f"labels.xlsx, sheet 'AM12': row {row} alone decides whether its frame numbers start at 0 or 1, and stands out "
        "of their order: expected numbers 0 to 9 or 1 to 10 for a clip of 10 frames, got "
        f"number {typed} among 9 numbers from 1 to 9, which fits both. "
        "Open the clip beside the sheet, then correct the numbers or set in params.yaml "
        "label_merge.first_number_of: {AM12: 0} or {AM12: 1}."
    )
    told = read_sheet(tmp_path, rows, 10, first_number_of={"AM12": first})
    assert "label_without_frame" in workbooks.kinds(told)


@pytest.mark.parametrize("first", [0, 1])
def test_a_sheet_sorted_as_a_file_browser_does_is_read(tmp_path: Path, first: int) -> None:
    labels = truth(40, seed=2)
    rows = sheet(labels, first=first)
    reading = read_sheet(tmp_path, [rows[0], *sorted(rows[1:], key=lambda row: str(row[0]))], 40)
    assert not reading.findings
    assert values(reading, "fluid") == [bool(triple[2]) for triple in labels]


@pytest.mark.parametrize("decoded", [True, False])
def test_an_unknown_first_number_hides_no_other_problem(tmp_path: Path, decoded: bool) -> None:
    rows = sheet([(0, 0, 1)] * 12)
    rows[3][0] = "AM12_99.jpg"
    rows[5][1:] = [1, 1, 0]
    rows[7][2] = "x"
    rows[9][0] = rows[8][0]  # AM12_7.jpg
    workbooks.write_workbook(tmp_path / "labels.xlsx", {"AM12": rows})
    frames = {"C001": Frames(12, range(12))} if decoded else {}
    reading = read_labels(tmp_path, workbooks.clips_of(["AM12"]), frames, workbooks.settings())
    said = messages(reading)
    assert ("which fits neither" in said) == decoded
    for expected in (
        "sheet 'AM12', row 8, column 'CORD': not a label: expected 0, 1 or blank, got 'x'",
        "sheet 'AM12', rows 9 to 10: duplicate frame: expected one row a frame, got 2 rows with number 7",
        "row 6, columns 'BAD QUALITY', 'CORD': labels that exclude each other: expected at most one of them 1, got all",
    ):
        assert said.count(expected) == 1


def test_a_sheet_that_counts_otherwise_than_the_rest_is_mentioned(tmp_path: Path) -> None:
    names = ("AM12", "BM12", "YM12")
    sheets = {name: sheet(truth(9), name, first=int(name == "YM12")) for name in names}
    workbooks.write_workbook(tmp_path / "labels.xlsx", sheets)
    reading = workbooks.read(tmp_path, dict.fromkeys(names, 9))
    assert not reading.findings
    (note,) = reading.notes
    assert note.startswith("frame numbers start at 1 in 'YM12', but at 0 in 2 other sheet(s).")
    assert note.endswith("set label_merge.first_number_of: {YM12: 1}.")
    settled = workbooks.settings(first_number_of={"YM12": 1})
    assert not workbooks.read(tmp_path, dict.fromkeys(names, 9), settled).notes


def test_the_general_setting_is_held_against_the_sheet(tmp_path: Path) -> None:
    reading = read_sheet(tmp_path, sheet(truth(50), first=1), 50, first_number=0)
    assert "label_merge.first_number says 0, but its frame numbers fit 1 better" in messages(reading)
    assert "first_number" in workbooks.kinds(reading)
    both = [list(workbooks.HEADING), *([number, 0, 1, 0] for number in range(1, 50))]
    assert read_sheet(tmp_path, both, 50, first_number=1).first_numbers == {"E1": {"C001": 1}}
    assert values(read_sheet(tmp_path, both, 50, first_number=0), "cord")[0] is None


def test_a_frame_keeps_its_number_under_thinning(tmp_path: Path) -> None:
    labels = truth(60, seed=3)
    workbooks.write_workbook(tmp_path / "labels.xlsx", {"AM12": sheet(labels, first=1)})
    thinned = workbooks.read(tmp_path, {"AM12": 60}, stride=7)
    assert not thinned.findings
    assert values(thinned, "fluid") == [bool(labels[index][2]) for index in range(0, 60, 7)]
    only_kept = [sheet(labels)[0], *sheet(labels)[1::7]]
    workbooks.write_workbook(tmp_path / "labels.xlsx", {"AM12": only_kept})
    assert not workbooks.read(tmp_path, {"AM12": 60}, stride=7).findings


def test_numbers_no_machine_word_holds_are_refused_not_crashed(tmp_path: Path) -> None:
    rows = sheet(truth(5))
    rows[2][0] = "9" * 40
    rows[3][0] = np.nextafter(1e300, 2)
    reading = read_sheet(tmp_path, rows, 5)
    assert "rows 3 to 4, column 'FILENAME': no frame number" in messages(reading)
    assert "got 2 such entries: '999999" in messages(reading)
