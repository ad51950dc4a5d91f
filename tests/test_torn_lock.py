"""DVC killed while it wrote dvc.lock: what it then says, and that the README's remedy brings everything back."""

import re
from pathlib import Path

import pytest

from tests.kills import TORN
from tests.test_operations import run_module
from tests.workspace import ROOT, commit, dvc, git, read_params_file

STAGES = """stages:
  train:
    cmd: echo train >> ran.log && cp params.yaml model
    params: [lr]
    outs: [model]
  evaluate:
    cmd: echo evaluate >> ran.log && cp model scores.json
    deps: [model]
    outs:
    - scores.json:
        cache: false
"""
NEVER_AGAIN = ("train", "train_fold", "train_seed", "train_fold_seed", "classify", "sequence")  # what takes long
# DVC opens dvc.lock for writing, which empties it, and then writes it in blocks: cut after nothing, and within a stage
CUTS = {"validation failed": 0, "is invalid": 20}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A pipeline in the form of ours: finished and committed, then run with another parameter."""
    folder = tmp_path / "repository"
    folder.mkdir()
    (folder / "dvc.yaml").write_text(STAGES)
    (folder / "params.yaml").write_text("lr: 0.01\n")
    (folder / ".gitignore").write_text("/ran.log\n")
    git(folder, "init", "-q")
    dvc(folder, "init", "-q")
    dvc(folder, "repro", "-q")
    commit(folder, "run")
    (folder / "params.yaml").write_text("lr: 0.003\n")
    dvc(folder, "repro", "-q")
    return folder


def remedy(message: str) -> str:
    """Return what the README's table says beside a message of DVC's."""
    table = (ROOT / "README.md").read_text(encoding="utf-8").split("| DVC says |")[1].split("\n\n")[0]
    (found,) = [row for row in table.splitlines() if message in row]
    return found


@pytest.mark.parametrize("message", CUTS)
def test_a_torn_lock_comes_back_by_what_the_readme_says(repository: Path, message: str) -> None:
    lock = repository / "dvc.lock"
    whole = lock.read_text()
    before = (repository / "ran.log").read_text()
    lock.write_text(whole[: CUTS[message]])
    refused = dvc(repository, "repro", check=False)
    assert refused.returncode != 0
    (sign,) = [sign for sign in TORN if message in sign]
    assert sign in refused.stderr
    first, deleted, second = re.findall(r"`(git [^`]+)` \((.+?)\), then `(dvc [^`]+)`", remedy(f"`{sign}`"))[0]
    assert deleted == "never committed: delete it"
    git(repository, *first.split()[1:])
    healed = dvc(repository, *second.split()[1:])
    assert "Stage 'train' is cached - skipping run" in healed.stdout
    assert (repository / "ran.log").read_text() == before + "evaluate\n"  # its result is Git's: no run cache
    assert lock.read_text() == whole


def test_a_torn_lock_that_was_never_committed_is_deleted(repository: Path) -> None:
    lock = repository / "dvc.lock"
    whole = lock.read_text()
    lock.unlink()
    assert "Stage 'train' is cached - skipping run" in dvc(repository, "repro").stdout
    assert lock.read_text() == whole


@pytest.mark.parametrize("message", CUTS)
def test_the_gpu_scripts_first_step_brings_the_last_commits_lock_back_in_one_line(
    repository: Path, message: str
) -> None:
    lock = repository / "dvc.lock"
    whole = lock.read_text()
    lock.write_text(whole[: CUTS[message]])
    done = run_module(repository, "operations.torn")
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("dvc.lock could not be read, as a killed dvc leaves it: the last commit's is back. ")
    assert len(done.stderr.splitlines()) == 1
    assert lock.read_text() == git(repository, "show", "HEAD:dvc.lock")
    dvc(repository, "repro", "-q")
    assert lock.read_text() == whole


def test_the_gpu_scripts_first_step_leaves_a_whole_lock_alone_and_removes_a_torn_one_that_no_commit_has(
    repository: Path,
) -> None:
    lock = repository / "dvc.lock"
    whole = lock.read_text()
    done = run_module(repository, "operations.torn")
    assert (done.returncode, done.stdout, done.stderr, lock.read_text()) == (0, "", "", whole)
    git(repository, "rm", "-q", "--cached", "dvc.lock")
    git(repository, "commit", "-q", "-m", "no lock")
    lock.write_text(whole[:20])
    assert "no commit has one, so it is removed" in run_module(repository, "operations.torn").stderr
    assert not lock.exists()


@pytest.mark.parametrize("message", CUTS)
def test_a_push_beside_a_torn_lock_blames_no_key_and_no_server(repository: Path, message: str) -> None:
    dvc(repository, "remote", "add", "clinic", str(repository.parent / "clinic"))
    dvc(repository, "remote", "modify", "clinic", "verify", "true")
    lock = repository / "dvc.lock"
    lock.write_text(lock.read_text()[: CUTS[message]])
    done = run_module(repository, "operations.remote", "push", "clinic")
    assert done.returncode == 1
    assert "error: dvc.lock: expected what DVC writes, got half of it or no YAML (" in done.stderr
    assert "Where none runs: `git checkout HEAD -- dvc.lock` (never committed: delete it), `dvc repro`" in done.stderr
    assert "key" not in done.stderr
    git(repository, "checkout", "HEAD", "--", "dvc.lock")
    assert run_module(repository, "operations.remote", "push", "clinic").returncode == 0


def test_what_takes_long_is_in_the_run_cache() -> None:
    stages = read_params_file(ROOT / "dvc.yaml")["stages"]
    for name in NEVER_AGAIN:
        outs = stages[name].get("do", stages[name])["outs"]
        # DVC keeps no record of a run of which Git holds an output that is no metric
        assert all(isinstance(out, str) or next(iter(out.values())).get("cache", True) for out in outs), name
