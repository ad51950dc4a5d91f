"""A cohort's files are its own: no link out of it, no device and no pipe is opened, and no table read past a limit.

What a message quotes of a link's target could be anybody's file; a device never ends, and a pipe never begins.
"""

from pathlib import Path

from stages.common.core.errors import Problem

MAX_BYTES = 64 * 2**20  # of a table: far beyond any of labels or clips


class NotOfCohortError(Exception):
    """A file that is not read; `problem` says why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


def leads_out(path: Path, cohort: Path) -> bool:
    """Return whether a path ends outside the cohort, or in a ring of links."""
    try:
        return not path.resolve().is_relative_to(cohort.resolve())
    except (OSError, RuntimeError):  # RuntimeError: links that lead to each other
        return True


def strange(path: Path, cohort: Path, folder: bool = False) -> Problem | None:
    """Return why a file of a cohort is not to be opened; None where it may be, and where nothing is there.

    Args:
        path: the file as it stands in the cohort; it and the folders above it may be links.
        cohort: the folder, which may be a link itself.
        folder: whether it may also be a folder.
    """
    where = path.relative_to(cohort).as_posix()
    expected = "a file of the cohort" + (", or a folder" if folder else "")
    if leads_out(path, cohort):
        remedy = "Put the file itself there in place of the link."
        return Problem(where, "leads out of the cohort", expected, "a link or a path to another place", remedy)
    if not path.exists() or path.is_file() or (folder and path.is_dir()):
        return None
    got = "a folder" if path.is_dir() else "a device, a pipe or a socket"
    return Problem(where, "no file", expected, got, "Put a file there, or remove it.")


def read_table_bytes(path: Path, cohort: Path, most: int = MAX_BYTES) -> bytes:
    """Return the bytes of a table; at most `most` and one are read.

    Raises:
        NotOfCohortError: it is no file of the cohort, or longer than `most`.
        OSError: it is absent, or cannot be read.
    """
    if (problem := strange(path, cohort)) is not None:
        raise NotOfCohortError(problem)
    with path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        where, limit = path.relative_to(cohort).as_posix(), f"at most {most // 2**20} MiB"
        raise NotOfCohortError(
            Problem(where, "too large", limit, "more", "Keep nothing but the table in it, or split it.")
        )
    return content
