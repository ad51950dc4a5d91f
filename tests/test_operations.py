"""What a team runs around the pipeline: the GPU runner; the cache and the comment have their own tests."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from ruamel.yaml import YAML

from experiments.run_dvc import dvc as run_dvc
from stages.common.core.errors import PipelineError
from tests.workspace import ROOT, commit, environment, git


def run_module(
    folder: Path, *words: str, own_env: Mapping[str, str] = MappingProxyType({})
) -> subprocess.CompletedProcess[str]:
    """Run `python -m ...` of this project in another repository."""
    env = environment(folder) | {"PYTHONPATH": str(ROOT)} | dict(own_env)
    return subprocess.run([sys.executable, "-m", *words], cwd=folder, env=env, capture_output=True, text=True)


# ---- the runner


def workflow(name: str) -> dict[str, Any]:
    content: dict[str, Any] = YAML(typ="safe").load((ROOT / f".github/workflows/{name}.yml").read_text())
    return content


def test_ci_runs_what_a_submission_must_pass_on_every_push() -> None:
    content = workflow("tests")
    assert {"push", "pull_request"} == set(content["on"])
    assert content["permissions"] == {"contents": "read"}
    assert content["jobs"]["tests"]["steps"][-1] == {"run": ".ci/run"}


def test_the_runners_install_what_the_lock_names() -> None:
    install = "pip install -q --require-hashes -r requirements.lock"
    assert install in workflow("tests")["jobs"]["tests"]["steps"][-2]["run"]
    assert install in (ROOT / "operations/gpu.sh").read_text()


def test_the_gpu_runner_never_sees_a_forks_code() -> None:
    content = workflow("gpu")
    assert set(content["on"]) == {"workflow_dispatch"}  # a pull request brings its own copy of the file
    jobs = content["jobs"]
    assert jobs["check"]["if"] == "github.ref == format('refs/heads/{0}', github.event.repository.default_branch)"
    assert jobs["check"]["steps"][-1] == {
        "run": 'operations/own_commit.sh "$COMMIT"',
        "env": {"COMMIT": "${{ inputs.commit || github.sha }}"},
    }
    assert jobs["study"]["needs"] == "check"
    assert jobs["study"]["environment"] == "gpu"
    assert jobs["study"]["steps"][0]["with"]["ref"] == "${{ inputs.commit || github.sha }}"  # what was checked


def test_only_a_job_away_from_the_data_can_write_and_it_runs_none_of_the_commits_code() -> None:
    content = workflow("gpu")
    assert content["permissions"] == {}
    rights = {name: job["permissions"] for name, job in content["jobs"].items()}
    assert rights["check"] == rights["study"] == {"contents": "read"}
    assert rights["comment"] == {"contents": "write", "pull-requests": "write"}
    assert content["jobs"]["comment"]["runs-on"] == "ubuntu-24.04"
    assert "ref" not in content["jobs"]["comment"]["steps"][0]["with"]
    tokens = [
        (name, step.get("name"))
        for name, job in content["jobs"].items()
        for step in [job, *job["steps"]]
        if "token" in str(step.get("env", "")).lower()
    ]
    assert tokens == [("comment", "Publish")]


def test_no_checkout_leaves_a_key_behind() -> None:
    for name in ("tests", "gpu", "audit"):
        for job in workflow(name)["jobs"].values():
            for step in job["steps"]:
                if step.get("uses", "").startswith("actions/checkout"):
                    assert step["with"]["persist-credentials"] is False


def test_a_second_comment_leaves_the_first_ones_pictures_alone() -> None:
    """A branch a run, called alike where the links are made and where it is pushed."""
    made, pushed = (workflow("gpu")["jobs"][job]["env"]["PLOTS"] for job in ("study", "comment"))
    assert made == pushed
    assert made.startswith("plots-${{ inputs.pull_request && ")
    assert made.endswith("}}${{ github.run_id }}")


@pytest.fixture
def clone_and_fork(tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """A clone that fetched every branch, and commits: of a branch, and of a pull request that a fork opened."""
    git(tmp_path, "init", "-q", "--bare", "remote.git")
    git(tmp_path, "clone", "-q", "remote.git", "fork")
    commits = {}
    for whose, ref in (("ours", "refs/heads/change"), ("fork's", "refs/pull/7/head")):
        commit(tmp_path / "fork", whose)
        commits[whose] = git(tmp_path / "fork", "rev-parse", "HEAD").strip()
        git(tmp_path / "fork", "push", "-q", "origin", f"HEAD:{ref}")
    git(tmp_path, "clone", "-q", "remote.git", "clone")
    git(tmp_path / "clone", "fetch", "-q", "origin", "refs/pull/7/head")  # the object is there; no branch has it
    return tmp_path / "clone", commits


def own_commit(clone: Path, asked: str) -> subprocess.CompletedProcess[str]:
    """Ask whether a commit lies on a branch."""
    command = [ROOT / "operations/own_commit.sh", asked]
    return subprocess.run(command, cwd=clone, env=environment(clone), capture_output=True, text=True)


def test_a_commit_of_a_branch_is_let_through_and_a_forks_is_not(clone_and_fork: tuple[Path, dict[str, str]]) -> None:
    clone, commits = clone_and_fork
    assert own_commit(clone, commits["ours"]).returncode == 0
    refused = own_commit(clone, commits["fork's"])
    assert refused.returncode == 1
    assert "on no branch of this repository" in refused.stderr
    assert own_commit(clone, "0" * 40).returncode == 1


@pytest.mark.parametrize("asked", ["", "change", "--all", "origin/change"])
def test_a_commit_is_asked_for_by_all_its_digits(clone_and_fork: tuple[Path, dict[str, str]], asked: str) -> None:
    refused = own_commit(clone_and_fork[0], asked)
    assert refused.returncode == 1
    assert "expected all 40 digits" in refused.stderr


def test_no_text_of_an_event_reaches_a_shell() -> None:
    for name in ("tests", "gpu", "audit"):
        for job in workflow(name)["jobs"].values():
            assert not [step for step in job["steps"] if "${{" in str(step.get("run", ""))]


def test_the_plots_lie_on_a_branch_of_their_own_without_the_project(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "--bare", "remote.git")
    git(tmp_path, "clone", "-q", "remote.git", "clone")
    clone, plots = tmp_path / "clone", tmp_path / "plots"
    (clone / "secret.txt").write_text("the project")
    commit(clone, "start")
    plots.mkdir()
    for name in ("roc", "losses"):
        (plots / f"{name}.png").write_bytes(name.encode())
    subprocess.run(
        [ROOT / "operations/publish_plots.sh", plots, "plots-7"], cwd=clone, env=environment(clone), check=True
    )
    listed = git(tmp_path / "remote.git", "ls-tree", "--name-only", "plots-7").split()
    assert listed == ["losses.png", "roc.png"]
    assert git(tmp_path / "remote.git", "log", "--format=%s", "plots-7").split() == ["Plots"]
    assert git(clone, "status", "--short") == ""


PLANNED = "dvc exp run -S cohort=mine report"  # what a profile that names another cohort prints


def run_gpu_script(
    folder: Path, *words: str, url: str = "s3://storage", python: str = "", own_env: bool = True, every_s: float = 900
) -> subprocess.CompletedProcess[str]:
    """Run the script on a copy with a `python` and a `dvc` that only write down what they are asked."""
    for name in ("operations/gpu.sh", "profiles/study.yaml", "profiles/laptop.yaml", "params.yaml"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes((ROOT / name).read_bytes())
        (folder / name).chmod(0o755)
    (folder / "dvc.lock").write_text("schema: '2.0'\n")
    git(folder, "init", "-q")
    commit(folder, "start")
    tools = folder.parent / "tools"
    tools.mkdir(exist_ok=True)
    venv = 'case "$*" in "-m venv"*) mkdir -p .venv/bin; echo "export PATH=$PATH" > .venv/bin/activate ;; esac'
    fakes = {"python": python, "python3.11": venv, "dvc": f"[ $1 = config ] && echo {url}"}
    for name, said in fakes.items():
        (tools / name).write_text(f'#!/bin/sh\necho "{name} $*" >> {folder.parent}/asked\n{said}\ntrue\n')
        (tools / name).chmod(0o755)
    env = {**os.environ, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}", "PUSH_EVERY_S": str(every_s)}
    env |= {"VIRTUAL_ENV": str(folder) if own_env else ""}
    return subprocess.run([folder / "operations/gpu.sh", *words], env=env, capture_output=True, text=True)


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A folder for the script's copy; what it asked for lies beside it."""
    (tmp_path / "machine").mkdir()
    return tmp_path / "machine"


def asked_of(machine: Path) -> list[str]:
    """Return what the script asked of `python` and `dvc`."""
    return (machine.parent / "asked").read_text().splitlines()


def test_the_gpu_script_probes_pulls_runs_the_profile_and_pushes(machine: Path) -> None:
    done = run_gpu_script(machine, "study", "-S", "lr=0.003")
    assert done.returncode == 0, done.stderr
    assert asked_of(machine) == [
        "python -",  # is there a GPU?
        "python -m operations.torn",
        "python -m operations.cache",
        "python -m experiments.profile study --dry -S lr=0.003",
        "dvc config remote.phantom.url",
        "python -m operations.remote probe phantom",
        "dvc pull -r phantom --run-cache --allow-missing",
        "python -m experiments.profile study --pull -S lr=0.003",
        "python -m operations.remote push phantom",
    ]


def test_the_gpu_script_pushes_nothing_of_a_cohort_whose_push_is_off(machine: Path) -> None:
    done = run_gpu_script(machine, "laptop", url="/proc/push-is-off")
    assert done.returncode == 0, done.stderr
    assert "push is off for cohort phantom" in done.stderr
    assert not [line for line in asked_of(machine) if "dvc push" in line or "operations.remote" in line]


@pytest.mark.parametrize(
    ("url", "warned"),
    [("../../infant-spine-remote", True), ("/srv/spine", True), ("file:///srv/spine", True)]
    + [(url, False) for url in ("s3://storage", "ssh://me@host/spine", "/proc/push-is-off")],
)
def test_the_gpu_script_says_in_one_line_that_a_folder_goes_with_the_machine(
    machine: Path, url: str, warned: bool
) -> None:
    done = run_gpu_script(machine, "laptop", url=url)
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stderr.splitlines() if "goes with its disk" in line]
    assert len(lines) == warned
    assert all(line.startswith(f"remote phantom is a folder of this machine, {url}") for line in lines)
    (named,) = set(re.findall(r"\(docs/gpu_runner.md, '(.+)'\)", (ROOT / "operations/gpu.sh").read_text()))
    assert f"## {named}\n" in (ROOT / "docs/gpu_runner.md").read_text()


def test_the_gpu_script_asks_the_remote_of_the_cohort_that_an_override_names(machine: Path) -> None:
    python = f'case "$*" in *--dry*) echo "{PLANNED}" ;; esac'
    assert run_gpu_script(machine, "laptop", "-S", "cohort=mine", python=python).returncode == 0
    remotes = {line.split(" -r ")[1].split()[0] for line in asked_of(machine) if line.startswith("dvc pull")}
    assert remotes == {"mine"}
    assert {"python -m operations.remote probe mine", "python -m operations.remote push mine"} <= set(asked_of(machine))


def test_the_gpu_script_stops_at_a_damaged_cache_before_it_builds_on_it(machine: Path) -> None:
    python = 'case "$*" in *operations.cache*) echo "error: .dvc/cache: 1 of 4 objects damaged" >&2; exit 1 ;; esac'
    for url in ("s3://storage", "/proc/push-is-off"):
        done = run_gpu_script(machine, "laptop", url=url, python=python)
        assert done.returncode == 1
        assert "1 of 4 objects damaged" in done.stderr
        assert not [line for line in asked_of(machine) if "experiments.profile" in line or line.startswith("dvc pull")]


def test_the_gpu_script_stops_at_a_remote_that_refuses_it_before_the_gpus_hours(machine: Path) -> None:
    python = 'case "$*" in *probe*) echo "error: remote phantom: wrong key" >&2; exit 1 ;; esac'
    done = run_gpu_script(machine, "laptop", python=python)
    assert done.returncode == 1
    assert "wrong key" in done.stderr
    assert "python -m experiments.profile laptop --pull" not in asked_of(machine)


def test_the_gpu_script_pushes_while_the_stages_run_and_leaves_nothing_running(machine: Path) -> None:
    python = 'case "$*" in *--dry*) ;; *experiments.profile*) sleep 2 ;; esac'
    done = run_gpu_script(machine, "laptop", python=python, every_s=0.4)
    assert done.returncode == 0, done.stderr
    asked = asked_of(machine)
    beside = "python -m operations.remote push --unchecked phantom"  # no look through the cache beside a training
    pushed = [place for place, line in enumerate(asked) if line == beside]
    assert len(pushed) >= 2
    assert asked.index("python -m experiments.profile laptop --pull") < pushed[0]
    assert asked[-1] == "python -m operations.remote push phantom"
    begun = time.monotonic()
    assert run_gpu_script(machine, "laptop", every_s=30).returncode == 0
    assert time.monotonic() - begun < 15  # a `sleep` left behind would hold the output for 30 s


def test_the_gpu_script_stops_at_a_cohort_without_a_remote(machine: Path) -> None:
    done = run_gpu_script(machine, "laptop", url="")
    assert done.returncode == 1
    assert "error: cohort phantom: .dvc/config has no remote of that name with a url" in done.stderr
    assert "`dvc remote modify phantom verify true`" in done.stderr
    assert "goes with its disk" not in done.stderr
    assert not [line for line in asked_of(machine) if "probe" in line or line.startswith("dvc pull")]


@pytest.mark.parametrize("left", [None, "", "bin/python"], ids=["none", "empty", "half-made"])
def test_the_gpu_script_makes_the_environment_that_is_missing(machine: Path, left: str | None) -> None:
    for part in [] if left is None else [machine / ".venv/bin", machine / ".venv" / left]:
        part.mkdir(parents=True, exist_ok=True)
    done = run_gpu_script(machine, "laptop", own_env=False)
    assert done.returncode == 0, done.stderr
    assert asked_of(machine)[:2] == [
        "python3.11 -m venv --clear .venv",
        "python -m pip install -q --require-hashes -r requirements.lock",
    ]


def test_the_gpu_script_writes_what_names_the_results(machine: Path) -> None:
    python = 'case "$*" in *--dry*) ;; *experiments.profile*) echo "stages: {}" >> dvc.lock ;; esac'
    done = run_gpu_script(machine, "laptop", python=python)
    lock = (machine / "dvc.lock").read_text()
    git(machine, "checkout", "-q", "dvc.lock")
    assert git(machine, "rev-parse", "HEAD").strip() in done.stdout
    git(machine, "apply", ".dvc/tmp/results.patch")
    assert (machine / "dvc.lock").read_text() == lock


def test_a_profile_without_a_gpu_asks_for_none(machine: Path) -> None:
    assert run_gpu_script(machine, "laptop").returncode == 0
    assert "python -" not in asked_of(machine)


def test_an_unknown_profile_is_named_before_anything_runs(machine: Path) -> None:
    done = run_gpu_script(machine, "nowhere")
    assert done.returncode == 1
    assert "profiles/nowhere.yaml: no such profile" in done.stderr
    assert not (machine.parent / "asked").exists()


def test_shell_scripts_are_sound() -> None:
    for script in (ROOT / "operations").glob("*.sh"):
        subprocess.run(["bash", "-n", script], check=True)
        assert re.search(r"^set -euo pipefail$", script.read_text(), flags=re.M)
        assert os.access(script, os.X_OK)


def test_a_comment_names_what_dvc_says_when_it_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PipelineError, match=r"`dvc metrics diff` failed: ERROR: Only supported for Git repositories"):
        run_dvc("metrics", "diff")
    assert list(tmp_path.iterdir()) == []
