"""Push here, clone and pull there, and nothing runs again; what breaks on the way loses nothing and says what to do."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.remotes.conftest import Team, finished, objects, said, whole
from tests.remotes.servers import S3, SSH, Folder, wait_until
from tests.test_operations import run_module
from tests.workspace import dvc

everywhere = pytest.mark.parametrize("team", [Folder, S3, SSH], indirect=True, ids=["folder", "s3", "ssh"])
NO_ANSWER = ("Could not connect to the endpoint", "Connection lost", "Connection not open")
served = pytest.mark.parametrize("team", [S3, SSH], indirect=True, ids=["s3", "ssh"])


def nothing_reruns(folder: Path) -> None:
    lock = (folder / "dvc.lock").read_bytes()
    told = dvc(folder, "repro").stdout
    assert "Data and pipelines are up to date" in told
    assert "Running stage" not in told
    assert (folder / "dvc.lock").read_bytes() == lock


def broken(team: Team, folder: Path, *words: str, seen: Callable[[], int]) -> subprocess.CompletedProcess[str]:
    """Run DVC with one job, and kill the server as soon as the first objects have arrived."""
    process = team.start(folder, *words, "-j", "1")
    wait_until(lambda: seen() > 2, " ".join(words))
    team.server.kill()
    return finished(process, check=False)


@pytest.mark.parametrize("team", [Folder], indirect=True, ids=["folder"])
def test_pushed_cloned_and_pulled_without_any_set_up_nothing_runs_again(team: Team) -> None:
    team.dvc(team.mine, "push")
    assert whole(team.server.objects()) == objects(team.mine)  # byte for byte, no less and no more
    colleague = team.clone()
    team.dvc(colleague, "pull")
    nothing_reruns(colleague)
    assert objects(colleague) == objects(team.mine)
    for name in ("data/frames/7.png", "data/cohorts/phantom/clip.mkv", "metrics/table.txt"):
        assert (colleague / name).read_bytes() == (team.mine / name).read_bytes()


@served
def test_through_a_server_killed_in_mid_push_and_in_mid_pull_all_arrives_and_nothing_runs_again(team: Team) -> None:
    all_of_them, colleague = objects(team.mine), team.clone()

    done = broken(team, team.mine, "push", seen=lambda: len(team.server.names()))
    assert done.returncode != 0
    assert any(words in said(done) for words in NO_ANSWER), said(done)[-500:]
    team.server.start()
    half = whole(team.server.objects())
    assert 0 < len(half) < len(all_of_them)  # it broke in the middle
    assert half.items() <= all_of_them.items()  # and no object is half
    team.dvc(team.mine, "push")
    assert whole(team.server.objects()) == all_of_them  # byte for byte, no less and no more

    done = broken(team, colleague, "pull", seen=lambda: len(objects(colleague)))
    assert done.returncode != 0
    assert any(words in said(done) for words in NO_ANSWER), said(done)[-500:]
    half = objects(colleague)
    assert 0 < len(half) < len(all_of_them)
    assert half.items() <= all_of_them.items()
    assert not (colleague / "data/frames").exists()  # a folder is whole or not there
    team.server.start()
    team.dvc(colleague, "pull")
    nothing_reruns(colleague)
    assert objects(colleague) == all_of_them
    assert run_module(colleague, "operations.cache").returncode == 0


@served
def test_a_wrong_key_is_named_and_moves_nothing(team: Team) -> None:
    team.use(team.server.strangers())
    done = team.dvc(team.mine, "push", check=False)
    assert done.returncode != 0
    assert any(words in said(done) for words in ("Permission denied for user", "Forbidden")), said(done)
    assert not whole(team.server.objects())
    assert team.dvc(team.clone(), "pull", check=False).returncode != 0


@everywhere
def test_a_flipped_byte_on_the_remote_is_refused_found_and_healed(team: Team) -> None:
    team.dvc(team.mine, "push")
    frame = (team.mine / "data/frames/3.png").read_bytes()
    (name,) = [name for name, content in team.server.objects().items() if content == frame]
    team.server.overwrite(name, bytes([frame[0] ^ 1]) + frame[1:])
    colleague = team.clone()
    done = team.dvc(colleague, "pull", check=False)
    assert done.returncode != 0
    assert "data/frames" in said(done)  # is what could not be checked out
    assert not (colleague / "data/frames").exists()  # a folder is whole or not there
    assert objects(colleague).items() <= objects(team.mine).items()  # the wrong bytes were not kept

    checked = check(team, "phantom")
    assert checked.returncode == 1
    assert f"remote phantom: 1 of {len(whole(team.server.objects()))} objects damaged" in checked.stderr
    assert "data/frames/3.png" in checked.stderr
    assert "--heal" in checked.stderr
    assert "dvc push" in checked.stderr
    assert check(team, "phantom", "--heal").returncode == 0
    team.dvc(team.mine, "push")
    assert whole(team.server.objects()) == objects(team.mine)
    team.dvc(colleague, "pull")
    nothing_reruns(colleague)


def check(team: Team, *words: str) -> subprocess.CompletedProcess[str]:
    return run_module(team.mine, "operations.cache", *words, own_env=team.server.env)
