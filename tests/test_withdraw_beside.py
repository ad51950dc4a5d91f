"""What runs beside a withdrawal: a second one, and a stage that ends before the last look."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from operations import withdraw
from operations.alone import LOCK, alone
from operations.beyond import THEN, own_weights
from stages.common.core.errors import PipelineError
from tests.test_operations import run_module
from tests.test_withdraw_refusals import GOES_ON, Refused, command, made, project, refused
from tests.workspace import ROOT, environment

__all__ = ["command", "made", "project", "refused"]  # fixtures

HOLD = """
import sys
from operations.alone import alone
with alone():
    print("held", flush=True)
    sys.stdin.read()
"""
OBJECT = ".dvc/cache/files/md5/ab/" + "c" * 30
RUN = ".dvc/cache/runs/ab/abcd/abcdef"
AGAIN = (
    "data/extract_frames/C002/0.png", "data/extract_frames/C003/0.png", "metrics/late.json",
    ".dvc/tmp/exps/standalone/one/0.png", ".search/a/b.csv", "dvc.lock", OBJECT, RUN,
)  # fmt: skip


# ---- a second withdrawal


@contextmanager
def another_runs(folder: Path) -> Iterator[subprocess.Popen[str]]:
    pipe, given = subprocess.PIPE, {**environment(folder), "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-c", HOLD], cwd=folder, env=given, stdin=pipe, stdout=pipe, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.communicate()


def test_a_second_withdrawal_at_once_is_refused(
    project: Path, refused: Refused, command: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    with another_runs(project):
        assert refused().startswith(f"{LOCK}: expected no other withdrawal to run in this clone, got one")
        assert not withdraw.JOURNAL.exists()
        command()
        assert "Nothing was changed" in capsys.readouterr().out


def test_one_that_was_killed_stops_nothing(project: Path, refused: Refused) -> None:
    with another_runs(project) as process:
        assert "got one that holds it" in refused()
        process.kill()
        process.wait()
        with alone():
            pass


def test_the_lock_outlives_the_clearing_of_what_dvc_notes(project: Path, command: Callable[..., None]) -> None:
    """Removed in between, it would let a second one in."""
    with alone():
        pass
    before = LOCK.stat().st_ino
    command("--do")
    assert LOCK.stat().st_ino == before
    assert not list(project.glob(".dvc/tmp/withdraw*"))


def test_a_lock_that_cannot_be_opened_is_one_message(project: Path, refused: Refused) -> None:
    (project / LOCK).mkdir(parents=True)
    assert refused().startswith(f"{LOCK}: expected a file that can be opened for writing, got IsADirectoryError")


def test_a_linked_folder_of_leftovers_goes_as_a_link_and_is_named(
    project: Path,
    tmp_path_factory: pytest.TempPathFactory,
    command: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    scratch = tmp_path_factory.mktemp("scratch")
    (scratch / "half.pt").write_bytes(b"half")
    (project / ".checkpoints").symlink_to(scratch)
    command("--do")
    assert f".checkpoints -> {scratch}: only the link is gone" in capsys.readouterr().out
    assert not (project / ".checkpoints").is_symlink()
    assert (scratch / "half.pt").exists()


@pytest.mark.timeout(60)
def test_links_that_lead_back_are_walked_once(project: Path) -> None:
    (project / "weights/inner").mkdir(parents=True)
    (project / "weights/inner/a.pth").write_bytes(b"a")
    for name in ("one", "two"):
        (project / "weights" / name).symlink_to(project / "weights")
    assert own_weights() == [Path("weights/inner/a.pth")]


def test_outside_of_a_clone_nothing_is_made(tmp_path: Path) -> None:
    done = run_module(tmp_path, "operations.withdraw", "P002", "--do")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


# ---- a stage that ends before the last look


def test_what_a_stage_wrote_again_is_named_and_the_same_command_removes_it(
    project: Path, command: Callable[..., None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    removes = withdraw.forget

    def removes_and_a_stage_ends(cohort: Path, again: str) -> list[str]:
        links = removes(cohort, again)
        for name in AGAIN:
            (project / name).parent.mkdir(parents=True, exist_ok=True)
            (project / name).write_text("of KURT")
        return links

    with monkeypatch.context() as patch:
        patch.setattr(withdraw, "forget", removes_and_a_stage_ends)
        with pytest.raises(PipelineError, match=f"(?s)there again, got.*{GOES_ON}") as error:
            command("--do")
    lines = [line.removeprefix("  - ") for line in str(error.value).splitlines() if line.startswith("  - ")]
    cache = project / ".dvc/cache"
    assert lines == [
        ".dvc/tmp (files: 1)",
        ".search/a (files: 1)",
        "data/extract_frames (files: 2)",
        "dvc.lock",
        "metrics/late.json",
        f"the cache ({cache / 'files/md5'}): objects that nothing keeps (files: 1)",
        f"the cache ({cache / 'runs'}): records of runs (files: 1)",
    ]
    assert withdraw.JOURNAL.is_file()
    capsys.readouterr()
    command("--do")
    assert THEN in capsys.readouterr().out
    assert [name for name in AGAIN if (project / name).exists()] == []
    assert not withdraw.JOURNAL.exists()
