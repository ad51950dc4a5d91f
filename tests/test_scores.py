import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from sklearn import metrics

from stages.common.evaluation import scores
from stages.common.evaluation.decision import (
    GO,
    NO_VIEW,
    STOP,
    UNKNOWN,
    Decision,
    decide,
    decision_confusion,
    decision_figures,
)
from stages.common.evaluation.thresholds import Threshold, choose_threshold

LABELS = ["bad_quality", "cord", "fluid"]
SPINE = Decision(go={"fluid": 1, "cord": 0, "bad_quality": 0}, stop={"cord": 1})
CELL = st.sampled_from([0.0, 1.0, np.nan])


@st.composite
def answered(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Return truth (rows, 3) with gaps and scores with ties."""
    rows = draw(st.integers(1, 40))
    truth = np.array(draw(st.lists(st.tuples(CELL, CELL, CELL), min_size=rows, max_size=rows)))
    grid = st.integers(0, 10).map(lambda tenth: tenth / 10)
    return truth, np.array(draw(st.lists(st.tuples(grid, grid, grid), min_size=rows, max_size=rows)))


@settings(deadline=None, max_examples=40)
@given(case=answered())
def test_every_figure_agrees_with_scikit_learn_among_known_labels(case: tuple[np.ndarray, np.ndarray]) -> None:
    truth, score = case
    counts = scores.confusion(truth, score >= 0.5)
    areas, precisions = scores.roc_auc(truth, score), scores.average_precision(truth, score)
    for label in range(3):
        known = ~np.isnan(truth[:, label])
        real, said = truth[known, label], score[known, label] >= 0.5
        if not known.any():
            assert counts[label].sum() == 0
            continue
        assert counts[label].tolist() == metrics.confusion_matrix(real, said, labels=[0, 1]).ravel().tolist()
        found = scores.rates(counts[label])
        expected = {
            "accuracy": metrics.accuracy_score(real, said),
            "precision": metrics.precision_score(real, said, zero_division=np.nan),
            "recall": metrics.recall_score(real, said, zero_division=np.nan),
            "specificity": metrics.recall_score(real, said, pos_label=0, zero_division=np.nan),
        }
        for name, value in expected.items():
            assert found[name] == (None if np.isnan(value) else pytest.approx(value)), name
        both = len(set(real)) == 2
        assert found["f1"] == (pytest.approx(metrics.f1_score(real, said, zero_division=0)) if real.any() else None)
        balanced = pytest.approx(metrics.balanced_accuracy_score(real, said)) if both else None
        assert found["balanced_accuracy"] == balanced
        assert areas[label] == (pytest.approx(metrics.roc_auc_score(real, score[known, label])) if both else None)
        expected_ap = pytest.approx(metrics.average_precision_score(real, score[known, label])) if both else None
        assert precisions[label] == expected_ap


@settings(deadline=None, max_examples=40)
@given(case=answered())
def test_pooled_figures_are_scikit_learn_s_micro_averages(case: tuple[np.ndarray, np.ndarray]) -> None:
    truth, score = np.nan_to_num(case[0]), case[1]
    found = scores.rates(scores.confusion(truth, score >= 0.5).sum(axis=0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        micro = metrics.precision_recall_fscore_support(truth, score >= 0.5, average="micro", zero_division=np.nan)
    for name, value in zip(("precision", "recall"), micro, strict=False):
        assert found[name] == (None if np.isnan(value) else pytest.approx(value))
    assert found["accuracy"] == pytest.approx((truth == (score >= 0.5)).mean())
    if truth.any():
        assert found["f1"] == pytest.approx(micro[2])
    assert scores.misclassified(truth, score >= 0.5) == (truth != (score >= 0.5)).any(axis=1).sum()


def test_the_published_table_follows_from_its_own_counts() -> None:
    # STUDY.md, column ResNet18: TN 1280, FP 11, FN 13, TP 730 over 678 x 3 decisions
    found = scores.rates(np.array([1280, 11, 13, 730]))
    published = {"accuracy": 0.9882, "precision": 0.9852, "recall": 0.9825, "f1": 0.9838}
    assert {name: round(found[name], 4) for name in published} == published


def test_undefined_is_none_and_never_zero() -> None:
    nothing_there = scores.rates(np.array([5, 0, 0, 0]))
    assert nothing_there["recall"] is nothing_there["precision"] is nothing_there["f1"] is None
    none_found = scores.rates(np.array([5, 0, 3, 0]))
    assert (none_found["recall"], none_found["precision"], none_found["f1"]) == (0.0, None, 0.0)
    truth = np.full((4, 3), np.nan)
    assert scores.macro_f1(truth, np.ones((4, 3), bool)) is None
    assert scores.roc_auc(truth, np.zeros((4, 3))) == [None, None, None]


def test_macro_f1_leaves_out_labels_without_positives() -> None:
    truth = np.array([[1, 0], [0, 0], [1, 0], [0, 0.0]])
    said = np.array([[1, 1], [0, 0], [0, 1], [0, 0]], bool)
    assert scores.macro_f1(truth, said) == pytest.approx(metrics.f1_score(truth[:, 0], said[:, 0]))


def test_with_folds_an_area_is_the_mean_over_patients_and_no_pool() -> None:
    # each patient is ranked perfectly, on scales that differ: pooled, the ranking would be worthless
    truth = np.array([[0], [1], [0], [1], [1.0]])
    score = np.array([[0.1], [0.2], [0.8], [0.9], [0.05]])
    patients = np.array(["P001", "P001", "P002", "P002", "P003"], dtype=object)
    assert scores.roc_auc(truth, score, patients) == [1.0]  # P003 has one class and no area
    assert scores.roc_auc(truth, score)[0] < 0.7


def test_a_patient_counts_once_however_many_frames() -> None:
    truth = np.ones((12, 1))
    said = np.array([[True]] * 10 + [[False]] * 2)
    patients = np.array(["P001"] * 10 + ["P002"] * 2, dtype=object)
    assert scores.mean_over_patients(truth, said, patients, 0, "false_negative_rate") == 0.5
    assert scores.mean_over_patients(truth, said, patients, 0, "false_positive_rate") is None


# --- decision --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bad_quality", "cord", "fluid", "expected"),
    [
        (0, 0, 1, GO),
        (0, 1, 1, STOP),
        (0, 1, 0, STOP),
        (1, 1, 1, STOP),  # cord overrides
        (1, 0, 1, NO_VIEW),
        (0, 0, 0, NO_VIEW),
        (1, 0, 0, NO_VIEW),
        (np.nan, 1, np.nan, STOP),  # the cord alone decides
        (0, np.nan, 1, UNKNOWN),
        (np.nan, 0, 1, UNKNOWN),
        (np.nan, 0, 0, NO_VIEW),  # no fluid: no GO, whatever the quality
        (0, np.nan, 0, UNKNOWN),  # stop or no view
    ],
)
def test_decisions(bad_quality: float, cord: float, fluid: float, expected: int) -> None:
    assert decide(np.array([[bad_quality, cord, fluid]], float), LABELS, SPINE).tolist() == [expected]


def test_without_a_label_that_forbids_nothing_is_a_stop() -> None:
    free = Decision(go={"fluid": 1, "bad_quality": 0}, stop={})
    values = np.array([[0, 1, 1], [1, 1, 1], [0, np.nan, 1], [np.nan, 0, 1]], float)
    assert decide(values, LABELS, free).tolist() == [GO, NO_VIEW, GO, UNKNOWN]
    with pytest.raises(ValidationError, match="at least 1 item"):
        Decision(go={}, stop={})


@given(seed=st.integers(0, 999))
def test_a_decision_with_gaps_is_known_exactly_when_every_completion_agrees(seed: int) -> None:
    row = np.random.default_rng(seed).choice([0, 1, np.nan], size=3)
    gaps = np.isnan(row)
    completions = [np.where(gaps, bits, row) for bits in np.ndindex(2, 2, 2)]
    possible = {int(decide(np.array([whole], float), LABELS, SPINE)[0]) for whole in completions}
    found = int(decide(row[None], LABELS, SPINE)[0])
    assert found == (possible.pop() if len(possible) == 1 else UNKNOWN)


def test_false_gos_by_what_they_cost() -> None:
    truth = np.array([GO, GO, STOP, STOP, NO_VIEW, UNKNOWN])
    said = np.array([GO, STOP, GO, STOP, GO, GO])
    counts = decision_confusion(truth, said)
    assert counts.sum() == 5
    assert counts.tolist() == metrics.confusion_matrix(truth[:5], said[:5]).tolist()
    assert decision_figures(counts) == {"GO right": 1, "GO dangerous": 1, "GO futile": 1, "GO missed": 1}


# --- thresholds ------------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=40)
@given(case=answered(), value=st.sampled_from([0.3, 0.5, 0.55]))
def test_validation_f1_finds_the_best_f1_there_is(case: tuple[np.ndarray, np.ndarray], value: float) -> None:
    truth, score = case[0][:, 0], case[1][:, 0]
    known = ~np.isnan(truth)
    chosen = choose_threshold(truth, score, Threshold(method="validation_f1", value=value))
    if len(set(truth[known])) < 2:
        assert chosen == value
        return
    tried = [metrics.f1_score(truth[known], score[known] >= step) for step in [tenth / 10 for tenth in range(11)]]
    assert metrics.f1_score(truth[known], score[known] >= chosen) == pytest.approx(max(tried))


def test_a_fixed_threshold_is_inclusive_and_fixed() -> None:
    assert choose_threshold(np.array([0, 1.0]), np.array([0.9, 0.1]), Threshold(method="fixed", value=0.5)) == 0.5
