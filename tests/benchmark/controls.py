"""Has each network learnt anything? Its ranking of unseen frames beside a twin trained on shuffled labels.

Measured on the repository's own finished `dvc repro`.
"""

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from tests.workspace import ROOT, copy_project, read_params_file, stage

PLACE = Path("data/predictions/frame/0")


def shuffle_training_labels(folder: Path, labels: list[str], seed: int = 0) -> None:
    """Deal the label rows of the training frames out again at random; held-out frames keep theirs."""
    path = folder / "data/label_merge/labels.csv"
    table, split = pd.read_csv(path), pd.read_csv(folder / "data/split/frame.csv")
    rows = np.flatnonzero(table["frame_id"].isin(split.loc[split["side"] == "train", "frame_id"]))
    dealt = np.random.default_rng(seed).permutation(rows)
    table.loc[rows, labels] = table.loc[dealt, labels].to_numpy()
    table.to_csv(path, index=False)


def mean_auc(predictions: Path, truth: pd.DataFrame, labels: list[str]) -> float:
    """Return the mean over labels of the ROC AUC on validation and test frames."""
    said = pd.read_csv(predictions).set_index("frame_id")
    known = truth.set_index("frame_id").loc[said.index]
    return float(np.mean([roc_auc_score(known[label], said[label]) for label in labels]))


def measure() -> dict[str, Any]:
    """Train a control of each network beside this repository's finished run and compare, under protocol `frame`."""
    params = read_params_file(ROOT / "params.yaml")
    labels, place = list(params["labels"]), PLACE / str(params["seed"])
    truth = pd.read_csv(ROOT / "data/label_merge/labels.csv")
    with tempfile.TemporaryDirectory() as name:
        twin = copy_project(Path(name) / "control")
        for read in ("extract_frames", "label_merge", "split", "preprocess"):  # all that training reads
            shutil.copytree(ROOT / "data" / read, twin / "data" / read)
        shuffle_training_labels(twin, labels)
        return {
            model: _beside_control(model, twin, place, truth, labels, params["seed"])
            for model in params["architectures"]
        }


def _beside_control(
    model: str, twin: Path, place: Path, truth: pd.DataFrame, labels: list[str], seed: int
) -> dict[str, Any]:
    stage(twin, "train", "frame", "0", model, "--without", "bundle", "features")
    history = pd.read_csv(ROOT / f"data/curves/frame/0/{seed}/{model}/history.csv")
    figures = json.loads((ROOT / f"metrics/models/frame/{model}.json").read_text(encoding="utf-8"))
    return {
        "train_loss": history["train_loss"].round(4).tolist(),
        "collapsed_labels": figures["Collapsed labels"],
        "macro_f1": figures["macro F1"],
        "auc": round(mean_auc(ROOT / place / f"{model}.csv", truth, labels), 3),
        "auc_of_control": round(mean_auc(twin / place / f"{model}.csv", truth, labels), 3),
    }
