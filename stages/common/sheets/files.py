"""Find a cohort's label files and read them, whatever their form.

| form | one expert | several experts |
|---|---|---|
| workbook, one sheet a clip | `labels.xlsx` | `labels_<expert>.xlsx` |
| one CSV with a column CLIP | `labels.csv` | `labels_<expert>.csv` |
| a folder with `<clip>.csv` | `labels/` | `labels_<expert>/` |

Each sheet holds one row a frame, under the headings FILENAME, BAD QUALITY, CORD, FLUID (names are parameters). CSVs are
UTF-8 with comma, semicolon or tab between cells, as spreadsheet programs of any language write them. Different
experts may use different forms; one expert has one file or folder.
"""

import re
from pathlib import Path

from stages.common.clips.inside import strange
from stages.common.sheets.csv_file import read_csv, read_folder
from stages.common.sheets.findings import Finding
from stages.common.sheets.names import listed, normal
from stages.common.sheets.rows import Sheet, unreadable
from stages.common.sheets.said import with_twins
from stages.common.sheets.workbook import read_workbook

FORMS = "labels.xlsx, labels.csv or a folder labels, or labels_<expert>.xlsx and so on for several experts"
LABEL_FILE = re.compile(r"labels(?:_(?P<expert>.+))?", re.IGNORECASE)
FOREIGN = frozenset({".xls", ".xlsm", ".xlsb", ".ods", ".numbers", ".tsv"})


def read_files(cohort: Path, clip_column: str) -> tuple[list[Sheet], list[Finding]]:
    """Return every sheet of a cohort, by expert and then in the file's order, and what hinders.

    Args:
        cohort: the folder, e.g. `data/cohorts/phantom`.
        clip_column: heading under which a single CSV names the clip of a row.
    """
    found = label_files(cohort)
    findings = _wrong_files(cohort, found)
    if findings:
        return [], findings  # reading one file of two that contradict each other would only add noise
    sheets: list[Sheet] = []
    for path, expert in found:
        read, wrong = _read(path, expert, clip_column)
        sheets += read
        findings += wrong or ([] if read else [_without_sheets(path)])
    return with_twins(sheets), findings


def label_files(cohort: Path) -> list[tuple[Path, str]]:
    """Return (path, expert) of what is called labels, sorted by expert; the single expert has the empty name."""
    found = []
    for path in sorted(cohort.iterdir()):
        known = path.suffix.lower() in FOREIGN | {".xlsx", ".csv"}
        match = LABEL_FILE.fullmatch(path.stem if known else path.name)
        if match and (known or path.is_dir()):
            found.append((path, (match["expert"] or "").strip()))
    return sorted(found, key=lambda item: (normal(item[1]), item[0].name))


def _wrong_files(cohort: Path, found: list[tuple[Path, str]]) -> list[Finding]:
    where = f"cohort '{cohort.name}'"
    findings = [
        unreadable(path.name, FORMS, f"a {path.suffix} file", "Save it as .xlsx.")
        for path, _ in found
        if path.suffix.lower() in FOREIGN
    ]
    problems = [strange(path, cohort, folder=True) for path, _ in found]
    findings += [Finding("file", problem) for problem in problems if problem is not None]
    if not found:
        findings.append(unreadable(where, FORMS, "none of these", "Put the label sheets beside clips.csv."))
    experts = sorted({normal(expert) for _, expert in found})
    for expert in experts:
        names = [path.name for path, whose in found if normal(whose) == expert]
        if len(names) > 1:
            findings.append(
                unreadable(where, "one label file an expert", listed(names), "Remove or rename all but one.")
            )
    if "" in experts and len(experts) > 1:
        names = [path.name for path, _ in found]
        remedy = "Rename labels to labels_<expert>, or remove it if it is a copy."
        findings.append(
            unreadable(where, "either one file named labels or one labels_<expert> each", listed(names), remedy)
        )
    return findings


def _without_sheets(path: Path) -> Finding:
    return unreadable(path.name, "the labels of at least one clip", "none", "Fill it, restore it or remove it.")


def _read(path: Path, expert: str, clip_column: str) -> tuple[list[Sheet], list[Finding]]:
    if path.is_dir():
        return read_folder(path, path.name, expert)
    if path.suffix.lower() == ".csv":
        return read_csv(path, path.name, expert, clip_column)
    return read_workbook(path, path.name, expert)
