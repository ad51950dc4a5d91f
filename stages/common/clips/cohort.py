"""Read a cohort's clips.csv and hold it against the files that lie beside it.

The table is the key between a pseudonymous clip (`C001`, `P001`) and a file name, which may name a patient. The key
stays in the cohort: stages write clip_ids and patients, and nothing else of this table's text but `position`.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from stages.common.clips import cohort_cells as cells
from stages.common.clips import cohort_table
from stages.common.clips.cohort_cells import DEEPEST_CM, Crop, composed
from stages.common.clips.cohort_table import OPTIONAL, read_table
from stages.common.clips.container import CONTAINERS
from stages.common.clips.unlisted import unlisted
from stages.common.core.errors import Problem, raise_all

MASKS = cells.MASKS
TABLE = cohort_table.TABLE

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


@dataclass(frozen=True)
class Listing:
    """A cohort's clips.csv held against its files.

    Attributes:
        rows: every row; the path is `Path()` where there is no file to use, the name empty where none is told.
        problems: all that is wrong.
        notes: files that were left out as they are no clips.
    """

    rows: Sequence[Clip]
    problems: Sequence[Problem]
    notes: Sequence[str]

    @property
    def clips(self) -> list[Clip]:
        """The rows whose file is there."""
        return [clip for clip in self.rows if clip.path != Path()]


def of_clip(clip: Clip, problem: Problem) -> Problem:
    """Return a problem of a clip's file with the clip's name and id, so that a person finds its row."""
    return replace(problem, where=f"clip '{clip.name}' ({clip.clip_id}, {problem.where})")


def read_clips(cohort: Path) -> list[Clip]:
    """Return the clips of a cohort in the order of its clips.csv.

    Args:
        cohort: the folder, e.g. `data/cohorts/phantom`.

    Raises:
        PipelineError: one message with every missing column, wrong cell, double name, absent file and unlisted file.
    """
    listing = check_clips(cohort)
    raise_all(listing.problems, f"the clips of cohort '{cohort.name}' cannot be used")
    return listing.clips


def check_clips(cohort: Path) -> Listing:
    """Return the clips and all that is wrong: for a caller that goes on to check the files.

    Raises:
        PipelineError: the table itself cannot be read, or lacks columns.
    """
    table, problems = read_table(cohort / TABLE)
    files = _files(cohort)
    rows: list[dict[Any, str]] = table.to_dict("records")
    clips = [
        _clip(f"C{number:03d}", line, row, files, problems)
        for number, (line, row) in enumerate(zip(table.index, rows, strict=True), start=1)
    ]
    problems += [*_duplicates(clips), *_confusable(clips)]
    forgotten, notes = unlisted(files.keys() - {composed(name.strip()) for name in table["file"]}, files, TABLE)
    return Listing(clips, problems + forgotten, notes)


def _files(cohort: Path) -> dict[str, Path]:
    """Return the files and links under the cohort by their composed relative name, without its folder of masks."""
    paths = sorted(path for path in cohort.rglob("*") if path.is_file() or path.is_symlink())
    names = {composed(path.relative_to(cohort).as_posix()): path for path in paths}
    return {name: path for name, path in names.items() if not name.startswith(f"{MASKS}/")}


def _clip(clip_id: str, line: int, row: dict[Any, str], files: dict[str, Path], problems: list[Problem]) -> Clip:
    """Return row `line` as a clip; what is wrong with it is added to `problems`."""

    def cell(column: str, parse: Callable[[str], Value], expected: str, blank: Value) -> Value:
        text = row.get(column, "").strip()
        if not text and column in OPTIONAL:
            return blank
        try:
            return parse(text)
        except ValueError as error:
            where = f"{TABLE}, row {line}, column '{column}'"
            problems.append(Problem(where, str(error) or "wrong value", expected, repr(text), "Correct the cell."))
            return blank

    containers = f"{', '.join(CONTAINERS)}; DICOM under any name"
    return Clip(
        clip_id=clip_id,
        name=cell("clip", cells.parse_name, "the clip's name", ""),
        path=cell("file", lambda text: cells.parse_file(text, files), f"a file of the cohort ({containers})", Path()),
        patient=cell("patient", cells.parse_patient, "a pseudonym such as P001, never guessed", ""),
        position=cell("position", cells.parse_position, "a word or two of letters, such as sitting", None),
        depth_cm=cell("depth_cm", cells.parse_depth_cm, f"a number up to {DEEPEST_CM:g}", None),
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


def _confusable(clips: list[Clip]) -> Iterator[Problem]:
    """Yield pseudonyms that differ in leading zeros alone: one infant by a slip of the pen would stand on two sides."""
    spellings: dict[str, set[str]] = {}
    for patient in {clip.patient for clip in clips} - {""}:
        spellings.setdefault(patient[1:].lstrip("0"), set()).add(patient)
    for patients in spellings.values():
        if len(patients) > 1:
            got = " and ".join(sorted(patients))
            yield Problem(TABLE, "pseudonyms of one number", "one spelling an infant", got, "Write it one way.")
