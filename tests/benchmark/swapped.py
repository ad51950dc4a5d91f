"""Does each system learn what is in the picture? Beside a twin of it that learnt from labels swapped between clips.

Every declared system, on this repository's own finished `dvc repro`: under leave one patient out where `folds` declares
it, else under `patient`. A clip of the twin has the labels of another infant's clip, stretched to its length; so labels
keep their shares and their runs in time, and belong to no picture. The twin's networks learn them, and what reads their
features learns from those. Both are scored on the true labels of infants they never saw.
"""

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from stages.common.protocols import LEAVE_ONE_OUT, declared
from stages.leakage.probes import patient_aucs
from tests.workspace import ROOT, copy_project, read_params_file, set_params, stage

LABELS = Path("data/label_merge/labels.csv")
READ = ("extract_frames", "label_merge", "split", "preprocess")  # all that training reads, and texture beside it


def donors(patients: pd.Series, seed: int = 0) -> dict[str, str]:
    """Return clip -> the clip whose labels it gets: a permutation that gives none the labels of its own infant.

    Args:
        patients: clip -> infant.
        seed: of the draw.

    Raises:
        ValueError: none is found, as where one infant has most of the clips.
    """
    rng = np.random.default_rng(seed)
    for _ in range(100_000):
        order = rng.permutation(patients.index)
        if (patients[order].to_numpy() != patients.to_numpy()).all():
            return dict(zip(patients.index, order, strict=True))
    raise ValueError("expected clips of several infants, got too many of one: no clip may keep its own infant's labels")


def swap_labels(table: pd.DataFrame, labels: list[str], seed: int = 0) -> pd.DataFrame:
    """Return labels.csv with each clip's labels replaced by its donor's, stretched to the clip's length."""
    swapped = table.copy()
    rows = {clip: of.index.to_numpy() for clip, of in table.groupby("clip_id")}
    for clip, donor in donors(table.groupby("clip_id")["patient"].first(), seed).items():
        places = np.linspace(0, len(rows[donor]) - 1, len(rows[clip])).round().astype(int)
        swapped.loc[rows[clip], labels] = table.loc[rows[donor][places], labels].to_numpy()
    return swapped


def aucs_by_infant(said: pd.DataFrame, truth: pd.DataFrame, labels: list[str]) -> dict[str, list[float]]:
    """Return label -> the ROC AUC of each infant with frames of both kinds."""
    known = truth.merge(said, on="frame_id", suffixes=("", "_said"))
    infants = known["patient"].to_numpy(object)
    return {
        label: list(patient_aucs(known[label].to_numpy(float), known[f"{label}_said"], infants).values())
        for label in labels
    }


def figures_of(areas: dict[str, list[float]]) -> dict[str, Any]:
    """Return the mean over labels of their means over infants, and each label's areas."""
    mean = float(np.mean([np.mean(of) for of in areas.values()]))
    return {"auc": round(mean, 3), "infants": {label: [round(one, 3) for one in of] for label, of in areas.items()}}


def answers(root: Path, protocol: str, folds: list[str], seed: int, folder: str, system: str) -> pd.DataFrame:
    """Return what a system says of the test frames of every fold."""
    place = root / "data/predictions" / folder / protocol
    tables = [pd.read_csv(place / fold / str(seed) / f"{system}.csv") for fold in folds]
    return pd.concat(of[of["split"] == "test"] for of in tables)


def measure() -> dict[str, Any]:
    """Train a twin of every system and score both; return the figures below the name of the protocol."""
    params = read_params_file(ROOT / "params.yaml")
    protocol, folds = list(declared({"patient": {}}, params["folds"]).items())[-1]
    labels, seed, truth = list(params["labels"]), params["seed"], pd.read_csv(ROOT / LABELS)
    systems = {
        **dict.fromkeys(params["architectures"], ""),
        **{name: f"classify/{name}" for name in params["baselines"]},
        **{name: f"sequence/{name}" for name in params["sequences"]},
    }
    with tempfile.TemporaryDirectory() as name:
        twin = _trained_twin(Path(name) / "swapped", protocol, folds, params)
        figures = {
            system: {
                key: figures_of(aucs_by_infant(answers(root, protocol, folds, seed, place, system), truth, labels))
                for key, root in {"true": ROOT, "twin": twin}.items()
            }
            for system, place in systems.items()
        }
    size = {"frames": len(truth), **{key: params[key] for key in ("size_px", "epochs")}}
    return {protocol: {**size, "systems": figures}}


def _trained_twin(folder: Path, protocol: str, folds: list[str], params: dict[str, Any]) -> Path:
    twin = copy_project(folder)
    for read in READ:
        shutil.copytree(ROOT / "data" / read, twin / "data" / read)
    if (ROOT / "data/features/texture").is_dir():
        shutil.copytree(ROOT / "data/features/texture", twin / "data/features/texture")
    table = pd.read_csv(twin / LABELS, dtype=str, keep_default_na=False)  # as text: 1, 0 and blank stay what they are
    swap_labels(table, list(params["labels"])).to_csv(twin / LABELS, index=False)
    set_params(twin, {"protocols": {} if protocol == LEAVE_ONE_OUT else {protocol: {}}})
    for architecture in params["architectures"]:
        for fold in folds:
            _run(twin, "train", protocol, fold, architecture, "--without", "bundle")
    for kind, section in {"classify": "baselines", "sequence": "sequences"}.items():
        for system in params[section]:
            _run(twin, kind, system)
    return twin


def _run(folder: Path, *words: str) -> None:
    print(f"swapped labels: {' '.join(words)}", file=sys.stderr)
    stage(folder, *words)
