"""What the GPU script asks of a remote: a right key before the hours, and room for what is finished while they pass."""

import subprocess
import sys
from pathlib import Path

import pytest
import zc.lockfile

from tests.remotes.conftest import Team, objects, said, whole
from tests.remotes.servers import S3, SSH, Folder
from tests.workspace import ROOT, commit, environment, git

ALL = pytest.mark.parametrize("team", [Folder, S3, SSH], indirect=True)


def ask(team: Team, what: str, name: str = "phantom") -> subprocess.CompletedProcess[str]:
    """Run `python -m operations.remote` with the server's credentials."""
    env = environment(team.mine) | team.server.env | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "operations.remote", what, name]
    return subprocess.run(command, cwd=team.mine, env=env, capture_output=True, text=True)


@pytest.mark.parametrize("team", [S3, SSH], indirect=True)
def test_a_wrong_key_is_told_before_anything_runs(team: Team) -> None:
    team.use(team.server.strangers())
    done = ask(team, "probe")
    assert done.returncode == 1
    assert "remote phantom (" in done.stderr
    assert "Wrong key, or a server that is away" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("team", [Folder], indirect=True)
def test_a_folder_that_can_only_be_read_is_told_too(team: Team) -> None:
    team.use({"url": "/proc/nothing-here"})
    assert "expected to write, read and remove a file, got" in ask(team, "probe").stderr


@pytest.mark.parametrize("team", [Folder], indirect=True)
def test_a_remote_that_is_not_configured_is_named(team: Team) -> None:
    for what in ("probe", "push"):
        assert "remote clinic: .dvc/config has none of that name" in ask(team, what, "clinic").stderr


@pytest.mark.parametrize("team", [S3, SSH], indirect=True)
def test_a_push_that_fails_is_one_message_and_the_same_command_sends_the_rest(team: Team) -> None:
    """The last line of operations/gpu.sh: what stands there is what a person reads after the GPU's hours."""
    config = team.mine / ".dvc/config"
    right = config.read_bytes()
    team.use(team.server.strangers())
    done = ask(team, "push")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "expected to send what is finished, got " in done.stderr
    assert "What arrived is whole; the same command sends the rest" in done.stderr
    config.write_bytes(right)
    assert ask(team, "push").returncode == 0
    assert objects(team.mine).items() <= whole(team.server.objects()).items()


@ALL
def test_what_is_finished_goes_out_beside_a_run_and_brings_back_a_lost_machine(team: Team) -> None:
    probed = ask(team, "probe")
    assert probed.returncode == 0, probed.stderr
    lock = zc.lockfile.LockFile(str(team.mine / ".dvc/tmp/lock"))  # as `dvc exp run` holds it between two stages
    try:
        assert "Unable to acquire lock" in said(team.dvc(team.mine, "push", "-r", "phantom", "dvc.yaml", check=False))
        done = ask(team, "push")
    finally:
        lock.close()
    assert done.returncode == 0, done.stderr
    assert not [name for name in team.server.objects() if "probe" in name]  # it cleaned up
    assert objects(team.mine).items() <= whole(team.server.objects()).items()
    git(team.mine, "rm", "-q", "--cached", "dvc.lock")
    commit_without_lock(team.mine)
    fresh = team.clone()  # of a commit that never ran: the machine, its disk and its dvc.lock are gone
    team.dvc(fresh, "pull", "-r", "phantom", "--run-cache", "--allow-missing", check=False)
    config = Path(environment(fresh)["DVC_SYSTEM_CONFIG_DIR"]) / "config"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text("[core]\n    remote = phantom\n", encoding="utf-8")  # as the script gives it to that process
    again = said(team.dvc(fresh, "repro", "--pull"))
    for name in ("phantom", "frames"):
        assert f"Stage '{name}' is cached - skipping run" in again, again
    assert objects(fresh) == objects(team.mine)  # `evaluate` ran: its metric is Git's, and no remote has it


def commit_without_lock(folder: Path) -> None:
    """Commit a project of which no stage ever ran."""
    (folder / "dvc.lock").unlink()
    commit(folder, "nothing has run")
