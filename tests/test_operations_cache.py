"""The check of DVC's cache and of remotes: every object is what its name says, or it is named and healed."""

import re
import shutil
from pathlib import Path

import pytest
from dvc.repo import Repo

from operations import remote
from operations.cache import CACHE_HEALS, Store, heal
from stages.common.core.errors import PipelineError
from tests.test_operations import run_module
from tests.workspace import ROOT, commit, dvc, git

README = ROOT / "README.md"

TWO_STAGES = """stages:
  table:
    cmd: python -c "open('table.csv', 'w').write('a,b')"
    outs: [table.csv]
  folder:
    cmd: mkdir -p folder && echo one > folder/one.txt && echo two > folder/two.txt
    outs: [folder]
"""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A finished pipeline of two stages."""
    folder = tmp_path / "repository"
    folder.mkdir()
    (folder / "dvc.yaml").write_text(TWO_STAGES)
    git(folder, "init", "-q")
    dvc(folder, "init", "-q")
    dvc(folder, "repro", "-q")
    commit(folder, "two stages")
    return folder


def object_with(folder: Path, content: str) -> Path:
    """Return the cached object that holds `content`."""
    (found,) = [path for path in folder.glob("files/md5/*/*") if path.read_text() == content]
    return found


def flip(path: Path) -> None:
    """Change one byte, as a failing disk would: read-only as before, by which DVC tells what it need not look at."""
    path.chmod(0o644)
    path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:])
    path.chmod(0o444)


def test_an_undamaged_cache_is_said_to_be_one(repository: Path) -> None:
    done = run_module(repository, "operations.cache")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("4 objects, all as their names say")  # a table, two files, the folder's list


@pytest.mark.parametrize(
    ("content", "place"), [("a,b", "table.csv"), ("two\n", "folder/two.txt")], ids=["file", "file of a folder"]
)
def test_a_flipped_byte_is_found_named_and_healed(repository: Path, content: str, place: str) -> None:
    damaged = object_with(repository / ".dvc/cache", content)
    flip(damaged)
    done = run_module(repository, "operations.cache")
    assert done.returncode == 1
    assert "1 of 4 objects damaged" in done.stderr
    assert str(damaged.relative_to(repository)) in done.stderr
    assert place in done.stderr
    assert "Run `python -m operations.cache --heal`. Then `dvc pull`" in done.stderr
    assert run_module(repository, "operations.cache", "--heal").returncode == 0
    (repository / place).unlink()  # the workspace's copy is gone too: the stage has to make it again
    dvc(repository, "repro", "-q")
    assert (repository / place).read_text() == content
    assert damaged.read_text() == content
    assert run_module(repository, "operations.cache").returncode == 0


def test_a_cache_in_which_nothing_lies_yet_is_sound(repository: Path) -> None:
    """As in a fresh clone: what follows `python -m operations.cache &&` is to go on."""
    shutil.rmtree(repository / ".dvc/cache")
    done = run_module(repository, "operations.cache")
    assert done.returncode == 0, done.stderr
    assert "0 objects" in done.stdout


def test_a_push_sends_nothing_of_a_damaged_cache(repository: Path) -> None:
    there = repository.parent / "clinic"
    dvc(repository, "remote", "add", "clinic", str(there))
    dvc(repository, "remote", "modify", "clinic", "verify", "true")
    damaged = object_with(repository / ".dvc/cache", "two\n")
    flip(damaged)
    done = run_module(repository, "operations.remote", "push", "clinic")
    assert done.returncode == 1
    assert f"{damaged.relative_to(repository)}: other bytes than its name says; folder/two.txt" in done.stderr
    assert "Run `python -m operations.cache --heal`. Then `dvc pull`" in done.stderr
    assert not there.exists()
    assert run_module(repository, "operations.cache", "--heal").returncode == 0
    shutil.rmtree(repository / "folder")
    dvc(repository, "repro", "-q")
    assert run_module(repository, "operations.remote", "push", "clinic").returncode == 0
    assert (
        run_module(repository, "operations.cache", "clinic")
        .stdout.strip()
        .endswith("4 objects, all as their names say")
    )


def test_a_damaged_list_of_a_folder_is_found(repository: Path) -> None:
    (listing,) = (repository / ".dvc/cache").glob("files/md5/*/*.dir")
    flip(listing)
    done = run_module(repository, "operations.cache")
    assert done.returncode == 1
    assert f"{listing.relative_to(repository)}: other bytes than its name says; folder" in done.stderr


def test_a_remote_folder_is_checked_and_heals_from_the_cache(repository: Path, tmp_path: Path) -> None:
    dvc(repository, "remote", "add", "-d", "storage", str(tmp_path / "remote"))
    dvc(repository, "push", "-q")
    flip(object_with(tmp_path / "remote", "a,b"))
    assert "1 of 4 objects damaged" in run_module(repository, "operations.cache", "../remote").stderr
    assert run_module(repository, "operations.cache", "../remote", "--heal").returncode == 0
    dvc(repository, "push", "-q")
    assert run_module(repository, "operations.cache", "../remote").returncode == 0


def test_what_a_killed_transfer_left_is_told_and_is_no_damage(repository: Path) -> None:
    (repository / ".dvc/cache/files/md5/ab").mkdir(exist_ok=True)
    (repository / ".dvc/cache/files/md5/ab/.tmp1234").write_text("half")
    done = run_module(repository, "operations.cache")
    assert done.returncode == 0
    assert "1 leftovers of broken transfers" in done.stderr


def test_a_folder_that_is_no_cache_is_refused(repository: Path) -> None:
    done = run_module(repository, "operations.cache", ".")
    assert done.returncode == 1
    assert "expected objects of a DVC cache or remote, got none" in done.stderr


@pytest.mark.parametrize("words", [(), ("--heal",)])
def test_a_server_that_is_away_is_one_line_with_its_address(repository: Path, words: tuple[str, ...]) -> None:
    dvc(repository, "remote", "add", "away", "ssh://127.0.0.1:9/nobody")  # port 9: nobody listens
    done = run_module(repository, "operations.cache", "away", *words)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    for said in ("remote away (ssh://127.0.0.1:9/nobody)", "Connect", "Nothing was changed", "same command again"):
        assert said in done.stderr


class Breaking:
    """A file system that loses its server after some removals."""

    def __init__(self, good: int) -> None:
        self.good = good

    def remove(self, path: str) -> None:
        if not self.good:
            raise OSError(f"connection lost at {path}")
        self.good -= 1


def test_a_server_that_goes_away_while_it_is_healed_says_how_much_is_done() -> None:
    where = Store("remote away (s3://b)", Breaking(2), "b/files/md5", CACHE_HEALS, "python -m operations.cache away")
    with pytest.raises(PipelineError, match=r"remote away \(s3://b\).*got OSError: connection lost at c\. 2 removed\."):
        heal(["a", "b", "c", "d"], where)


@pytest.mark.parametrize("what", ["probe", "push"])
def test_a_remote_whose_bytes_dvc_would_believe_is_refused(
    repository: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    there = repository.parent / "clinic"
    monkeypatch.chdir(repository)
    with Repo() as repo:
        repo.config["remote"]["clinic"] = {"url": str(there)}
        with pytest.raises(PipelineError, match=r"remote clinic: expected `verify = true`.*modify clinic verify true`"):
            getattr(remote, what)(repo, "clinic")
        assert not there.exists()
        repo.config["remote"]["clinic"]["verify"] = True
        remote.probe(repo, "clinic")


def test_a_record_that_dvc_renames_while_it_is_read_still_names_its_cohort(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "runs/ab/cd"
    folder.mkdir(parents=True)
    (folder / "whole").write_text("data/cohorts/phantom\n")
    (folder / ".x.tmp").write_text("data/cohorts/mine\n")
    read = Path.read_text

    def renamed_before(path: Path, encoding: str) -> str:
        if path.suffix == ".tmp":
            path.rename(folder / "another")
        return read(path, encoding=encoding)

    monkeypatch.setattr(Path, "read_text", renamed_before)
    assert remote.recorded_cohorts(tmp_path) == {"phantom", "mine"}


def test_as_the_readme_adds_a_remote_damaged_bytes_never_arrive(repository: Path) -> None:
    (told,) = re.findall(r"`(dvc remote add clinic .*?)` and `(dvc remote modify clinic .*?)`", README.read_text())
    for command in told:
        dvc(repository, *command.replace("/proc/push-is-off", "../clinic").split()[1:])
    dvc(repository, "push", "-q", "-r", "clinic")
    flip(object_with(repository.parent / "clinic", "a,b"))
    object_with(repository / ".dvc/cache", "a,b").unlink()
    (repository / "table.csv").unlink()
    assert dvc(repository, "pull", "-r", "clinic", check=False).returncode != 0
    assert not (repository / "table.csv").exists()
