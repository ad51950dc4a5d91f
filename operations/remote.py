"""Can this machine read and write a remote? And send there what is finished, while `dvc exp run` goes on.

    python -m operations.remote probe phantom     before hours of work: write a few bytes, read them, remove them
    python -m operations.remote push phantom      `dvc push`, without the lock that a run beside it would stop at

Reads   .dvc/config; for a push the cache, every object of which must be what its name says
Writes  to the remote: a file probe-* that is removed at once; for a push what dvc.lock and the run cache name
"""

import argparse
import re
import sys
import uuid
from contextlib import suppress
from itertools import chain
from pathlib import Path

from dvc.lock import LockNoop
from dvc.repo import Repo

from operations.cache import refuse_damaged
from operations.clone import clone
from operations.reached import AWAY, reached
from operations.torn import whole_lock
from stages.common.core.errors import PipelineError, run

MADE = "dvc.yaml"  # what the stages made; no cohort's clips
PUBLIC = "phantom"  # simulated: anybody may see what its records say
COHORT = re.compile(r"data/cohorts/([^/\s]+)")
AGAIN = "then the same command again"


def probe(repo: Repo, name: str) -> None:
    """Write, read and remove a file of a remote.

    Raises:
        PipelineError: one of them fails; with the remote's address and the server's words.
    """
    known(repo, name)
    content = uuid.uuid4().hex.encode()
    try:
        remote = repo.cloud.get_remote(name)
        remote.fs.makedirs(remote.path, exist_ok=True)
        path = remote.fs.join(remote.path, f"probe-{content.decode()}")  # beside the objects, not among them
        remote.fs.pipe_file(path, content)
        found = remote.fs.cat_file(path)
        remote.fs.remove(path)
    except Exception as error:
        raise PipelineError(
            f"remote {name} ({repo.config['remote'][name]['url']}): expected to write, read and remove a file, got "
            f"{type(error).__name__}: {error}. {AWAY}"
        ) from error
    if found != content:
        raise PipelineError(f"remote {name}: wrote {len(content)} bytes, read {len(found)} others")


def push(repo: Repo, name: str, unchecked: bool = False) -> None:
    """Send what is finished, and the records of runs, which tell a new machine what is done.

    All records would go: of other cohorts, too, were any run here. They quote parameters, which may name clips; so
    where another private cohort ran, none goes.

    A push holds DVC's lock for as long as it takes, and a run that wants it waits three seconds, then fails. It is not
    needed here: objects are written once under their own names, and a torn dvc.lock fails this push, not the run.

    Raises:
        PipelineError: an object of the cache is damaged, which DVC would send as it is; dvc.lock cannot be read; the
            remote fails, or DVC does; with its words.
    """
    known(repo, name)
    with whole_lock(AGAIN):
        if not unchecked:
            refuse_damaged(repo)
    others = recorded_cohorts(Path(repo.cache.local_cache_dir)) - {PUBLIC, name}
    if others:
        print("another cohort ran here: what the stages made is pushed, the records of runs are not", file=sys.stderr)
    repo.lock = LockNoop()
    where = f"remote {name} ({repo.config['remote'][name]['url']}): expected to send what is finished"
    with reached(where, lambda: f"What arrived is whole; the same command sends the rest. {AWAY}"), whole_lock(AGAIN):
        repo.push(targets=[MADE], remote=name, run_cache=not others)


def known(repo: Repo, name: str) -> None:
    """Raise where no remote has the name, or DVC would believe whatever bytes lie there."""
    if name not in repo.config["remote"]:
        raise PipelineError(
            f"remote {name}: .dvc/config has none of that name. `dvc remote add {name} <url>`, "
            f"`dvc remote modify {name} verify true`"
        )
    if not repo.config["remote"][name].get("verify"):
        raise PipelineError(
            f"remote {name}: expected `verify = true` in .dvc/config, got none: `dvc pull` would take damaged bytes "
            f"from there for a clip or a model. `dvc remote modify {name} verify true` (`--local` if it was added so), "
            "and commit."
        )


def recorded_cohorts(cache: Path) -> set[str]:
    """Return the cohorts that the records of runs in a cache name.

    DVC renames a record once it is written. One that went between its listing and its reading has its new name in the
    second listing; what is written anew meanwhile is of the run beside this.
    """
    found: set[str] = set()
    for path in chain(*((cache / "runs").rglob("*") for _ in range(2))):
        with suppress(FileNotFoundError):
            found.update(COHORT.findall("" if path.is_dir() else path.read_text(encoding="utf-8")))
    return found


def main() -> None:
    """Do what was asked."""
    parser = argparse.ArgumentParser(prog="python -m operations.remote", description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("probe", "push"))
    parser.add_argument("remote", help="its name in .dvc/config: the cohort's")
    parser.add_argument("--unchecked", action="store_true", help="push without looking through the cache first")
    asked = parser.parse_args()
    with clone() as repo:
        push(repo, asked.remote, asked.unchecked) if asked.what == "push" else probe(repo, asked.remote)


if __name__ == "__main__":
    run(main)
