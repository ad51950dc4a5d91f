"""Everything that stage classify reads, made up: labels, splits, and features into which the labels are planted."""

import sys
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from stages.classify import __main__ as classify
from stages.common.core.tables import write_table
from stages.split import __main__ as split
from tests.split_cohort import LABELS, cohort_labels, write_cohort

PARAMS = """
seed: 1
labels: {bad_quality: {column: BAD QUALITY}, cord: {column: CORD}, fluid: {column: FLUID}}
architectures: {resnet18: {}}
protocols: {frame: {}, patient: {}}
folds: {"0": {}, "1": {}, "2": {}}
split:
  shares: {train: 70, validation: 10, test: 20}
  search: {exhaustive_up_to: 100000, restarts: 5}
baselines:
  knn_texture: {classifier: knn, features: texture}
  tree_texture: {classifier: tree, features: texture}
  logistic_texture: {classifier: logistic, features: texture}
  boosting_texture: {classifier: boosting, features: texture}
  knn_resnet18: {classifier: knn, features: resnet18}
classify:
  score: log_loss
  chosen_by: {frame: validation, patient: validation, leave_one_patient_out: patients}
  patient_folds: 3
  components: 6
  knn: {n_neighbors: [3, 15], weights: [uniform, distance]}
  tree: {max_depth: [1, 3], min_samples_leaf: [5]}
  logistic: {C: [0.01, 1.0]}
  boosting: {max_iter: [15], learning_rate: [0.1, 0.3], max_leaf_nodes: [4]}
"""
FRAME_ONLY = PARAMS.replace(", patient: {}}", "}").replace('{"0": {}, "1": {}, "2": {}}', "{}")
NOISE, COLUMNS = 0.5, 8  # how far a planted column is from its label; columns, of which the first three are planted


def build(root: Path, params: str = PARAMS) -> None:
    """Write a workspace below `root`, which must be the working directory: stage split makes the splits."""
    labels = cohort_labels(patients=9, clips=1, frames=40, unknown=0.03)
    write_cohort(root, labels, params)
    split.main()
    (root / "data/extract_frames").mkdir(parents=True)
    frames = labels[["frame_id", "clip_id", "patient", "frame_index"]]
    write_table(root / "data/extract_frames/frames.csv", frames.assign(time_s=frames["frame_index"] / 30))
    (root / "data/preprocess").mkdir()
    np.save(root / "data/preprocess/original.npy", np.zeros((len(frames), 2, 2), np.uint8))
    write_features(root, planted(labels))


def planted(labels: pd.DataFrame) -> NDArray[np.float32]:
    """Return (N, COLUMNS) noise; the first columns are shifted by the labels, the last is constant."""
    values = np.random.default_rng(3).normal(0, NOISE, (len(labels), COLUMNS))
    values[:, : len(LABELS)] += labels[list(LABELS)].fillna(0.5).to_numpy()
    values[:, -1] = 7
    return values.astype(np.float32)


def write_features(root: Path, values: NDArray[np.float32]) -> None:
    """Write them as texture, which every protocol and fold shares."""
    (root / "data/features/texture").mkdir(parents=True, exist_ok=True)
    np.save(root / "data/features/texture/frames.npy", values)


def write_network_features(root: Path, values: dict[str, NDArray[np.float32]], name: str = "resnet18") -> None:
    """Write them as a network's, place (`patient/0`) -> values."""
    for place, of_place in values.items():
        path = root / f"data/features/{name}/{place}/1.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, of_place.astype(np.float16))


def run(system: str) -> None:
    """Run the stage; threads, because processes take a second to start."""
    with pytest.MonkeyPatch.context() as patch, joblib.parallel_config(backend="threading"):
        patch.setattr(sys, "argv", ["classify", system])
        classify.main()


def place_of(root: Path, system: str, place: str = "frame/0") -> Path:
    """Return the folder of one protocol's and fold's files."""
    return root / f"data/predictions/classify/{system}/{place}/1"


def predicted(root: Path, system: str, place: str = "frame/0") -> pd.DataFrame:
    """Return the predictions, by frame."""
    return pd.read_csv(place_of(root, system, place) / f"{system}.csv").set_index("frame_id")


def sides(root: Path, place: str = "frame/0") -> pd.Series:
    """Return the side of each frame."""
    protocol, fold = place.split("/")
    table = pd.read_csv(root / f"data/split/{protocol}.csv", dtype={"fold": str})
    return table[table["fold"] == fold].set_index("frame_id")["side"]
