"""Frame work on two Dask workers: the same bytes, done by the workers, and mistakes in the set-up told."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stages.common.core import dask as own
from stages.common.core.errors import PipelineError
from stages.common.core.progress import in_parallel
from tests.workspace import ROOT, copy_project, environment, set_params, stage

distributed = pytest.importorskip("distributed", reason="distributed is not installed: pip install distributed")

STAGES = (["phantom"], ["extract_frames"], ["augment", "original"], ["augment", "jpeg"], ["preprocess", "jpeg"])
WORK = {"render_clip", "extract_clip", "_read_all", "_augment_all", "preprocess_rows"}
TINY = {"phantom.layout": {"patients": 3, "clips_per_patient": 1, "frames_per_clip": 24}, "phantom.scale": 0.2}


class Cluster:
    """A scheduler and two workers on loopback, each a process."""

    def __init__(self, folder: Path) -> None:
        self.processes: list[subprocess.Popen[bytes]] = []
        self.file = folder.parent / f"{folder.name}.json"
        where = ["--scheduler-file", str(self.file)]
        self._start(folder, "dask_scheduler", *where, "--host", "127.0.0.1", "--port", "0", "--no-dashboard")
        for _ in range(2):
            self._start(folder, "dask_worker", *where, "--host", "127.0.0.1", "--no-nanny", "--no-dashboard",
                        "--nthreads", "1", "--local-directory", str(folder.parent))  # fmt: skip
        self.client = distributed.Client(scheduler_file=str(self.file), set_as_default=False, timeout="60s")
        self.client.wait_for_workers(2, timeout=60)
        self.address = str(self.client.scheduler_info()["address"])

    def _start(self, folder: Path, kind: str, *words: str) -> None:
        command = [sys.executable, "-m", f"distributed.cli.{kind}", *words]
        self.processes.append(subprocess.Popen(command, cwd=folder, stderr=subprocess.DEVNULL))

    def done(self) -> dict[str, set[str]]:
        """Return which function was finished by which workers, from the workers' own logs."""
        found: dict[str, set[str]] = {}
        for worker, log in self.client.run(_finished).items():
            for name in log:
                found.setdefault(name, set()).add(worker)
        return found

    def close(self) -> None:
        self.client.close()
        for process in reversed(self.processes):
            process.kill()
            process.wait()


def _finished(dask_worker: Any) -> list[str]:
    """Return the names of the functions in this worker's batches: keys are `batch_of_<name>_<n>_calls-<id>`."""
    keys = [entry[0] for entry in dask_worker.state.log if entry[1:2] == ("put-in-memory",)]
    return [str(key).split("batch_of_")[1].rsplit("_", 2)[0] for key in keys if "batch_of_" in str(key)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = copy_project(tmp_path_factory.mktemp("dask") / "project")
    set_params(made, TINY)
    return made


@pytest.fixture(scope="module")
def cluster(folder: Path) -> Iterator[Cluster]:
    made = Cluster(folder)
    yield made
    made.close()


def outputs(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in (folder / "data").rglob("*.*")
            if file.is_file()}  # fmt: skip


def run_all(folder: Path) -> dict[str, bytes]:
    for words in STAGES:
        stage(folder, *words)
    return outputs(folder)


def test_two_workers_write_the_bytes_of_one_machine(
    folder: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = run_all(folder)
    assert cluster.done() == {}
    monkeypatch.setenv(own.VARIABLE, cluster.address)
    there = run_all(folder)
    assert there == here
    by = cluster.done()
    assert set(by) == WORK  # each was done by workers
    assert len(set.union(*by.values())) == 2  # and by both
    assert not list(folder.glob(".dask-*"))


def test_the_order_and_the_progress_bar_stay(folder: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(own.VARIABLE, cluster.address)
    monkeypatch.chdir(folder)
    seen: list[str] = []
    monkeypatch.setattr("stages.common.core.progress.bar", lambda items, label, **_: map(_told(seen, label), items))
    assert list(in_parallel(abs, [-3, 2, -1], "count")) == [(-3, 3), (2, 2), (-1, 1)]
    assert seen == ["count"] * 3


def _told(seen: list[str], label: str) -> Any:
    return lambda item: (seen.append(label), item)[1]


def test_a_mistake_on_a_worker_is_the_stages_own_message(folder: Path, cluster: Cluster) -> None:
    env = environment(folder) | {own.VARIABLE: cluster.address}
    lost = next((folder / "data/extract_frames").rglob("00*.png"))
    content = lost.read_bytes()
    lost.write_bytes(b"")
    command = [sys.executable, "-m", "stages.augment", "original"]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)
    lost.write_bytes(content)
    assert done.returncode == 1
    assert f"error: {lost.relative_to(folder)}: expected a picture, got none" in done.stderr
    assert "Traceback" not in done.stderr


def test_workers_in_another_folder_are_told(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(own.VARIABLE, cluster.address)
    with pytest.raises(PipelineError, match=rf"expected workers that run in {tmp_path}.*tcp://127.*Start each there"):
        list(in_parallel(abs, [1], "count"))
    assert not list(tmp_path.iterdir())


def test_a_scheduler_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own, "PATIENCE", "0.5s")
    monkeypatch.setenv(own.VARIABLE, "tcp://127.0.0.1:1")
    with pytest.raises(PipelineError, match=r"DASK_SCHEDULER_ADDRESS=tcp://127.0.0.1:1: expected a Dask scheduler"):
        list(in_parallel(abs, [1], "count"))


def test_without_the_variable_dask_is_not_even_imported() -> None:
    code = "import sys; from stages.common.core.progress import in_parallel; list(in_parallel(abs, [1], '')); "
    code += "sys.exit('distributed' in sys.modules)"
    env = {key: value for key, value in os.environ.items() if key != own.VARIABLE}
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env).returncode == 0
