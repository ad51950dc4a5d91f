"""Test rows choose nothing: real trainings, and a search over them, whose test labels are gone beforehand.

The network is a small one; everything else is `stages.train` and `experiments.search_loop` as they run.
"""

import contextlib
import json
import shutil
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML

from experiments.overrides import changed
from experiments.plan import Plan
from experiments.search_loop import Budget, search
from experiments.search_score import files_of, validation_scores
from experiments.search_space import Search
from experiments.search_study import VALUES, open_study
from stages.common.evaluation.predictions import Training
from stages.train import __main__ as train
from tests.group_run import Small
from tests.split_cohort import LABELS
from tests.test_group import TRAINED, build
from tests.workspace import read_params_file

SAID, BUNDLE = (f"data/{place}/patient/0/1/resnet18" for place in ("predictions", "train"))
SPACE = {"lr": {"values": [0.0003, 0.003, 0.03]}, "epochs": {"values": [2, 4]}}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("unseen") / "made")


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "build", lambda _, labels, __: Small(labels, bare=False))


def frames_of_test(folder: Path) -> set[str]:
    """Return the frames of the test side."""
    split = pd.read_csv(folder / "data/split/patient.csv")
    return set(split.loc[split["side"] == "test", "frame_id"])


def garble(folder: Path, labels: Callable[[pd.DataFrame, pd.Series], pd.DataFrame], seed: int) -> Path:
    """Replace the test side's pictures by noise, and its labels by what `labels` makes of the table."""
    ids = frames_of_test(folder)
    frames = pd.read_csv(folder / "data/extract_frames/frames.csv")["frame_id"].isin(ids).to_numpy()
    pictures = np.load(folder / "data/preprocess/original.npy")
    pictures[frames] = np.random.default_rng(seed).integers(0, 256, pictures[frames].shape)
    np.save(folder / "data/preprocess/original.npy", pictures)
    path = folder / "data/label_merge/labels.csv"
    table = pd.read_csv(path).astype(dict.fromkeys(LABELS, "Int8"))
    labels(table, table["frame_id"].isin(ids)).to_csv(path, index=False)
    return folder


def blanked(table: pd.DataFrame, mine: pd.Series) -> pd.DataFrame:
    return table.assign(**{label: table[label].mask(mine) for label in LABELS})


def inverted(table: pd.DataFrame, mine: pd.Series) -> pd.DataFrame:
    return table.assign(**{label: table[label].mask(mine, 1 - table[label]) for label in LABELS})


def deleted(table: pd.DataFrame, mine: pd.Series) -> pd.DataFrame:
    return table[~mine]


def trained(folder: Path) -> Path:
    """Run `stages.train` in `folder`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("DVC_ROOT", str(folder))
        patch.setattr(sys, "argv", ["train", *TRAINED])
        train.main()
    return folder


def held(folder: Path, side: str) -> pd.DataFrame:
    said = pd.read_csv(folder / f"{SAID}.csv")
    return said[said["split"] == side].reset_index(drop=True)


def test_a_training_is_the_same_whatever_its_test_rows_are(made: Path, tmp_path: Path) -> None:
    whole = trained(Path(shutil.copytree(made, tmp_path / "whole")))
    bundle = sha256((whole / f"{BUNDLE}.safetensors").read_bytes()).hexdigest()
    epoch = json.loads((whole / f"{SAID}.json").read_text())["chosen_epoch"]
    for seed, labels in enumerate((blanked, inverted, deleted)):
        other = trained(garble(Path(shutil.copytree(made, tmp_path / labels.__name__)), labels, seed))
        pd.testing.assert_frame_equal(held(other, "validation"), held(whole, "validation"), check_exact=True)
        assert sha256((other / f"{BUNDLE}.safetensors").read_bytes()).hexdigest() == bundle
        assert json.loads((other / f"{SAID}.json").read_text())["chosen_epoch"] == epoch
        assert not held(other, "test").equals(held(whole, "test"))  # or the garbled pictures never reached the network


class Trains:
    """Runs the trials of a search as DVC would: a training each, in a workspace; the scores are the search's own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.training = folder, Training("patient", "0", 1, "resnet18")

    def run(self, name: str, planned: Plan, began: Callable[[int, float], None], *_: object) -> int:
        began(999_999_999, 0.0)
        with (self.folder / "params.yaml").open("w", encoding="utf-8") as file:
            YAML().dump(planned.after, file)
        trained(self.folder)
        for path in files_of([self.training]):
            (self.folder / name / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(self.folder / path, self.folder / name / path)
        return 0

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def scores(self, name: str) -> dict[str, float]:
        return validation_scores(self.folder / name, [self.training], LABELS, "log_loss")

    def rename(self, name: str, new: str) -> None:
        (self.folder / name).rename(self.folder / new)

    def remove(self, name: str) -> None:
        shutil.rmtree(self.folder / name, ignore_errors=True)


def searched(folder: Path) -> tuple[list[Any], dict[str, Any]]:
    """Search in `folder`; return every trial's values and score, and the winner's values."""
    before = read_params_file(folder / "params.yaml")
    asked = Search.model_validate(
        {"profile": "laptop", "objective": "log_loss", "seed": 1, "space": SPACE,
         "pruning": {"after_trials": 99, "after_quarters": 4}}
    )  # fmt: skip

    def planned(values: dict[str, Any]) -> Plan:
        return Plan(before, changed(before, values, "test")[0], [], ["train@patient-resnet18"])

    with contextlib.chdir(folder):
        study = open_study("real", "grid", asked, {"commit": "abc"})
        search(study, planned, Budget(None, None), Trains(folder))
        assert study.best
        return [(trial.user_attrs[VALUES], trial.value) for trial in study.counted], study.best.user_attrs[VALUES]


def test_a_search_finds_the_same_when_no_test_label_exists_before_its_trainings(made: Path, tmp_path: Path) -> None:
    whole = searched(Path(shutil.copytree(made, tmp_path / "whole")))
    without = garble(Path(shutil.copytree(made, tmp_path / "without")), deleted, seed=9)
    assert not frames_of_test(without) & set(pd.read_csv(without / "data/label_merge/labels.csv")["frame_id"])
    assert searched(without) == whole
    trials, _ = whole
    assert len({round(score, 6) for _, score in trials}) == len(trials) == 6  # trainings that differ, judged apart
