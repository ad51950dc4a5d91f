"""What the GPU workflow shows of a run: where the log is and which stage failed, and no name of a clip or a sheet."""

import os
import subprocess
import time
from pathlib import Path

import pytest

from tests.test_operations import run_gpu_script, workflow
from tests.workspace import ROOT

SECRET = "KURT left"
NAMED = f"error: the clips of a cohort cannot be used:\n  - clip '{SECRET}' (C002, {SECRET}.mkv): damaged clip"


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A folder for the script's copy."""
    (tmp_path / "machine").mkdir()
    return tmp_path / "machine"


def run_workflow_step(machine: Path, python: str) -> tuple[subprocess.CompletedProcess[str], list[Path]]:
    """Run the step `Run` of the workflow as GitHub does, beside the fakes; return what it showed, and its logs."""
    assert run_gpu_script(machine, "laptop").returncode == 0  # lays out the folder and the fakes
    (machine / "dvc.yaml").write_bytes((ROOT / "dvc.yaml").read_bytes())
    tools, home = machine.parent / "tools", machine.parent / "home"
    home.mkdir(exist_ok=True)
    (tools / "python").write_text(f"#!/bin/sh\n{python}\ntrue\n")
    env = {**os.environ, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}", "VIRTUAL_ENV": str(machine)}
    env |= {"HOME": str(home), "PROFILE": "laptop", "GITHUB_RUN_ID": "7", "GITHUB_RUN_ATTEMPT": "1"}
    (step,) = [step for step in workflow("gpu")["jobs"]["study"]["steps"] if "gpu.sh" in str(step.get("run"))]
    shell = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
    done = subprocess.run(shell, cwd=machine, env=env, capture_output=True, text=True)
    return done, sorted(home.rglob("*.log"))


@pytest.mark.parametrize(
    ("said", "stage"),
    [
        (
            "ERROR: failed to reproduce 'extract_frames': failed to run: python -m stages.extract_frames",
            "extract_frames",
        ),
        ("ERROR: failed to reproduce 'train@patient-resnet18': failed to run", "train"),
        ("", "no stage"),
        (f"ERROR: failed to reproduce '{SECRET.replace(' ', '_')}'", "no stage"),  # a name that poses as a stage's
    ],
)
def test_what_a_failing_stage_names_stays_on_the_runner(machine: Path, said: str, stage: str) -> None:
    script = machine.parent / "fails.txt"
    script.write_text(f"{NAMED}\n{said}\n")
    python = f'case "$*" in *--dry*) ;; *experiments.profile*) echo "{SECRET}"; cat {script} >&2; exit 3 ;; esac'
    done, (log,) = run_workflow_step(machine, python)
    assert done.returncode == 3
    shown = done.stdout + done.stderr
    assert "KURT" not in shown
    assert len(shown.splitlines()) == 2
    assert shown.splitlines()[-1] == f"failed ({stage}), the log is on the runner at {log}"
    assert NAMED in log.read_text()
    assert not log.is_relative_to(machine)
    assert log.stat().st_mode & 0o777 == 0o600
    assert log.parent.stat().st_mode & 0o777 == 0o700


def test_a_run_that_succeeds_says_nothing_of_the_cohort_either(machine: Path) -> None:
    done, (log,) = run_workflow_step(machine, f'echo "{SECRET}"')
    assert done.returncode == 0, done.stderr
    assert "KURT" not in done.stdout + done.stderr
    assert SECRET in log.read_text()


def test_old_logs_go_at_the_next_run(machine: Path) -> None:
    logs = machine.parent / "home/gpu-logs"
    old, young = logs / "run-1-1.log", logs / "run-2-1.log"
    logs.mkdir(parents=True)
    for log, days in ((old, 32), (young, 28)):
        log.touch()
        os.utime(log, (time.time() - days * 86400,) * 2)
    done, left = run_workflow_step(machine, "")
    assert done.returncode == 0, done.stderr
    assert left == [young, logs / "run-7-1.log"]
