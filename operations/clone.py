"""DVC's view of this clone; what DVC itself has against it is one message."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dvc.exceptions import DvcException, NotDvcRepoError
from dvc.repo import Repo

from stages.common.core.errors import PipelineError


@contextmanager
def clone() -> Iterator[Repo]:
    """Yield DVC's repository.

    Raises:
        PipelineError: there is none here, or DVC refuses, there or inside of the block; with its own words.
    """
    try:
        with Repo() as repo:
            yield repo
    except NotDvcRepoError as error:
        raise PipelineError(
            f"{Path.cwd()}: expected a clone of the project, with DVC's folder .dvc, got none. `cd` into the clone, "
            "then the same command again."
        ) from error
    except DvcException as error:
        raise PipelineError(f"DVC refuses: {' '.join(str(error).split())}") from error
