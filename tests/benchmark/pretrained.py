"""Does each network learn from weights that it was given? The finished run's bundles, on a phantom of another seed."""

import hashlib
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd

from stages.common.networks.weights_file import LIST
from stages.common.variants import VARIANT_NAMES
from tests.benchmark.controls import mean_auc
from tests.workspace import ROOT, copy_project, read_params_file, set_params, stage

SEED = 5  # of the other phantom, its split and its trainings; not the shipped one


def measure() -> dict[str, Any]:
    """Train each declared network once more under protocol `frame`, with the shipped epochs, from its own bundle."""
    params = read_params_file(ROOT / "params.yaml")
    labels = list(params["labels"])
    with tempfile.TemporaryDirectory() as name:
        folder = copy_project(Path(name) / "pretrained")
        digest = gather_weights(folder / "weights", list(params["architectures"]), params["seed"])
        changes = {"seed": SEED, "protocols": {"frame": {}}}
        set_params(folder, changes | {"train.weights": "weights", "train.weights_sha256": digest})
        for words in (["phantom"], ["extract_frames"], ["label_merge"], ["split"]):
            stage(folder, *words)
        for variant in VARIANT_NAMES:
            stage(folder, "augment", variant)
            stage(folder, "preprocess", variant)
        truth = pd.read_csv(folder / "data/label_merge/labels.csv")
        return {model: _trained(folder, model, truth, labels) for model in params["architectures"]}


def gather_weights(folder: Path, models: list[str], seed: int) -> str:
    """Copy the finished run's bundles into a folder with their list; return the list's hash."""
    folder.mkdir()
    for model in models:
        shutil.copy(ROOT / f"data/train/frame/0/{seed}/{model}.safetensors", folder)
    files = sorted(folder.iterdir())
    text = "".join(f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in files)
    (folder / LIST).write_text(text, encoding="utf-8")
    return hashlib.sha256(text.encode()).hexdigest()


def _trained(folder: Path, model: str, truth: pd.DataFrame, labels: list[str]) -> dict[str, Any]:
    said = stage(folder, "train", "frame", "0", model, "--without", "bundle", "features").stderr
    history = pd.read_csv(folder / f"data/curves/frame/0/{SEED}/{model}/history.csv")
    place = folder / f"data/predictions/frame/0/{SEED}/{model}.csv"
    return {
        "covered": next(line for line in said.splitlines() if "tensors from" in line).split(";")[0],
        "train_loss": history["train_loss"].round(4).tolist(),
        "collapsed": "COLLAPSED" in said,
        "auc": round(mean_auc(place, truth, labels), 3),
    }
