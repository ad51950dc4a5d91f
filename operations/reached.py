"""Say in one line what went wrong with a cache or a remote: their file systems fail in many ways, each in its own."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dvc.exceptions import DvcException

from stages.common.core.errors import PipelineError

AWAY = "Wrong key, or a server that is away: README, 'Share it'."
AGAIN = f"{AWAY} Then the same command again."


def unchanged() -> str:
    """Return what a person does where a store cannot be read."""
    return f"Nothing was changed. {AGAIN}"


def half(again: str) -> str:
    """Return what a person does where a withdrawal broke off.

    Args:
        again: the command that goes on.
    """
    return f"The withdrawal is half done; mend it, then `{again}` goes on."


@contextmanager
def reached(where: str, then: Callable[[], str]) -> Iterator[None]:
    """Turn whatever fails inside into one message.

    Args:
        where: what was reached for, with its address.
        then: returns how things stand now and what to do; asked only where something failed.

    Raises:
        PipelineError: something failed.
    """
    try:
        yield
    except PipelineError:
        raise
    except Exception as error:
        said = " ".join(str(error).split())
        raise PipelineError(f"{where}, got {type(error).__name__}: {said}. {then()}") from error


@contextmanager
def going_on(again: str) -> Iterator[None]:
    """Say of whatever a withdrawal breaks off at that the same command goes on: no permission, a lock, a full disk.

    Args:
        again: the command.

    Raises:
        PipelineError: it broke off.
    """
    try:
        yield
    except (PipelineError, DvcException, OSError) as error:
        notes = "".join(f", {note}" for note in getattr(error, "__notes__", []))
        said = str(error) if isinstance(error, PipelineError) else f"{type(error).__name__}: {error}{notes}."
        raise PipelineError(said if half(again) in said else f"{said} {half(again)}") from error
