"""A trial's process: watched by its curves, stopped politely or by force, and cleaned up after a kill."""

import json
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from experiments import search_trial
from experiments.search_trial import (
    FOLDERS,
    RUNS,
    Progress,
    clean,
    committed_curves,
    folder_of,
    progress,
    run_trial,
    runs,
)
from stages.common.evaluation.predictions import Training
from tests.workspace import commit, dvc, git

ONE, OTHER = (Training("patient", "0", 1, model) for model in ("resnet18", "vgg16"))
SLEEP = "import time; print('begun', flush=True); time.sleep(60)"
DEAF = f"import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); {SLEEP}"
PARENT = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {SLEEP!r}])"


@pytest.fixture(autouse=True)
def hurried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(search_trial, "POLL_S", 0.05)
    monkeypatch.setattr(search_trial, "GRACE_S", 0.5)


def curve(folder: Path, training: Training, *losses: float) -> None:
    file = training.below(folder / "data/curves") / "plots/metrics/validation/loss.tsv"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("step\tloss\n" + "".join(f"{step}\t{loss}\n" for step, loss in enumerate(losses)))


def test_a_trial_s_end_and_output_are_kept(tmp_path: Path) -> None:
    log = tmp_path / "a/trial.log"
    began: list[tuple[int, float]] = []
    words = [sys.executable, "-c", "import sys; print('out'); sys.exit('wrong')"]
    assert run_trial(words, log, lambda *process: began.append(process), lambda: False) == 1
    assert log.read_text().split() == ["out", "wrong"]
    assert not runs(*began[0])


@pytest.mark.parametrize("code", [SLEEP, DEAF, PARENT])
def test_a_hopeless_trial_and_what_it_started_are_gone(code: str, tmp_path: Path) -> None:
    log, seen, others = tmp_path / "trial.log", set(), children()

    def hopeless() -> bool:
        begun = "begun" in log.read_text()
        seen.update(children() - others if begun else ())
        return begun

    start = time.monotonic()
    assert run_trial([sys.executable, "-c", code], log, lambda *_: None, hopeless) is None
    assert time.monotonic() - start < 20
    assert seen
    assert not [one for one in seen if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


def children() -> set[psutil.Process]:
    """Return all that this process has started; other tests leave idle workers behind."""
    return set(psutil.Process().children(recursive=True))


def test_an_interrupt_stops_the_trial_too(tmp_path: Path) -> None:
    others = children()

    def interrupted() -> bool:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_trial([sys.executable, "-c", SLEEP], tmp_path / "trial.log", lambda *_: None, interrupted)
    assert children() <= others


def test_quarters_are_shares_of_a_trial_s_own_epochs(tmp_path: Path) -> None:
    assert progress(None, [ONE], 8, {}) is None
    assert progress(tmp_path, [ONE], 8, {}) is None
    curve(tmp_path, ONE, 0.7)
    assert progress(tmp_path, [ONE], 8, {}) is None
    curve(tmp_path, ONE, 0.7, 0.6)
    assert progress(tmp_path, [ONE], 8, {}) == Progress(1, 0.6)
    curve(tmp_path, ONE, *[0.5] * 8)
    assert progress(tmp_path, [ONE], 8, {}) is None  # the score itself is next
    assert progress(tmp_path, [ONE, OTHER], 8, {}) == Progress(4, 0.5)
    curve(tmp_path, OTHER, 0.9, 0.9, 0.9)
    found = progress(tmp_path, [ONE, OTHER], 8, {})
    assert found is not None
    assert (found.quarters, found.loss) == (5, pytest.approx(0.7))


def test_a_line_half_written_is_no_loss_yet(tmp_path: Path) -> None:
    curve(tmp_path, ONE, 0.7, 0.6)
    file = ONE.below(tmp_path / "data/curves") / "plots/metrics/validation/loss.tsv"
    file.write_text(file.read_text() + "2\t")
    assert progress(tmp_path, [ONE], 4, {}) == Progress(2, 0.6)


def test_what_the_commit_has_in_the_trial_s_folder_is_no_progress_of_the_trial(tmp_path: Path) -> None:
    """DVC begins a trial's folder with the commit's outputs, and empties a training's only when that one begins."""
    for training in (ONE, OTHER):
        curve(tmp_path, training, *[0.1] * 4)
    git(tmp_path, "init", "-q")
    for words in (["init", "-q"], ["add", "-q", "data/curves"]):
        dvc(tmp_path, *words)
    commit(tmp_path, "curves")
    committed = committed_curves([ONE, OTHER])
    assert progress(tmp_path, [ONE, OTHER], 8, {}) == Progress(4, 0.1)  # as they would be taken
    assert progress(tmp_path, [ONE, OTHER], 8, committed) is None
    curve(tmp_path, ONE, 5.0, 5.0)
    assert progress(tmp_path, [ONE, OTHER], 8, committed) == Progress(1, 5.0)
    curve(tmp_path, ONE, *[5.0] * 8)
    curve(tmp_path, OTHER, 4.0, 4.0)
    assert progress(tmp_path, [ONE, OTHER], 8, committed) == Progress(5, 4.5)


def test_without_curves_in_the_cache_every_curve_is_the_trial_s(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    dvc(tmp_path, "init", "-q")
    commit(tmp_path, "start")
    assert committed_curves([ONE, OTHER]) == {}


def begin(name: str, folder: Path) -> Path:
    """Do as DVC does when it begins an experiment in a folder; return its note."""
    folder.mkdir(parents=True)
    note = RUNS / name / f"{name}.run"
    note.parent.mkdir(parents=True)
    note.write_text(json.dumps({"name": name, "location": "tempdir", "root_dir": str(folder.resolve())}))
    return note


def test_what_a_killed_search_left_is_ended_and_removed_and_nothing_else() -> None:
    mine, other = FOLDERS / "tmpa", FOLDERS / "tmpb"
    notes = [begin("search-x-001", mine), begin("search-x-002", other)]
    process = subprocess.Popen([sys.executable, "-c", SLEEP], cwd=mine, stdout=subprocess.DEVNULL)
    orphan = psutil.Process(process.pid)
    assert folder_of("search-x-001") == mine.resolve()
    clean("search-x-001")
    process.wait(10)
    assert not orphan.is_running()
    assert [mine.exists(), notes[0].exists(), other.exists(), notes[1].exists()] == [False, False, True, True]
    assert folder_of("search-x-001") is None


def test_a_note_that_names_a_folder_elsewhere_removes_nothing_there(tmp_path: Path) -> None:
    begin("search-x-001", tmp_path / "precious")
    clean("search-x-001")
    assert (tmp_path / "precious").is_dir()
