"""What the pipeline tests copy: the project, and no cohort that somebody added to it."""

from pathlib import Path

import pytest
from dvc.repo import Repo

from tests import workspace
from tests.workspace import ROOT, copy_project, dvc, git


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


STRAY = (
    ".DS_Store", "._loop.py", ".loop.py.swp", "loop.py~", "#loop.py#", ".#loop.py", "loop.py.orig", "loop.py.bak",
    ".mypy_cache/3.11/x.json", ".ipynb_checkpoints/loop.py", "Thumbs.db", "~$labels.xlsx", "loop.npy.partial",
)  # fmt: skip


@pytest.mark.parametrize("folder", ["stages/train", "data/preprocess", "data/cohorts/mine"])
def test_what_editors_and_file_managers_leave_is_no_change(folder: str) -> None:
    with Repo(str(ROOT)) as repo:
        assert [name for name in STRAY if not repo.dvcignore.is_ignored_file(str(ROOT / folder / name))] == []
        for name in ("loop.py", "original.npy", "clips.csv", "labels.xlsx", "page.html"):
            assert not repo.dvcignore.is_ignored_file(str(ROOT / folder / name))
