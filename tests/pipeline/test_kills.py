"""Three of the kills that `python -m tests.kills` deals out, and that a difference would be seen."""

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.kills import differing, finish, forget, rounds, state
from tests.workspace import dvc, git, read_params_file

pytestmark = pytest.mark.slow

TIMES, SEED = 3, 3


def test_after_kill_9_dvc_repro_ends_as_if_undisturbed(clone: Path) -> None:
    done = list(rounds(clone, TIMES, SEED))
    assert len(done) == TIMES
    assert git(clone, "status", "--porcelain", "--", ".", ":!dvc.lock") == ""
    committed = YAML(typ="safe").load(git(clone, "show", "HEAD:dvc.lock"))
    assert read_params_file(clone / "dvc.lock") == committed  # DVC may put a stage that ran anew in another place


def test_a_changed_byte_a_stray_file_and_another_hash_are_seen(finished: Path, clone: Path) -> None:
    before = state(finished)
    assert not differing(state(clone), before)
    table = clone / "data/predictions/frame/0/1/resnet18.csv"
    table.write_bytes(table.read_bytes().replace(b"0.", b"1.", 1))
    (clone / "data/preprocess/hue.npy.partial").touch()
    (clone / "metrics/report.html").unlink()
    lock = clone / "dvc.lock"
    lock.write_text(lock.read_text().replace(" quality:\n", " qualities:\n"))
    assert differing(state(clone), before) == [
        "data/predictions/frame/0/1/resnet18.csv",
        "data/preprocess/hue.npy.partial",
        "dvc.lock: augment@jpeg",
        "metrics/report.html",
    ]


def test_a_dvc_lock_that_dvc_was_killed_in_comes_back_from_git(clone: Path) -> None:
    """DVC writes it in place, 8 KiB at a time: whether what is left can be read depends on where it ends."""
    before, whole = state(clone), (clone / "dvc.lock").read_bytes()
    forget(clone, "texture")
    (clone / "dvc.lock").write_bytes(whole[: len(whole) // 2].rpartition(b":")[0])
    assert finish(clone)
    assert not differing(state(clone), before)


def test_a_forgotten_stage_really_runs_again(clone: Path) -> None:
    before = state(clone)
    forget(clone, "texture")
    assert "dvc.lock: texture" in differing(state(clone), before)
    assert "Running stage 'texture'" in dvc(clone, "repro").stdout
    assert not differing(state(clone), before)
