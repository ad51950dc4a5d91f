"""Look for what was withdrawn in the cache, the cohort's remote and the workspace, and say who keeps it.

Files are known by the MD5 of their bytes, as DVC names them: another name hides none.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from operations.cache import value_of
from operations.clone import clone
from operations.digest import digest
from operations.keepers import keepers, stored
from operations.reached import half, reached

Traces = Mapping[str, tuple[str, int]]  # MD5 (of a list of files with .dir) -> what it was, and its bytes
UNSEARCHED = (".git", ".venv")


def traces_of(root: Path, goes: Sequence[Path], stays: Sequence[Path]) -> Traces:
    """Return what to look for: the files that go, but content that a file which stays has, too.

    Args:
        root: what names are told relative to.
        goes: files.
        stays: other files of the cohort; a mask may be all black in two clips, and tells no patient.
    """
    real = [path for path in goes if path.is_file()]
    found = {digest(path, "md5"): (path.relative_to(root).as_posix(), path.stat().st_size) for path in real}
    sizes = {size for _, size in found.values()}
    both = {digest(path, "md5") for path in stays if path.is_file() and path.stat().st_size in sizes}
    return {value: trace for value, trace in found.items() if value not in both and trace[1]}


def left_of(traces: Traces, remote: str | None, again: str) -> list[str]:
    """Return a line for each withdrawn file that is still somewhere: what it was, where it is, and who keeps it.

    Args:
        traces: what to look for.
        remote: name of the cohort's remote; None for none.
        again: the command that goes on where this one breaks.

    Raises:
        PipelineError: the remote cannot be reached.
    """
    with clone() as repo:
        cache = Path(repo.cache.local_cache_dir)
        found = [(value, f"the cache ({path})") for value, path in _objects(cache) if value in traces]
        if remote is not None:
            with reached(f"remote {remote}: expected to look there for what is left", lambda: half(again)):
                there = {value_of(path) for path in stored(repo.cloud.get_remote(remote).odb)}
            found += [(value, f"remote {remote}") for value in sorted(there & traces.keys())]
        found += [(value, str(path)) for value, path in _files(cache, traces)]
        tracking = keepers(repo, {value for value, _ in found}, repo.cache.local)
    kept_by = {value: ", ".join(f"{file} ({ref})" for file, ref in by) for value, by in tracking.items()}
    return [
        f"{traces[value][0]}: in {place}" + (f", kept by {kept_by[value]}" if value in kept_by else "")
        for value, place in found
    ]


def _objects(cache: Path) -> Iterator[tuple[str, Path]]:
    for path in sorted(cache.rglob("*")):
        if path.is_file():
            yield value_of(path.as_posix()), path


def _files(cache: Path, traces: Traces) -> Iterator[tuple[str, Path]]:
    """Yield the workspace's files that hold what was withdrawn; only files of a right size are read."""
    sizes, skipped = (
        {size for _, size in traces.values()},
        {cache.resolve(), *(Path(name).resolve() for name in UNSEARCHED)},
    )
    for folder, inner, names in os.walk("."):
        inner[:] = [name for name in inner if Path(folder, name).resolve() not in skipped]
        for path in (Path(folder, name) for name in names):
            if path.is_file() and path.stat().st_size in sizes and (value := digest(path, "md5")) in traces:
                yield value, path
