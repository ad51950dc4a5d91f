"""The median against scipy; the hidden Markov model against the enumeration of every course there is."""

from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.linalg import expm
from scipy.ndimage import median_filter
from scipy.special import expit, logit

from stages.sequence.losses import constant_labels, log_loss
from stages.sequence.smoothing import FEW_CHANGES, FEW_S, Chain, chain_of, evidence, filtered, median, smoothed
from tests.sequence_data import stretches_of, uneven

CHAIN = Chain(np.array([0.7, 3.0]), np.array([0.2, 1.0]), np.array([0.6, 0.25]))


def test_a_centred_median_is_scipys() -> None:
    said = np.random.default_rng(0).uniform(size=(40, 3))
    times = np.arange(40) / 30
    found = median(said, times, 4 / 30, causal=False)
    expected = median_filter(said, size=(5, 1), mode="nearest")
    np.testing.assert_allclose(found[2:-2], expected[2:-2])


def test_a_causal_median_is_scipys_of_what_ends_with_the_frame() -> None:
    said = np.random.default_rng(1).uniform(size=(40, 3))
    found = median(said, np.arange(40) / 30, 4 / 30, causal=True)
    np.testing.assert_allclose(found[4:], median_filter(said, size=(5, 1))[2:-2])
    np.testing.assert_allclose(found[0], said[0])
    np.testing.assert_allclose(found[1], said[:2].mean(axis=0))  # of two, the mean


def test_a_median_counts_seconds_not_frames() -> None:
    said = np.array([[0.9], [0.1], [0.1], [0.8]])
    found = median(said, np.array([0.0, 0.2, 0.4, 5.0]), 1.0, causal=True)
    np.testing.assert_allclose(found[:, 0], [0.9, 0.5, 0.1, 0.8])


def enumerated(told: NDArray[np.float64], times: NDArray[np.float64], label: int, last: int) -> NDArray[np.float64]:
    """Return P(present) at each frame up to `last` given all evidence up to it, by adding up every course of states."""
    rates = np.array([[-CHAIN.up[label], CHAIN.up[label]], [CHAIN.down[label], -CHAIN.down[label]]])
    start = np.array([1 - CHAIN.prevalence[label], CHAIN.prevalence[label]])
    total, present = 0.0, np.zeros(last + 1)
    for course in product((0, 1), repeat=last + 1):
        weight = start[course[0]] * np.exp(told[0, label] * course[0])
        for place in range(1, last + 1):
            step = expm(rates * (times[place] - times[place - 1]))
            weight *= step[course[place - 1], course[place]] * np.exp(told[place, label] * course[place])
        total += weight
        present += weight * np.array(course)
    return present / total


@pytest.mark.parametrize("label", [0, 1])
def test_the_filter_and_the_smoother_are_the_sums_over_all_courses(label: int) -> None:
    rng = np.random.default_rng(2)
    times, told = np.array(uneven(rng, 7, 0.5)), rng.normal(0, 2, (7, 2))
    forward = filtered(told, times, CHAIN)[:, label]
    for last in range(7):
        assert forward[last] == pytest.approx(enumerated(told, times, label, last)[-1], abs=1e-10)
    np.testing.assert_allclose(smoothed(told, times, CHAIN)[:, label], enumerated(told, times, label, 6), atol=1e-9)


def test_evidence_is_what_the_picture_adds_to_the_prevalence() -> None:
    said = np.array([[0.8, 0.25]])
    told = evidence(said, CHAIN.prevalence, 1.0)
    np.testing.assert_allclose(expit(logit(CHAIN.prevalence) + told), said)
    np.testing.assert_allclose(filtered(told, np.zeros(1), CHAIN), said)  # a frame alone: what the network said
    doubted = filtered(evidence(said, CHAIN.prevalence, 1e9), np.zeros(1), CHAIN)
    np.testing.assert_allclose(doubted[0], CHAIN.prevalence)


def test_certain_networks_neither_overflow_nor_lock_the_chain() -> None:
    said = np.array([[1.0, 0.0]] * 50 + [[0.0, 1.0]] * 50)
    times = np.zeros(100)  # no time passes: the states cannot change, and the beliefs must still be numbers
    for smooth in (filtered, smoothed):
        assert np.isfinite(smooth(evidence(said, CHAIN.prevalence, 1.0), times, CHAIN)).all()
    moving = filtered(evidence(said, CHAIN.prevalence, 1.0), np.arange(100) / 30, CHAIN)
    assert (moving[-1] > 0.5).tolist() == [False, True]


def test_rates_are_changes_over_seconds_and_unknown_steps_say_nothing() -> None:
    stretches = stretches_of([[0, 0.5, 1.0, 1.5, 2.0], [0, 0.25]])
    truth = np.array([[0, 1, 1, 0, np.nan, 1, 1]], np.float32).T
    found = chain_of(stretches, truth)
    assert found.up.tolist() == [(1 + FEW_CHANGES) / (0.5 + FEW_S)]
    assert found.down.tolist() == [(1 + FEW_CHANGES) / (1.25 + FEW_S)]
    assert found.prevalence.tolist() == [5 / 8]


def test_simulated_rates_come_back() -> None:
    rng, steps = np.random.default_rng(3), 40_000
    state, course = 0, []
    for _ in range(steps):
        course.append(state)
        if rng.uniform() < (0.8 if state == 0 else 0.3) * 0.01:
            state = 1 - state
    found = chain_of(stretches_of([[0.01 * place for place in range(steps)]]), np.array([course], np.float32).T)
    np.testing.assert_allclose([found.up[0], found.down[0]], [0.8, 0.3], rtol=0.25)


def test_log_loss_leaves_out_the_unknown() -> None:
    truth = np.array([[1, 0], [np.nan, 1]], np.float32)
    said = np.array([[0.8, 0.4], [0.1, 1.0]])
    assert log_loss(said, truth) == pytest.approx(-np.mean(np.log([0.8, 0.6, 1 - 1e-6])))
    assert log_loss(said, np.full((2, 2), np.nan, np.float32)) == np.inf


def test_constant_labels_count_only_where_the_truth_varies() -> None:
    truth = np.array([[1, 1, 0], [0, 1, 1], [np.nan, 1, 1]], np.float32)
    said = np.array([[0.9, 0.9, 0.2], [0.8, 0.7, 0.9], [0.9, 0.9, 0.9]])
    assert constant_labels(said, truth) == 1
