"""Hostile tables between stages: reading one ends in the very table or in a message, whatever is in the file."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from stages.common.core.tables import FRAME_COLUMNS, LABEL_COLUMNS, SIDES, SPLIT_COLUMNS, frame_id, read_table
from stages.common.core.tables import write_table as write
from stages.common.protocols import read_split
from stages.common.truth import read_labels
from tests.damage import TIMEOUT_S, survive, survive_all

LABELS = ["cord", "fluid"]
FOLDS = ["0", "1"]

BYTES = st.one_of(st.binary(max_size=200), st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace")))
PIECES = st.one_of(
    st.binary(max_size=6),
    st.sampled_from(
        [b",", b"\n", b"\r", b'"', b"\x00", b"nan", b"1e999", b"-1", b"True", b"\xef\xbb\xbf", b";", b"\xff"]
    ),
)
EDITS = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 12), PIECES), min_size=1, max_size=4)
CELL = st.one_of(
    st.sampled_from(["0", "1", "0.0", "1.0", "", "2", "-1", "0.5", "inf", "1e999", "yes", "01x", "1,0", "1\n", '"']),
    st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=8),
    st.floats().map(str),
)
SAFE = st.text("abcXYZ019_-. é", min_size=1, max_size=8).map("P{}x".format)

pytestmark = pytest.mark.timeout(TIMEOUT_S)


def drawn(cases: int) -> Callable[[Any], Any]:
    """Return the settings under which every run draws the same cases."""
    return hypothesis_settings(
        derandomize=True, deadline=None, max_examples=cases, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )


def frames(count: int, patients: list[str]) -> pd.DataFrame:
    """Return the key columns of a table of frames, a clip a patient."""
    rows = [
        (frame_id(f"C{clip:03d}", index), f"C{clip:03d}", patient, index)
        for clip, patient in enumerate(patients, start=1)
        for index in range(count)
    ]
    return pd.DataFrame(rows, columns=list(LABEL_COLUMNS))


TRUTH = frames(3, ["P001", "P002", "P003"]).assign(cord=[1.0, 0.0, None] * 3, fluid=[0.0, 1.0, 1.0] * 3)
SPLIT = pd.DataFrame(
    [(frame, fold, side) for fold in FOLDS for frame, side in zip(TRUTH["frame_id"], SIDES * 3, strict=True)],
    columns=list(SPLIT_COLUMNS),
)
TIMES = TRUTH[list(LABEL_COLUMNS)].assign(time_s=TRUTH["frame_index"] / 4)


def read_frames(path: Path) -> None:
    """Read a table of frames, or raise; what is read holds what the reader promises."""
    found = read_table(path, FRAME_COLUMNS)
    assert set(FRAME_COLUMNS) <= set(found.columns)
    assert found["frame_id"].is_unique


def read_truth(path: Path) -> None:
    """Read a table of labels, likewise."""
    found = read_labels(path, LABELS)
    assert list(found.columns) == [*LABEL_COLUMNS, *LABELS]
    assert found["frame_id"].is_unique
    assert found["patient"].notna().all()
    assert (found[LABELS].isin([0, 1]) | found[LABELS].isna()).all(axis=None)
    assert (found["frame_index"] >= 0).all()


def read_sides(path: Path) -> None:
    """Read a split beside its labels, likewise."""
    found = read_split(path, FOLDS, TRUTH)
    assert set(found["side"]) == set(SIDES)
    for fold in FOLDS:
        assert sorted(found.loc[found["fold"] == fold, "frame_id"]) == sorted(TRUTH["frame_id"])


READERS = pytest.mark.parametrize(
    ("read", "table"),
    [(read_frames, TIMES), (read_truth, TRUTH), (read_sides, SPLIT)],
    ids=["frames", "truth", "split"],
)


@pytest.mark.parametrize("read", [read_frames, read_truth, read_sides])
@drawn(80)
@given(content=BYTES)
def test_any_bytes(tmp_path: Path, read: Callable[[Path], None], content: bytes) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    assert survive(lambda: read(path), repr(content))


@READERS
@drawn(150)
@given(edits=EDITS)
def test_damage(
    tmp_path: Path, read: Callable[[Path], None], table: pd.DataFrame, edits: list[tuple[float, int, bytes]]
) -> None:
    path = tmp_path / "table.csv"
    write(path, table)
    content = path.read_bytes()
    for place, lost, piece in edits:
        start = int(place * len(content))
        content = content[:start] + piece + content[start + lost :]
    path.write_bytes(content)
    survive(lambda: read(path), repr(content))


@READERS
def test_damaged_disks(tmp_path: Path, read: Callable[[Path], None], table: pd.DataFrame) -> None:
    path = tmp_path / "table.csv"
    write(path, table)
    survive_all(path, lambda: read(path))


@drawn(150)
@given(cell=CELL, row=st.integers(0, len(TRUTH) - 1), label=st.sampled_from(LABELS))
def test_a_cell_of_labels_is_read_or_named(tmp_path: Path, cell: str, row: int, label: str) -> None:
    path, written = tmp_path / "labels.csv", TRUTH.astype(dict.fromkeys(LABELS, object))
    written.loc[row, label] = cell
    write(path, written)
    said = survive(lambda: read_labels(path, LABELS), repr(cell))
    right = cell.strip() in ("", "0", "1", "0.0", "1.0", "nan")  # a blank, or what pandas writes for one, is unknown
    assert right != bool(said)
    if right:
        expected = float(cell) if cell.strip() else float("nan")
        pd.testing.assert_series_equal(
            read_labels(path, LABELS)[label], TRUTH[label].where(TRUTH.index != row, expected), check_names=False
        )
    else:
        assert (
            f"labels.csv, frame {TRUTH['frame_id'][row]}, column {label}: not a label: expected 1, 0 or blank" in said
        )


@drawn(100)
@given(
    patients=st.lists(SAFE, min_size=1, max_size=4),
    count=st.integers(1, 4),
    seed=st.lists(st.sampled_from([0.0, 1.0, None]), min_size=32, max_size=32),
)
def test_a_valid_table_comes_back_equal(tmp_path: Path, patients: list[str], count: int, seed: list[Any]) -> None:
    table = frames(count, patients)
    table = table.assign(cord=seed[: len(table)], fluid=seed[-len(table) :]).astype(dict.fromkeys(LABELS, float))
    write(tmp_path / "labels.csv", table)
    pd.testing.assert_frame_equal(read_labels(tmp_path / "labels.csv", LABELS), table, check_dtype=False)
    sides = pd.DataFrame({"frame_id": table["frame_id"], "fold": "0", "side": (SIDES * 16)[: len(table)]})
    write(tmp_path / "split.csv", sides)
    if len(table) < len(SIDES):  # a side without a frame
        assert "column side" in survive(lambda: read_split(tmp_path / "split.csv", ["0"], table), "split")
        return
    pd.testing.assert_frame_equal(
        read_split(tmp_path / "split.csv", ["0"], table), sides.merge(table, on="frame_id"), check_dtype=False
    )


def changed(table: pd.DataFrame, row: int, column: str, cell: Any) -> pd.DataFrame:
    """Return a table with one other cell."""
    other = table.astype({column: object})
    other.loc[row, column] = cell
    return other


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (changed(SPLIT, 4, "side", None), "column side: differs from what is declared: expected the same on both, got"),
        (changed(SPLIT, 4, "fold", None), "column fold: differs from what is declared: expected the same on both, got"),
        (SPLIT.drop(index=[4, 5]), "fold 0: frames missing: expected 9 rows, got 7"),
        (SPLIT[(SPLIT["fold"] == "0") | (SPLIT["frame_id"] == "C001_00000")], "fold 1: frames missing"),
    ],
    ids=["blank side", "blank fold", "two rows gone", "a fold of one frame"],
)
def test_a_split_that_is_not_whole_is_refused(tmp_path: Path, table: pd.DataFrame, said: str) -> None:
    path = tmp_path / "split.csv"
    write(path, table)
    assert said in survive(lambda: read_split(path, FOLDS, TRUTH), "split")


def test_words_are_neither_labels_nor_numbers_of_frames(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    written = TRUTH.assign(cord=TRUTH["cord"] == 1)  # a column of True and False alone
    write(path, changed(written, 2, "frame_index", "x"))
    said = survive(lambda: read_labels(path, LABELS), "labels")
    assert said.count("column cord: not a label: expected 1, 0 or blank, got ") == len(TRUTH)
    assert "frame C001_00002, column frame_index: no number: expected 0, 1, 2, ..., got 'x'" in said


@pytest.mark.parametrize(("torn", "got"), [("C001_00001,C001", 2), ("C001_00001,C001,P001,1,0.0,1.0,7", 7)])
@pytest.mark.parametrize("rows", [[2], range(1, 10)], ids=["one row", "every row"])
def test_a_torn_row_is_refused(tmp_path: Path, torn: str, got: int, rows: Any) -> None:
    path = tmp_path / "labels.csv"
    write(path, TRUTH)
    lines = path.read_text(encoding="utf-8").splitlines()
    for row in rows:
        lines[row] = torn.replace("00001", f"{row:05d}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    said = survive(lambda: read_labels(path, LABELS), torn)
    assert f"line {rows[0] + 1}: expected 6 cells as in line 1, got {got}" in said
