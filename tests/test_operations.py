"""What a team runs around the pipeline: the check of the cache, the comment on a pull request, the GPU runner."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from ruamel.yaml import YAML

from operations import comment
from stages.common.core.errors import PipelineError
from tests.workspace import ROOT, commit, dvc, environment, git, read_params_file

KINDS = ("aliases", "column_aliases", "definitions", "first_number_of", "ignored_sheets")
TWO_STAGES = """stages:
  table:
    cmd: python -c "open('table.csv', 'w').write('a,b')"
    outs: [table.csv]
  folder:
    cmd: mkdir -p folder && echo one > folder/one.txt && echo two > folder/two.txt
    outs: [folder]
"""


def run_module(
    folder: Path, *words: str, own_env: Mapping[str, str] = MappingProxyType({})
) -> subprocess.CompletedProcess[str]:
    """Run `python -m ...` of this project in another repository."""
    env = environment(folder) | {"PYTHONPATH": str(ROOT)} | dict(own_env)
    return subprocess.run([sys.executable, "-m", *words], cwd=folder, env=env, capture_output=True, text=True)


# ---- operations.cache


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A finished pipeline of two stages."""
    folder = tmp_path / "repository"
    folder.mkdir()
    (folder / "dvc.yaml").write_text(TWO_STAGES)
    git(folder, "init", "-q")
    dvc(folder, "init", "-q")
    dvc(folder, "repro", "-q")
    commit(folder, "two stages")
    return folder


def object_with(folder: Path, content: str) -> Path:
    """Return the cached object that holds `content`."""
    (found,) = [path for path in folder.glob("files/md5/*/*") if path.read_text() == content]
    return found


def flip(path: Path) -> None:
    """Change one byte, as a failing disk would."""
    path.chmod(0o644)
    path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:])


def test_an_undamaged_cache_is_said_to_be_one(repository: Path) -> None:
    done = run_module(repository, "operations.cache")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("4 objects, all as their names say")  # a table, two files, the folder's list


@pytest.mark.parametrize(
    ("content", "place"), [("a,b", "table.csv"), ("two\n", "folder/two.txt")], ids=["file", "file of a folder"]
)
def test_a_flipped_byte_is_found_named_and_healed(repository: Path, content: str, place: str) -> None:
    damaged = object_with(repository / ".dvc/cache", content)
    flip(damaged)
    done = run_module(repository, "operations.cache")
    assert done.returncode == 1
    assert "1 of 4 objects damaged" in done.stderr
    assert str(damaged.relative_to(repository)) in done.stderr
    assert place in done.stderr
    assert "--heal" in done.stderr
    assert run_module(repository, "operations.cache", "--heal").returncode == 0
    (repository / place).unlink()  # the workspace's copy is gone too: the stage has to make it again
    dvc(repository, "repro", "-q")
    assert (repository / place).read_text() == content
    assert damaged.read_text() == content
    assert run_module(repository, "operations.cache").returncode == 0


def test_a_damaged_list_of_a_folder_is_found(repository: Path) -> None:
    (listing,) = (repository / ".dvc/cache").glob("files/md5/*/*.dir")
    flip(listing)
    done = run_module(repository, "operations.cache")
    assert done.returncode == 1
    assert f"{listing.relative_to(repository)}: other bytes than its name says; folder" in done.stderr


def test_a_remote_folder_is_checked_and_heals_from_the_cache(repository: Path, tmp_path: Path) -> None:
    dvc(repository, "remote", "add", "-d", "storage", str(tmp_path / "remote"))
    dvc(repository, "push", "-q")
    flip(object_with(tmp_path / "remote", "a,b"))
    assert "1 of 4 objects damaged" in run_module(repository, "operations.cache", "../remote").stderr
    assert run_module(repository, "operations.cache", "../remote", "--heal").returncode == 0
    dvc(repository, "push", "-q")
    assert run_module(repository, "operations.cache", "../remote").returncode == 0


def test_what_a_killed_transfer_left_is_told_and_is_no_damage(repository: Path) -> None:
    (repository / ".dvc/cache/files/md5/ab").mkdir(exist_ok=True)
    (repository / ".dvc/cache/files/md5/ab/.tmp1234").write_text("half")
    done = run_module(repository, "operations.cache")
    assert done.returncode == 0
    assert "1 leftovers of broken transfers" in done.stderr


def test_a_folder_that_is_no_cache_is_refused(repository: Path) -> None:
    done = run_module(repository, "operations.cache", ".")
    assert done.returncode == 1
    assert "expected objects of a DVC cache or remote, got none" in done.stderr


# ---- operations.comment


def test_a_figure_stands_with_its_interval() -> None:
    assert comment.cell({"value": 0.5, "low": 0.0126, "high": 0.9874}) == "0.500 (0.013 to 0.987)"
    assert comment.cell({"value": 0.5, "low": None, "high": None}) == "0.500"
    assert comment.cell({"value": None}) == comment.cell(None) == "-"


def test_the_comparison_is_the_headline_protocols() -> None:
    evidence = {
        "headline": "patient",
        "protocols": {
            "frame": {"patients": 8, "models": {"wrong": {}}},
            "patient": {"patients": 2, "models": {"resnet18": {"cord sensitivity": {"value": 0.75}}}},
        },
    }
    text = comment.comparison(evidence, ["cord"])
    assert "Protocol `patient`, 2 test patients" in text
    assert "| resnet18 | - | - | - | 0.750 | - |" in text
    assert "wrong" not in text


def test_names_of_sheets_and_clips_stay_out_of_the_comment(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    dvc(tmp_path, "init", "-q")
    before = {"lr": 0.1, "label_merge": {"first_number": "auto", **{key: {} for key in KINDS}}}
    (tmp_path / "params.yaml").write_text(json.dumps(before))
    commit(tmp_path, "before")
    named = {kind: {f"KURT 2019 | {kind}": "NORA: left"} for kind in KINDS}
    after = {"lr": 0.2, "label_merge": {"first_number": 1, **named}}
    (tmp_path / "params.yaml").write_text(json.dumps(after))
    table = dvc(tmp_path, "params", "diff", "--md", "HEAD").stdout
    assert table.count("KURT 2019") == len(KINDS)  # DVC says all of them
    text = comment.without_names(table)
    assert "KURT" not in text
    assert "NORA" not in text
    assert "| lr" in text
    assert "label_merge.first_number " in text
    assert re.search(r"\d+ entries of `label_merge` that name sheets or clips are left out", text)
    assert comment.without_names("") == ""


def test_every_map_of_label_merge_that_names_sheets_is_known_to_the_comment() -> None:
    section = read_params_file(ROOT / "params.yaml")["label_merge"]
    maps = {key for key, value in section.items() if isinstance(value, dict)} - {
        "without",
        "problems",
    }  # of labels, kinds
    assert maps == set(KINDS)
    assert all(comment.NAMES.search(f"label_merge.{key}.KURT") for key in maps)


# ---- the runner


def workflow(name: str) -> dict[str, Any]:
    content: dict[str, Any] = YAML(typ="safe").load((ROOT / f".github/workflows/{name}.yml").read_text())
    return content


def test_ci_runs_what_a_submission_must_pass_on_every_push() -> None:
    content = workflow("tests")
    assert {"push", "pull_request"} == set(content["on"])
    assert content["permissions"] == {"contents": "read"}
    assert content["jobs"]["tests"]["steps"][-1] == {"run": ".ci/run"}


def test_the_gpu_runner_never_sees_a_forks_code() -> None:
    content = workflow("gpu")
    assert set(content["on"]) == {
        "workflow_dispatch",
        "pull_request",
    }  # never pull_request_target
    assert content["on"]["pull_request"] == {"types": ["labeled"]}  # a push after the label starts nothing
    job = content["jobs"]["study"]
    assert "github.event.pull_request.head.repo.full_name == github.repository" in job["if"]
    assert "github.event.label.name == 'gpu'" in job["if"]
    assert job["environment"] == "gpu"
    checkout = job["steps"][0]
    assert checkout["with"]["ref"] == "${{ github.event.pull_request.head.sha || github.sha }}"


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


def run_gpu_script(folder: Path, *words: str, url: str = "s3://storage") -> subprocess.CompletedProcess[str]:
    """Run the script on a copy with a `python` and a `dvc` that only write down what they are asked."""
    for name in ("operations/gpu.sh", "profiles/study.yaml", "profiles/laptop.yaml", "params.yaml"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes((ROOT / name).read_bytes())
        (folder / name).chmod(0o755)
    tools = folder / "tools"
    tools.mkdir(exist_ok=True)
    for name, said in {"python": "", "dvc": f"[ $1 = config ] && echo {url}"}.items():
        (tools / name).write_text(f'#!/bin/sh\necho "{name} $*" >> {folder}/asked\n{said}\ntrue\n')
        (tools / name).chmod(0o755)
    env = {**os.environ, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}", "VIRTUAL_ENV": str(folder)}
    return subprocess.run([folder / "operations/gpu.sh", *words], env=env, capture_output=True, text=True)


def test_the_gpu_script_pulls_runs_the_profile_and_pushes(tmp_path: Path) -> None:
    done = run_gpu_script(tmp_path, "study", "-S", "lr=0.003")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "asked").read_text().splitlines() == [
        "python -",  # is there a GPU?
        "dvc pull -r phantom --run-cache --allow-missing",
        "python -m experiments.profile study -S lr=0.003",
        "dvc config remote.phantom.url",
        "dvc cache dir",
        "dvc push -r phantom --run-cache dvc.yaml",
    ]


def test_the_gpu_script_pushes_nothing_of_a_cohort_whose_push_is_off(tmp_path: Path) -> None:
    done = run_gpu_script(tmp_path, "laptop", url="/proc/push-is-off")
    assert done.returncode == 0, done.stderr
    assert "push is off for cohort phantom" in done.stderr
    assert "dvc push" not in (tmp_path / "asked").read_text()


def test_a_profile_without_a_gpu_asks_for_none(tmp_path: Path) -> None:
    assert run_gpu_script(tmp_path, "laptop").returncode == 0
    assert "python -\n" not in (tmp_path / "asked").read_text()


def test_an_unknown_profile_is_named_before_anything_runs(tmp_path: Path) -> None:
    done = run_gpu_script(tmp_path, "nowhere")
    assert done.returncode == 1
    assert "profiles/nowhere.yaml: no such profile" in done.stderr
    assert not (tmp_path / "asked").exists()


def test_shell_scripts_are_sound() -> None:
    for script in (ROOT / "operations").glob("*.sh"):
        subprocess.run(["bash", "-n", script], check=True)
        assert re.search(r"^set -euo pipefail$", script.read_text(), flags=re.M)
        assert os.access(script, os.X_OK)


def test_a_comment_names_what_dvc_says_when_it_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PipelineError, match=r"`dvc metrics diff` failed: ERROR: Only supported for Git repositories"):
        comment.dvc("metrics", "diff")
    assert list(tmp_path.iterdir()) == []
