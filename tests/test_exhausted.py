"""A full disk or memory, as each library really says it, is one line; anything else stays a traceback."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import torch

from stages.common.core.exhausted import said_of
from stages.common.core.files import replacing
from stages.common.core.progress import in_parallel
from tests.workspace import ROOT, environment

FULL = Path("/dev/full")  # every write to it fails as on a full disk
VALUES = np.zeros(100_000)
HUGE = 10**15  # more than any machine's address space

pytestmark = pytest.mark.skipif(not FULL.exists(), reason="no /dev/full on this system")


def caught(work: Callable[[], object]) -> BaseException:
    with pytest.raises(BaseException) as raised:  # noqa: PT011 (whatever the library raises)
        work()
    return raised.value


def save_array() -> None:
    with FULL.open("wb") as file:
        np.save(file, VALUES)


@pytest.mark.parametrize(
    "work",
    [
        lambda: FULL.write_bytes(b"1"),
        save_array,
        lambda: torch.save({"weights": torch.zeros(100_000)}, FULL),
        lambda: pd.DataFrame({"a": VALUES}).to_csv(FULL),
    ],
    ids=["python", "numpy", "torch", "pandas"],
)
def test_a_full_disk(work: Callable[[], object]) -> None:
    said = said_of(caught(work))
    assert said is not None
    assert "disk" in said
    assert "Make room, then run `dvc repro` again" in said
    assert "\n" not in said


def test_it_says_which_output_could_not_be_written_and_leaves_nothing(tmp_path: Path) -> None:
    target = tmp_path / "predictions.csv"
    target.write_text("of before")

    def write() -> None:
        with replacing(target) as partial:
            partial.write_text("half")
            FULL.write_text("the rest")

    assert f"while writing {target}" in str(said_of(caught(write)))
    assert [path.name for path in tmp_path.iterdir()] == ["predictions.csv"]
    assert target.read_text() == "of before"


@pytest.mark.parametrize(
    "work",
    [
        lambda: np.empty(HUGE),
        lambda: torch.empty(HUGE),
        lambda: [0] * HUGE,
        lambda: cv2.resize(np.zeros((2, 2), np.uint8), (2**20, 2**23)),
    ],
    ids=["numpy", "torch", "python", "opencv"],
)
def test_no_memory(work: Callable[[], object]) -> None:
    said = said_of(caught(work))
    assert said is not None
    assert "no memory left" in said
    assert "GiB free" in said
    assert "\n" not in said


def _killed(_: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_worker_that_the_system_killed() -> None:
    said = said_of(caught(lambda: list(in_parallel(_killed, [1, 2], "", threads=False))))
    assert "a worker was killed, as the system does when memory runs out" in str(said)


def test_what_led_to_an_error_counts() -> None:
    def wrapped() -> None:
        try:
            FULL.write_bytes(b"1")
        except OSError as error:
            raise RuntimeError("cannot save") from error

    assert "no room left on the disk" in str(said_of(caught(wrapped)))


@pytest.mark.parametrize("error", [ValueError("wrong"), FileNotFoundError(2, "none", "a.csv"), RuntimeError("shape")])
def test_a_bug_is_none_of_it(error: Exception) -> None:
    assert said_of(error) is None


@pytest.mark.parametrize(("code", "traceback"), [("np.empty(10**15)", False), ("np.empty(-1)", True)])
def test_a_stage_ends_with_the_line_alone_and_a_bug_with_its_traceback(
    code: str, traceback: bool, tmp_path: Path
) -> None:
    program = f"import numpy as np; from stages.common.core.errors import run; run(lambda: {code})"
    env = environment(tmp_path) | {"PYTHONPATH": str(ROOT), "DVC_STAGE": "train@frame-resnet18"}
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 1
    assert ("Traceback" in done.stderr) == traceback
    if not traceback:
        (line,) = done.stderr.splitlines()
        assert line.startswith("error: train@frame-resnet18: no memory left (Unable to allocate")
