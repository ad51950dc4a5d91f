"""The search: what it draws and judges by, that it goes on where it was stopped, and that test rows choose nothing."""

import sys
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import TrialState
from sklearn.metrics import average_precision_score, log_loss

from experiments import search as command
from experiments.overrides import changed
from experiments.plan import Plan, Profile, read_file
from experiments.search_loop import Budget, search
from experiments.search_page import _scored, draw_trials, page, trials_table
from experiments.search_score import judged, validation_scores
from experiments.search_space import FILE, Range, Search, Values, grid, neat, points
from experiments.search_study import TWINS_IN_A_ROW, VALUES, Study, open_study
from stages.common.core.errors import PipelineError
from tests.search_runner import LABELS, TRAINING, Tables, delete_test_rows, write, write_cohort, write_predictions
from tests.workspace import ROOT, read_params_file

SPACE: dict[str, Any] = {
    "lr": {"min": 0.0003, "max": 0.03, "scale": "log", "points": 3},
    "epochs": {"values": [4, 8]},
}
SHIPPED = read_params_file(ROOT / "params.yaml")
TRAIN = Profile(targets=["train@patient-resnet18"], params={})
SETTING = {"commit": "abc", "space": SPACE, "params": {"seed": 1}}


def settings(**changes: Any) -> Search:
    pruning = {"after_trials": 2, "after_quarters": 0}
    content = {"profile": "laptop", "objective": "log_loss", "seed": 1, "space": SPACE, "pruning": pruning}
    return Search.model_validate(content | changes)


def opened(sampler: Any = "random", name: str = "one", **changes: Any) -> Study:
    return open_study(name, sampler, settings(**changes), SETTING)


def drawn(study: Study) -> list[dict[str, Any]]:
    return [trial.user_attrs[VALUES] for trial in study.counted]


def planned(values: dict[str, Any]) -> Plan:
    after, _ = changed(SHIPPED, values, "test")
    return Plan(SHIPPED, after, [f"{key}={value}" for key, value in values.items()], TRAIN.targets)


# --- profiles/search.yaml -------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("project")
def test_the_shipped_file_is_valid() -> None:
    asked = read_file(FILE, Search)
    assert {"lr", "epochs"} <= set(asked.space)


def test_all_mistakes_come_together_and_rows_cannot_be_searched(project: Path) -> None:
    text = (
        (project / FILE)
        .read_text()
        .replace("scale: log, points: 5", "scale: cubic, points: 1")
        .replace("seed: 1", "seed: -1")
    )
    (project / FILE).write_text(text)
    with pytest.raises(PipelineError, match=r"(?s)3 problems.*seed.*space.lr.*scale.*points"):
        read_file(FILE, Search)
    for key in ("size_px", "labels.cord", "split.shares.test", "seed", "train.device"):
        with pytest.raises(ValueError, match=rf"keys that only trainings read: .* not {key}"):
            settings(space={key: {"values": [1]}})
    assert settings(space={"train.batch_size": {"values": [8]}, "architectures.vgg16.backbone_scale": {"values": [1]}})


def test_a_grid_is_every_combination_once() -> None:
    found = grid(settings().space, seed=1)
    assert {point["epochs"] for point in found} == {4, 8}
    assert sorted({point["lr"] for point in found}) == pytest.approx([0.0003, 0.003, 0.03])
    assert len({tuple(point.values()) for point in found}) == len(found) == 6


@given(st.floats(1e-6, 1.0), st.floats(1.001, 1e4), st.sampled_from(["linear", "log"]), st.floats(0, 1))
@hypothesis.settings(deadline=None)  # a loaded machine is no failure
def test_what_is_set_never_leaves_the_limits(low: float, factor: float, scale: Any, share: float) -> None:
    axis = Range(min=low, max=low * factor, scale=scale, points=5)
    value = neat(low + share * (low * factor - low), axis)
    assert low <= float(value) <= low * factor
    assert all(low <= float(point) <= low * factor for point in points(axis))


def test_whole_limits_give_whole_numbers() -> None:
    axis = Range(min=2, max=20, scale="log", points=4)
    assert points(axis) == [2, 4, 9, 20]
    assert points(Values(values=["a", 1])) == ["a", 1]


# --- the judgement --------------------------------------------------------------------------------------------------


def test_a_patient_counts_once_and_unknown_labels_not() -> None:
    draw = np.random.default_rng(3)
    patients = np.array(["P1"] * 30 + ["P2"] * 4, dtype=object)
    truth, scores = draw.integers(0, 2, (34, 2)).astype(float), draw.uniform(0.05, 0.95, (34, 2))
    truth[:5, 0] = np.nan
    expected = [
        np.mean([log_loss(truth[rows, label], scores[rows, label], labels=[0, 1]) for rows in parts])
        for label, parts in enumerate([(slice(5, 30), slice(30, 34)), (slice(0, 30), slice(30, 34))])
    ]
    assert judged("log_loss", truth, scores, patients) == pytest.approx(np.mean(expected))
    ranked = [
        np.mean([average_precision_score(truth[rows, label], scores[rows, label]) for rows in parts])
        for label, parts in enumerate([(slice(5, 30), slice(30, 34)), (slice(0, 30), slice(30, 34))])
    ]
    assert judged("average_precision", truth, scores, patients) == pytest.approx(np.mean(ranked))


def test_a_certain_mistake_is_as_bad_as_the_table_can_say() -> None:
    truth, patients = np.array([[1.0]]), np.array(["P1"], dtype=object)
    assert judged("log_loss", truth, np.array([[0.0]]), patients) == pytest.approx(-np.log(5e-7))
    with pytest.raises(PipelineError, match=r"got none\. Try objective: log_loss"):
        judged("average_precision", truth, np.array([[0.5]]), patients)


def test_validation_rows_alone_are_judged(tmp_path: Path) -> None:
    table = write_cohort(tmp_path)
    path = write_predictions(tmp_path, table, 0.8)
    before = validation_scores(tmp_path, [TRAINING], LABELS, "log_loss")
    assert before == {"resnet18": pytest.approx(-np.log(0.8))}
    said = pd.read_csv(path)
    said.loc[said["split"] == "test", LABELS] = 7.0  # no probabilities at all: never looked at
    write(path, said)
    assert validation_scores(tmp_path, [TRAINING], LABELS, "log_loss") == before
    delete_test_rows(tmp_path)
    assert validation_scores(tmp_path, [TRAINING], LABELS, "log_loss") == before
    write(path, said[said["frame_id"] != said.loc[said["split"] == "validation", "frame_id"].iloc[0]])
    with pytest.raises(PipelineError, match="expected the 24 validation frames of the split, got 23"):
        validation_scores(tmp_path, [TRAINING], LABELS, "log_loss")


def test_the_winner_is_the_same_when_the_test_rows_are_deleted_before_it_is_judged(project: Path) -> None:
    winners = {}
    for without in (False, True):
        study = opened("grid", name=f"without-{without}")
        search(study, planned, Budget(None, None), Tables(project / str(without), without_test=without))
        assert study.best
        winners[without] = (study.best.user_attrs[VALUES], study.best.value, drawn(study))
    assert winners[True] == winners[False]
    assert winners[True][0]["lr"] == pytest.approx(0.003)  # on test it is the worst


# --- the loop -------------------------------------------------------------------------------------------------------


def test_a_trial_is_its_trainings_and_two_parameters(project: Path) -> None:
    study, runner = opened(), Tables(project)
    search(study, planned, Budget(2, None), runner)
    [(name, words), _] = runner.ran
    assert name == "search-one-000"
    assert words[-1] == "train@patient-resnet18"  # no `evaluate`: there are no test scores to choose by
    assert {word.split("=")[0] for word in words[:-1]} <= {"lr", "epochs"}
    value = study.counted[0].value
    assert f"search-one-000-{value:.4f}" in runner.there


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_a_search_in_two_calls_draws_what_one_call_draws(sampler: str, project: Path) -> None:
    space = {"lr": SPACE["lr"]}
    whole, halves = opened(sampler, "whole", space=space), opened(sampler, "halves", space=space)
    search(whole, planned, Budget(8, None), Tables(project / "a"))
    search(halves, planned, Budget(3, None), Tables(project / "b"))
    search(opened(sampler, "halves", space=space), planned, Budget(8, None), Tables(project / "b"))
    assert drawn(halves) == drawn(whole)
    assert len({values["lr"] for values in drawn(whole)}) == 8


@pytest.mark.parametrize("sampler", ["random", "grid"])
def test_an_interrupted_trial_is_failed_removed_and_run_again(
    sampler: str, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = opened(sampler, "whole")
    search(whole, planned, Budget(6, None), Tables(project / "a"))
    study, runner = opened(sampler), Tables(project / "b", stop_at=1)
    with pytest.raises(KeyboardInterrupt):
        search(study, planned, Budget(6, None), runner)
    runner.there.add("search-one-001")  # as if DVC had finished it after the kill
    runner.stop_at = None
    search(opened(sampler), planned, Budget(6, None), runner)
    assert "search-one-001 was interrupted; it runs again" in capsys.readouterr().err
    assert "search-one-001" not in runner.there
    assert study.optuna.get_trials()[1].state == TrialState.FAIL
    assert sorted(map(str, drawn(study))) == sorted(map(str, drawn(whole)))
    assert len(study.counted) == 6


def test_a_grid_ends_by_itself(project: Path) -> None:
    study, runner = opened("grid"), Tables(project)
    search(study, planned, Budget(None, None), runner)
    assert len(runner.ran) == len(study.counted) == 6
    search(opened("grid"), planned, Budget(None, None), runner)
    assert len(runner.ran) == 6


def test_no_trial_begins_when_the_budget_is_spent(project: Path) -> None:
    runner, clock = Tables(project), iter(range(0, 10_000, 50))
    search(opened(), planned, Budget(None, minutes=2.0), runner, clock=lambda: next(clock))
    assert len(runner.ran) == 2  # begun after 50 and 100 s; after 150 s two minutes are over
    search(opened(), planned, Budget(trials=2, minutes=None), runner)
    assert len(runner.ran) == 2


def test_what_is_worse_than_the_median_is_stopped_and_leaves_nothing(project: Path) -> None:
    fair = {1: 0.6, 2: 0.5}
    runner = Tables(project, losses={0: fair, 1: fair, 2: {1: 0.9, 2: 0.9}, 3: {1: 0.4, 2: 0.4}})
    study = opened()
    search(study, planned, Budget(4, None), runner)
    states = [trial.state for trial in study.counted]
    assert states == [TrialState.COMPLETE, TrialState.COMPLETE, TrialState.PRUNED, TrialState.COMPLETE]
    assert not [name for name in runner.there if name.startswith("search-one-002")]
    assert trials_table(study)["state"].tolist()[2] == "stopped early"


def test_a_trial_is_judged_by_what_it_has_now_and_not_by_the_best_that_it_had(project: Path) -> None:
    fair = {1: 0.6, 2: 0.5}
    study, runner = opened(), Tables(project, losses={0: fair, 1: fair, 2: {1: 0.4, 2: 9.0}})
    search(study, planned, Budget(3, None), runner)
    assert study.counted[2].state == TrialState.PRUNED


def test_nobody_is_judged_by_the_first_quarters(project: Path) -> None:
    fair, slow, worse = {1: 0.6, 2: 0.5}, {1: 9.0, 2: 0.4}, {1: 0.4, 2: 0.9}
    study = opened(pruning={"after_trials": 2, "after_quarters": 1})
    search(study, planned, Budget(4, None), Tables(project, losses={0: fair, 1: fair, 2: slow, 3: worse}))
    assert [trial.state for trial in study.counted[2:]] == [TrialState.COMPLETE, TrialState.PRUNED]


def test_values_that_were_tried_are_not_run_again(project: Path) -> None:
    study, runner = opened(space={"epochs": {"values": [4]}}), Tables(project)
    search(study, planned, Budget(3, None), runner)
    assert len(runner.ran) == 1
    assert len({trial.value for trial in study.counted}) == 1


@pytest.mark.parametrize("budget", [Budget(20, None), Budget(None, 60.0)])
def test_a_search_ends_when_all_values_were_tried_and_copies_spend_no_budget(project: Path, budget: Budget) -> None:
    space = {"lr": {"values": [0.001, 0.01]}, "epochs": {"values": [4, 8]}}
    study, runner = opened(space=space), Tables(project)
    search(study, planned, budget, runner)
    assert len(runner.ran) == len(study.ran) == 4
    assert len(study.counted) < 4 + 3 * TWINS_IN_A_ROW


def test_a_torn_last_line_of_the_journal_loses_that_line_alone(project: Path) -> None:
    search(opened(), planned, Budget(2, None), Tables(project))
    whole, journal = drawn(opened()), project / ".search/one/study.jsonl"
    journal.write_bytes(journal.read_bytes()[:-20])
    study, runner = opened(), Tables(project)
    assert drawn(study) == whole
    search(study, planned, Budget(3, None), runner)
    assert drawn(opened())[:2] == whole
    assert len(runner.ran) == 1


def test_a_damaged_line_of_the_journal_is_one_message(project: Path) -> None:
    search(opened(), planned, Budget(2, None), Tables(project))
    journal = project / ".search/one/study.jsonl"
    journal.write_bytes(journal.read_bytes().replace(b"{", b"[", 1))
    with pytest.raises(PipelineError, match=r"study\.jsonl: expected a line of JSON .* --name"):
        opened()


def test_a_failed_trial_counts_and_three_in_a_row_stop_the_search(project: Path) -> None:
    runner = Tables(project, status={0: 255, 2: 255, 3: 255, 4: 255})
    for number in (2, 3, 4):
        (project / f"search-one-00{number}.log").write_text("first\nERROR: no space left\n")
    with pytest.raises(PipelineError, match=r"(?s)the last 3 trials failed; .*004.log ends in:.*no space left"):
        search(opened(), planned, Budget(9, None), runner)
    assert len(opened().counted) == 5


@pytest.mark.usefixtures("project")
def test_trials_of_another_setting_are_refused() -> None:
    opened()
    changed = {"commit": "abd", "space": SPACE, "params": {"seed": 2}}
    with pytest.raises(PipelineError) as caught:
        open_study("one", "random", settings(), changed)
    message = str(caught.value)
    assert "2 problems" in message
    assert "search one: params.seed: other than it began: expected 1, got 2. Bring it back, or begin another" in message
    assert "search one: commit" in message


@pytest.mark.usefixtures("project")
def test_two_searches_of_one_name_do_not_run_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    opened()
    monkeypatch.setattr("experiments.search_study.os.getpid", lambda: -1)
    with pytest.raises(PipelineError, match=r"search one runs already, as process \d+"):
        opened()


# --- what it says ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("objective", ["log_loss", "average_precision"])
def test_the_page_names_the_winner_and_how_to_read_it(objective: Any, project: Path) -> None:
    study, runner = opened("grid", objective=objective), Tables(project, losses={3: {1: 9.0}})
    search(study, planned, Budget(None, None), runner)
    said = page(study)
    table = trials_table(study)
    scores = table[objective].dropna().astype(float)
    best = table.loc[scores.idxmin() if objective == "log_loss" else scores.idxmax()]
    assert said.endswith(f"dvc exp apply {best['experiment']}")
    assert best["experiment"] in said.splitlines()[4]  # the first row
    assert ("Lower" if objective == "log_loss" else "Higher") + " is better. No test row was read." in said
    draw_trials(study, project / "trials.png")
    assert (project / "trials.png").read_bytes().startswith(b"\x89PNG")


def test_the_table_lists_every_trial_though_stopped_and_failed_ones_leave_no_experiment(project: Path) -> None:
    fair = {1: 0.6, 2: 0.5}
    study, runner = opened(), Tables(project, losses={0: fair, 1: fair, 2: {1: 0.9, 2: 0.9}}, status={3: 255})
    search(study, planned, Budget(4, None), runner)
    table = trials_table(study)
    assert list(table["state"]) == ["finished", "finished", "stopped early", "failed"]
    assert runner.there == set(table["experiment"].dropna())
    assert len(runner.there) == 2
    assert all(f"| {number} " in page(study) for number in table["trial"])
    assert [(trial.number, loss) for trial, loss in _scored(study, "stopped early")] == [
        (2, 0.9)
    ]  # what the plot draws


@pytest.mark.usefixtures("project")
def test_an_empty_search_is_said_and_drawn(tmp_path: Path) -> None:
    assert page(opened()).endswith("No trial is finished.")
    draw_trials(opened(), tmp_path / "trials.png")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--sampler", "random"], "only a grid ends by itself"),
        (["--sampler", "grid", "--protocol", "leave_one_patient_out"], "invalid choice"),
    ],
)
def test_what_cannot_be_asked(
    words: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["search", *words])
    with pytest.raises(SystemExit):
        command._arguments()
    assert said in capsys.readouterr().err


@pytest.mark.usefixtures("project")
def test_what_a_stage_would_refuse_stops_the_search_before_its_first_trial() -> None:
    assert command.planner(TRAIN, settings())({"lr": 0.002, "epochs": 8}).after["lr"] == 0.002
    space = {"lr": {"values": [0.01, 11]}, "epochs": {"values": [0, 1, 2]}, "train.batch": {"values": [1]}}
    with pytest.raises(PipelineError, match=r"(?s)search.yaml: train.batch: unknown key.*epochs: wrong value"):
        command.planner(TRAIN, settings(space=space))


def test_targets_are_trainings_of_what_is_declared() -> None:
    content = {"protocols": {"patient": {}}, "architectures": {"vgg16": {}}}
    assert command.targets_of(content, "patient", ["vgg16"]) == ["train@patient-vgg16"]
    with pytest.raises(PipelineError, match="architectures: expected vgg among them, got vgg16"):
        command.targets_of(content, "patient", ["vgg"])
    with pytest.raises(PipelineError, match="protocols: expected frame among them, got patient"):
        command.targets_of(content, "frame", ["vgg16"])
