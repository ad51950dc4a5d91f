"""Hostile label sheets: what stands in a cell is a label or is named with its place; a damaged file is a message."""

import re
import unicodedata
from collections.abc import Callable, Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from stages.common.clips.cohort import check_clips
from stages.common.core.errors import PipelineError, Problem
from stages.common.sheets.reading import Reading, read_labels
from tests.clip_factory import write_cohort
from tests.damage import CASES, TIMEOUT_S, survive_all
from tests.workbooks import HEADING, clips_of, messages, read_sheet, settings, sheet, truth, values, write_workbook

LABELS = ("bad_quality", "cord", "fluid")
FREE: dict[str, Any] = {"excludes_others": None, "without": {}}  # rows of any zeros and ones are no contradiction
WHERE = re.compile(r"labels\.xlsx, sheet 'AM12', rows? ([0-9to ,]+), column '(.+)'")

TEXT = st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="\ufffe\uffff"), max_size=40)
CELLS = st.one_of(
    st.sampled_from([0, 1, 0.0, 1.0, "0", "1", " 1 ", "1.0", "0.00", "\u00a00"]),
    st.sampled_from([None, "", " ", "\u2003", True, False, -0.0, "01", "1.", "1 0", "\u200b1", "٣", "１", "<b>", "'1"]),
    st.sampled_from(["#N/A", "#DIV/0!", "#REF!", "=1+1", "=D2", "=cmd|' /C calc'!A0", "x" * 5000]),
    st.integers(-(10**18), 10**18),
    st.floats(-1e300, 1e300).map(lambda number: float(f"{number:.15g}")),  # Excel's digits
    st.dates(date(1950, 1, 1), date(2100, 1, 1)),
    st.datetimes(datetime(1950, 1, 1), datetime(2100, 1, 1)).map(lambda moment: moment.replace(microsecond=0)),
    st.times().map(lambda moment: moment.replace(microsecond=0)),
    TEXT,
)

pytestmark = pytest.mark.timeout(TIMEOUT_S)


def drawn(cases: int) -> Callable[[Any], Any]:
    """Return the settings under which every run draws the same cases."""
    return hypothesis_settings(
        derandomize=True, deadline=None, max_examples=cases, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )


def label_of(cell: Any) -> bool | None:
    """Return what a cell says: 1 or 0, as number or text, with or without decimals; None for everything else."""
    if isinstance(cell, str):
        head, dot, tail = cell.strip().partition(".")
        return head == "1" if head in ("0", "1") and (not dot or (tail and not tail.strip("0"))) else None
    return bool(cell) if isinstance(cell, int | float) and not isinstance(cell, bool) and cell in (0, 1) else None


def got(cell: Any) -> str | float:
    """Return how a message shows what a workbook holds: a number as such, however it is spelt."""
    match cell:
        case str():
            shown = "a formula" if cell.startswith("=") and len(cell) > 1 else repr(cell)
            return shown if cell.strip() else "nothing"
        case None:
            return "nothing"
        case bool():
            return repr(cell)
        case int() | float():
            return float(f"{cell:.16g}")
        case date() if not isinstance(cell, datetime):
            return f"the date or time {cell} 00:00:00"
    return f"the date or time {cell}"


def numbers(rows: str) -> Iterator[int]:
    """Yield the rows that a message names: `2 to 4, 9`."""
    for stretch in rows.split(", "):
        first, _, last = stretch.partition(" to ")
        yield from range(int(first), int(last or first) + 1)


def named(reading: Reading) -> dict[tuple[int, str], str | float]:
    """Return (row, heading) -> what the findings say that stands there."""
    found: dict[tuple[int, str], str | float] = {}
    for problem in (finding.problem for finding in reading.findings):
        place = WHERE.fullmatch(problem.where)
        assert place, str(problem)
        number = re.fullmatch(r"-?[0-9.]+(e[+-]?[0-9]+)?", problem.got)
        for row in numbers(place[1]):
            assert (row, place[2]) not in found
            found[row, place[2]] = float(problem.got) if number else problem.got
    return found


@drawn(200)
@given(rows=st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=6))
def test_every_cell_is_a_label_or_is_named(tmp_path: Path, rows: list[tuple[Any, Any, Any]]) -> None:
    table = [list(HEADING), *([f"AM12_{frame}.jpg", *cells] for frame, cells in enumerate(rows))]
    reading = read_sheet(tmp_path, table, len(rows), **FREE)
    for place, label in enumerate(LABELS):
        assert values(reading, label) == [label_of(cells[place]) for cells in rows]
    assert named(reading) == {
        (row, heading): got(cell)
        for row, cells in enumerate(rows, start=2)
        for heading, cell in zip(HEADING[1:], cells, strict=True)
        if label_of(cell) is None
    }


@drawn(150)
@given(cell=CELLS, frame=st.integers(0, 11))
def test_every_row_is_on_its_frame_or_is_named(tmp_path: Path, cell: Any, frame: int) -> None:
    """Whatever replaces a FILENAME: the other rows stay, and its own row counts for no frame without a word."""
    said = truth(12)
    rows = sheet(said)
    rows[1 + frame][0] = cell
    reading = read_sheet(tmp_path, rows, 12, first_number_of={"AM12": 0})
    for place, label in enumerate(LABELS):
        for index, vote in enumerate(values(reading, label)):
            assert vote in (bool(said[index][place]), None)
            assert vote is not None or reading.findings
    named_rows = [rows for finding in reading.findings if (rows := finding.case.get("rows"))]
    assert not reading.findings or frame + 2 in {row for rows in named_rows for row in numbers(rows)}
    assert reading.findings or re.search(rf"(?<!\d)0*{frame}$", str(cell).strip())


@drawn(80)
@given(cell=CELLS, place=st.integers(0, 3))
def test_a_heading_that_is_none_is_named(tmp_path: Path, cell: Any, place: int) -> None:
    assume(unicodedata.normalize("NFKC", str(cell)).casefold().strip() != HEADING[place].casefold())
    rows = sheet(truth(12))
    rows[0][place] = cell
    reading = read_sheet(tmp_path, rows, 12)
    assert f"labels.xlsx, sheet 'AM12', row 1: no column '{HEADING[place]}'" in messages(reading)
    assert not reading.votes["E1"].notna().any(axis=None)


def labelled_cohort(folder: Path) -> Path:
    """Write a cohort of two clips that nothing decodes."""
    write_cohort(folder, {"A.mkv": "P001", "B.mkv": "P002"})
    for name in ("A.mkv", "B.mkv"):
        (folder / name).touch()
    return folder


def refuse(problems: list[Problem]) -> None:
    """Raise what a stage would stop with."""
    if problems:
        raise PipelineError("\n".join(map(str, problems)))


@pytest.mark.parametrize("name", ["labels.xlsx", "labels.csv"])
def test_damaged_label_files(tmp_path: Path, name: str) -> None:
    cohort, clips = labelled_cohort(tmp_path / "mine"), clips_of(["A", "B"])
    rows = {clip: sheet(truth(12), clip) for clip in ("A", "B")}
    if name == "labels.xlsx":
        write_workbook(cohort / name, rows)
    else:
        lines = [",".join(["CLIP", *map(str, rows["A"][0])])]
        lines += [",".join([clip, *map(str, row)]) for clip, table in rows.items() for row in table[1:]]
        (cohort / name).write_text("\n".join(lines))

    def read() -> None:
        refuse([finding.problem for finding in read_labels(cohort, clips, {}, settings()).findings])

    survive_all(cohort / name, read)


@pytest.mark.parametrize(
    "file", ["../x.mkv", "/etc/passwd", "..\\x.mkv", "C:\\x.mkv", "link.mkv", "clips.csv", "a\x00.mkv"]
)
def test_a_clip_never_leaves_the_cohort(tmp_path: Path, file: str) -> None:
    cohort = labelled_cohort(tmp_path / "mine")
    (tmp_path / "x.mkv").write_bytes(b"outside")
    (cohort / "link.mkv").symlink_to(tmp_path / "x.mkv")
    (cohort / "clips.csv").write_text(f"clip,file,patient\nA,{file},P001\n")
    listing = check_clips(cohort)
    assert [problem for problem in listing.problems if "row 2" in str(problem) or file in str(problem)]
    assert not [clip for clip in listing.rows if clip.path != Path()]


def test_damaged_cohort_tables(tmp_path: Path) -> None:
    cohort = labelled_cohort(tmp_path / "mine")
    survive_all(cohort / "clips.csv", lambda: refuse(check_clips(cohort).problems), cases=2 * CASES)
