"""Everything that evaluate reads, made up: labels, splits, predictions with their sidecars, and training curves."""

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from stages.common.core.tables import write_table
from stages.split import __main__ as split
from tests.split_cohort import LABELS, cohort_labels, write_cohort

PARAMS = """
seed: 1
cohort: phantom
labels: {bad_quality: {column: BAD QUALITY}, cord: {column: CORD}, fluid: {column: FLUID}}
seeds: {}
architectures: {alexnet: {}, resnet18: {}, vgg16: {}}
baselines: {}
sequences: {}
protocols: {frame: {}, patient: {}}
folds: {"0": {}, "1": {}, "2": {}}
split:
  shares: {train: 70, validation: 10, test: 20}
  search: {exhaustive_up_to: 100000, restarts: 5}
evaluate:
  threshold: {method: fixed, value: 0.5}
  decision:
    go: {fluid: 1, cord: 0, bad_quality: 0}
    stop: {cord: 1}
  rule:
    minimise: {fluid: false_positive_rate, cord: false_negative_rate}
    subject_to: {fluid: {sensitivity: 0.5}, cord: {specificity: 0.5}}
"""
FRAME_ONLY = PARAMS.replace(", patient: {}", "").replace('{"0": {}, "1": {}, "2": {}}', "{}")
GIGA_OPERATIONS = {"alexnet": 0.71, "resnet18": 1.81, "densenet121": 2.83, "vgg16": 15.47}
NOISE = {"alexnet": 0.35, "resnet18": 0.2, "vgg16": 0.3}  # how far a model's scores are from the truth


def build(root: Path, params: str = PARAMS, unknown: float = 0.03, noise: dict[str, float] | None = None) -> None:
    """Write a workspace below `root`, which must be the working directory: stage split makes the splits."""
    write_cohort(root, cohort_labels(patients=9, clips=1, frames=60, unknown=unknown), params)
    write_everything(root, noise or NOISE)


def write_everything(root: Path, noise: dict[str, float]) -> None:
    """Split the labels below `root`, the working directory, and write every network's training under every fold."""
    split.main()
    for protocol in ("frame", "patient", "leave_one_patient_out"):
        path = root / f"data/split/{protocol}.csv"
        if path.exists():
            for fold, rows in pd.read_csv(path, dtype={"fold": str}).groupby("fold"):
                for model, far in noise.items():
                    write_training(root, f"{protocol}/{fold}/1/{model}", rows, far)


def write_system(root: Path, stage: str, model: str, protocols: tuple[str, ...], noise: float) -> None:
    """Write what a classical model (`classify`) or one over time (`sequence`) says under `protocols`."""
    for protocol in protocols:
        for fold, rows in pd.read_csv(root / f"data/split/{protocol}.csv", dtype={"fold": str}).groupby("fold"):
            place = f"{stage}/{model}/{protocol}/{fold}/1/{model}"
            write_predictions(root, place, rows, noise)
            content = {"params": {"seed": 1, "system": {"model": model}}, "giga_operations": 0.0}
            (root / f"data/predictions/{place}.json").write_text(json.dumps(content))


def write_training(root: Path, place: str, rows: pd.DataFrame, noise: float) -> None:
    """Write one training's predictions, sidecar and curve; the same place gives the same numbers."""
    write_predictions(root, place, rows, noise)
    write_sidecar(root, place, lr=0.01)
    epochs = pd.DataFrame({"epoch": [0, 1, 2], "train_loss": [0.7, 0.5, 0.4], "validation_loss": [0.7, 0.6, 0.55]})
    write_table(root / f"data/curves/{place}/history.csv", epochs)


def write_predictions(root: Path, place: str, rows: pd.DataFrame, noise: float) -> None:
    """Write a predictions table whose scores lie `noise` from the truth."""
    truth = pd.read_csv(root / "data/label_merge/labels.csv").set_index("frame_id")
    asked = rows[rows["side"] != "train"].sort_values("frame_id")
    real = truth.loc[asked["frame_id"], list(LABELS)].fillna(0.5).to_numpy()
    rng = np.random.default_rng(zlib.crc32(place.encode()))
    scores = pd.DataFrame(np.clip(0.2 + 0.6 * real + rng.normal(0, noise, real.shape), 0, 1), columns=list(LABELS))
    scores.insert(0, "frame_id", asked["frame_id"].to_numpy())
    scores.insert(1, "split", asked["side"].to_numpy())
    write_table(root / f"data/predictions/{place}.csv", scores)


def write_sidecar(root: Path, place: str, **params: Any) -> None:
    """Write `<model>.json`; each model has an architecture entry of its own."""
    made = {"seed": 1, "train": {"batch_size": 64}, **params, "architecture": {"name": place}}
    content = {"params": made, "giga_operations": GIGA_OPERATIONS.get(place.rsplit("/", 1)[-1], 0.0)}
    (root / f"data/predictions/{place}.json").write_text(json.dumps(content))


def outputs(root: Path) -> dict[str, bytes]:
    """Return every file below metrics except split's."""
    files = sorted(path for path in (root / "metrics").rglob("*") if path.is_file() and path.name != "split.json")
    return {str(path.relative_to(root / "metrics")): path.read_bytes() for path in files}
