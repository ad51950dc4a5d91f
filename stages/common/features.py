"""The numbers that describe each frame, for systems that open no picture: hand-made ones, or a network's."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.common.core.errors import Problem
from stages.common.evaluation.predictions import remove_undeclared
from stages.common.protocols import FoldKey, Nothing, Protocol, declared

FEATURES, LOGITS = Path("data/features"), Path("data/logits")
TEXTURE = "texture"  # fitted on nothing, so one file serves every protocol and fold
ASKED = ("validation", "test")  # the sides that a system answers for, in the order of its answers
Place = tuple[str, str]  # protocol, fold
Rows = NDArray[np.int64]


def places_of(protocols: Mapping[Protocol, Nothing], folds: Mapping[FoldKey, Nothing]) -> list[Place]:
    """Return every declared protocol with each of its folds."""
    return [(protocol, fold) for protocol, of in declared(protocols, folds).items() for fold in of]


def network_file(root: Path, network: str, place: Place, seed: int) -> Path:
    """Return where a network's numbers for all frames lie: features, or logits."""
    return root / network / place[0] / place[1] / f"{seed}.npy"


def features_file(features: str, place: Place, seed: int) -> Path:
    """Return where the features lie that a system may see under this protocol and fold.

    Args:
        features: `texture`, or an architecture, whose network was trained on this fold's training side alone.
        place: protocol and fold.
        seed: of the network's training.
    """
    if features == TEXTURE:
        return FEATURES / TEXTURE / "frames.npy"
    return network_file(FEATURES, features, place, seed)


def clear_undeclared_places(root: Path, features: str, places: Iterable[Place], seed: int) -> None:
    """Delete a network's files under protocols, folds and seeds no longer declared.

    DVC leaves them there, and hashes them with the folder after the run: whichever of the stages that read the folder
    runs first must leave it as the others find it.

    Args:
        root: `FEATURES` or `LOGITS`.
        features: an architecture; `texture` has one file for all places, and nothing to clear.
        places: protocol and fold of all that are declared.
        seed: the declared one.
    """
    if features != TEXTURE:
        remove_undeclared(root / features, [network_file(root, features, place, seed) for place in places])


def asked_rows(sides: Mapping[str, Rows]) -> Rows:
    """Return the row numbers of the frames that a system answers for, side after side."""
    return np.concatenate([sides[side] for side in ASKED])


def predictions_of(
    said: NDArray[np.float64], sides: Mapping[str, Rows], ids: pd.Series, labels: Sequence[str]
) -> pd.DataFrame:
    """Return frame_id, split and a probability a label, by frame_id: what every system writes.

    Args:
        said: (asked, labels) probabilities, in the order of `asked_rows`.
        sides: side -> row numbers.
        ids: frame_id of all frames.
        labels: names of the columns.
    """
    table = pd.DataFrame(said, columns=list(labels))
    table.insert(0, "frame_id", ids.to_numpy()[asked_rows(sides)])
    table.insert(1, "split", np.repeat(ASKED, [len(sides[side]) for side in ASKED]))
    return table.sort_values("frame_id")


def unknown_features(section: str, entries: Mapping[str, Any], allowed: Iterable[str]) -> list[Problem]:
    """Return a problem for each entry that reads features which nothing makes: leftovers of a dropped network too.

    Args:
        section: of params.yaml, `baselines` or `sequences`.
        entries: name of a system -> its entry, of which `features` is looked at where it is said.
        allowed: the keys of `architectures`, and `texture` where a system can read it.
    """
    known = list(allowed)
    asked = {name: entry.get("features") for name, entry in entries.items() if isinstance(entry, Mapping)}
    remedy = "Name one of them, or declare the network."
    return [
        Problem(f"params.yaml: {section}.{name}.features", "nothing makes them", ", ".join(known), repr(of), remedy)
        for name, of in asked.items()
        if of is not None and of not in known
    ]


def unusable(path: Path, frames: int) -> list[Problem]:
    """Return what is wrong with a file of features.

    Args:
        path: (frames, D) numbers, row i = row i of data/extract_frames/frames.csv.
        frames: how many rows that table has.
    """
    remedy = "Run `dvc repro` to make it."
    try:
        values = np.load(path, mmap_mode="r")
    except (OSError, ValueError) as error:
        return [Problem(str(path), "no features", "an array (frames, features)", str(error), remedy)]
    if values.ndim != 2 or len(values) != frames:
        return [Problem(str(path), "wrong shape", f"({frames}, features)", str(values.shape), remedy)]
    bad = int((~np.isfinite(values)).any(axis=1).sum())
    why = "If a network made them its activations overflow: lower lr."
    return [Problem(str(path), "not finite", "numbers in every row", f"{bad} rows without", why)] if bad else []


def read_features(path: Path) -> NDArray[np.float32]:
    """Return (N, D) float32; `unusable` says beforehand whether they can be read."""
    return np.load(path).astype(np.float32)
