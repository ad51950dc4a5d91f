"""Has each network learnt anything? Its ranking of unseen frames beside a twin trained on shuffled labels."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from tests.workspace import environment, read_params_file

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


def compare(folder: Path) -> dict[str, Any]:
    """Train a control of each network beside a finished laptop run and compare.

    Args:
        folder: a finished workspace with protocol `frame`; it is copied, not changed.
    """
    params = read_params_file(folder / "params.yaml")
    labels, place = list(params["labels"]), PLACE / str(params["seed"])
    truth = pd.read_csv(folder / "data/label_merge/labels.csv")
    twin = folder.with_name("control")
    shutil.copytree(folder, twin, ignore=shutil.ignore_patterns(".dvc", ".git", "train"))
    shuffle_training_labels(twin, labels)
    found = {}
    for name in params["architectures"]:
        command = [sys.executable, "-m", "stages.train", "frame", "0", name, "--predictions-only"]
        subprocess.run(command, cwd=twin, env=environment(twin), check=True, capture_output=True)
        history = pd.read_csv(folder / f"data/curves/frame/0/{params['seed']}/{name}/history.csv")
        figures = json.loads((folder / f"metrics/models/frame/{name}.json").read_text(encoding="utf-8"))
        found[name] = {
            "train_loss": history["train_loss"].round(4).tolist(),
            "collapsed_labels": figures["Collapsed labels"],
            "auc": round(mean_auc(folder / place / f"{name}.csv", truth, labels), 3),
            "auc_of_control": round(mean_auc(twin / place / f"{name}.csv", truth, labels), 3),
        }
    return found
