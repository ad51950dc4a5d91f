"""A `dvc repro` that has nothing to do: the repository's own finished pipeline beside a pipeline of one stage."""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.workspace import ROOT, commit, dvc, environment, git

ROUNDS = 15
ONE_STAGE = "stages:\n  only:\n    cmd: echo 1 > out.txt\n    outs:\n    - out.txt\n"


def one_stage(folder: Path) -> Path:
    """Return a finished repository with a single stage."""
    folder.mkdir()
    (folder / "dvc.yaml").write_text(ONE_STAGE, encoding="utf-8")
    git(folder, "init", "-q")
    dvc(folder, "init", "-q")
    dvc(folder, "repro", "-q")
    commit(folder, "one stage")
    return folder


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run DVC in a folder; in the repository itself as its user does."""
    env = None if folder == ROOT else environment(folder)
    return subprocess.run([sys.executable, "-m", "dvc", *words], cwd=folder, env=env, capture_output=True, text=True)


def seconds(folder: Path) -> float:
    """Return the wall time of one no-op `dvc repro`."""
    start = time.perf_counter()
    run(folder, "repro", "-q").check_returncode()
    return time.perf_counter() - start


def measure() -> dict[str, Any]:
    """Time both in turn and report the median of the paired ratios."""
    with tempfile.TemporaryDirectory() as name:
        small = one_stage(Path(name) / "small")
        if run(ROOT, "status", "-q").returncode:
            sys.exit("error: noop: expected a finished pipeline, got one with changes. Run `dvc repro`.")
        stages = len(run(ROOT, "stage", "list", "--name-only").stdout.split())
        seconds(small), seconds(ROOT)
        pairs = [(seconds(ROOT), seconds(small)) for _ in range(ROUNDS)]
    return {
        "stages": stages,
        "whole_s": round(statistics.median(pair[0] for pair in pairs), 2),
        "one_stage_s": round(statistics.median(pair[1] for pair in pairs), 2),
        "ratio": round(statistics.median(whole / small for whole, small in pairs), 2),
    }
