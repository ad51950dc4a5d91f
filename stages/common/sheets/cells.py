"""Read the rows of one sheet into entries: a frame number and 1, 0 or unknown a label."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from stages.common.core.errors import Problem
from stages.common.sheets.columns import Column, Columns
from stages.common.sheets.findings import Finding, runs, spans
from stages.common.sheets.names import normal
from stages.common.sheets.numbering import FrameName, frame_name, runs_into
from stages.common.sheets.rows import Entry, Formula, Row, Sheet

BINARY = re.compile(r"([01])(\.0+)?")  # '1.0' is what pandas writes for 1 where a column has blanks


@dataclass(frozen=True)
class Labelled:
    """One row of a sheet.

    Attributes:
        row: its number in the file.
        number: the frame's, as written.
        labels: True, False or None (unknown) for each column of the sheet.
        name: what stands before the number, normalised; empty for a bare number.
    """

    row: int
    number: int
    labels: dict[str, bool | None]
    name: str


@dataclass(frozen=True)
class _Wrong:
    """One entry that cannot be taken as it stands; `_gather` joins those that are alike."""

    kind: str
    column: Column
    label: str
    what: str
    expected: str
    got: str
    remedy: str


NOTHING = "nothing"
BLANK = ("blank cell", "0 or 1", NOTHING, "Ask the expert; blank means unknown, not 0.")
NOT_BINARY = ("not a label", "0, 1 or blank")
FORMULA = ("computed entry", "a value", "a formula")
MOST_SHOWN = 3  # names in one message
PASTE = "Replace the formula by its value: copy the column, then paste special, values."


def read_cells(
    sheet: Sheet, columns: Columns, clip: str, clips: Mapping[str, str]
) -> tuple[list[Labelled], list[Finding]]:
    """Return the rows of `sheet` whose frame is certain, and a finding for every entry that is not as it should be.

    Args:
        sheet: one clip's sheet.
        columns: where it holds what.
        clip: the clip's name.
        clips: normalised name -> name of every clip, to notice rows that belong to another one.
    """
    entries, wrong = [], []
    own = {normal(clip), normal(sheet.title)}
    others = {form: name for form, name in clips.items() if form not in own}
    for row in sheet.rows[1:]:
        name, mistake = _frame(row, columns.filename, clip, others) if columns.filename else (None, None)
        if mistake:
            wrong.append((row.number, mistake))
        labels: dict[str, bool | None] = {}
        for label, column in columns.labels.items():
            labels[label], mistake = _label(row.cell(column.place), label, column)
            if mistake:
                wrong.append((row.number, mistake))
        if name is not None:
            entries.append(Labelled(row.number, name.number, labels, normal(name.before)))
    return entries, _merged(sheet) + _gather(sheet, wrong)


def _frame(row: Row, column: Column, clip: str, others: Mapping[str, str]) -> tuple[FrameName | None, _Wrong | None]:
    entry = row.cell(column.place)
    if isinstance(entry, Formula):
        return None, _Wrong("formula", column, "", *FORMULA, PASTE)
    name = frame_name(entry)
    got = NOTHING if entry is None else repr(entry)
    if name is None:
        remedy = "Correct the cell, or delete the row if it is no frame."
        return None, _Wrong(
            "filename", column, "", "no frame number", "a name that ends in one, e.g. 'AM12_206.jpg'", got, remedy
        )
    if other := others.get(normal(name.before)):
        remedy = f"Move the row to the sheet of '{other}', or correct the cell."
        return None, _Wrong(
            "filename",
            column,
            "",
            f"frame of another clip, '{other}'",
            f"frames of '{clip}'",
            f"'{name.before}...'",
            remedy,
        )
    if runs_into(name, clip):
        remedy = "Put something other than a digit between name and number, e.g. '_'."
        return None, _Wrong(
            "filename", column, "", "frame number runs into the clip's name", "both told apart", got, remedy
        )
    return name, None


def _label(entry: Entry, label: str, column: Column) -> tuple[bool | None, _Wrong | None]:
    if entry is None:
        return None, _Wrong("blank_cell", column, label, *BLANK)
    if isinstance(entry, Formula):
        return None, _Wrong("formula", column, label, *FORMULA, PASTE)
    # a bool is an int to Python, but TRUE in a cell is no answer to '0 or 1'
    if not isinstance(entry, bool) and (match := BINARY.fullmatch(str(entry).strip())):
        return match[1] == "1", None
    return None, _Wrong("not_binary", column, label, *NOT_BINARY, repr(entry), "Correct the cell.")


def _gather(sheet: Sheet, wrong: Iterable[tuple[int, _Wrong]]) -> list[Finding]:
    """Return a finding for equal entries of consecutive rows, and one a sheet for names with the same defect."""
    places: dict[_Wrong, list[int]] = {}
    names: dict[_Wrong, dict[int, str]] = {}
    for row, mistake in wrong:
        if mistake.kind == "filename" and mistake.got != NOTHING:
            names.setdefault(replace(mistake, got=""), {})[row] = mistake.got
        else:
            places.setdefault(mistake, []).append(row)
    found = [(mistake, range(first, last + 1)) for mistake, rows in places.items() for first, last in runs(rows)] + [
        (replace(mistake, got=_examples(list(entries.values()))), list(entries)) for mistake, entries in names.items()
    ]
    return [_finding(sheet, mistake, rows) for mistake, rows in sorted(found, key=lambda item: item[1][0])]


def _examples(entries: list[str]) -> str:
    different = list(dict.fromkeys(entries))
    if len(different) == 1:
        return different[0]
    more = ", ..." if len(different) > MOST_SHOWN else ""
    return f"{len(entries)} such entries: {', '.join(different[:MOST_SHOWN])}{more}"


def _finding(sheet: Sheet, mistake: _Wrong, numbers: Sequence[int]) -> Finding:
    rows = spans(numbers)
    where = f"{sheet.where}, row{'s' if len(numbers) > 1 else ''} {rows}, column '{mistake.column.heading}'"
    problem = Problem(where, mistake.what, mistake.expected, mistake.got, mistake.remedy)
    case = {"rows": rows} | ({"label": mistake.label} if mistake.label else {})
    return Finding(mistake.kind, problem, count=len(numbers), case=case)


def _merged(sheet: Sheet) -> list[Finding]:
    # all but the first cell of a merged range look blank, whatever the expert meant
    remedy = "Unmerge them and fill in every cell."
    return [
        Finding(
            "merged_cells", Problem(f"{sheet.where}, cells {area}", "merged cells", "one value a cell", area, remedy)
        )
        for area in sheet.merged
    ]
