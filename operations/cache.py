"""Does every object of DVC's cache still hold what its name says? DVC itself trusts a local object for ever.

    python -m operations.cache                   check the cache of this repository
    python -m operations.cache phantom           or a remote by its name: a folder, S3 or SSH
    python -m operations.cache ../copy           or any folder that is a cache or a remote
    python -m operations.cache --heal            and remove what is damaged, so that it is fetched or made again

Reads   every object, named by the MD5 of its bytes
Writes  nothing; with --heal the damaged objects are gone
"""

import argparse
import hashlib
import json
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from dvc.fs import LocalFileSystem
from dvc.repo import Repo

from operations.clone import clone
from operations.owners import FOLDER, owners
from operations.reached import AGAIN, reached, unchanged
from stages.common.core.errors import PipelineError, run
from stages.common.core.progress import in_parallel

OBJECTS = "files/md5"  # below a cache and below a remote alike
NAME = re.compile(r"[0-9a-f]{2}/[0-9a-f]{30}(\.dir)?")
PART = 1 << 20  # bytes read at a time
REMEDY = "Run `{0.again} --heal`. Then {0.heals}."
CACHE_HEALS = "`dvc pull` where a remote has them, or `dvc repro`, which makes them again"
REMOTE_HEALS = "`dvc push` from a clone that has them in a sound cache, which `python -m operations.cache` tells there"


@dataclass(frozen=True)
class Store:
    """A cache or a remote.

    Attributes:
        name: as a person calls it, with its address.
        fs: DVC's file system of it.
        root: the folder of its objects there.
        heals: what brings damaged objects back, once they are removed.
        again: the command that checks it.
    """

    name: str
    fs: Any
    root: str
    heals: str
    again: str


@dataclass(frozen=True)
class Checked:
    """What was found.

    Attributes:
        objects: how many were read.
        damaged: paths of those whose bytes are not what their name says, sorted.
        strange: files whose names are no hashes, such as what a killed transfer left; nothing reads them.
    """

    objects: int
    damaged: list[str]
    strange: list[str]


def store(repo: Repo, asked: str | None) -> Store:
    """Return the cache, the remote or the folder that `asked` names."""
    again = " ".join(["python -m operations.cache", *([asked] if asked else [])])
    if asked is None:
        odb = repo.cache.local
        return Store(str(Path(odb.path).parents[1]), odb.fs, odb.path, CACHE_HEALS, again)
    if asked in repo.config["remote"]:
        name = f"remote {asked} ({repo.config['remote'][asked]['url']})"
        with reached(f"{name}: expected to reach it", unchanged):
            odb = repo.cloud.get_remote(asked).odb
        return Store(name, odb.fs, odb.path, REMOTE_HEALS, again)
    return Store(asked, LocalFileSystem(), str(Path(asked) / OBJECTS), REMOTE_HEALS, again)


def value_of(path: str) -> str:
    """Return what an object's name says its MD5 is; `.dir` where it lists a folder."""
    return "".join(path.split("/")[-2:])


def is_object(path: str) -> bool:
    """Return whether a file is named as an object; others are what broken transfers left."""
    return NAME.fullmatch("/".join(path.split("/")[-2:])) is not None


def is_damaged(path: str, fs: Any) -> bool:
    """Return whether an object's bytes have another MD5 than its name."""
    found = hashlib.md5(usedforsecurity=False)
    with fs.open(path, "rb") as file:
        while part := file.read(PART):
            found.update(part)
    return found.hexdigest() != value_of(path).removesuffix(FOLDER)


def check(where: Store) -> Checked:
    """Read every object below a cache or a remote.

    Raises:
        PipelineError: it cannot be read, or there is none, but in this clone's cache: nothing was made or fetched yet.
    """
    with reached(f"{where.name}: expected to list its objects", unchanged):
        files = sorted(where.fs.find(where.root))
    if not files and where.heals != CACHE_HEALS:
        raise PipelineError(
            f"{where.root}: expected objects of a DVC cache or remote, got none. Name a remote of .dvc/config, or the "
            "folder above files/."
        )
    named = [path for path in files if is_object(path)]
    with reached(f"{where.name}: expected to read its {len(named)} objects", unchanged):
        results = list(in_parallel(partial(is_damaged, fs=where.fs), named, "check", unit="object"))
    return Checked(len(named), [path for path, bad in results if bad], sorted(set(files) - set(named)))


def lists_of(members: Iterable[str], where: Store) -> list[str]:
    """Return the paths of the sound lists in a store that name one of `members`, given as paths."""
    values = {value_of(path) for path in members}
    lists = [path for path in where.fs.find(where.root) if path.endswith(FOLDER) and value_of(path) not in values]
    return [path for path in lists if values & {entry["md5"] for entry in json.loads(where.fs.cat_file(path))}]


def heal(damaged: list[str], where: Store) -> None:
    """Remove damaged objects; of a remote also the lists that name them: where a list is, `dvc push` sends nothing.

    Lists go first: broken off, the objects are still found damaged, and the same command goes on.

    Raises:
        PipelineError: the store fails; with how many were removed.
    """
    removed: list[str] = []
    with reached(f"{where.name}: expected to remove what is damaged", lambda: f"{len(removed)} removed. {AGAIN}"):
        for path in [*(lists_of(damaged, where) if where.heals == REMOTE_HEALS else []), *damaged]:
            where.fs.remove(path)
            removed.append(path)


def refuse_damaged(repo: Repo) -> None:
    """Check this clone's cache before anything is built on it or sent from it.

    Raises:
        PipelineError: objects are damaged; which files they are, and what heals them.
    """
    where = store(repo, None)
    found = check(where)
    if found.damaged:
        raise PipelineError(damage(found, where, owners(repo)) + REMEDY.format(where))


def damage(found: Checked, where: Store, named: dict[str, str]) -> str:
    """Return how many objects are damaged, and a line each.

    Args:
        found: with at least one damaged object.
        where: they lie.
        named: as `owners` returns it.
    """
    lines = [
        f"  - {path}: other bytes than its name says; {named.get(value_of(path), 'of an earlier run')}\n"
        for path in found.damaged
    ]
    return f"{where.name}: {len(found.damaged)} of {found.objects} objects damaged:\n{''.join(lines)}"


def main() -> None:
    """Check, tell, and heal where asked."""
    parser = argparse.ArgumentParser(prog="python -m operations.cache", description=__doc__.splitlines()[0])
    parser.add_argument("where", nargs="?", help="a remote's name, or a folder; default: this repository's cache")
    parser.add_argument("--heal", action="store_true", help="remove damaged objects")
    asked = parser.parse_args()
    with clone() as repo:
        where = store(repo, asked.where)
        found = check(where)
        named = owners(repo) if found.damaged else {}
    if found.strange:
        print(f"{where.name}: {len(found.strange)} leftovers of broken transfers, read by nothing", file=sys.stderr)
    if not found.damaged:
        print(f"{where.name}: {found.objects} objects, all as their names say")
        return
    if not asked.heal:
        raise PipelineError(damage(found, where, named) + REMEDY.format(where))
    heal(found.damaged, where)
    print(f"{damage(found, where, named)}All of them are removed. Now {where.heals}.")


if __name__ == "__main__":
    run(main)
