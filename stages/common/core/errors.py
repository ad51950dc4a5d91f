"""One way to say what is wrong: every problem of a run in one message, no traceback.

A stage collects `Problem`s while it reads its inputs and calls `raise_all` once, so that a
person mends a whole workbook in one pass instead of one cell a run.
"""

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn

import psutil

from stages.common.core.exhausted import said_of
from stages.common.core.parent import end_with_dvc

LONGEST = 200  # characters of a value in a message


class PipelineError(Exception):
    """The user's input cannot be used; the message says what to do. Never a bug of ours."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        where: the file and the place in it, e.g. `labels.xlsx, sheet 'AM12', row 7, column 'CORD'`.
        what: what is wrong, e.g. `duplicate frame number`.
        expected: what would be right, e.g. `0 or 1`.
        got: what was found, e.g. `2`.
        remedy: what a person does next, e.g. `correct the cell`.
    """

    where: str
    what: str
    expected: str
    got: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}: expected {self.expected}, got {self.got}. {self.remedy}"


def raise_all(problems: Sequence[Problem], summary: str) -> None:
    """Raise one `PipelineError` that lists all problems; return when there are none.

    Args:
        problems: everything found, in reading order.
        summary: the first line, e.g. `the clips of cohort 'mine' cannot be read`.
    """
    if not problems:
        return
    count = f"{len(problems)} problem" + ("s" if len(problems) > 1 else "")
    raise PipelineError("\n".join([f"{summary} ({count}):", *(f"  - {problem}" for problem in problems)]))


def short(value: object) -> str:
    """Return a value as a message shows it: what Python refuses to write out, and what is long, is cut."""
    try:
        said = repr(value)
    except (ValueError, RecursionError):  # an integer of more than 4300 digits; aliases of aliases
        return f"a {type(value).__name__} too long to write out"
    return said if len(said) <= LONGEST else f"{said[:LONGEST]} ... ({len(said)} characters)"


def run(main: Callable[[], None]) -> None:
    """Run a stage's `main`; a `PipelineError` becomes its message on stderr and exit status 1.

    So does a full disk or memory. Any other exception is a bug, and shows its traceback. Started by `dvc`, the process
    ends with it.
    """
    end_with_dvc()
    try:
        main()
    except PipelineError as error:
        sys.exit(f"error: {error}")
    except Exception as error:
        said = said_of(error)
        if said is None:
            raise
        _end_at_once(f"error: {said}")


def _end_at_once(message: str) -> NoReturn:
    """End with a message, without waiting for threads that are still at work: Python would abort them, in many lines.

    Where processes are at work, Python's own end stops them.
    """
    if psutil.Process().children():
        sys.exit(message)
    print(message, file=sys.stderr, flush=True)
    sys.stdout.flush()
    os._exit(1)
