"""A patient's label sheets, in whatever form a cohort has them: found as `label_merge` finds them, and removed."""

import csv
import io
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

from openpyxl import load_workbook

from stages.common.clips.cohort import Clip
from stages.common.core.errors import PipelineError
from stages.common.core.files import replacing, write_text
from stages.common.sheets.csv_file import delimiter_of
from stages.common.sheets.files import label_files, read_files
from stages.common.sheets.matching import match_sheets
from stages.common.sheets.names import normal
from stages.common.sheets.settings import LabelMerge

Sheets = Mapping[Path, Sequence[str]]  # label file -> titles of sheets in it; in a CSV, names in its column CLIP


def sheets_of(cohort: Path, clips: Sequence[Clip], own: Sequence[Clip], section: LabelMerge) -> Sheets:
    """Return the sheets that label `own`, one of every expert where there is one.

    Args:
        cohort: the folder.
        clips: all of its clips.
        own: those of one patient.
        section: `label_merge`, whose aliases say what names cannot.

    Raises:
        PipelineError: a label file cannot be read, so that nobody knows whose labels it holds.
    """
    sheets, findings = read_files(cohort, section.clip_column)
    if findings:
        raise PipelineError("\n".join(["the label files cannot be read:", *(f"  - {of.problem}" for of in findings)]))
    found = {}
    for path, expert in label_files(cohort):
        its = [sheet for sheet in sheets if sheet.expert == expert]
        matched = match_sheets(its, clips, section).sheets
        found[path] = [matched[clip.clip_id].title for clip in own if clip.clip_id in matched]
    return found


def without_sheets(sheets: Sheets, clip_column: str) -> None:
    """Remove the sheets from their files, as far as they are still there.

    A workbook is saved anew: what openpyxl cannot keep of its looks is lost.
    """
    for path, titles in sheets.items():
        if path.is_dir():
            for title in titles:
                (path / f"{title}.csv").unlink(missing_ok=True)
        elif path.suffix.lower() == ".csv":
            write_text(path, without_rows(path.read_text(encoding="utf-8-sig"), clip_column, titles))
        elif titles:
            _without_worksheets(path, titles)


def without_rows(text: str, column: str, names: Sequence[str]) -> str:
    """Return a CSV's text without the rows that have one of `names` in `column`; other cells stay as they are."""
    delimiter = delimiter_of(text.split("\n", 1)[0])
    rows = list(csv.reader(io.StringIO(text), delimiter=delimiter))
    place = [normal(title) for title in rows[0]].index(normal(column))
    kept = io.StringIO()
    csv.writer(kept, delimiter=delimiter, lineterminator="\n").writerows(
        row for row in rows if len(row) <= place or row[place].strip() not in names
    )
    return kept.getvalue()


def _without_worksheets(path: Path, titles: Sequence[str]) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module="openpyxl")
        book = load_workbook(path)
        for title in set(titles) & set(book.sheetnames):
            book.remove(book[title])
        with replacing(path) as partial, partial.open("wb") as file:
            book.save(file)
