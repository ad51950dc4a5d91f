"""Leave one patient out: folds fan out by their keys, one fold runs alone, and the table pools their decisions."""

import json
from pathlib import Path

import pandas as pd
import pytest

from tests.workspace import dvc, set_params

pytestmark = pytest.mark.slow


def test_folds_are_patient_disjoint_and_pooled(clone: Path) -> None:
    set_params(clone, {"architectures": {"resnet18": {"backbone_scale": 0.1}}, "folds": {"0": {}, "1": {}, "2": {}}})
    dvc(clone, "repro", "-q")
    frames = pd.read_csv(clone / "data/label_merge/labels.csv").set_index("frame_id")
    split = pd.read_csv(clone / "data/split/leave_one_patient_out.csv")
    split["patient"] = frames.loc[split["frame_id"], "patient"].to_numpy()
    assert (split.groupby(["fold", "patient"])["side"].nunique() == 1).all()
    tested = split[split["side"] == "test"]
    assert sorted(tested["frame_id"]) == sorted(frames.index)  # every frame is tested exactly once
    model = json.loads((clone / "metrics/models/leave_one_patient_out/resnet18.json").read_text())
    assert model["TP"] + model["FP"] + model["FN"] + model["TN"] == 3 * len(frames)
    assert not (clone / "data/train/leave_one_patient_out").exists()  # predictions only


def test_an_unquoted_fold_is_refused_not_dropped(clone: Path) -> None:
    set_params(clone, {"folds": {0: {}, 1: {}, 2: {}}})
    done = dvc(clone, "repro", "split", check=False)
    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert "params.yaml: folds" in said
    assert "Traceback" not in said
