"""Outputs appear whole or not at all: write beside the target, then rename over it.

A stage killed while it writes leaves only a `*.partial` name behind, which nothing reads.
"""

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ATTEMPTS, PAUSE_S = 50, 0.02  # at removing a folder that a thread adds a last file to


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary sibling of `path` that becomes `path` when the block ends without error, and else is gone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    _remove(partial)
    try:
        yield partial
        if path.is_dir() and partial.is_dir():  # a rename cannot put a folder over a filled one, nor a file over any
            shutil.rmtree(path)
        partial.replace(path)
    except BaseException as error:
        _remove(partial)  # on a full disk it would keep the next run from starting; and it may show patients
        error.add_note(f"while writing {path}")  # a write that fails does not say of what
        raise


def _remove(path: Path) -> None:
    """Remove a file or a folder, also from under threads that still write there: one of them failed, the rest go on.

    Renamed, a folder is gone for them at once. Emptied where it stands, it could fill faster than it empties.
    """
    gone = path.with_name(f"gone-{path.name}")
    _empty(gone)  # of a stage that was killed in the middle of this
    if path.is_dir() and not path.is_symlink():
        path.rename(gone)
        _empty(gone)
    else:
        path.unlink(missing_ok=True)


def _empty(folder: Path) -> None:
    for left in reversed(range(ATTEMPTS)):
        try:
            if folder.exists():
                shutil.rmtree(folder)
            return
        except OSError:  # a thread had already looked the folder up when it was renamed, and adds a last file
            if not left:
                raise
            time.sleep(PAUSE_S)


def digest(path: Path) -> str:
    """Return a short hash of the file's bytes: which data a result rests on, not a protection against forgery."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=8)).hexdigest()


def write_json(path: Path, content: Any, sort_keys: bool = True) -> None:
    """Write indented JSON, sorted unless the order itself says something: the same content gives the same bytes."""
    with replacing(path) as partial:
        partial.write_text(json.dumps(content, indent=2, sort_keys=sort_keys, allow_nan=False) + "\n", encoding="utf-8")


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text with Unix line ends."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8", newline="\n")


@contextmanager
def new_array(path: Path, shape: tuple[int, ...]) -> Iterator[Callable[[NDArray[np.uint8]], None]]:
    """Yield a function that takes the rows of a uint8 .npy of `shape`, some at a time and in order.

    They are written one after the other, so memory stays flat however many frames a cohort has, and no page of the
    file is fetched only to be filled. The file appears under `path` when complete.

    Raises:
        ValueError: other rows were given than `shape` says.
    """
    given = 0

    def append(rows: NDArray[np.uint8]) -> None:
        nonlocal given
        if rows.dtype != np.uint8 or rows.shape[1:] != shape[1:]:
            raise ValueError(f"{path}: expected uint8 rows of {shape[1:]}, got {rows.dtype} of {rows.shape[1:]}")
        given += len(rows)
        file.write(np.ascontiguousarray(rows).data)

    with replacing(path) as partial, partial.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
        yield append
        if given != shape[0]:
            raise ValueError(f"{path}: expected {shape[0]} rows, got {given}")
