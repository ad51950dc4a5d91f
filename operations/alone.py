"""One withdrawal at a time in a clone: two would remove files under each other's feet, and share one journal."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from operations.clone import clone
from operations.derived import TMP, WITHDRAWING
from stages.common.core.errors import PipelineError

LOCK = TMP / WITHDRAWING


@contextmanager
def alone() -> Iterator[None]:
    """Hold the clone's lock of withdrawals; the system lets go of it with the process, however that ends.

    The file stays: removed, a third command could lock a new one while the second still waits at the old.

    Raises:
        PipelineError: another withdrawal runs here, there is no clone, or the disk knows no locks.
    """
    with clone():  # says so outside of one, where no folder is to be made
        opened = _opened()
    with opened as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise PipelineError(
                f"{LOCK}: expected no other withdrawal to run in this clone, got one that holds it. Let it end, or "
                "end it, then the same command again. Nothing was changed."
            ) from error
        except OSError as error:
            raise PipelineError(
                f"{LOCK}: expected a disk on which a file can be locked, got {type(error).__name__}: {error}. Withdraw "
                "in a clone on another disk. Nothing was changed."
            ) from error
        yield


def _opened() -> TextIO:
    try:
        LOCK.parent.mkdir(exist_ok=True)
        return LOCK.open("a")
    except OSError as error:
        raise PipelineError(
            f"{LOCK}: expected a file that can be opened for writing, got {type(error).__name__}: {error}. A folder, "
            "or another account's? Remove it when no withdrawal runs, then the same command again. Nothing was changed."
        ) from error
