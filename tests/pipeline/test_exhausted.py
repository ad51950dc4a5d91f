"""Real stages without room on the disk or in memory: one line, and nothing that a later stage would take."""

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import psutil
import pytest
from dvc.repo import Repo
from dvc.stage import PipelineStage

from tests.pipeline.test_hermetic import expected_files, files_below, isolate
from tests.workspace import environment

pytestmark = pytest.mark.slow

# In a stage's place: it may have so many MiB more than what its imports take, which differs between machines
LIMITED = """import importlib, resource, sys, psutil
from stages.common.core.errors import run
more, module, *sys.argv[1:] = sys.argv[1:]
main = importlib.import_module(module).main
most = psutil.Process().memory_info().vms + int(more) * 2**20
resource.setrlimit(resource.RLIMIT_AS, (most, most))
run(main)
"""


@pytest.fixture(scope="module")
def stages(finished: Path) -> dict[str, PipelineStage]:
    return {stage.name: stage for stage in Repo(str(finished)).index.stages}


def words(stage: PipelineStage) -> list[str]:
    """Return the stage's command as DVC's shell would split it."""
    command = str(stage.cmd).split()
    assert command[:2] == ["python", "-m"]
    return [sys.executable, *command[1:]]


def run(
    command: list[str], stage: PipelineStage, folder: Path, limit: Callable[[], None] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a stage in `folder`, under the name that DVC gives it."""
    env = environment(folder) | {"DVC_STAGE": stage.name, "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, preexec_fn=limit)


def said(done: subprocess.CompletedProcess[str], stage: PipelineStage) -> str:
    """Return the one line that a failed stage ends with."""
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    errors = [line for line in done.stderr.splitlines() if "rror" in line]
    assert errors == [done.stderr.splitlines()[-1]], done.stderr
    assert errors[0].startswith(f"error: {stage.name}: ")
    assert "dvc repro" in errors[0]
    return errors[0]


@pytest.mark.parametrize(
    ("name", "limit", "place", "before"),
    [
        ("phantom", 20_000, "data/cohorts/phantom", set()),
        ("extract_frames", 1_000, "data/extract_frames", set()),
        ("augment@jpeg", 100_000, "data/augment/jpeg.npy", set()),
        ("preprocess@jpeg", 100_000, "data/preprocess/jpeg.npy", set()),
        (
            "train@frame-resnet18",
            1_000_000,
            "data/train/frame/0/1/resnet18.safetensors",
            {"data/curves", "data/predictions", "data/features", "data/logits"},  # each is whole
        ),
    ],
    ids=["phantom", "extract_frames", "augment", "preprocess", "train"],
)
def test_a_disk_that_takes_no_more_of_a_file(
    name: str,
    limit: int,
    place: str,
    before: set[str],
    stages: dict[str, PipelineStage],
    finished: Path,
    tmp_path: Path,
) -> None:
    stage = stages[name]
    isolate(stage, finished, tmp_path)
    inputs = files_below(tmp_path)
    small = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (limit, limit))
    line = said(run(words(stage), stage, tmp_path, small), stage)
    assert f"while writing {place}" in line
    assert "ulimit -f" in line or "took only a part" in line
    left = {path for path in files_below(tmp_path) - inputs if (tmp_path / path).stat().st_size}
    assert not [path for path in left if path.suffix == ".partial"]
    assert all(any(path.is_relative_to(whole) for whole in before) for path in left), left


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Mount a disk in memory, or give the mounted one another size in bytes."""
    place = tmp_path / "disk"
    place.mkdir()

    def sized(size: int) -> Path:
        how = f"{'remount,' if place.is_mount() else ''}size={size}"
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", how, "none", place], capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"a disk of its own cannot be mounted here: {done.stderr.strip()}")
        return place

    yield sized
    if place.is_mount():
        subprocess.run(["umount", place], check=True)


@pytest.mark.parametrize("name", ["extract_frames", "augment@jpeg", "preprocess@jpeg"])
def test_a_full_disk_and_the_same_bytes_once_there_is_room(
    name: str, stages: dict[str, PipelineStage], finished: Path, small_disk: Callable[[int], Path]
) -> None:
    stage, room = stages[name], 2**29
    folder = small_disk(room) / "project"
    isolate(stage, finished, folder)
    inputs, used = files_below(folder), psutil.disk_usage(str(folder)).used
    small_disk(used + 2**16)
    line = said(run(words(stage), stage, folder), stage)
    assert "no room left on the disk" in line
    assert "0 MiB free" in line
    assert files_below(folder) == inputs
    small_disk(room)
    assert run(words(stage), stage, folder).returncode == 0
    for path in expected_files(stage, finished):
        assert (folder / path).read_bytes() == (finished / path).read_bytes(), path


@pytest.mark.parametrize(
    ("name", "module", "more"),
    [("preprocess@jpeg", "stages.preprocess", 0), ("train@frame-resnet18", "stages.train.__main__", 128)],
)
def test_too_little_memory(
    name: str, module: str, more: int, stages: dict[str, PipelineStage], finished: Path, tmp_path: Path
) -> None:
    stage = stages[name]
    isolate(stage, finished, tmp_path)
    inputs = files_below(tmp_path)
    _, _, _, *arguments = words(stage)
    line = said(run([sys.executable, "-c", LIMITED, str(more), module, *arguments], stage, tmp_path), stage)
    assert "no memory left" in line
    assert "GiB free" in line
    assert all(str(path).endswith("resnet18/metrics.json") for path in files_below(tmp_path) - inputs)  # DVCLive's


def test_a_worker_that_the_system_killed(stages: dict[str, PipelineStage], finished: Path, tmp_path: Path) -> None:
    stage = stages["phantom"]
    isolate(stage, finished, tmp_path)
    inputs = files_below(tmp_path)
    env = environment(tmp_path) | {"DVC_STAGE": stage.name, "PYTHONDONTWRITEBYTECODE": "1", "LOKY_MAX_CPU_COUNT": "2"}
    running = subprocess.Popen(words(stage), cwd=tmp_path, env=env, stderr=subprocess.PIPE, text=True)
    clips = tmp_path / "data/cohorts/phantom.partial/clips"
    while running.poll() is None and not list(clips.glob("*.mkv")):
        time.sleep(0.02)
    workers = [each for each in psutil.Process(running.pid).children() if "loky_posix" in " ".join(each.cmdline())]
    os.kill(workers[0].pid, signal.SIGKILL)
    _, told = running.communicate(timeout=60)
    line = said(subprocess.CompletedProcess(running.args, running.returncode, "", told), stage)
    assert "a worker was killed, as the system does when memory runs out" in line
    assert files_below(tmp_path) == inputs
