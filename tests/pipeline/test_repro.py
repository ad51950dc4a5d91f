"""What `dvc repro` does again after a change, and what not; and that a killed training leaves no trace."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from tests.workspace import dvc, environment, git, set_params

pytestmark = pytest.mark.slow


def would_run(folder: Path, *targets: str) -> set[str]:
    """Return the stages that `dvc repro` would run now, as far as DVC can tell without running them."""
    status = json.loads(dvc(folder, "status", "--json", *targets).stdout)
    return set(status)


def test_a_second_repro_does_nothing(finished: Path) -> None:
    assert "Data and pipelines are up to date" in dvc(finished, "status").stdout
    lock = (finished / "dvc.lock").read_bytes()
    said = dvc(finished, "repro").stdout
    assert "Running stage" not in said
    assert (finished / "dvc.lock").read_bytes() == lock


def test_pushed_cloned_and_pulled_nothing_runs_again(clone: Path) -> None:
    dvc(clone, "push")  # to the shipped remote, beside the clone
    git(clone.parent, "clone", "-q", str(clone), "colleague")
    colleague = clone.with_name("colleague")
    dvc(colleague, "pull")
    assert "Data and pipelines are up to date" in dvc(colleague, "repro").stdout
    assert (colleague / "dvc.lock").read_bytes() == (clone / "dvc.lock").read_bytes()
    assert (colleague / "metrics/report.html").read_bytes() == (clone / "metrics/report.html").read_bytes()


def test_one_augmentations_range_reruns_that_variant_alone(clone: Path) -> None:
    set_params(clone, {"augment.jpeg.quality": {"min": 20, "max": 40}})
    assert would_run(clone) == {"augment@jpeg"}
    ran = stages_run(dvc(clone, "repro").stdout)
    assert {name for name in ran if name.startswith(("augment", "preprocess"))} == {"augment@jpeg", "preprocess@jpeg"}
    assert {"variants", "train@frame-resnet18", "evaluate"} <= ran
    assert not ran & {"phantom", "extract_frames", "label_merge", "split"}


def stages_run(stdout: str) -> set[str]:
    return {line.split("'")[1] for line in stdout.splitlines() if line.startswith("Running stage")}


def test_dropping_a_model_drops_its_row_and_retrains_nothing(clone: Path) -> None:
    assert "densenet121" in (clone / "metrics/comparison.md").read_text()
    set_params(clone, {"architectures": {"resnet18": {"backbone_scale": 0.1}}})
    readers = {"evaluate", "evidence", "bedside", "leakage", "audit", "label_review", "embedding", "explain", "report"}
    assert stages_run(dvc(clone, "repro").stdout) == readers  # nothing is decoded, drawn, split or trained again
    for table in ("metrics/comparison.md", "metrics/comparison.csv", "metrics/summary.json"):
        assert "densenet121" not in (clone / table).read_text()
        assert "resnet18" in (clone / table).read_text()
    assert not list((clone / "metrics/models").rglob("densenet121*"))
    assert not list((clone / "data/predictions").rglob("densenet121*"))


def test_a_mistake_in_params_is_one_message_without_traceback(clone: Path) -> None:
    set_params(clone, {"lr": "fast", "train.batch_size": 0})
    done = dvc(clone, "repro", "train@frame-resnet18", check=False)
    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert "params.yaml: lr: wrong value: expected a valid number, got 'fast'" in said
    assert "params.yaml: train.batch_size: wrong value" in said
    assert "Traceback" not in said


def test_training_killed_in_the_middle_ends_with_the_same_hashes(clone: Path) -> None:
    lock = (clone / "dvc.lock").read_text()
    target = clone / "data/predictions/frame/0/1/resnet18.csv"
    before = target.read_bytes()
    target.unlink()
    process = subprocess.Popen(
        [sys.executable, "-m", "stages.train", "frame", "0", "resnet18"], cwd=clone, env=environment(clone),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    curves = clone / "data/curves/frame/0/1/resnet18"
    for old in curves.rglob("*.tsv"):
        old.unlink()
    while process.poll() is None and not list(curves.rglob("*.tsv")):
        time.sleep(0.05)  # DVCLive's first line: an epoch is done, predictions are not
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not target.exists()
    dvc(clone, "repro")
    assert target.read_bytes() == before
    assert (clone / "dvc.lock").read_text() == lock


def test_every_test_frame_is_predicted_by_every_model(finished: Path) -> None:
    split = pd.read_csv(finished / "data/split/patient.csv")
    held = set(split.loc[split["side"] != "train", "frame_id"])
    for model in ("resnet18", "densenet121"):
        table = pd.read_csv(finished / f"data/predictions/patient/0/1/{model}.csv")
        assert set(table["frame_id"]) == held
        assert table[["bad_quality", "cord", "fluid"]].stack().between(0, 1).all()
