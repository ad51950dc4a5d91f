"""The search and the pretraining with DVC itself: trials are listed, the winner is applied, weights are used."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from experiments.finished import fetch
from experiments.search_score import files_of, validation_scores
from stages.common.evaluation.predictions import Training
from tests.search_runner import LABELS, delete_test_rows
from tests.workspace import commit, dvc, environment, git, read_params_file, set_params

pytestmark = pytest.mark.slow

SETTINGS = """profile: laptop
objective: log_loss
seed: 1
space:
  lr: {values: [0.001, 0.02]}
pruning: {after_trials: 1, after_quarters: 1}
"""
SEARCH = ["experiments.search", "--sampler", "grid", "--models", "resnet18", "--name", "tiny"]
WEIGHTS = ["experiments.transfer", "pretrain", "--patients", "6", "--frames", "4", "--seed", "7", "--name", "tiny"]
TRAINING = Training("patient", "0", 1, "resnet18")


def ours(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *words], cwd=folder, env=environment(folder), capture_output=True, text=True
    )


def listed(folder: Path) -> dict[str, float]:
    """Return name -> lr of the experiments that `dvc exp show` lists."""
    shown = json.loads(dvc(folder, "exp", "show", "--json").stdout)
    entries = [entry for commit in shown for entry in commit.get("experiments") or []]
    return {entry["name"]: entry["revs"][0]["data"]["params"]["params.yaml"]["data"]["lr"] for entry in entries}


def kill_in_mid_trial(folder: Path) -> None:
    """Begin the search, and kill it, and not what it started, while its first trial trains."""
    process = subprocess.Popen([sys.executable, "-m", *SEARCH], cwd=folder, env=environment(folder))
    while process.poll() is None and not list(folder.glob(".dvc/tmp/exps/standalone/tmp*/data/preprocess/*.npy")):
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL


def test_trials_are_listed_survive_a_kill_and_the_winner_is_applied(clone: Path, tmp_path: Path) -> None:
    (clone / "profiles/search.yaml").write_text(SETTINGS)
    commit(clone, "a small search")
    kill_in_mid_trial(clone)
    done = ours(clone, *SEARCH)
    assert done.returncode == 0, done.stderr
    assert "search-tiny-000 was interrupted; it runs again" in done.stderr
    found = listed(clone)
    assert sorted(found.values()) == [0.001, 0.02]  # and nothing that still seems to run
    assert not list((clone / ".dvc/tmp/exps/standalone").glob("tmp*"))
    assert git(clone, "status", "--porcelain") == ""  # the workspace is as it was
    assert (clone / ".search/tiny/trials.png").is_file()

    winner = done.stdout.strip().splitlines()[-1].removeprefix("dvc exp apply ")
    scores = {}
    for name in found:
        root = tmp_path / name
        fetch(git(clone, "rev-parse", f"refs/exps/{ref(clone)}/{name}").strip(), files_of([TRAINING]), root, clone)
        delete_test_rows(root)  # never looked at: what is left gives the same scores
        scores[name] = validation_scores(root, [TRAINING], LABELS, "log_loss")["resnet18"]
    assert winner == min(scores, key=scores.__getitem__)
    assert all(name.endswith(f"-{score:.4f}") for name, score in scores.items())

    dvc(clone, "exp", "apply", winner)
    assert read_params_file(clone / "params.yaml")["lr"] == found[winner]
    assert "up to date" in dvc(clone, "status", "train@patient-resnet18").stdout
    assert "changed since the last commit" in ours(clone, *SEARCH).stderr


def ref(folder: Path) -> str:
    head = git(folder, "rev-parse", "HEAD").strip()
    return f"{head[:2]}/{head[2:]}"


def test_pretrained_weights_are_used_by_train(clone: Path) -> None:
    set_params(clone, {"architectures": {"resnet18": {}}, "protocols": {"patient": {}}})
    commit(clone, "one network")
    done = ours(clone, *WEIGHTS)
    assert done.returncode == 0, done.stderr
    assert git(clone, "status", "--porcelain") == ""
    assert not list((clone / ".dvc/tmp").glob("pretrain-*"))
    digest = done.stdout.strip().splitlines()[-1].split()[-1]
    words = ["-S", "train.weights=weights/tiny", "-S", f"train.weights_sha256={digest}", "-S", "train.freeze=true"]
    said = dvc(clone, "exp", "run", "--temp", "--copy-paths", "weights/tiny", *words, "train@patient-resnet18")
    assert "tensors from weights/tiny; random: fc" in said.stdout + said.stderr
