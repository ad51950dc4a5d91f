from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from stages.common.evaluation.answers import (
    Answers,
    Rows,
    collapsed_labels,
    constant_folds,
    model_answers,
    unjudged_labels,
)
from stages.common.evaluation.rule import Judgement, Rule, judge, literal_winner, selection, winner_of
from stages.common.evaluation.thresholds import Threshold

LABELS = ["bad_quality", "cord", "fluid"]
RULE = Rule(
    minimise={"fluid": "false_positive_rate", "cord": "false_negative_rate"},
    subject_to={"fluid": {"sensitivity": 0.5}, "cord": {"specificity": 0.5}},
)


def rows_of(truth: np.ndarray, side: str = "validation", patients: int = 4, fold: str = "0") -> Rows:
    names = [f"P{place % patients:03d}" for place in range(len(truth))]
    frames = pd.DataFrame(
        {"fold": fold, "frame_id": [f"C001_{place:05d}" for place in range(len(truth))], "side": side}
    )
    return Rows(frames.assign(clip_id="C001", patient=names, frame_index=range(len(truth))), truth)


@pytest.fixture
def truth() -> np.ndarray:
    """Return 80 frames in which every patient has every class."""
    state = np.arange(80) // 4 % 4
    return np.column_stack([state == 0, state == 1, np.isin(state, [1, 2])]).astype(float)


def answers(said: np.ndarray) -> Answers:
    return Answers(said.astype(bool), said.astype(float), {})


def judged(truth: np.ndarray, said: np.ndarray) -> Judgement:
    return judge(rows_of(truth), answers(said), LABELS, RULE)


def with_errors(truth: np.ndarray, count: int, seed: int = 0) -> np.ndarray:
    """Return the truth with `count` cells wrong."""
    said = truth.copy()
    cells = np.random.default_rng(seed).choice(truth.size, count, replace=False)
    said.flat[cells] = 1 - said.flat[cells]
    return said


def test_always_cord_never_fluid_does_not_win_though_the_literal_rule_chooses_it(truth: np.ndarray) -> None:
    cunning = np.column_stack([truth[:, 0], np.ones(len(truth)), np.zeros(len(truth))])
    honest = with_errors(truth, 30)
    found = {"cunning": judged(truth, cunning), "honest": judged(truth, honest)}
    assert found["cunning"].literal == 0
    assert found["cunning"].loss == 0.0  # nothing beats it in what is minimised
    assert literal_winner(found) == "cunning"
    assert winner_of(found)[0] == "honest"
    told = " ".join(found["cunning"].reasons)
    assert "sensitivity of fluid must be at least 0.5, is 0.0000" in told
    assert "specificity of cord must be at least 0.5, is 0.0000" in told
    assert "collapsed: the same answer for every validation frame for cord" in told


def test_alone_it_leaves_no_winner(truth: np.ndarray) -> None:
    cunning = np.column_stack([truth[:, 0], np.ones(len(truth)), np.zeros(len(truth))])
    found = {"cunning": judged(truth, cunning)}
    assert winner_of(found) == (None, "no model is eligible; see the reasons of each")
    whole = selection(found, {"label_copy": judged(truth, truth)}, RULE, "frame")
    assert whole["winner"] is None
    assert whole["winner_beats"] == {"baseline": "label_copy", "beats": None}
    assert whole["literal_rule"] == {
        "of_the_study": True,
        "says": "fewest false positives of fluid + false negatives of cord",
        "winner": "cunning",
    }


def test_the_patients_behind_each_rate_are_counted_and_one_alone_is_few(truth: np.ndarray) -> None:
    rows = rows_of(truth)
    lonely = np.where(rows.patients == "P002", truth[:, 1], 0)  # P002 alone has a cord; all four have frames without
    truth = np.column_stack([truth[:, 0], lonely, truth[:, 2]])
    found = {"a": judged(truth, truth)}
    whole = selection(found, {"majority": judged(truth, 1 - truth)}, RULE, "patient")
    behind = {"false_positive_rate of fluid": 4, "false_negative_rate of cord": 1}
    assert whole["patients"] == behind | {"sensitivity of fluid": 4, "specificity of cord": 4}
    assert whole["few_patients"] == {"false_negative_rate of cord": 1}


@pytest.mark.parametrize(
    ("protocol", "baseline", "beats"),
    [("frame", "label_copy", False), ("patient", "majority", True), ("leave_one_patient_out", "majority", True)],
)
def test_where_patients_are_apart_the_winner_is_held_against_the_majority(
    truth: np.ndarray, protocol: str, baseline: str, beats: bool
) -> None:
    found = {"fair": judged(truth, with_errors(truth, 20))}
    baselines = {"label_copy": judged(truth, truth), "majority": judged(truth, with_errors(truth, 100))}
    assert baselines["label_copy"].loss < found["fair"].loss < baselines["majority"].loss
    assert selection(found, baselines, RULE, protocol)["winner_beats"] == {"baseline": baseline, "beats": beats}


def test_the_literal_rule_is_the_study_s_only_where_the_declared_one_is(truth: np.ndarray) -> None:
    others = (
        {"bad_quality": "false_positive_rate"},
        {"fluid": "false_negative_rate", "cord": "false_positive_rate"},
        {"fluid": "false_positive_rate"},
    )
    for minimise in (RULE.minimise, *others):
        rule = Rule(minimise=minimise, subject_to={})
        found = {"a": judge(rows_of(truth), answers(truth), LABELS, rule)}
        whole = selection(found, found | {"label_copy": found["a"]}, rule, "frame")
        assert whole["literal_rule"]["of_the_study"] == (minimise not in others)
        assert whole["patients"].keys() == {f"{rate} of {label}" for label, rate in minimise.items()}


def test_a_model_collapsed_in_any_label_cannot_win(truth: np.ndarray) -> None:
    never_bad = np.column_stack([np.zeros(len(truth)), truth[:, 1:]])
    found = {"never_bad": judged(truth, never_bad), "poor": judged(truth, with_errors(truth, 40))}
    assert found["never_bad"].loss == 0.0
    assert found["never_bad"].reasons == ["collapsed: the same answer for every validation frame for bad_quality"]
    assert winner_of(found)[0] == "poor"


def test_a_constant_answer_is_right_where_the_expert_is_constant(truth: np.ndarray) -> None:
    no_bad = truth[truth[:, 0] == 0]
    assert collapsed_labels(rows_of(no_bad), answers(no_bad), LABELS) == []
    assert unjudged_labels(rows_of(no_bad), answers(no_bad), LABELS) == ["bad_quality"]


def test_a_constant_answer_is_told_only_where_nothing_can_show_it(truth: np.ndarray) -> None:
    silent = answers(np.zeros_like(truth))
    assert unjudged_labels(rows_of(truth), silent, LABELS) == []  # the truth varies: collapsed, and told as that
    no_bad = truth[truth[:, 0] == 0]
    awake = no_bad.copy()
    awake[0, 0] = 1
    assert unjudged_labels(rows_of(no_bad), answers(awake), LABELS) == []


def test_the_loss_is_the_mean_over_patients_by_hand() -> None:
    # P000: 1 of 4 cords missed, no frame without fluid. P001: both of 2 cords missed, 1 of 2 fluid-free called fluid.
    # P002: no cord, 1 of 1 fluid-free called fluid; its frame counts like P001's two together
    cord = np.array([1, 1, 1, 1, 1, 1, 0, 0, 0, 0])
    fluid = np.array([1, 1, 1, 1, 1, 1, 0, 0, 0, 1])
    said_cord = np.array([0, 1, 1, 1, 0, 0, 0, 0, 0, 0])
    said_fluid = np.array([1, 1, 1, 1, 1, 1, 1, 0, 1, 1])
    truth = np.column_stack([np.zeros(10), cord, fluid]).astype(float)
    rows = rows_of(truth)
    rows.frames["patient"] = ["P000"] * 4 + ["P001"] * 4 + ["P002"] * 2
    found = judge(rows, answers(np.column_stack([np.zeros(10), said_cord, said_fluid])), LABELS, RULE)
    assert found.rates["false_negative_rate of cord"] == pytest.approx((1 / 4 + 2 / 2) / 2)
    assert found.rates["false_positive_rate of fluid"] == pytest.approx((1 / 2 + 1 / 1) / 2)
    assert found.loss == pytest.approx(0.625 + 0.75)
    assert found.literal == 3 + 2


def test_where_validation_has_no_cord_there_is_no_winner_and_the_reason_is_said(truth: np.ndarray) -> None:
    truth[:, 1] = 0
    found = {"any": judged(truth, truth)}
    assert found["any"].loss is None
    assert winner_of(found)[0] is None
    assert found["any"].reasons[0].startswith("false_negative_rate of cord is not estimable")


def test_equal_losses_go_to_the_better_macro_f1_then_to_the_declared_order(truth: np.ndarray) -> None:
    worse = truth.copy()
    worse[0, 0] = 1 - worse[0, 0]  # bad quality is not in the loss
    found = {"worse": judged(truth, worse), "better": judged(truth, truth), "same": judged(truth, truth)}
    winner, why = winner_of(found)
    assert winner == "better"
    assert "tied with same, worse" in why


@pytest.mark.parametrize("change", [lambda x: 1 - x, np.zeros_like, np.ones_like])
def test_test_rows_choose_nothing(truth: np.ndarray, change: Callable[[np.ndarray], np.ndarray]) -> None:
    side = np.where(np.arange(len(truth)) % 2 == 0, "validation", "test")
    scores = np.random.default_rng(0).random(truth.shape)
    rows, test = rows_of(truth, patients=3), side == "test"
    rows.frames["side"] = side
    how = Threshold(method="validation_f1", value=0.5)
    first = model_answers(rows, scores, LABELS, how)
    other_truth, other_scores = truth.copy(), scores.copy()
    other_truth[test], other_scores[test] = change(truth[test]), change(scores[test])
    changed = Rows(rows.frames, other_truth)
    second = model_answers(changed, other_scores, LABELS, how)
    assert first.thresholds == second.thresholds
    assert judge(rows, first, LABELS, RULE) == judge(changed, second, LABELS, RULE)


def test_a_label_collapses_where_more_than_half_of_the_folds_that_can_show_it_do(truth: np.ndarray) -> None:
    rows = rows_of(np.concatenate([truth, truth]))
    rows.frames["fold"] = ["0"] * len(truth) + ["1"] * len(truth)
    silent = np.zeros_like(truth)
    assert collapsed_labels(rows, answers(np.concatenate([silent, truth])), LABELS) == []
    assert collapsed_labels(rows, answers(np.concatenate([silent, 1 - silent])), LABELS) == LABELS


@pytest.mark.parametrize(("silent", "collapsed"), [(7, True), (5, True), (4, False), (1, False)])
def test_with_eight_folds_a_model_silent_in_most_has_collapsed_and_cannot_win(
    truth: np.ndarray, silent: int, collapsed: bool
) -> None:
    rows = rows_of(np.concatenate([truth] * 8))
    rows.frames["fold"] = np.repeat([str(fold) for fold in range(8)], len(truth))
    said = np.concatenate([np.zeros_like(truth)] * silent + [truth] * (8 - silent))
    assert (collapsed_labels(rows, answers(said), LABELS) == LABELS) == collapsed
    assert constant_folds(rows, answers(said), LABELS) == dict.fromkeys(LABELS, (silent, 8))
    reasons = judge(rows, answers(said), LABELS, RULE).reasons
    assert any(reason.startswith("collapsed") for reason in reasons) == collapsed
