"""Read the predictions tables of all declared models: every mistake in all of them at once.

The table is the whole contract: a model joins the comparison by writing one, whatever it is made of.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from stages.common.core.errors import PipelineError, Problem, raise_all

SEVERAL = 3  # examples that a message shows


@dataclass(frozen=True)
class Training:
    """One training of one model: under a protocol, in a fold, with a seed."""

    protocol: str
    fold: str
    seed: int
    model: str

    def below(self, root: Path) -> Path:
        """Return where its files lie below data/predictions or data/curves, without a suffix."""
        return root / self.protocol / self.fold / str(self.seed) / self.model

    def __str__(self) -> str:
        return f"{self.protocol}/{self.fold}/{self.model}"


def remove_undeclared(root: Path, declared: Iterable[Path]) -> list[Path]:
    """Delete every file below `root` that is neither declared nor in a declared folder, then empty folders.

    DVC leaves the files of a model that was dropped from params.yaml, and hashes them with the folder after the run.

    Returns:
        What was deleted, sorted.
    """
    keep = set(declared)
    files = sorted(path for path in root.rglob("*") if path.is_symlink() or not path.is_dir())
    gone = [path for path in files if keep.isdisjoint([path, *path.parents])]
    for path in gone:
        path.unlink()
    for folder in sorted((path for path in root.rglob("*") if path.is_dir()), reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()
    return gone


def refuse_missing(files: Sequence[Path]) -> None:
    """Raise one PipelineError that lists every declared file that is not there."""
    missing = [str(path) for path in files if not path.is_file()]
    if missing:
        listed = "\n".join(f"  - {path}" for path in missing)
        raise PipelineError(f"{len(missing)} declared files are missing; run `dvc repro evaluate`:\n{listed}")


def read_predictions(path: Path, asked: pd.DataFrame, labels: Sequence[str]) -> tuple[pd.DataFrame, list[Problem]]:
    """Return the probabilities, (asked, labels) in the order of `asked`, and what is wrong with the table.

    Args:
        path: frame_id, split, then one probability a label; rows in any order.
        asked: frame_id and side of the frames that the split puts on validation or test.
        labels: the probability columns.
    """
    wanted = ["frame_id", "split", *labels]
    remedy = "Run `dvc repro evaluate`, which trains it again."
    try:
        table = pd.read_csv(path, dtype={"frame_id": str, "split": str})
    except (OSError, ValueError) as error:
        return pd.DataFrame(), [Problem(str(path), "no table", "a CSV", str(error), remedy)]
    if sorted(table.columns) != sorted(wanted):
        return pd.DataFrame(), [
            Problem(str(path), "wrong columns", ", ".join(wanted), ", ".join(table.columns), remedy)
        ]
    problems = [Problem(str(path), *found, remedy) for found in [*_rows(table, asked), *_values(table, labels)]]
    if problems:
        return pd.DataFrame(), problems
    return table.set_index("frame_id").loc[asked["frame_id"], list(labels)].reset_index(drop=True), []


def _rows(table: pd.DataFrame, asked: pd.DataFrame) -> Iterator[tuple[str, str, str]]:
    """Yield (what, expected, got) for repeated, missing, superfluous and misplaced frames."""
    repeated = table["frame_id"].duplicated()
    if repeated.any():
        yield "repeated frames", "one row a frame", _some(table.loc[repeated, "frame_id"])
    side = asked.set_index("frame_id")["side"]
    missing = side.index.difference(pd.Index(table["frame_id"]))
    if len(missing):
        yield "frames missing", f"the {len(side)} frames of validation and test", f"no row for {_some(missing)}"
    unasked = ~table["frame_id"].isin(side.index)
    if unasked.any():
        where = "only frames that the split puts on validation or test"
        yield "frames not asked for", where, _some(table.loc[unasked, "frame_id"])
    misplaced = ~unasked & (table["frame_id"].map(side) != table["split"])
    if misplaced.any():
        yield "split differs from data/split", "the side given there", _some(table.loc[misplaced, "frame_id"])


def _values(table: pd.DataFrame, labels: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    for label in labels:
        number = pd.to_numeric(table[label], errors="coerce")
        bad = ~number.between(0, 1)  # NaN and infinities are outside too
        if bad.any():
            pairs = zip(table["frame_id"][bad], table[label][bad], strict=True)
            yield f"column {label}", "probabilities in [0, 1]", _some(f"{value} at {frame}" for frame, value in pairs)


def _some(values: Iterable[object]) -> str:
    listed = [str(value) for value in values]
    more = f" and {len(listed) - SEVERAL} more" if len(listed) > SEVERAL else ""
    return ", ".join(listed[:SEVERAL]) + more


def read_all(
    files: Mapping[Training, Path], asked: Mapping[str, pd.DataFrame], labels: Sequence[str]
) -> dict[Training, pd.DataFrame]:
    """Return the probabilities of every training, aligned to the frames asked of its protocol and fold.

    Args:
        files: where each training's table lies.
        asked: protocol -> fold, frame_id and side of the frames on validation and test.
        labels: the probability columns.

    Raises:
        PipelineError: every problem of every table.
    """
    tables, problems = {}, []
    for training, path in files.items():
        of_protocol = asked[training.protocol]
        tables[training], found = read_predictions(path, of_protocol[of_protocol["fold"] == training.fold], labels)
        problems += found
    raise_all(problems, "the predictions cannot be evaluated")
    return tables
