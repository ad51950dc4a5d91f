"""Can dvc.lock be read? DVC writes it in place: killed meanwhile, it may leave what is no YAML, and then nothing runs.

A part that happens to be YAML lacks the stages behind it, which the next `dvc repro` runs again or takes from the run
cache: that is not looked for here.

    python -m operations.torn        where dvc.lock cannot be read, bring the last commit's back, and say so in one line

Reads   dvc.lock
Writes  dvc.lock, where it cannot be read: as the last commit has it; removed where none has it
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dvc.dvcfile import Lockfile
from dvc.repo import Repo
from dvc.utils.serialize import EncodingError
from dvc.utils.strictyaml import YAMLSyntaxError, YAMLValidationError

from operations.clone import clone
from operations.run_git import git
from stages.common.core.errors import PipelineError, run

LOCK = "dvc.lock"
UNREADABLE = (YAMLSyntaxError, YAMLValidationError, EncodingError)  # cut anywhere, within a letter too
LOST = "What was trained since that commit comes back from the run cache; stages whose results are Git's run again."


@contextmanager
def whole_lock(again: str) -> Iterator[None]:
    """Say of a dvc.lock that cannot be read what it is: no wrong key and no server that is away.

    Args:
        again: what a person does once it is mended.

    Raises:
        PipelineError: DVC cannot read it.
    """
    try:
        yield
    except UNREADABLE as error:
        if f"{LOCK}'" not in str(error):  # another file: DVC's own words will do
            raise
        raise PipelineError(
            f"{LOCK}: expected what DVC writes, got half of it or no YAML ({' '.join(str(error).split())}). A `dvc` "
            f"writes it at this moment, or was killed while it did. Where none runs: `git checkout HEAD -- {LOCK}` "
            f"(never committed: delete it), `dvc repro`, {again}."
        ) from error


def is_torn(repo: Repo) -> bool:
    """Return whether DVC can read no dvc.lock in this clone; where there is none, there is nothing to read."""
    try:
        Lockfile(repo, str(Path(repo.root_dir) / LOCK)).load()
    except UNREADABLE:
        return True
    return False


def bring_back(lock: Path) -> str:
    """Give dvc.lock the bytes of the last commit, or remove it where none has it; return which.

    Raises:
        PipelineError: Git fails.
    """
    if git("ls-tree", "--name-only", "HEAD", "--", str(lock)):
        git("checkout", "HEAD", "--", str(lock))
        return "the last commit's is back"
    lock.unlink()
    return "no commit has one, so it is removed"


def main() -> None:
    """Mend dvc.lock where it is torn. DVC's own lock keeps away a `dvc` that is just writing it."""
    with clone() as repo, repo.lock:
        if is_torn(repo):
            done = bring_back(Path(repo.root_dir) / LOCK)
            print(f"{LOCK} could not be read, as a killed dvc leaves it: {done}. {LOST}", file=sys.stderr)


if __name__ == "__main__":
    run(main)
