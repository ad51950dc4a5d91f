"""What lies in a cohort without a row in clips.csv: forgotten clips are problems, the rest is at least mentioned."""

from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from stages.common.clips.container import CONTAINERS, FOREIGN_CONTAINERS, is_clip
from stages.common.core.errors import Problem

DOCUMENTS = (".csv", ".json", ".md", ".pdf", ".txt", ".xlsx")
LABELS = "labels"  # how label files and folders begin: the sheets are read, and complained of, elsewhere
MOST_SHOWN = 3  # names in one note


def unlisted(names: Iterable[str], files: Mapping[str, Path], table: str) -> tuple[list[Problem], list[str]]:
    """Return a problem for each clip among `names`, and notes on what is no clip, no table and no document.

    Args:
        names: files without a row, relative to the cohort.
        files: relative name -> path.
        table: how the table is called.
    """
    problems: list[Problem] = []
    others: dict[str, list[str]] = {}
    for name in sorted(names):
        path, suffix = files[name], files[name].suffix.lower()
        if any(part.startswith(".") for part in PurePosixPath(name).parts):
            continue  # written by file managers, invisible to whoever filled the folder
        if path.is_file() and is_clip(path):
            remedy = "Add a row, or remove the file."
            problems.append(Problem(name, "clip without a row", f"a row in {table}", "none", remedy))
        elif suffix in FOREIGN_CONTAINERS:
            problems.append(_foreign(name, suffix))
        elif suffix not in DOCUMENTS and not name.casefold().startswith(LABELS):
            others.setdefault("link" if path.is_symlink() else suffix, []).append(name)
    return problems, [_left_out(kind, its) for kind, its in others.items()]


def _foreign(name: str, suffix: str) -> Problem:
    remedy = "Convert it without loss (a DICOM file needs .dcm), unpack an archive, or remove it."
    return Problem(name, "unknown container", ", ".join(CONTAINERS), suffix, remedy)


def _left_out(kind: str, names: list[str]) -> str:
    shown = ", ".join(f"'{name}'" for name in names[:MOST_SHOWN]) + (", ..." if len(names) > MOST_SHOWN else "")
    files = "1 file" if len(names) == 1 else f"{len(names)} files"
    what = {"link": "behind links", "": "without a suffix"}.get(kind, f"with suffix {kind}")
    return f"{files} {what}, no clip, table or document, left out: {shown}"
