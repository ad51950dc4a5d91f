"""Read the predictions tables of all declared models: every mistake in all of them at once.

The table is the whole contract: a model joins the comparison by writing one, whatever it is made of. Beside it stands
`<model>.json`, whose `params` say what the model was trained with: parameters, and digests of the pictures and tables.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from stages.common.core.errors import PipelineError, Problem, raise_all

SEVERAL = 3  # examples that a message shows
OWN = ("architecture", "system")  # entries of a sidecar's params that are each model's own
OF_PROTOCOL = "split."  # params.split.<protocol>: the digest of that protocol's table


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


def refuse_mix(sidecars: Mapping[Training, Path], own: Sequence[str] = OWN) -> None:
    """Refuse to compare models that were made with different params.

    `dvc exp run -S lr=0.01 train@...` without `evaluate` leaves the other models at the old lr. What is each model's
    own may differ, and what one kind of model reads (a network's lr) need not be said by another kind.

    Args:
        sidecars: of the trainings to be compared.
        own: entries of `params` that each may have for itself.

    Raises:
        PipelineError: a sidecar has no `params`, or naming each param that differs and who was made with what.
    """
    made = {training: _params_of(path) for training, path in sidecars.items()}
    kinds = {training: "system" in params for training, params in made.items()}
    flat = {
        training: _flat({key: params[key] for key in params if key not in own}) for training, params in made.items()
    }
    differences = []
    for key in sorted({key for params in flat.values() for key in params}):
        reading = {kinds[training] for training, params in flat.items() if key in params}
        values: dict[str, list[str]] = {}
        for training, params in flat.items():
            if key.startswith(OF_PROTOCOL) and not key.endswith(f".{training.protocol}"):
                continue  # another protocol's table is no business of this one
            if kinds[training] in reading:
                values.setdefault(json.dumps(params.get(key), sort_keys=True), []).append(str(training))
        if len(values) > 1:
            differences += [f"  - {key} = {value}: {', '.join(models)}" for value, models in values.items()]
    if differences:
        raise PipelineError(
            "the models were trained with different params, and a table of them would compare nothing:\n"
            + "\n".join(differences)
            + "\nRun `dvc repro evaluate`; with `dvc exp run -S ...`, always target `evaluate`."
        )


def _content(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise _no_sidecar(path, error) from error


def _params_of(path: Path) -> dict[str, Any]:
    try:
        return dict(_content(path)["params"])
    except (ValueError, TypeError, KeyError) as error:
        raise _no_sidecar(path, error) from error


def giga_operations(path: Path) -> float:
    """Return what a sidecar says of the 10^9 multiply-adds that one picture costs."""
    try:
        return float(_content(path)["giga_operations"])
    except (ValueError, TypeError, KeyError) as error:
        raise _no_sidecar(path, error) from error


def _no_sidecar(path: Path, error: Exception) -> PipelineError:
    return PipelineError(
        f"{path}: expected a JSON object with `params`, what the model was trained with, and `giga_operations`, got "
        f"{error!r}. Run `dvc repro evaluate`."
    )


def _flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, item in value.items():
        flat |= _flat(item, f"{prefix}{key}.") if isinstance(item, Mapping) else {f"{prefix}{key}": item}
    return flat


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
