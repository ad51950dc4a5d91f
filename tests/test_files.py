"""What a stage writes is there whole or not at all: arrays row by row, folders that several threads fill."""

import errno
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from stages.common.core.files import new_array, replacing

ROWS = np.random.default_rng(0).integers(0, 256, (7, 3, 2), dtype=np.uint8)


def test_rows_given_in_parts_make_the_bytes_of_numpy_save(tmp_path: Path) -> None:
    np.save(tmp_path / "whole.npy", ROWS)
    with new_array(tmp_path / "parts.npy", ROWS.shape) as append:
        append(ROWS[:3])
        append(ROWS[3:3])
        append(np.asfortranarray(ROWS[3:]))
        assert not (tmp_path / "parts.npy").exists()
    assert (tmp_path / "parts.npy").read_bytes() == (tmp_path / "whole.npy").read_bytes()


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (ROWS[:6], "expected 7 rows, got 6"),
        (ROWS[:, :2], r"expected uint8 rows of \(3, 2\), got uint8 of \(2, 2\)"),
        (ROWS.astype(np.int16), "got int16"),
    ],
)
def test_other_rows_leave_no_file(tmp_path: Path, rows: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message), new_array(tmp_path / "a.npy", ROWS.shape) as append:
        append(rows)
    assert not (tmp_path / "a.npy").exists()


def write_on(folder: Path, begun: threading.Event, ended: list[int | None]) -> None:
    """Write one file after the other until that fails."""
    try:
        for number in range(100_000):
            (folder / f"{number}.png").write_bytes(b"")
            begun.set()
    except OSError as error:
        ended.append(error.errno)


def fail_beside_a_writer(path: Path, ended: list[int | None]) -> None:
    """Fill a folder from two threads, as on a full disk: one fails, the other writes on until it fails, too."""
    begun = threading.Event()
    with replacing(path) as partial:
        partial.mkdir()
        threading.Thread(target=write_on, args=(partial, begun, ended)).start()
        begun.wait()
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_folder_goes_from_under_a_thread_that_still_writes_there(tmp_path: Path) -> None:
    for _ in range(20):
        ended: list[int | None] = []
        with pytest.raises(OSError, match="No space left"):
            fail_beside_a_writer(tmp_path / "frames", ended)
        while not ended:
            time.sleep(0.001)
        assert ended == [errno.ENOENT]
        assert list(tmp_path.iterdir()) == []


def test_a_file_never_takes_the_place_of_a_folder(tmp_path: Path) -> None:
    kept = tmp_path / "mine/notes.txt"
    kept.parent.mkdir()
    kept.write_text("the only copy")
    with pytest.raises(IsADirectoryError), replacing(tmp_path / "mine") as partial:
        partial.write_text("a file")
    assert kept.read_text() == "the only copy"
    assert list(tmp_path.iterdir()) == [tmp_path / "mine"]


def test_a_folder_takes_the_place_of_a_filled_one(tmp_path: Path) -> None:
    for name in ("old.txt", "new.txt"):
        with replacing(tmp_path / "folder") as partial:
            partial.mkdir()
            (partial / name).touch()
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["new.txt"]
