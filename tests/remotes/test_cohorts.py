"""What is made of a cohort goes to the remote of the cohort's name or nowhere: `push` is off but for the phantom."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from configobj import ConfigObj
from dvc.repo import Repo

from tests.remotes.conftest import objects, said
from tests.remotes.server import stored
from tests.workspace import ROOT, commit, copy_project, dvc, environment, git, set_params, track_cohort

SYSTEMS = {
    "baselines": {"knn_texture": {"classifier": "knn", "features": "texture"}},
    "sequences": {"gru_resnet18": {"model": "gru", "features": "resnet18"}},
}
SECRET = b"an infant's clip"


@pytest.fixture
def private(mine: Path) -> Path:
    """The project with a cohort of one's own beside the phantom, not yet tracked."""
    clip = mine / "data/cohorts/mine/clip.mkv"
    clip.parent.mkdir()
    clip.write_bytes(SECRET)
    return mine


def run_on(folder: Path, cohort: str) -> None:
    set_params(folder, {"cohort": cohort})
    dvc(folder, "repro", "-q")
    commit(folder, f"cohort {cohort}")


def in_the_phantoms_remote(folder: Path) -> set[bytes]:
    return set(stored(folder.parent / "infant-spine-remote").values())


def test_nothing_of_a_cohort_is_pushed_as_shipped(private: Path) -> None:
    phantoms = set(objects(private).values())
    track_cohort(private, "mine")
    run_on(private, "mine")
    made = set(objects(private).values()) - phantoms
    assert {SECRET, (private / "data/frames/3.png").read_bytes()} <= made
    done = dvc(private, "push", check=False)
    assert done.returncode != 0
    assert "/proc/push-is-off" in said(done)
    for words in (["-r", "phantom", "--run-cache"], ["--all-commits"]):  # nor by asking for more
        dvc(private, "push", *words, check=False)
        assert not made & in_the_phantoms_remote(private)


def test_a_cohort_that_was_tracked_without_a_remote_goes_nowhere_and_the_phantom_all_the_same(private: Path) -> None:
    dvc(private, "add", "-q", "data/cohorts/mine")  # the line that README adds is forgotten
    phantoms = objects(private)
    done = dvc(private, "push", check=False)
    assert done.returncode != 0
    assert "no remote specified" in said(done)
    assert SECRET not in in_the_phantoms_remote(private)
    shelf = in_the_phantoms_remote(private)
    assert {content for content in phantoms.values() if content != SECRET and b"clip.mkv" not in content} <= shelf


def test_a_cohort_whose_name_no_remote_has_is_refused_by_name(private: Path) -> None:
    (private / "data/cohorts/mine").rename(private / "data/cohorts/clinic")
    track_cohort(private, "clinic")
    run_on(private, "clinic")
    for words in (["push"], ["exp", "run", "-S", "lr=0.2"]):
        done = dvc(private, *words, check=False)
        assert done.returncode != 0
        assert "remote 'clinic' doesn't exist" in said(done)
    assert not (private.parent / "infant-spine-remote").exists()


def test_push_turned_on_takes_all_of_the_cohort_to_its_own_remote_alone(private: Path) -> None:
    phantoms = objects(private)
    track_cohort(private, "mine")
    dvc(private, "remote", "modify", "mine", "url", str(private.parent / "ward"))
    run_on(private, "mine")
    dvc(private, "push")
    of_mine = {name: content for name, content in objects(private).items() if name not in phantoms}
    ward = stored(private.parent / "ward")
    assert of_mine.items() <= ward.items()
    assert not set(of_mine) & set(stored(private.parent / "infant-spine-remote"))
    git(private.parent, "clone", "-q", str(private), "colleague")
    colleague = private.with_name("colleague")
    dvc(colleague, "pull")
    assert "Running stage" not in dvc(colleague, "repro").stdout
    assert (colleague / "data/cohorts/mine/clip.mkv").read_bytes() == SECRET


def run_gpu_script(folder: Path) -> None:
    """Run operations/gpu.sh with the real DVC; the stages have run already, and `python` runs nothing but the push."""
    for name in ("operations/gpu.sh", "profiles/laptop.yaml"):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy2(ROOT / name, folder / name)
    python = folder / "tools/python"
    python.parent.mkdir()
    python.write_text(f'#!/bin/sh\ncase "$*" in "-m operations.remote"*) exec {sys.executable} "$@" ;; esac\n')
    python.chmod(0o755)
    env = environment(folder)
    env |= {"PATH": f"{python.parent}{os.pathsep}{env['PATH']}", "VIRTUAL_ENV": str(folder), "PYTHONPATH": str(ROOT)}
    subprocess.run([folder / "operations/gpu.sh", "laptop"], cwd=folder, env=env, check=True, capture_output=True)


def records(folder: Path) -> list[bytes]:
    """Return the records of runs in the phantom's remote."""
    shelf = stored(folder.parent / "infant-spine-remote")
    return [content for name, content in shelf.items() if name.startswith("runs/")]


def test_the_gpu_runner_pushes_records_of_runs(mine: Path) -> None:
    run_gpu_script(mine)
    assert any(b"data/cohorts/phantom" in record for record in records(mine))


def test_the_gpu_runner_pushes_no_records_where_another_cohort_ran(private: Path) -> None:
    track_cohort(private, "mine")
    run_on(private, "mine")
    run_on(private, "phantom")
    local = stored(private / ".dvc/cache")
    assert any(b"data/cohorts/mine" in content for name, content in local.items() if name.startswith("runs/"))
    run_gpu_script(private)
    assert (private / "data/frames/3.png").read_bytes() in in_the_phantoms_remote(private)  # the stages' outputs went
    assert not [content for content in in_the_phantoms_remote(private) if b"cohorts/mine" in content]
    assert records(private) == []


def test_an_experiment_on_a_cohort_keeps_it_at_home(private: Path) -> None:
    track_cohort(private, "mine")
    commit(private, "our cohort")
    git(private.parent, "clone", "-q", "--bare", str(private), "origin.git")
    phantoms = set(objects(private).values())
    dvc(private, "exp", "run", "-q", "-n", "ours", "-S", "cohort=mine")
    done = dvc(private, "exp", "push", str(private.parent / "origin.git"), "ours", check=False)
    assert "/proc/push-is-off" in said(done)
    assert not (set(objects(private).values()) - phantoms) & in_the_phantoms_remote(private)


def test_no_remote_is_the_default() -> None:
    assert "remote" not in ConfigObj(str(ROOT / ".dvc/config"))["core"]  # else what names none goes there


@pytest.mark.parametrize("cohort", ["phantom", "mine"])
def test_every_output_names_the_remote_of_its_cohort(tmp_path: Path, cohort: str) -> None:
    project = copy_project(tmp_path / "project")
    set_params(project, {"cohort": cohort, "folds": {"0": {}}, "seeds": {"2": {}}, **SYSTEMS})
    with Repo(str(project)) as repo:
        outs = [out for out in repo.index.outs if out.use_cache]
    assert {out.stage.name.split("@")[0] for out in outs} >= {"phantom", "train_fold_seed", "classify", "sequence"}
    for out in outs:
        expected = "phantom" if out.stage.name == "phantom" else cohort
        assert out.remote == expected, f"dvc.yaml: {out}: expected its_remote, got {out.remote}"


def test_a_tracked_cohort_names_its_own_remote() -> None:
    with Repo(str(ROOT)) as repo:
        tracked = [out for out in repo.index.outs if out.stage.is_data_source]
    for out in tracked:
        name = Path(out.fs_path).name
        assert name == name.lower(), (
            f"{name}: expected a name in lower case: DVC looks for its remote as {name.lower()}"
        )
        assert out.remote == name or not out.can_push, (
            f"{name}.dvc: expected `remote: {name}`: README, 'Bring your own'"
        )
