"""Arrays that are written row by row are numpy's own files, or none at all."""

from pathlib import Path

import numpy as np
import pytest

from stages.common.core.files import new_array

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
