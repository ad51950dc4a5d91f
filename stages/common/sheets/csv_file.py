"""Read label CSVs into sheets: one file with a column CLIP, or a folder with one file a clip."""

import csv
import io
from pathlib import Path

from stages.common.clips.delimiter import delimiter_of
from stages.common.clips.inside import NotOfCohortError, read_table_bytes, strange
from stages.common.core.errors import Problem
from stages.common.sheets.findings import Finding
from stages.common.sheets.names import listed, normal
from stages.common.sheets.rows import Row, Sheet, filled, unreadable


def read_csv(path: Path, name: str, expert: str, clip_column: str) -> tuple[list[Sheet], list[Finding]]:
    """Return one sheet a clip of a CSV that names the clip in each row, or what hinders.

    Args:
        path: the .csv file.
        name: how messages call it.
        expert: whose it is.
        clip_column: heading of the column with the clip's name.
    """
    rows, findings = _rows(path, path.parent, name)
    if findings or not rows:
        return [], findings or [unreadable(name, "a heading and rows", "an empty file", "Fill it or remove it.")]
    heading = [str(entry).strip() for entry in rows[0].cells]
    columns = [number for number, title in enumerate(heading) if normal(title) == normal(clip_column)]
    if len(columns) != 1:
        got = f"{len(columns)} of them among {listed(heading)}"
        return [], [unreadable(name, f"one column '{clip_column}'", got, "Name the clip of each row in it.")]
    return _by_clip(rows, columns[0], name, expert, clip_column)


def _by_clip(rows: list[Row], column: int, name: str, expert: str, title: str) -> tuple[list[Sheet], list[Finding]]:
    clips: dict[str, list[Row]] = {}
    findings = []
    for row in rows[1:]:
        clip = str(row.cell(column) or "").strip()
        if clip:
            clips.setdefault(clip, []).append(row)
        else:
            where = f"{name}, row {row.number}, column '{title}'"
            problem = Problem(
                where, "row without a clip", "the clip's name", "blank", "Fill the cell or delete the row."
            )
            findings.append(Finding("file", problem))
    sheets = [Sheet(expert, clip, f"{name}, clip '{clip}'", (rows[0], *its)) for clip, its in clips.items()]
    return sheets, findings


def read_folder(path: Path, name: str, expert: str) -> tuple[list[Sheet], list[Finding]]:
    """Return one sheet a `<clip>.csv` of a folder, sorted by name, or what hinders."""
    sheets, findings = [], []
    for file in sorted(path.iterdir()):
        where = f"{name}/{file.name}"
        if file.name.startswith("."):
            continue  # written by file managers, invisible to whoever filled the folder
        if (problem := strange(file, path.parent)) is not None:
            findings.append(Finding("file", problem))
            continue
        if file.suffix.lower() != ".csv" or not file.is_file():
            findings.append(
                unreadable(where, "only <clip>.csv files in this folder", f"'{file.name}'", "Move it elsewhere.")
            )
            continue
        rows, wrong = _rows(file, path.parent, where)
        findings += wrong
        if not wrong:
            sheets.append(Sheet(expert, file.stem, where, tuple(rows)))
    return sheets, findings


def _rows(path: Path, cohort: Path, name: str) -> tuple[list[Row], list[Finding]]:
    """Return the rows that hold anything, numbered by the line on which they end."""
    try:
        text = read_table_bytes(path, cohort).decode("utf-8-sig")  # -sig: Excel's 'CSV UTF-8' begins with a mark
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter_of(text), strict=True)
        rows = [Row(reader.line_num, tuple(cells)) for cells in reader]
    except NotOfCohortError as error:
        return [], [Finding("file", error.problem)]
    except UnicodeDecodeError as error:
        return [], [unreadable(name, "UTF-8 text", f"byte {error.start} that is none", "Save it as 'CSV UTF-8'.")]
    except (OSError, csv.Error) as error:
        return [], [unreadable(name, "a CSV table", str(error), "Mend the line or save it again.")]
    return [row for row in rows if filled(row)], []
