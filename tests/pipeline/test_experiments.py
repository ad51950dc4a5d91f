"""The users' own commands: experiments, queues, tables and differences that a person can read."""

import json
from pathlib import Path

import pytest

from tests.workspace import commit, dvc, git, track_cohort

pytestmark = pytest.mark.slow

MODELS = ("label_copy", "majority", "resnet18", "densenet121", "tree_texture")
OVER_TIME = ("gru_resnet18",)  # whole clips: under `patient` alone


def test_the_study_table_is_one_metrics_show(finished: Path) -> None:
    shown = dvc(finished, "metrics", "show", "--md", "metrics/models").stdout
    for column in ("Accuracy", "Precision", "Recall", "F1", "TN", "FP", "FN", "TP", "Misclassified images"):
        assert f"| {column} " in shown
    for model in MODELS:
        assert f"frame/{model}.json" in shown.replace("\\", "/")


def test_the_summary_is_one_number_a_model_and_protocol(finished: Path) -> None:
    shown = json.loads(dvc(finished, "metrics", "show", "--json").stdout)[""]["data"]
    assert list(shown) == ["metrics/summary.json"]
    summary = shown["metrics/summary.json"]["data"]
    assert {protocol: set(scores) for protocol, scores in summary.items()} == {
        "frame": set(MODELS),
        "patient": {*MODELS, *OVER_TIME},
    }


def test_experiments_are_listed_compared_and_leave_params_commented(clone: Path) -> None:
    dvc(clone, "exp", "run", "-q", "-n", "slow", "-S", "lr=0.001", "evaluate")
    assert "# Adam's rate of the new head" in (clone / "params.yaml").read_text()
    dvc(clone, "exp", "run", "-q", "--queue", "-S", "lr=0.1,0.02", "evaluate")
    dvc(clone, "exp", "run", "-q", "--run-all", "-j", "1")
    shown = dvc(clone, "exp", "show", "--md", "--drop", "^(?!Exp|frame|patient|lr$)").stdout
    header, rows = shown.splitlines()[0], shown.splitlines()[2:]
    assert "lr" in header
    assert "frame.resnet18" in header
    assert len(header.split("|")) < 16  # fits a screen
    for rate in ("0.001", "0.1", "0.02"):
        assert any(f"| {rate} " in row for row in rows), shown
    difference = dvc(clone, "params", "diff", "--md", "HEAD", "slow").stdout
    assert "| params.yaml | lr | 0.01 | 0.001 |" in " ".join(difference.split())
    assert "frame.resnet18" in dvc(clone, "metrics", "diff", "--md", "--all", "HEAD", "slow").stdout
    assert "rendered" not in dvc(clone, "plots", "diff", "--json", "HEAD", "slow").stderr


def test_metrics_differ_between_two_commits(clone: Path) -> None:
    dvc(clone, "exp", "run", "-q", "-S", "lr=0.002", "evaluate")
    commit(clone, "another rate")
    shown = dvc(clone, "metrics", "diff", "--md", "--all", "HEAD~1", "HEAD").stdout
    assert "| metrics/summary.json | frame.resnet18 |" in " ".join(shown.split())


def test_an_experiment_that_leaves_out_models_is_refused_by_evaluate(clone: Path) -> None:
    dvc(clone, "repro", "-q", "-s", "train@frame-resnet18")
    params = clone / "params.yaml"
    params.write_text(params.read_text().replace("\nlr: 0.01", "\nlr: 0.05"))
    dvc(clone, "repro", "-q", "-s", "train@frame-resnet18")
    done = dvc(clone, "repro", "-s", "evaluate", check=False)
    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert "resnet18" in said
    assert "0.05" in said
    assert "dvc repro evaluate" in said
    assert "Traceback" not in said


def test_models_trained_on_other_pictures_are_refused_by_evaluate(clone: Path) -> None:
    dvc(clone, "exp", "run", "-q", "-S", "size_px=72", "train@frame-resnet18")
    done = dvc(clone, "repro", "-s", "evaluate", check=False)
    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert "size = 72: frame/0/resnet18" in said
    assert "pictures.original = " in said


def test_a_cohort_of_ones_own_is_added_pushed_cloned_and_pulled(clone: Path, tmp_path: Path) -> None:
    cohorts = clone / "data/cohorts"
    (cohorts / "phantom").rename(cohorts / "mine")
    track_cohort(clone, "mine")
    dvc(clone, "remote", "modify", "mine", "url", str(tmp_path / "remote"))
    commit(clone, "our cohort")
    assert "data/cohorts/mine.dvc" in git(clone, "ls-files")
    assert "labels.xlsx" not in git(clone, "ls-files")
    dvc(clone, "push", "-q", "data/cohorts/mine.dvc")
    other = tmp_path / "colleague"
    git(tmp_path, "clone", "-q", str(clone), str(other))
    dvc(other, "pull", "-q", "data/cohorts/mine.dvc")
    assert (other / "data/cohorts/mine/labels.xlsx").read_bytes() == (cohorts / "mine/labels.xlsx").read_bytes()
