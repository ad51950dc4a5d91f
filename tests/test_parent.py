"""A stage whose dvc was killed ends by itself; one that a person started runs on."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.workspace import ROOT, dvc, environment, git

STAGE = """import os, pathlib, time
from stages.common.core.errors import run
pathlib.Path('pid.partial').write_text(str(os.getpid()))
pathlib.Path('pid.partial').rename('pid')
run(lambda: time.sleep(90))
"""
PATIENCE_S = 40.0  # beside other tests; idle it takes about two seconds


def wait_for(done: object, what: str) -> None:
    """Poll until `done()` is true."""
    end = time.monotonic() + PATIENCE_S
    while not done():  # type: ignore[operator]
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.1)


def orphaned(folder: Path, script: str, command: str) -> psutil.Process:
    """Let DVC run a script as its stage, kill DVC once the stage has written its pid, and return the stage."""
    (folder / "stage.py").write_text(script)
    (folder / "dvc.yaml").write_text(f"stages:\n  stage:\n    cmd: {command}\n")
    git(folder, "init", "-q")
    dvc(folder, "init", "-q")
    env = environment(folder) | {"PYTHONPATH": str(ROOT)}
    running = subprocess.Popen([sys.executable, "-m", "dvc", "repro"], cwd=folder, env=env)
    wait_for((folder / "pid").is_file, "the stage")
    stage = psutil.Process(int((folder / "pid").read_text()))
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    return stage


@pytest.mark.parametrize("command", ["python stage.py", "python stage.py && true"], ids=["directly", "below a shell"])
def test_a_stage_ends_when_its_dvc_is_killed(tmp_path: Path, command: str) -> None:
    stage = orphaned(tmp_path, STAGE, command)
    wait_for(lambda: not stage.is_running() or stage.status() == psutil.STATUS_ZOMBIE, "the orphan's end")


IMPORTING = """import os, pathlib, sys, time
from stages.common.core.errors import run
sys.stderr = open('said', 'w')
pathlib.Path('pid.partial').write_text(str(os.getpid()))
pathlib.Path('pid.partial').rename('pid')
while not pathlib.Path('imported').exists():
    time.sleep(0.05)
run(lambda: pathlib.Path('written').touch())
"""


@pytest.mark.parametrize("command", ["python stage.py", "python stage.py && true"], ids=["directly", "below a shell"])
def test_a_stage_whose_dvc_went_while_it_was_importing_writes_nothing(tmp_path: Path, command: str) -> None:
    stage = orphaned(tmp_path, IMPORTING, command)
    (tmp_path / "imported").touch()
    wait_for(lambda: not stage.is_running() or stage.status() == psutil.STATUS_ZOMBIE, "the orphan's end")
    assert not (tmp_path / "written").exists()
    assert (tmp_path / "said").read_text().splitlines() == [
        "error: the dvc that started this stage is gone; it ends too. Run `dvc repro` again."
    ]


def test_a_stage_that_a_person_started_watches_nobody(tmp_path: Path) -> None:
    env = environment(tmp_path) | {"PYTHONPATH": str(ROOT)}
    env.pop("DVC_STAGE", None)
    code = "import threading; from stages.common.core.errors import run; run(lambda: print(threading.active_count()))"
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1"


WORKERS = """import os, pathlib, sys, time
from stages.common.core.progress import in_parallel
def work(item):
    pathlib.Path(f'{item}.partial').write_text(str(os.getpid()))
    pathlib.Path(f'{item}.partial').rename(f'{item}.pid')
    time.sleep(3)
if __name__ == '__main__':
    list(in_parallel(work, range(int(sys.argv[1])), '', threads=False))
"""


@pytest.mark.parametrize("tasks", [1, 50], ids=["one of two is idle", "more are waiting"])
def test_workers_end_with_a_stage_that_was_killed(tasks: int, tmp_path: Path) -> None:
    """They would go on through what was handed to them, and write where the next run writes."""
    (tmp_path / "stage.py").write_text(WORKERS)
    env = environment(tmp_path) | {"PYTHONPATH": str(ROOT), "LOKY_MAX_CPU_COUNT": "2"}
    running = subprocess.Popen([sys.executable, "stage.py", str(tasks)], cwd=tmp_path, env=env)
    wait_for(lambda: list(tmp_path.glob("*.pid")), "a worker")
    below = psutil.Process(running.pid).children(recursive=True)
    assert int(next(tmp_path.glob("*.pid")).read_text()) in [process.pid for process in below]
    assert len(below) >= 2
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    wait_for(lambda: not any(process.is_running() for process in below), "the workers' end")


def test_a_dvc_that_goes_between_two_questions_is_gone() -> None:
    script = """import psutil
from stages.common.core import parent
class Gone:
    def is_running(self): return True
    def status(self): raise psutil.NoSuchProcess(1)
parent._watch(Gone())
"""
    ended = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert "the dvc that started this stage is gone" in ended.stderr
