"""The numbers that describe each frame, for systems that open no picture: hand-made ones, or a network's."""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.common.errors import Problem
from stages.common.evaluation.predictions import remove_undeclared

FEATURES = Path("data/features")
TEXTURE = "texture"  # fitted on nothing, so one file serves every protocol and fold


def features_file(features: str, protocol: str, fold: str, seed: int) -> Path:
    """Return where the features lie that a system may see under this protocol and fold.

    Args:
        features: `texture`, or an architecture, whose network was trained on this fold's training side alone.
    """
    root = FEATURES / features
    return root / "frames.npy" if features == TEXTURE else root / protocol / fold / f"{seed}.npy"


def clear_features(features: str, places: Iterable[tuple[str, str]], seed: int) -> None:
    """Delete a network's features under protocols, folds and seeds no longer declared.

    DVC leaves them there, and hashes them with the folder after the run: whichever of the stages that read the folder
    runs first must leave it as the others find it.

    Args:
        places: (protocol, fold) of all that are declared.
    """
    if features != TEXTURE:
        remove_undeclared(FEATURES / features, [features_file(features, *place, seed) for place in places])


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


def digest(path: Path) -> str:
    """Return a short hash of the file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=8)).hexdigest()
