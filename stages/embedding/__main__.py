"""Show what one network's last activations tell apart: what the expert saw, or the clip.

Reads   data/features/<architecture>/<protocol>/<fold>/<seed>.npy  (N, D) activations before the head; opens no network
        data/extract_frames/frames.csv, data/label_merge/labels.csv, data/split/<protocol>.csv
Writes  metrics/pictures/embedding.png   PCA and t-SNE, coloured by labels and by clip; test frames bear a ring
        metrics/plots/embedding.csv      view, frame_id, clip_id, patient, side, labels, x, y
        metrics/embedding.json           silhouettes by label, clip and patient, for all, training and test frames

A network that learnt anatomy puts frames of one label together whatever the clip; one that learnt the machine puts a
clip's frames together. Training frames flatter it: their labels were learnt. Test frames are what to look at, and
neither the picture nor the numbers choose anything.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from stages.common.core.errors import PipelineError, Problem, raise_all, run
from stages.common.core.files import write_json
from stages.common.core.params import read_params
from stages.common.core.tables import write_table
from stages.common.dataset import read_frames, read_sides, read_truth
from stages.common.evaluation.predictions import remove_undeclared
from stages.common.features import FEATURES, TEXTURE, features_file, places_of, read_features, unusable
from stages.common.protocols import declared
from stages.embedding.params import Embedding, Params
from stages.embedding.picture import draw
from stages.embedding.places import Names, Places, places, silhouettes

OUT = Path("metrics")
READING = (
    "Silhouette over the activations as the head reads them: near 1 the groups lie apart, near 0 they overlap.",
    "Higher by clip or patient than by label: the network tells the machine or the infant apart before the anatomy.",
    "Frames of one clip are 1/30 s apart and alike in anatomy too, so some nearness within a clip is no shortcut.",
)


def combinations(truth: NDArray[np.float32], labels: list[str]) -> Names:
    """Return (N,) the labels of each frame in words: `cord + fluid`, `none`; None where one of them is unknown."""
    names = [
        None
        if np.isnan(row).any()
        else " + ".join(name for name, is_so in zip(labels, row, strict=True) if is_so) or "none"
        for row in truth
    ]
    return np.array(names, dtype=object)


def groupings(frames: pd.DataFrame, truth: NDArray[np.float32], labels: list[str]) -> dict[str, Names]:
    """Return what frames are grouped by: each label, all labels together, clip and patient."""
    by_label = {
        label: np.array([None if np.isnan(value) else bool(value) for value in truth[:, column]], dtype=object)
        for column, label in enumerate(labels)
    }
    by_place = {name: frames[column].to_numpy(object) for name, column in (("clip", "clip_id"), ("patient", "patient"))}
    return {**by_label, "labels": combinations(truth, labels), **by_place}


def shown_network(params: Params) -> tuple[str, str, str]:
    """Return architecture, protocol and fold of the network that is shown: those asked for, while they are declared.

    Raises:
        PipelineError: nothing is trained.
    """
    asked, places = params.embedding, declared(params.protocols, params.folds)
    if not places:
        raise PipelineError("params.yaml: protocols and folds: no network is trained. Declare one, e.g. `frame: {}`.")
    architecture = (
        asked.architecture if asked.architecture in params.architectures else next(iter(params.architectures))
    )
    protocol = asked.protocol if asked.protocol in places else next(iter(places))
    if (architecture, protocol) != (asked.architecture, asked.protocol):
        told = f"{asked.architecture} under {asked.protocol} is not declared: {architecture} under {protocol} is shown"
        print(f"note: params.yaml: embedding: {told}", file=sys.stderr)
    return architecture, protocol, next(iter(places[protocol]))


def forget_undeclared(params: Params) -> None:
    """Delete features of networks that are no longer declared: DVC would hash them with the folder."""
    places = places_of(params.protocols, params.folds)
    keep = [features_file(name, place, params.seed) for name in params.architectures for place in places]
    remove_undeclared(FEATURES, [FEATURES / TEXTURE, *keep])


def sides_of(protocol: str, fold: str, frames: pd.DataFrame) -> Names:
    """Return (N,) the side of each frame."""
    found = np.full(len(frames), "", dtype=object)
    for side, rows in read_sides(protocol, int(fold), frames).items():
        found[rows] = side
    return found


def mistakes(path: Path, frames: int, params: Embedding) -> list[Problem]:
    """Return why nothing can be shown."""
    shown = min(frames, params.max_frames)
    if params.perplexity < shown:
        return unusable(path, frames)
    where, what = "params.yaml: embedding.perplexity", "too large"
    return [
        *unusable(path, frames),
        Problem(where, what, f"below {shown} frames", f"{params.perplexity:g}", "Lower it."),
    ]


def rows_of(found: Places, about: pd.DataFrame) -> pd.DataFrame:
    """Return the plot's table: both views, a row a frame."""
    views = {"PCA": found.pca, "t-SNE": found.tsne}
    parts = [about.assign(view=view, x=where[:, 0], y=where[:, 1]) for view, where in views.items()]
    return pd.concat(parts)[["view", *about.columns, "x", "y"]]


def main() -> None:
    """Place, measure, draw."""
    params: Params = read_params(Params)
    asked, labels, frames = params.embedding, list(params.labels), read_frames()
    forget_undeclared(params)
    architecture, protocol, fold = shown_network(params)
    path = features_file(architecture, (protocol, fold), params.seed)
    raise_all(mistakes(path, len(frames), asked), "the embedding cannot be shown")
    sides, truth = sides_of(protocol, fold, frames), read_truth(labels, frames)
    shown = np.linspace(0, len(frames) - 1, min(len(frames), asked.max_frames)).round().astype(int)
    values = read_features(path)[shown].astype(np.float64)
    frames, sides, truth = frames.iloc[shown], sides[shown], truth[shown]
    groups = groupings(frames, truth, labels)
    counted = {"all": np.ones(len(shown), bool), "train": sides == "train", "test": sides == "test"}
    with threadpool_limits(1):  # the same bytes on any machine
        found = places(values, asked.components, asked.perplexity, params.seed)
        apart = silhouettes(values, groups, counted)
    about = frames[["frame_id", "clip_id", "patient"]].assign(side=sides, labels=groups["labels"])
    table = rows_of(found, about.fillna({"labels": "unknown"}))
    write_table(OUT / "plots/embedding.csv", table)
    write_json(
        OUT / "embedding.json", report((architecture, protocol), params.seed, found, apart, len(shown)), sort_keys=False
    )
    draw(OUT / "pictures/embedding.png", table, title_of((architecture, protocol), apart), axes_titles(found))


def report(network: tuple[str, str], seed: int, found: Places, apart: dict[str, Any], frames: int) -> dict[str, Any]:
    """Return what embedding.json says."""
    return {
        **dict(zip(("architecture", "protocol"), network, strict=True)),
        "seed": seed,
        "frames": frames,
        "explained": [round(share, 4) for share in found.explained],
        "silhouette": apart,
        "reading": list(READING),
    }


def title_of(network: tuple[str, str], apart: dict[str, Any]) -> str:
    """Return the line above the picture: the silhouettes of the test frames."""
    said = []
    for name in ("labels", "clip", "patient"):
        value = apart["test"][name]["value"]
        said.append(f"by {name} " + ("not estimable" if value is None else f"{value:.2f}"))
    return f"{network[0]}, protocol {network[1]}: test frames (ringed), silhouette {', '.join(said)}"


def axes_titles(found: Places) -> dict[str, str]:
    """Return view -> what is written above it."""
    return {"PCA": f"PCA, {sum(found.explained):.0%} of the variance", "t-SNE": "t-SNE, neighbours only"}


if __name__ == "__main__":
    run(main)
