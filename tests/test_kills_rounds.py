"""What a round of `python -m tests.kills` holds against the cache, and what its last line says."""

import random
from pathlib import Path

import pytest

from tests import kills
from tests.workspace import dvc, git


def test_a_round_that_leaves_a_damaged_object_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    git(folder, "init", "-q")
    dvc(folder, "init", "-q")
    damaged = folder / ".dvc/cache/files/md5/ab" / ("0" * 30)
    damaged.parent.mkdir(parents=True)
    damaged.write_text("other bytes")
    before = {"lock": {}}
    for name, done in {"forget": None, "disturb": ("stage", []), "finish": False, "state": before}.items():
        monkeypatch.setattr(kills, name, lambda *_, done=done: done)
    with pytest.raises(AssertionError, match=r"s into train: error: .*\n.*other bytes than its name says"):
        kills.one_round(folder, before, {"train": 1.0}, random.Random(0))
    damaged.unlink()
    assert kills.one_round(folder, before, {"train": 1.0}, random.Random(0)).stage == "train"


def test_the_last_line_says_how_often_dvc_lock_was_torn() -> None:
    done = [kills.Round("train", 1.0, "dvc", torn, 2.0) for torn in (False, True, False)]
    said = kills.summary(done)
    assert said.startswith("3 of 3 the same, and every cached object as its name says; ")
    assert "in 1 of 3 dvc.lock was torn and came back from Git" in said
