"""Read an Excel workbook into sheets, refusing what could exhaust the machine or what only seems to hold a value."""

import warnings
import zipfile
import zlib
from collections import Counter
from pathlib import Path
from xml.etree.ElementTree import ParseError
from xml.parsers.expat import ExpatError, ParserCreate

from openpyxl import load_workbook
from openpyxl.cell import Cell
from openpyxl.cell.cell import MergedCell
from openpyxl.utils import range_boundaries
from openpyxl.utils.exceptions import InvalidFileException
from openpyxl.worksheet.worksheet import Worksheet

from stages.common.sheets.findings import Finding
from stages.common.sheets.rows import Entry, Formula, Moment, Row, Sheet, filled, unreadable

# Far beyond 13 clips of 400 rows (0.3 MB unpacked), far below what fills the memory of a laptop
MAX_UNPACKED_BYTES = 64 * 2**20
MAX_CELLS = 2_000_000
MAX_COLUMNS = 16_384  # of a row, says the format
MADE = (
    "c",
    "row",
    "si",
)  # elements for each of which openpyxl makes an object: a million of them are 11 kB when packed
SPREAD = ("mergeCell", "hyperlink")  # elements for which openpyxl makes a cell for each one that their `ref` spans
# What zipfile, zlib, the XML parser and openpyxl raise on damaged input (found by flipping bytes)
DAMAGE = (
    OSError, EOFError, LookupError, ValueError, TypeError, AttributeError, NotImplementedError, RuntimeError,
    zipfile.BadZipFile, zlib.error, ParseError, InvalidFileException,
)  # fmt: skip
SAVE_AGAIN = "Open it in a spreadsheet program and save it as .xlsx, without a password."


def read_workbook(path: Path, name: str, expert: str) -> tuple[list[Sheet], list[Finding]]:
    """Return the sheets of a workbook, or what hinders.

    openpyxl's read-only mode would not tell merged cells, where all but the first look blank, and `data_only` would
    not tell formulas; so the whole workbook is loaded, after its unpacked size and its merged cells have been checked.

    Args:
        path: the .xlsx file.
        name: how messages call it.
        expert: whose it is.
    """
    try:
        if (size := _unpacked_bytes(path)) > MAX_UNPACKED_BYTES:
            limit = f"at most {MAX_UNPACKED_BYTES // 2**20} MiB when unpacked"
            return [], [unreadable(name, limit, f"{size / 2**20:.0f} MiB", "Keep nothing but the labels in it.")]
        if (beyond := _beyond(path, name)) is not None:
            return [], [beyond]
        with warnings.catch_warnings():
            # drop-down lists and styles that openpyxl cannot keep: nothing is saved here
            warnings.filterwarnings("ignore", category=UserWarning, module="openpyxl")
            worksheets = load_workbook(path).worksheets
    except DAMAGE as error:
        return [], [unreadable(name, "an Excel workbook (.xlsx)", _reason(error), SAVE_AGAIN)]
    too_large = [_too_large(worksheet, name) for worksheet in worksheets if _cells(worksheet) > MAX_CELLS]
    return [_sheet(worksheet, name, expert) for worksheet in worksheets if _cells(worksheet) <= MAX_CELLS], too_large


def _unpacked_bytes(path: Path) -> int:
    with zipfile.ZipFile(path) as archive:
        return max(path.stat().st_size, sum(member.file_size for member in archive.infolist()))


class TooManyError(Exception):
    """More cells than are read: told at the first that is too many."""


def _beyond(path: Path, name: str) -> Finding | None:
    """Return why a workbook would take too many cells; its parts are read as a stream, and no cell is made."""
    made: Counter[str] = Counter()
    limit = f"at most {MAX_CELLS} cells"
    try:
        with zipfile.ZipFile(path) as archive:
            spread = max((_spread_in(archive, member, made) for member in archive.namelist()), default=0)
    except TooManyError as error:
        return unreadable(name, limit, str(error), "Keep nothing but the labels in it; delete empty cells behind them.")
    if spread <= MAX_CELLS:
        return None
    return unreadable(name, limit, f"merged cells or links over {spread}", "Unmerge the cells and remove its links.")


def _spread_in(archive: zipfile.ZipFile, member: str, made: Counter[str]) -> int:
    """Return how many cells merged ranges and links of a part span, and count in `made` what all parts hold."""
    spans = []

    def begin(element: str, attributes: dict[str, str]) -> None:
        kind = element.rsplit(" ", 1)[-1]
        if kind in MADE:
            _count(kind, made)
        elif kind in SPREAD and ":" in (ref := attributes.get("ref", "")):
            left, top, right, bottom = range_boundaries(ref)
            spans.append((right - left + 1) * (bottom - top + 1))

    parser = ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = begin
    try:
        with archive.open(member) as file:
            parser.ParseFile(file)
    except (ExpatError, LookupError):  # a picture, an encoding that nobody knows, or damage that the reader names
        pass
    return sum(spans)


def _count(kind: str, made: Counter[str]) -> None:
    made["in row"] = made["in row"] + 1 if kind == "c" else 0
    made[kind] += 1
    if made["in row"] > MAX_COLUMNS:
        raise TooManyError(f"a row of more than {MAX_COLUMNS} cells")
    if made[kind] > MAX_CELLS:
        raise TooManyError(f"more than {MAX_CELLS} cells, rows or texts")


def _reason(error: Exception) -> str:
    if isinstance(error, zipfile.BadZipFile):
        return "something else: an old .xls, a file with a password, or an incomplete copy"
    return " ".join(str(error).split())[:200] or type(error).__name__


def _cells(worksheet: Worksheet) -> int:
    return int(worksheet.max_row * worksheet.max_column)


def _too_large(worksheet: Worksheet, name: str) -> Finding:
    where, got = f"{name}, sheet '{worksheet.title}'", f"{worksheet.max_row} rows by {worksheet.max_column} columns"
    return unreadable(where, f"at most {MAX_CELLS} cells", got, "Delete the empty rows and columns behind the labels.")


def _sheet(worksheet: Worksheet, name: str, expert: str) -> Sheet:
    rows = (
        Row(number, tuple(_entry(cell) for cell in cells))
        for number, cells in enumerate(worksheet.iter_rows(), start=1)
    )
    return Sheet(
        expert=expert,
        title=worksheet.title,
        where=f"{name}, sheet '{worksheet.title}'",
        rows=tuple(row for row in rows if filled(row)),
        hidden=worksheet.sheet_state != "visible",
        merged=tuple(sorted(str(area) for area in worksheet.merged_cells.ranges)),
    )


def _entry(cell: Cell | MergedCell) -> Entry:
    if cell.data_type == "f":
        return Formula()
    if cell.value is None or isinstance(cell.value, (str, bool, int, float)):
        return cell.value
    return Moment(str(cell.value))
