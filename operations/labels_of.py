"""A patient's label sheets, in whatever form a cohort has them: found as `label_merge` finds them, and removed."""

import csv
import io
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from openpyxl import Workbook, load_workbook
from openpyxl.packaging.core import DocumentProperties
from openpyxl.packaging.custom import CustomPropertyList
from openpyxl.worksheet.header_footer import HeaderFooter

from operations.cut_rows import without_rows
from stages.common.clips.cohort import Clip
from stages.common.clips.delimiter import delimiter_of
from stages.common.core.errors import PipelineError
from stages.common.sheets.files import label_files, read_files
from stages.common.sheets.matching import match_sheets
from stages.common.sheets.names import normal, same
from stages.common.sheets.rows import Sheet
from stages.common.sheets.said import entry
from stages.common.sheets.settings import LabelMerge
from stages.common.sheets.workbook import DAMAGE

Sheets = Mapping[Path, Sequence[str]]  # label file -> titles of sheets in it; in a CSV, names in its column CLIP
Contents = Mapping[Path, bytes | None]  # file -> what it is to hold; None where it is to go


@dataclass(frozen=True)
class Labels:
    """What the label files hold of a patient.

    Attributes:
        sheets: label file -> titles of the patient's.
        ignored: sheets that `label_merge` leaves out and that are not called as a clip of the patient's: file and
            title, for a person to look at.
    """

    sheets: Sheets
    ignored: Sequence[str]


def sheets_of(cohort: Path, clips: Sequence[Clip], own: Sequence[Clip], section: LabelMerge) -> Sheets:
    """Return the sheets that label `own`, as `labels_of` does."""
    return labels_of(cohort, clips, own, section).sheets


def labels_of(cohort: Path, clips: Sequence[Clip], own: Sequence[Clip], section: LabelMerge) -> Labels:
    """Return the sheets that label `own`, one of every expert where there is one, and ignored ones called so.

    Args:
        cohort: the folder.
        clips: all of its clips.
        own: those of one patient.
        section: `label_merge`, whose aliases say what names cannot.

    Raises:
        PipelineError: a label file cannot be read, or a sheet is settled for no clip: nobody knows whose it is.
    """
    sheets, findings = read_files(cohort, section.clip_column)
    if findings:
        raise PipelineError("\n".join(["the label files cannot be read:", *(f"  - {of.problem}" for of in findings)]))
    found, ignored = {}, []
    for path, expert in label_files(cohort):
        its = [sheet for sheet in sheets if sheet.expert == expert]
        matching = match_sheets(its, clips, section)
        findings += matching.findings
        settled = [matching.sheets[clip.clip_id] for clip in own if clip.clip_id in matching.sheets]
        rest = [sheet for sheet in its if sheet not in matching.sheets.values()]
        called = [sheet for sheet in rest if _called_as(sheet, clips, own, section)]
        found[path] = [sheet.title for sheet in [*settled, *called]]
        ignored += [sheet.where for sheet in rest if sheet not in called]
    if findings:
        lines = ["expected to know of every label sheet whose it is, got:", *(f"  - {of.problem}" for of in findings)]
        raise PipelineError("\n".join([*lines, "Then the same command again. Nothing was changed."]))
    return Labels(found, ignored)


def _called_as(sheet: Sheet, clips: Sequence[Clip], own: Sequence[Clip], section: LabelMerge) -> bool:
    """Tell whether an ignored sheet is called as a clip of the patient's, and as nobody else's."""
    names = set(same(entry(section.aliases, sheet) or sheet.title, [clip.name for clip in clips]))
    return bool(names) and names <= {clip.name for clip in own}


def without_sheets(sheets: Sheets, clip_column: str) -> Contents:
    """Return what the label files hold without the sheets, as far as those are still there; None for a file that goes.

    A workbook is made anew, without comments, headers, footers and document properties: they may name anybody, and no
    stage reads them. What openpyxl cannot keep of its looks is lost, too.

    Raises:
        PipelineError: a workbook cannot be made without them.
    """
    contents: dict[Path, bytes | None] = {}
    for path, titles in sheets.items():
        if not titles or not path.exists():
            continue
        if path.is_dir():
            contents |= _without_files(path, titles)
        elif path.suffix.lower() == ".csv":
            contents[path] = _without_names(path, titles, clip_column)
        else:
            contents[path] = _without_worksheets(path, titles)
    return contents


def _without_files(folder: Path, titles: Sequence[str]) -> Contents:
    tables = [path for path in folder.iterdir() if path.suffix.lower() == ".csv" and not path.name.startswith(".")]
    its = [path for path in tables if path.stem in titles]
    return {folder: None} if len(its) == len(tables) else dict.fromkeys(its)


def _without_names(path: Path, names: Sequence[str], clip_column: str) -> bytes | None:
    text = without_rows(path.read_bytes().decode("utf-8"), clip_column, names, normal)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter_of(text))
    filled = [row for row in rows if any(cell.strip() for cell in row)]
    return text.encode("utf-8") if len(filled) > 1 else None  # a heading alone labels nothing


def _without_worksheets(path: Path, titles: Sequence[str]) -> bytes | None:
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=UserWarning, module="openpyxl")
            book = load_workbook(path)
            _take_out(book, titles)
            _bare(book)
            if not book.worksheets:
                return None
            _refuse_hidden(book, path, titles)
            file = io.BytesIO()
            book.save(file)
    except DAMAGE as error:
        raise PipelineError(
            f"{path}: expected a workbook that can be saved without {', '.join(titles)}, got {type(error).__name__}: "
            f"{error}. Delete these sheets in a spreadsheet program, save, then the same command again."
        ) from error
    return file.getvalue()


def _take_out(book: Workbook, titles: Sequence[str]) -> None:
    for title in set(titles) & set(book.sheetnames):
        book.remove(book[title])
    for name, cells in list(book.defined_names.items()):  # of the whole workbook; they quote titles
        if any(f"{title}!" in (cells.value or "").replace("'", "") for title in titles):
            del book.defined_names[name]


def _bare(book: Workbook) -> None:
    """Remove what stands beside the cells and may name the patient."""
    book.properties, book.custom_doc_props = DocumentProperties(), CustomPropertyList()
    for sheet in book._sheets:  # charts' sheets, too
        sheet.HeaderFooter = HeaderFooter()
    cells = [cell for sheet in book.worksheets for cell in sheet._cells.values()]
    for cell in [cell for cell in cells if cell.comment is not None]:
        cell.comment = None


def _refuse_hidden(book: Workbook, path: Path, titles: Sequence[str]) -> None:
    if all(sheet.sheet_state != "visible" for sheet in book._sheets):
        hidden = ", ".join(f"'{title}'" for title in book.sheetnames)
        raise PipelineError(
            f"{path}: expected a visible sheet beside {', '.join(titles)}, got hidden ones alone: {hidden}. A workbook "
            "needs one that is seen: unhide or delete these, then the same command again. Nothing was changed."
        )
