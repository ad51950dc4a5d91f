"""Push here, clone and pull there, and nothing runs again; what breaks on the way loses nothing and says what to do."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.remotes.conftest import BYTES, Team, finished, objects, said, whole
from tests.remotes.server import size_of, stored, wait_until
from tests.remotes.servers import S3, SSH, Folder
from tests.test_operations import run_module
from tests.test_operations_cache import flip
from tests.workspace import dvc, git

everywhere = pytest.mark.parametrize("team", [Folder, S3, SSH], indirect=True, ids=["folder", "s3", "ssh"])
served = pytest.mark.parametrize("team", [S3, SSH], indirect=True, ids=["s3", "ssh"])


def nothing_reruns(folder: Path) -> None:
    lock = (folder / "dvc.lock").read_bytes()
    told = dvc(folder, "repro").stdout
    assert "Data and pipelines are up to date" in told
    assert "Running stage" not in told
    assert (folder / "dvc.lock").read_bytes() == lock


def broken(team: Team, folder: Path, word: str, arrived: Callable[[], int]) -> subprocess.CompletedProcess[str]:
    """Run DVC with one job, and kill the server as soon as the first few bytes have arrived."""
    start = arrived()
    process = team.start(folder, word, "-j", "1")
    wait_until(lambda: arrived() > start + 3 * BYTES, word)
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

    done = broken(team, team.mine, "push", team.server.written)
    assert done.returncode != 0
    assert "connect" in said(done).lower()  # no answer, lost, refused: as the library of each says it
    team.server.start()
    half = whole(team.server.objects())
    assert 0 < len(half) < len(all_of_them)  # it broke in the middle
    assert half.items() <= all_of_them.items()  # and no object is half
    team.dvc(team.mine, "push")
    assert whole(team.server.objects()) == all_of_them  # byte for byte, no less and no more

    def fetched() -> int:
        return size_of(colleague / ".dvc/cache", "files/md5/*/*[0-9a-f]")

    done = broken(team, colleague, "pull", fetched)
    assert done.returncode != 0
    assert "connect" in said(done).lower()  # no answer, lost, refused: as the library of each says it
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

    healed = run_module(team.mine, "operations.cache", "phantom", "--heal", own_env=team.server.env)
    assert healed.returncode == 0, healed.stderr
    assert healed.stdout.startswith("remote phantom (")  # and its address
    assert f"): 1 of {len(objects(team.mine))} objects damaged" in healed.stdout
    assert "data/frames/3.png" in healed.stdout
    assert "Now `dvc push` from a clone that has them" in healed.stdout
    team.dvc(team.mine, "push")
    assert whole(team.server.objects()) == objects(team.mine)
    team.dvc(colleague, "pull")
    assert objects(colleague) == objects(team.mine)


@pytest.fixture
def small_disk() -> Iterator[Callable[..., None]]:
    """Mount a file system of a megabyte over a folder, or let the same one grow."""
    mounted: list[Path] = []

    def mount(folder: Path, size: str = "1m") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        options = f"remount,size={size}" if folder in mounted else f"size={size}"
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"needs the privilege to mount: {done.stderr.strip()}")
        mounted.append(folder)

    yield mount
    for folder in set(mounted):
        subprocess.run(["umount", folder], check=True)


def test_a_full_disk_under_the_remote_loses_nothing(mine: Path, small_disk: Callable[..., None]) -> None:
    remote = mine.parent / "infant-spine-remote"
    small_disk(remote)
    done = dvc(mine, "push", check=False)
    assert done.returncode != 0
    assert "No space left on device" in said(done)
    half = whole(stored(remote))
    assert half.items() < objects(mine).items()
    small_disk(remote, "20m")
    dvc(mine, "push")
    assert whole(stored(remote)) == objects(mine)


def test_a_full_disk_under_the_cache_keeps_nothing_half(mine: Path, small_disk: Callable[..., None]) -> None:
    dvc(mine, "push")
    git(mine.parent, "clone", "-q", str(mine), "colleague")
    colleague = mine.with_name("colleague")
    small_disk(colleague / ".dvc/cache")
    done = dvc(colleague, "pull", check=False)
    assert done.returncode != 0
    assert "No space left on device" in said(done)
    assert objects(colleague).items() < objects(mine).items()
    small_disk(colleague / ".dvc/cache", "20m")
    dvc(colleague, "pull")
    nothing_reruns(colleague)
    assert objects(colleague) == objects(mine)


def test_a_flipped_byte_in_the_cache_is_found_and_a_pull_brings_the_right_one(mine: Path) -> None:
    dvc(mine, "push")
    frame = (mine / "data/frames/3.png").read_bytes()
    (name,) = [name for name, content in objects(mine).items() if content == frame]
    flip(mine / ".dvc/cache" / name)
    found = run_module(mine, "operations.cache")
    assert found.returncode == 1
    assert "data/frames/3.png" in found.stderr
    assert "--heal`. Then `dvc pull`" in found.stderr
    assert run_module(mine, "operations.cache", "--heal").returncode == 0
    shutil.rmtree(mine / "data/frames")
    dvc(mine, "pull")
    assert (mine / "data/frames/3.png").read_bytes() == frame
    nothing_reruns(mine)
