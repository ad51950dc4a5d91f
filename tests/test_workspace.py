"""What the pipeline tests copy: the project, and no cohort that somebody added to it."""

from pathlib import Path

import pytest

from tests import workspace
from tests.workspace import copy_project, dvc, git


def test_a_cohort_that_somebody_added_stays_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = tmp_path / "project"
    (project / "data/cohorts/mine").mkdir(parents=True)
    (project / "data/cohorts/mine/clips.csv").write_text("clip,file,patient\n", encoding="utf-8")
    (project / "data/other.dvc").write_text("outs: []\n", encoding="utf-8")
    (project / "dvc.yaml").write_text("stages: {say: {cmd: python -V}}\n", encoding="utf-8")
    git(project, "init", "-q")
    dvc(project, "init", "-q")
    dvc(project, "add", "-q", "data/cohorts/mine")
    monkeypatch.setattr(workspace, "ROOT", project)
    copied = copy_project(tmp_path / "copy")
    assert (copied / "data/other.dvc").is_file()  # other pointers are the project's
    assert not (copied / "data/cohorts/mine.dvc").exists()
    repro = dvc(copied, "repro", "--all-pipelines").stdout  # else: missing data 'source': data/cohorts/mine
    assert "Running stage 'say'" in repro
