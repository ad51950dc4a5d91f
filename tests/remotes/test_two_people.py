"""Two people and one Git server: no result of one is lost; of two runs at once in one clone, one ends and one waits."""

import shutil
from pathlib import Path

import pytest

from tests.remotes.conftest import FILES, Team, finished, said
from tests.remotes.servers import Folder
from tests.workspace import dvc, git


@pytest.fixture(scope="module")
def people(made: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two clones of one bare repository, beside the same remote, both with what was pushed."""
    mine = Path(shutil.copytree(made, tmp_path_factory.mktemp("people") / "project", symlinks=True))
    dvc(mine, "push", "-q")
    git(mine.parent, "clone", "-q", "--bare", str(mine), "origin.git")
    for name in ("ann", "bob"):
        git(mine.parent, "clone", "-q", "origin.git", name)
        dvc(mine.with_name(name), "pull", "-q")
    return mine.with_name("ann"), mine.with_name("bob")


def experiment(folder: Path, name: str, rate: str) -> bytes:
    """Run one, and return a frame of it."""
    git(folder, "checkout", "-q", ".")
    dvc(folder, "exp", "run", "-q", "-n", name, "-S", f"lr={rate}")
    return (folder / "data/frames/3.png").read_bytes()


def refs(repository: Path) -> str:
    return git(repository, "for-each-ref", "refs/exps")


def test_experiments_of_two_clones_are_pushed_and_pulled_and_none_is_lost(people: tuple[Path, Path]) -> None:
    ann, bob = people
    hers, his = experiment(ann, "fast", "0.1"), experiment(bob, "slow", "0.001")
    assert hers != his
    dvc(ann, "exp", "push", "-q", "origin", "fast")
    dvc(bob, "exp", "push", "-q", "origin", "slow")
    for folder in people:
        dvc(folder, "exp", "pull", "-q", "origin", "--rev", "HEAD")
        assert {"fast", "slow"} <= set(dvc(folder, "exp", "list", "--name-only").stdout.split())
    shown = dvc(ann, "exp", "show", "--md").stdout
    assert "| 0.1 " in shown
    assert "| 0.001 " in shown
    git(ann, "checkout", "-q", ".")
    dvc(ann, "exp", "apply", "-q", "slow")
    assert (ann / "data/frames/3.png").read_bytes() == his
    assert "Running stage" not in dvc(ann, "repro").stdout


def test_two_experiments_of_one_name_are_told_apart_and_neither_overwrites_the_other(
    people: tuple[Path, Path],
) -> None:
    ann, bob = people
    experiment(ann, "ours", "0.2"), experiment(bob, "ours", "0.002")
    dvc(ann, "exp", "push", "-q", "origin", "ours")
    hers, his = refs(ann.with_name("origin.git")), refs(bob)
    for word in ("push", "pull"):
        told = said(dvc(bob, "exp", word, "origin", "ours", check=False))
        assert "has diverged from remote experiment with the same name" in told
    assert refs(ann.with_name("origin.git")) == hers
    assert refs(bob) == his


@pytest.mark.parametrize("team", [Folder], indirect=True, ids=["folder"])
def test_two_runs_at_once_in_one_clone_end_right_or_are_refused(team: Team) -> None:
    pipeline = team.mine / "dvc.yaml"
    pipeline.write_text(pipeline.read_text().replace("cmd: python make.py", "cmd: sleep 2 && python make.py"))
    params = team.mine / "params.yaml"
    params.write_text(params.read_text().replace("0.01", "0.5"))
    runs = [finished(process, check=False) for process in [team.start(team.mine, "repro") for _ in range(2)]]
    assert 0 in {run.returncode for run in runs}
    for run in runs:  # who comes second is told whom to wait for, or waits
        assert run.returncode == 0 or "is busy, it is being blocked by" in said(run) or "acquire lock" in said(run)
    assert "Data and pipelines are up to date" in team.dvc(team.mine, "status").stdout
    assert '"lr": 0.5' in (team.mine / "metrics/summary.json").read_text()
    assert len(list((team.mine / "data/frames").iterdir())) == FILES
