"""How well the label review finds wrong labels: plant some in the phantom's, train on them, see what is listed.

    python -m tests.label_noise [WORKSPACE] [--seeds 1 2 3] [--models resnet18 alexnet]

WORKSPACE (default: here) is a project with folds declared in which `dvc repro evaluate` has run. It is only read:
labels, split and pictures are copied into a temporary folder, where whole spells are flipped and boundaries are shifted
by 3 to 15 frames (half of the wrong labels each, about 3 % of all), every fold is trained again on the wrong labels,
and `python -m stages.label_review` runs on what the networks say of the infants they never saw.

Printed: precision, the share of frames on the list (suspects only) whose label is wrong, beside the same of the list's
own random controls and of chance (the share of wrong labels); recall, the share of wrong labels that are on the list,
beside chance (the share of all labels on the list); and how many of the planted mistakes were touched.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from stages.common.core.tables import write_table
from stages.common.truth import read_labels
from tests.label_mistakes import Mistake, plant
from tests.workspace import ROOT, read_params_file, set_params

COPIED = ("data/label_merge", "data/split", "data/extract_frames/frames.csv", "data/preprocess")
LEAVE_ONE_OUT = "leave_one_patient_out"


@dataclass(frozen=True)
class Found:
    """What a list is worth. Shares of (frame, label) pairs."""

    planted: float  # share of the labels that are wrong: the precision of chance
    precision: float  # of the suspects
    of_controls: float  # the same of the list's own controls
    recall: float  # share of the wrong labels on the list
    listed: float  # share of all labels on the list: the recall of chance
    touched: dict[str, tuple[int, int]]  # kind -> mistakes that share a frame with the list, all mistakes
    rows_right: tuple[int, int]  # suspects at least half of whose frames are wrong, suspects

    def __str__(self) -> str:
        touched = ", ".join(f"{hit} of {count} {kind}s" for kind, (hit, count) in self.touched.items())
        return (
            f"{self.planted:.1%} of the labels wrong; precision {self.precision:.2f} (controls {self.of_controls:.2f}, "
            f"chance {self.planted:.2f}); recall {self.recall:.2f} (chance {self.listed:.2f}); found {touched}; "
            f"{self.rows_right[0]} of {self.rows_right[1]} questions are about wrong labels"
        )


def measure(frames: pd.DataFrame, mistakes: Sequence[Mistake], rows: Sequence[dict], labels: Sequence[str]) -> Found:
    """Return what the list `rows` (of data/label_review/key.csv) is worth."""
    wrong = {label: np.zeros(len(frames), dtype=bool) for label in labels}
    for mistake in mistakes:
        wrong[mistake.label][mistake.rows] = True
    marked = {kind: {label: np.zeros(len(frames), dtype=bool) for label in labels} for kind in ("suspect", "control")}
    right = []
    for row in rows:
        asked = (frames["clip_id"] == row["clip_id"]) & frames["frame_index"].between(
            row["frame_index"], row["last_frame_index"]
        )
        marked[row["kind"]][row["label"]] |= asked.to_numpy()
        if row["kind"] == "suspect":
            right.append(wrong[row["label"]][asked].mean() >= 0.5)
    all_wrong, suspect, control = (
        np.concatenate([of[label] for label in labels]) for of in (wrong, marked["suspect"], marked["control"])
    )
    touched = {}
    for kind in ("flip", "shift"):
        mine = [mistake for mistake in mistakes if mistake.kind == kind]
        hit = sum(bool(marked["suspect"][mistake.label][mistake.rows].any()) for mistake in mine)
        touched[kind] = (hit, len(mine))
    return Found(
        planted=float(all_wrong.mean()),
        precision=float(all_wrong[suspect].mean()) if suspect.any() else 0.0,
        of_controls=float(all_wrong[control].mean()) if control.any() else 0.0,
        recall=float(suspect[all_wrong].mean()) if all_wrong.any() else 0.0,
        listed=float(suspect.mean()),
        touched=touched,
        rows_right=(sum(right), len(right)),
    )


def copy_of(workspace: Path, folder: Path, models: Sequence[str]) -> None:
    """Copy what training and review read; leave-one-patient-out alone is declared, with `models`."""
    for name in COPIED:
        source, target = workspace / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            shutil.copy2(source, target)
    shutil.copy2(workspace / "params.yaml", folder / "params.yaml")
    shipped = read_params_file(ROOT / "params.yaml")
    content = read_params_file(folder / "params.yaml")
    if "label_review" not in content:  # a workspace from before there was this stage
        with (folder / "params.yaml").open("a") as file:
            file.write(f"\nlabel_review: {json.dumps(shipped['label_review'])}\n")
    entries = content["architectures"] | {
        model: shipped["architectures"][model] for model in models if model not in content["architectures"]
    }
    set_params(folder, {"protocols": {}, "architectures": {model: entries[model] for model in models}})


def trained(workspace: Path, models: Sequence[str], seed: int) -> Found:
    """Return what the list is worth when networks are trained on the wrong labels."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copy_of(workspace, folder, models)
        content = read_params_file(folder / "params.yaml")
        labels, path = list(content["labels"]), folder / "data/label_merge/labels.csv"
        frames = read_labels(path, labels)
        order = frames.sort_values(["clip_id", "frame_index"]).index  # pictures and labels share the rows' order
        noisy, mistakes = plant(frames.loc[order].reset_index(drop=True), labels, np.random.default_rng(seed))
        write_table(path, noisy.set_index(order).sort_index().astype(dict.fromkeys(labels, "Int64")))
        for fold in content["folds"]:
            for model in models:
                stage(folder, "stages.train", LEAVE_ONE_OUT, fold, model, "--without", "bundle", "features")
        stage(folder, "stages.label_review")
        rows = pd.read_csv(folder / "data/label_review/key.csv").to_dict("records")
        return measure(noisy, mistakes, rows, labels)


def stage(folder: Path, *words: str) -> None:
    """Run `python -m ...` of this checkout in `folder`."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-m", *words], cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(words)}:\n{done.stderr}")


def main() -> None:
    """Print what the list is worth, a line a seed."""
    parser = argparse.ArgumentParser(prog="python -m tests.label_noise", description=__doc__.splitlines()[0])
    parser.add_argument("workspace", nargs="?", type=Path, default=Path(), help="a project evaluated with folds")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="of the planted mistakes")
    parser.add_argument("--models", nargs="+", default=["resnet18"], help="networks to train")
    arguments = parser.parse_args()
    for seed in arguments.seeds:
        print(f"seed {seed}: {trained(arguments.workspace.resolve(), arguments.models, seed)}", flush=True)


if __name__ == "__main__":
    main()
