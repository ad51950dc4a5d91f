"""A sheet as it stands in its file: rows of uninterpreted entries, with the row numbers that a person sees."""

from dataclasses import dataclass

from stages.common.core.errors import Problem
from stages.common.sheets.findings import Finding


@dataclass(frozen=True)
class Formula:
    """A cell that is computed: what it shows depends on the program that last opened it."""


@dataclass(frozen=True)
class Moment:
    """A cell that holds a date, a time or a duration: spreadsheets make one of what looks like it.

    Its text ends in digits that count nothing: read as a name, `2024-01-12 00:00:00` would be frame 0.
    """

    text: str

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"the date or time {self.text}"


Entry = str | int | float | bool | Formula | Moment | None


@dataclass(frozen=True)
class Row:
    """One row that is not empty: its number in the file, from 1, and its cells from column A."""

    number: int
    cells: tuple[Entry, ...]

    def cell(self, column: int) -> Entry:
        """Return the entry in a column counted from 0; None beyond the row's end and for nothing but spaces."""
        entry = self.cells[column] if column < len(self.cells) else None
        return None if isinstance(entry, str) and not entry.strip() else entry


@dataclass(frozen=True)
class Sheet:
    """The labels of one clip by one expert, before anything is interpreted.

    Attributes:
        expert: as named in the file's name; empty for the single expert.
        title: the sheet's, file's or CLIP entry's name.
        where: file and sheet in words.
        rows: rows that hold anything; the first is the heading.
        hidden: whether the workbook hides it.
        merged: merged cell ranges, e.g. `B2:B9`.
        twins: titles of the expert's other sheets that only case, spaces or punctuation tell from this one.
    """

    expert: str
    title: str
    where: str
    rows: tuple[Row, ...]
    hidden: bool = False
    merged: tuple[str, ...] = ()
    twins: tuple[str, ...] = ()


def filled(row: Row) -> bool:
    """Return whether a row holds anything but spaces."""
    return any(row.cell(column) is not None for column in range(len(row.cells)))


def unreadable(where: str, expected: str, got: str, remedy: str) -> Finding:
    """Return the finding that a file cannot be used at all."""
    return Finding("file", Problem(where, "label file cannot be used", expected, got, remedy))
