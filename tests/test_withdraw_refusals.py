"""What stops a withdrawal before anything is changed, and what is said where one breaks off: a small clone, seconds."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from operations import forget, withdraw
from operations.beforehand import other_states
from operations.clone import clone
from operations.derived import GONE
from operations.gone import gone, remember_gone
from operations.keepers import tracked, tracking
from operations.running import running
from stages.common.core.errors import PipelineError
from tests.test_operations import run_module
from tests.test_withdraw import digests, write_mine
from tests.workspace import ROOT, commit, dvc, environment, git, set_params, track_cohort

GOES_ON = "`python -m operations.withdraw P002 --do` goes on"
CLIP = Path("data/cohorts/mine/clips/KURT left.mkv")
HOLD = """
import sys
from dvc.fs import localfs
from dvc.rwlock import rwlock
with rwlock(sys.argv[1], localfs, "dvc repro slow", ["data/a"], ["data/b"], False):
    print("held", flush=True)
    sys.stdin.read()
"""
Refused = Callable[..., str]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two tracked cohorts, mine and the clinic's, without any pipeline. Do not change it."""
    folder = tmp_path_factory.mktemp("refusals") / "project"
    write_mine(folder / "data/cohorts/mine")
    (folder / "data/cohorts/clinic").mkdir()
    (folder / "data/cohorts/clinic/BORIS.txt").write_text("the only copy")
    shutil.copy(ROOT / "params.yaml", folder)
    set_params(folder, {"cohort": "mine"})
    git(folder, "init", "-q")
    dvc(folder, "init", "-q")
    for cohort in ("mine", "clinic"):
        track_cohort(folder, cohort)
    commit(folder, "two cohorts")
    return folder


@pytest.fixture
def project(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = Path(shutil.copytree(made, tmp_path / "project", symlinks=True))
    for name, value in environment(folder).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Give the command in this process."""

    def given(*words: str) -> None:
        monkeypatch.setattr(sys, "argv", ["withdraw", "P002", *words])
        withdraw.main()

    return given


@pytest.fixture
def refused(project: Path, command: Callable[..., None]) -> Refused:
    """Give the command, see that it changes nothing, and return what it says."""

    def asked(*words: str) -> str:
        before = digests(project / "data", project / ".dvc/cache")
        with pytest.raises(PipelineError) as error:
            command("--do", *words)
        assert digests(project / "data", project / ".dvc/cache") == before
        return str(error.value)

    return asked


# ---- a cache that others use


def test_a_cache_outside_of_the_clone_is_emptied_only_where_a_person_says_so(
    project: Path, refused: Refused, command: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    shared = Path(shutil.move(project / ".dvc/cache", project.parent / "shared"))
    dvc(project, "cache", "dir", "-q", str(shared))
    theirs = shared / "files/md5/ab" / ("c" * 30)
    theirs.parent.mkdir(exist_ok=True)
    theirs.write_text("another project's only copy")
    said = refused()
    assert said.startswith(f"{shared}: expected DVC's cache to lie in the clone")
    assert "--shared-cache" in said
    assert theirs.exists()
    command("--shared-cache")
    assert f"all that the cache ({shared})" in capsys.readouterr().out


# ---- a stage that runs


@contextmanager
def a_stage_runs(tmp: Path) -> Iterator[int]:
    """Hold what DVC holds while a stage's command runs, in another process."""
    tmp.mkdir(parents=True, exist_ok=True)
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp)], stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process.pid
        process.communicate()


@pytest.mark.parametrize("tmp", [".dvc/tmp", ".dvc/tmp/exps/standalone/one/.dvc/tmp"], ids=["here", "an experiment"])
def test_a_stage_that_runs_stops_it(project: Path, refused: Refused, tmp: str) -> None:
    with a_stage_runs(project / tmp) as process:
        assert f"  - dvc repro slow (process {process})" in refused().splitlines()
    assert running(project / ".dvc/tmp") == []


def test_a_process_that_was_killed_stops_nothing(project: Path) -> None:
    with subprocess.Popen(["true"]) as process:
        pass
    lock = {"write": {"data/b": {"pid": process.pid, "cmd": "dvc repro slow"}}, "read": {}}
    (project / ".dvc/tmp/rwlock").write_text(json.dumps(lock))
    assert running(project / ".dvc/tmp") == []


def test_a_record_of_what_runs_that_cannot_be_read_stops_it(project: Path, refused: Refused) -> None:
    (project / ".dvc/tmp/rwlock").write_text('{"write": {')
    assert "rwlock: expected DVC's record of what runs, got JSONDecodeError" in refused()
    (project / ".dvc/tmp/rwlock").write_text('{"write": {"a": {}}}')
    assert "rwlock: expected DVC's record of what runs, got KeyError" in refused()


def test_so_does_dvcs_own_lock(refused: Refused) -> None:
    with clone() as repo, repo.lock:
        assert "  - one that holds its lock" in refused().splitlines()


def test_a_stage_that_began_meanwhile_is_named_in_the_end(
    project: Path, command: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(withdraw, "running", lambda _: ["dvc repro slow (process 7)"])
    monkeypatch.setattr(withdraw, "forget", lambda *_: [])
    with pytest.raises(PipelineError, match=r"(?s)dvc repro slow \(process 7\).*" + GOES_ON):
        command("--do")
    assert (project / withdraw.JOURNAL).is_file()


# ---- where it breaks off


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (PipelineError("`dvc add` failed: no lock."), "no lock"),
        (PermissionError(13, "Permission denied"), "Permission"),
    ],
)
def test_whatever_it_breaks_off_at_is_a_message_and_the_same_command_goes_on(
    project: Path, command: Callable[..., None], monkeypatch: pytest.MonkeyPatch, error: Exception, said: str
) -> None:
    def fails(*_: str) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(forget, "dvc", fails)
        with pytest.raises(PipelineError, match=f"(?s){said}.*{GOES_ON}"):
            command("--do")
    assert not (project / CLIP).exists()
    assert (project / withdraw.JOURNAL).is_file()


def test_the_flags_are_part_of_the_command_that_goes_on(
    command: Callable[..., None], monkeypatch: pytest.MonkeyPatch, project: Path
) -> None:
    monkeypatch.setattr(withdraw, "running", lambda _: ["dvc repro slow (process 7)"])
    monkeypatch.setattr(withdraw, "forget", lambda *_: [])
    with pytest.raises(PipelineError, match="P002 --do --absent-lists` goes on"):
        command("--do", "--absent-lists")
    assert (project / withdraw.JOURNAL).is_file()


def test_a_damaged_journal_is_a_message(project: Path, refused: Refused) -> None:
    (project / withdraw.JOURNAL).write_text('{"patient": "P0')
    said = refused()
    assert f"{withdraw.JOURNAL}: expected what a withdrawal that broke off wrote down" in said
    assert "dvc checkout data/cohorts/mine.dvc" in said


# ---- lists of other cohorts


def list_of(project: Path, cohort: str) -> Path:
    """Return where the cache has the list of a cohort's files."""
    text = (project / f"data/cohorts/{cohort}.dvc").read_text()
    value = text.split("md5: ")[1].split()[0]
    return project / ".dvc/cache/files/md5" / value[:2] / value[2:]


@pytest.mark.parametrize("how", ["a digit", "cut short"])
def test_a_damaged_list_of_another_cohort_stops_it(project: Path, refused: Refused, how: str) -> None:
    path = list_of(project, "clinic")
    path.chmod(0o644)
    content = path.read_bytes()
    place = content.index(b'"md5": "') + len(b'"md5": "')
    flipped = content[:place] + (b"1" if content[place : place + 1] == b"0" else b"0") + content[place + 1 :]
    path.write_bytes(flipped if how == "a digit" else content[:20])
    said = refused("--absent-lists")
    assert said.startswith(f"{path}: expected a folder's list")
    assert "`python -m operations.cache --heal`" in said
    assert "`dvc fetch`" in said


def test_an_absent_list_of_another_cohort_stops_it(
    project: Path, refused: Refused, command: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    list_of(project, "clinic").unlink()
    said = refused()
    assert "  - data/cohorts/clinic.dvc (workspace): " in said
    assert "--absent-lists" in said
    command("--absent-lists")
    assert "Nothing was changed" in capsys.readouterr().out


def test_a_state_that_a_withdrawal_let_go_stops_no_later_one(project: Path, command: Callable[..., None]) -> None:
    git(project, "tag", "before")
    state = tracked("before")["data/cohorts/mine.dvc"]
    command("--do")
    commit(project, "withdrawn")
    assert state in gone()
    with clone() as repo:
        assert not other_states(tracking(repo), Path("data/cohorts/mine"))


def test_the_list_of_such_a_state_need_not_be_there(
    project: Path, refused: Refused, command: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    list_of(project, "clinic").unlink()
    remember_gone({"0" * 32 + ".dir"})
    assert "--absent-lists" in refused()
    remember_gone({tracked("HEAD")["data/cohorts/clinic.dvc"]})
    command()
    assert "Nothing was changed" in capsys.readouterr().out


@pytest.mark.parametrize("content", ['["ab', "5", '{"a": [1]}', '["ab"]', "[[]]", '"' + "0" * 32 + '"'])
def test_damaged_states_that_withdrawals_let_go_are_a_message(project: Path, refused: Refused, content: str) -> None:
    (project / GONE).write_text(content)
    said = refused()
    assert said.startswith(f"{GONE}: expected a JSON list of MD5s, as earlier withdrawals wrote it down, got ")
    assert "Delete it, then the same command again" in said
    (project / GONE).unlink()
    assert gone() == set()


# ---- what Git has


def test_a_tag_on_a_files_content_stops_nothing(
    project: Path, command: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    git(project, "tag", "words", git(project, "rev-parse", "HEAD:params.yaml").strip())
    git(project, "tag", "-a", "-m", "why", "more", "words")
    command()
    assert "Nothing was changed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "got"),
    [
        ("<<<<<<< HEAD\nouts:\n- md5: a\n=======\nouts:\n- md5: b\n>>>>>>> other\n", "no YAML"),
        ("md5: a\n", "no `outs`"),
        ("- a\n", "no `outs`"),
        ("outs: []\n", "`outs` that are not one"),
    ],
)
def test_a_dvc_file_that_cannot_be_read_on_a_branch_is_named(
    project: Path, refused: Refused, text: str, got: str
) -> None:
    main = git(project, "branch", "--show-current").strip()
    git(project, "switch", "-q", "-c", "other")
    (project / "scanner.dvc").write_text(text)
    commit(project, "broken")
    git(project, "switch", "-q", main)
    assert f"  - refs/heads/other: scanner.dvc: {got}" in refused("--other-states")


def test_a_repository_without_a_commit_is_a_message(project: Path, refused: Refused) -> None:
    shutil.rmtree(project / ".git")
    git(project, "init", "-q")
    assert "expected a commit that tracks the cohort, got none. `git commit` first" in refused()


# ---- no clone


@pytest.mark.parametrize("words", [("cache",), ("remote", "probe", "mine"), ("approved", "approve")])
def test_outside_of_a_clone_every_command_is_one_message(tmp_path: Path, words: tuple[str, ...]) -> None:
    done = run_module(tmp_path, f"operations.{words[0]}", *words[1:])
    assert done.returncode == 1
    assert done.stderr == (
        f"error: {tmp_path}: expected a clone of the project, with DVC's folder .dvc, got none. `cd` into the clone, "
        "then the same command again.\n"
    )
