"""What a cohort's table and label files hold without a patient, made in memory and read again before it is written.

The proof is the cohort's own reader: held against what it reads now, nothing may be missing but the patient's clips and
sheets. Only then is anything written, for the old files are gone from the cache and the remote soon after.
"""

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from operations.cut_rows import without_rows
from operations.labels_of import Contents, Sheets, without_sheets
from stages.common.clips.cohort import TABLE, Clip, check_clips
from stages.common.clips.container import MAGIC, PREAMBLE_BYTES
from stages.common.core.errors import PipelineError
from stages.common.core.files import replacing
from stages.common.sheets.files import label_files, read_files
from stages.common.sheets.rows import Entry, Sheet


def contents_without(cohort: Path, names: Sequence[str], sheets: Sheets, clip_column: str) -> Contents:
    """Return what the table and the label files are to hold, proven; as far as they do not already.

    Args:
        cohort: the folder.
        names: of the clips that go.
        sheets: the label sheets that go.
        clip_column: heading under which a single CSV names the clip of a row.

    Raises:
        PipelineError: read again, something else than these would be missing, or something of them left.
    """
    table = cohort / TABLE
    text = without_rows(table.read_bytes().decode("utf-8"), "clip", names, _heading, spaced=True)
    contents = {**without_sheets(sheets, clip_column), table: text.encode("utf-8")}
    with tempfile.TemporaryDirectory() as folder:
        staged = Path(folder) / cohort.name
        rows = [clip for clip in check_clips(cohort).rows if clip.name not in names]
        _stage(cohort, staged, rows, contents)
        _prove_clips(cohort, staged, rows)
        _prove_sheets(cohort, staged, sheets, clip_column)
    return contents


def _heading(title: str) -> str:
    return title.strip().lower()  # as the cohort's reader spells it


def _stage(cohort: Path, staged: Path, rows: Sequence[Clip], contents: Contents) -> None:
    """Write a cohort as it would be; of a clip its first bytes, which tell the reader that it is one."""
    staged.mkdir()
    for path, _ in label_files(cohort):
        (shutil.copytree if path.is_dir() else shutil.copy)(path, staged / path.name)
    for clip in rows:
        if clip.path != Path():
            place = staged / clip.path.relative_to(cohort)
            place.parent.mkdir(parents=True, exist_ok=True)
            with clip.path.open("rb") as file:
                place.write_bytes(file.read(PREAMBLE_BYTES + len(MAGIC)))
    for path, content in contents.items():
        place = staged / path.relative_to(cohort)
        _remove(place) if content is None else place.write_bytes(content)


def _prove_clips(cohort: Path, staged: Path, rows: Sequence[Clip]) -> None:
    before = [_placed(clip, cohort) for clip in rows]
    after = [_placed(clip, staged) for clip in check_clips(staged).rows]
    if before != after:
        lost = [clip.name for clip in before if clip not in after]
        _refuse(cohort / TABLE, f"{len(before)} other rows as they are", f"{len(after)}, changed or lost: {lost}")


def _placed(clip: Clip, cohort: Path) -> Clip:
    """Return a clip as its row says it: its number counts rows, and its path leads to a cohort."""
    return replace(clip, clip_id="", path=clip.path if clip.path == Path() else clip.path.relative_to(cohort))


def _prove_sheets(cohort: Path, staged: Path, sheets: Sheets, clip_column: str) -> None:
    gone = {path.name: titles for path, titles in sheets.items()}
    before = {key: said for key, said in _sheets(cohort, clip_column).items() if key[1] not in gone.get(key[0], ())}
    after = _sheets(staged, clip_column)
    for name, title in before.keys() | after.keys():
        if before.get((name, title)) != after.get((name, title)):
            _refuse(cohort / name, f"sheet '{title}' as it is, or gone if it is the patient's", "another")


def _sheets(cohort: Path, clip_column: str) -> Mapping[tuple[str, str], Any]:
    """Return (label file, title) -> what the sheet says, cells that are blank at a row's end left out."""
    files = label_files(cohort)
    if not files:
        return {}
    sheets, findings = read_files(cohort, clip_column)
    if findings:
        raise PipelineError("\n".join([f"{cohort.name}: label files:", *(f"  - {of.problem}" for of in findings)]))
    names = {expert: path.name for path, expert in files}
    return {(names[sheet.expert], sheet.title): _said(sheet) for sheet in sheets}


def _said(sheet: Sheet) -> tuple[bool, tuple[str, ...], list[tuple[Entry, ...]]]:
    return sheet.hidden, sheet.merged, [_cells(row.cells) for row in sheet.rows]


def _cells(cells: tuple[Entry, ...]) -> tuple[Entry, ...]:
    last = max((place for place, cell in enumerate(cells) if cell is not None), default=-1)
    return cells[: last + 1]


def _refuse(path: Path, expected: str, got: str) -> None:
    raise PipelineError(
        f"{path}: without the patient, read again: expected {expected}, got {got}. Nothing was changed. Remove the "
        "patient's rows and sheets there by hand, save, then the same command again."
    )


def write(contents: Contents) -> None:
    """Write files, each whole or not at all; remove those that are to go."""
    for path, content in contents.items():
        if content is None:
            _remove(path)
            continue
        with replacing(path) as partial:
            partial.write_bytes(content)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
