"""Read a cohort's clips.csv and hold it against the files that lie beside it.

The table is the key between a pseudonymous clip (`C001`, `P001`) and a file name, which may name a patient. The key
stays in the cohort: stages write clip_ids and patients, and nothing else of this table's text but `position`.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from stages.common.clips import cohort_cells as cells
from stages.common.clips.cohort_cells import CONTAINERS, DEEPEST_CM, Crop, composed
from stages.common.errors import PipelineError, Problem, raise_all

MASKS = "masks/"  # true structures as label videos, where a cohort brings them: no clips
TABLE = "clips.csv"
MASKS = "masks"  # folder of a cohort whose videos say what lies where in a clip (the phantom knows it): no clips
REQUIRED = ("clip", "file", "patient")
OPTIONAL = ("position", "depth_cm", "crop")
# A clip in one of these would otherwise lie in the cohort unread and unmentioned.
FOREIGN_CONTAINERS = (".3gp", ".dv", ".flv", ".gif", ".m2ts", ".m4v", ".mts", ".ogv", ".ts", ".vob", ".webm", ".wmv")

Value = TypeVar("Value")


@dataclass(frozen=True)
class Clip:
    """One row of clips.csv.

    Attributes:
        clip_id: `C001`... by row: the only name that leaves the cohort.
        name: the clip's own name, by which label sheets call it.
        path: the file, inside the cohort.
        patient: pseudonym such as `P001`.
        position: how the infant lay, in a word or two; None when not told.
        depth_cm: depth that the sector shows, from its upper to its lower edge; None when not told.
        crop: x, y, width, height in px of the sector, overruling what is found; None when not told.
    """

    clip_id: str
    name: str
    path: Path
    patient: str
    position: str | None
    depth_cm: float | None
    crop: Crop | None


def read_clips(cohort: Path) -> list[Clip]:
    """Return the clips of a cohort in the order of its clips.csv.

    Args:
        cohort: the folder, e.g. `data/cohorts/phantom`.

    Raises:
        PipelineError: one message with every missing column, wrong cell, double name, absent file and unlisted file.
    """
    clips, problems = check_clips(cohort)
    raise_all(problems, f"the clips of cohort '{cohort.name}' cannot be used")
    return clips


def check_clips(cohort: Path) -> tuple[list[Clip], list[Problem]]:
    """Return the clips whose file is there, and all that is wrong: for a caller that goes on to check the files.

    Raises:
        PipelineError: the table itself cannot be read, or lacks columns.
    """
    table = _read(cohort / TABLE)
    problems = _wrong_columns(table)
    raise_all(problems, f"{cohort / TABLE} cannot be used")
    files = _files(cohort)
    rows: list[dict[Any, str]] = table.to_dict("records")
    clips = [_clip(number, row, files, problems) for number, row in enumerate(rows, start=1)]
    problems += _duplicates(clips)
    problems += _unlisted({composed(name.strip()) for name in table["file"]}, files)
    return [clip for clip in clips if clip.path != Path()], problems


def _read(path: Path) -> pd.DataFrame:
    try:
        # utf-8-sig: Excel's 'CSV UTF-8' begins with a byte order mark
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig", skipinitialspace=True)
    except FileNotFoundError as error:
        raise PipelineError(
            f"{path}: expected a table with the columns {', '.join(REQUIRED)}, got no such file. "
            "Check `cohort` in params.yaml, or run `dvc pull`."
        ) from error
    except (OSError, ValueError) as error:
        raise PipelineError(f"{path} cannot be read as a CSV: {error}. Save it as comma-separated UTF-8.") from error
    if isinstance(table.index, pd.RangeIndex):
        return table
    # pandas takes surplus cells for an index: a crop `1,2,3,4` without quotes would shift every column
    raise PipelineError(f"{path}: rows hold more cells than the header. Put a crop in quotes, or write it with spaces.")


def _wrong_columns(table: pd.DataFrame) -> list[Problem]:
    found = ", ".join(table.columns)
    missing = [name for name in REQUIRED if name not in table.columns]
    unknown = [name for name in table.columns if name not in REQUIRED + OPTIONAL]
    problems = [Problem(TABLE, "column missing", name, found, "Add the column.") for name in missing]
    allowed = ", ".join(REQUIRED + OPTIONAL)
    problems += [Problem(TABLE, "unknown column", allowed, repr(name), "Remove or rename it.") for name in unknown]
    if table.empty:
        problems.append(Problem(TABLE, "no clips", "a row a clip", "none", "Add the clips."))
    return problems


def _files(cohort: Path) -> dict[str, Path]:
    """Return the files under the cohort by their composed relative name, without its folder of masks."""
    paths = sorted(path for path in cohort.rglob("*") if path.is_file())
    names = {composed(path.relative_to(cohort).as_posix()): path for path in paths}
    return {name: path for name, path in names.items() if not name.startswith(f"{MASKS}/")}


def _clip(number: int, row: dict[Any, str], files: dict[str, Path], problems: list[Problem]) -> Clip:
    """Return a row as a clip; what is wrong with it is added to `problems`."""

    def cell(column: str, parse: Callable[[str], Value], expected: str, blank: Value) -> Value:
        text = row.get(column, "").strip()
        if not text and column in OPTIONAL:
            return blank
        try:
            return parse(text)
        except ValueError as error:
            where = f"{TABLE}, row {number + 1}, column '{column}'"  # the header is row 1, as in a spreadsheet
            problems.append(Problem(where, str(error) or "wrong value", expected, repr(text), "Correct the cell."))
            return blank

    containers = ", ".join(CONTAINERS)
    return Clip(
        clip_id=f"C{number:03d}",
        name=cell("clip", cells.parse_name, "the clip's name", ""),
        path=cell("file", lambda text: cells.parse_file(text, files), f"a file of the cohort ({containers})", Path()),
        patient=cell("patient", cells.parse_patient, "a pseudonym such as P001, never guessed", ""),
        position=cell("position", cells.parse_position, "a word or two of letters, such as sitting", None),
        depth_cm=cell("depth_cm", cells.parse_depth_cm, f"a number up to {DEEPEST_CM:g}, with a point", None),
        crop=cell("crop", cells.parse_crop, "x y width height in px, four whole numbers", None),
    )


def _duplicates(clips: list[Clip]) -> Iterator[Problem]:
    names = Counter(clip.name for clip in clips if clip.name)
    paths = Counter(clip.path for clip in clips if clip.path != Path())
    for name, count in names.items():
        if count > 1:
            yield Problem(TABLE, "clip named twice", "one row a clip", f"{count} rows '{name}'", "Rename one.")
    for path, count in paths.items():
        if count > 1:
            yield Problem(TABLE, "file listed twice", "one row a file", f"{count} rows '{path.name}'", "Remove one.")


def _unlisted(listed: set[str], files: dict[str, Path]) -> Iterator[Problem]:
    for name in sorted(files.keys() - listed):
        suffix = files[name].suffix.lower()
        if suffix in CONTAINERS and not name.startswith(MASKS):
            yield Problem(name, "clip without a row", f"a row in {TABLE}", "none", "Add a row, or remove the file.")
        elif suffix in FOREIGN_CONTAINERS:
            expected = ", ".join(CONTAINERS)
            yield Problem(name, "unknown container", expected, suffix, "Convert it without loss, or remove it.")
