"""Does every object of DVC's cache still hold what its name says? DVC itself trusts a local object for ever.

    python -m operations.cache                   check the cache of this repository
    python -m operations.cache ../remote         or a remote that is a folder
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
from pathlib import Path

from dvc.repo import Repo

from stages.common.core.errors import PipelineError, run
from stages.common.core.progress import in_parallel

OBJECTS = "files/md5"  # below a cache and below a remote alike
NAME = re.compile(r"[0-9a-f]{2}/[0-9a-f]{30}(\.dir)?")
FOLDER = ".dir"  # ends the name of an object that lists a folder's files
REMEDY = (
    "Run `python -m operations.cache --heal`, then `dvc pull` where a remote has them, or `dvc repro`, which makes "
    "them again."
)


@dataclass(frozen=True)
class Checked:
    """What was found.

    Attributes:
        objects: how many were read.
        damaged: those whose bytes are not what their name says, sorted.
        strange: files whose names are no hashes, such as what a killed transfer left; nothing reads them.
    """

    objects: int
    damaged: list[Path]
    strange: list[Path]


def is_damaged(path: Path) -> bool:
    """Return whether an object's bytes have another MD5 than its name."""
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "md5").hexdigest()
    return found != (path.parent.name + path.name).removesuffix(FOLDER)


def check(folder: Path) -> Checked:
    """Read every object below a cache or a remote.

    Raises:
        PipelineError: there is none.
    """
    root = folder / OBJECTS
    files = sorted(path for path in root.glob("*/*") if path.is_file())
    if not files:
        raise PipelineError(
            f"{root}: expected objects of a DVC cache or remote, got none. Name the folder above files/."
        )
    named = [path for path in files if NAME.fullmatch(path.relative_to(root).as_posix())]
    results = in_parallel(is_damaged, named, "check", unit="object")
    return Checked(len(named), [path for path, bad in results if bad], sorted(set(files) - set(named)))


def owners(repo: Repo) -> dict[str, str]:
    """Return MD5 -> the file of the workspace whose content it is, as far as dvc.lock and the .dvc files tell."""
    named: dict[str, str] = {}
    for out in repo.index.outs:
        value = out.hash_info.value if out.hash_info else None
        if value:
            place = str(Path(out.fs_path).relative_to(repo.root_dir))
            named[value] = place
            named |= _members(Path(repo.cache.local.path), value, place)
    return named


def _members(root: Path, value: str, place: str) -> dict[str, str]:
    listing = root / value[:2] / value[2:]
    if not value.endswith(FOLDER) or not listing.is_file():
        return {}
    try:
        return {entry["md5"]: f"{place}/{entry['relpath']}" for entry in json.loads(listing.read_bytes())}
    except (ValueError, KeyError, TypeError):  # a damaged listing names no members
        return {}


def told(damaged: Iterable[Path], named: dict[str, str]) -> list[str]:
    """Return a line a damaged object: where it lies and what it should be."""
    lines = []
    for path in damaged:
        value = path.parent.name + path.name
        lines.append(f"  - {path}: other bytes than its name says; {named.get(value, 'of an earlier run')}")
    return lines


def main() -> None:
    """Check, tell, and heal where asked."""
    parser = argparse.ArgumentParser(prog="python -m operations.cache", description=__doc__.splitlines()[0])
    parser.add_argument(
        "folder", nargs="?", type=Path, help="a remote that is a folder; default: this repository's cache"
    )
    parser.add_argument("--heal", action="store_true", help="remove damaged objects")
    asked = parser.parse_args()
    with Repo() as repo:
        folder = asked.folder or Path(repo.cache.local.path).parents[1]
        found, named = check(folder), owners(repo)
    if found.strange:
        print(f"{folder}: {len(found.strange)} leftovers of broken transfers, read by nothing", file=sys.stderr)
    if not found.damaged:
        print(f"{folder}: {found.objects} objects, all as their names say")
        return
    if asked.heal:
        for path in found.damaged:
            path.unlink()
    lines = "\n".join(told(found.damaged, named))
    summary = f"{folder}: {len(found.damaged)} of {found.objects} objects damaged"
    if not asked.heal:
        raise PipelineError(f"{summary}:\n{lines}\n{REMEDY}")
    print(f"{summary} and removed:\n{lines}\nNow `dvc pull`, or `dvc repro`.")


if __name__ == "__main__":
    run(main)
