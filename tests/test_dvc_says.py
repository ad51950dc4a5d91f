"""What DVC says of a stage that the system killed, and of a lock that a killed DVC left: the README's table has it."""

import json
import os
import re
from pathlib import Path

import pytest

from tests.test_torn_lock import remedy
from tests.workspace import ROOT, dvc, git, read_params_file


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository without a pipeline."""
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "-q")
    dvc(folder, "init", "-q")
    return folder


@pytest.mark.parametrize(
    ("command", "message"),
    [("kill -9 $$", "exited with -9"), ("sh -c 'kill -9 $$'; exit $?", "exited with 137")],
    ids=["the stage itself", "below a shell"],
)
def test_a_stage_that_the_system_killed_for_memory_has_its_row(repository: Path, command: str, message: str) -> None:
    (repository / "stage.sh").write_text(command)
    (repository / "dvc.yaml").write_text("stages:\n  train:\n    cmd: . ./stage.sh\n")
    refused = dvc(repository, "repro", check=False)
    assert refused.returncode != 0
    assert f"failed to reproduce 'train': failed to run: . ./stage.sh, {message}" in refused.stderr
    row = remedy(f"`{message}`")
    params = read_params_file(ROOT / "params.yaml")
    (lower,) = re.findall(r"-S train\.batch_size=(\d+)", row)
    assert int(lower) < params["train"]["batch_size"]
    assert "size_px" in params


def test_a_lock_of_a_process_that_is_no_dvc_any_more_is_deleted_as_the_readme_says(repository: Path) -> None:
    """Its number was given to another program, so that DVC takes it for alive: here this test's own."""
    (repository / "dvc.yaml").write_text("stages:\n  train:\n    cmd: echo 1 > model\n    outs: [model]\n")
    lock = repository / ".dvc/tmp/rwlock"
    lock.parent.mkdir(exist_ok=True)
    holder = {"pid": os.getpid(), "cmd": "dvc repro"}
    lock.write_text(json.dumps({"write": {str(repository / "model"): holder}, "read": {}}))
    refused = dvc(repository, "repro", check=False)
    assert refused.returncode != 0
    assert "is busy, it is being blocked by" in refused.stderr
    (named,) = re.findall(r"delete `([^`]+)`", remedy("is busy, it is being blocked by"))
    (repository / named).unlink()
    dvc(repository, "repro")
