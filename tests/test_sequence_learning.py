"""What is learnt: a task that time alone solves, nothing from test rows, and the same bytes twice."""

from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from stages.common.core.errors import PipelineError
from stages.common.labels import Imbalance
from stages.sequence.inputs import scaling_of
from stages.sequence.leaning import uninformed
from stages.sequence.losses import log_loss
from stages.sequence.networks import Kind
from stages.sequence.params import Section
from stages.sequence.stretches import Stretch, cut
from stages.sequence.systems import Fold, markov_answers, median_answers, network_answers
from stages.sequence.training import Epoch, kept_line
from tests.sequence_data import frames_of, section, uneven

KINDS: tuple[Kind, ...] = ("gru", "lstm", "transformer")
CLIPS, LENGTH = 26, 20
PLAIN = Imbalance(pos_weight=False, focal_gamma=0.0, balanced_sampling=False)
LEARNING = {"epochs": 25, "lr": 0.02, "hidden": 16, "heads": 2, "batch": 2}


def planted(seed: int) -> tuple[NDArray[np.float32], Fold]:
    """Return features and a fold whose label is the sign of the previous frame's first feature."""
    rng = np.random.default_rng(seed)
    frames = frames_of([uneven(rng, LENGTH) for _ in range(CLIPS)])
    features = rng.normal(size=(len(frames), 4)).astype(np.float32)
    truth = np.full((len(frames), 1), np.nan, np.float32)  # a clip's first frame has no previous one: unknown
    truth[1:, 0] = features[:-1, 0] > 0
    truth[::LENGTH] = np.nan
    clip = np.arange(len(frames)) // LENGTH
    sides = {
        "train": np.flatnonzero(clip < 18),
        "validation": np.flatnonzero((clip >= 18) & (clip < 22)),
        "test": np.flatnonzero(clip >= 22),
    }
    times = frames["time_s"].to_numpy()
    stretches = {side: cut(frames, rows, times, 1.0) for side, rows in sides.items()}
    return features, Fold("patient/0", truth, sides, stretches, uninformed(truth[sides["train"]], PLAIN))


def accuracy(said: NDArray[np.float64], fold: Fold) -> float:
    rows = fold.sides["test"][~np.isnan(fold.truth[fold.sides["test"], 0])]
    return float(((said[rows, 0] > 0.5) == fold.truth[rows, 0]).mean())


@pytest.mark.parametrize("kind", KINDS)
def test_what_time_alone_tells_is_learnt_by_each_network_and_by_no_frame_wise_model(kind: Kind) -> None:
    features, fold = planted(0)
    train = fold.sides["train"][~np.isnan(fold.truth[fold.sides["train"], 0])]
    frame_wise = LogisticRegression().fit(features[train], fold.truth[train, 0])
    assert accuracy(frame_wise.predict_proba(features)[:, 1:], fold) < 0.65
    assert accuracy(network_answers(kind, features, fold, section(**LEARNING), "validation", 1).said, fold) > 0.9


def test_answers_that_are_no_numbers_stop_it_also_where_validation_has_no_known_label() -> None:
    features, fold = planted(0)
    features[fold.sides["train"][0]] = np.nan
    fold.truth[fold.sides["validation"]] = np.nan
    with pytest.raises(PipelineError, match=r"expected answers that are numbers, got NaN.* Lower sequence\.lr"):
        network_answers("gru", features, fold, section(**LEARNING), "validation", 1)


@pytest.mark.parametrize("kind", KINDS)
def test_across_gaps_nothing_can_be_learnt(kind: Kind) -> None:
    features, fold = planted(0)
    apart = {side: [part for one in of for part in _singles(one)] for side, of in fold.stretches.items()}
    lonely = Fold(fold.name, fold.truth, fold.sides, apart, fold.leaning)
    assert (
        accuracy(
            network_answers(kind, features, lonely, section(epochs=30, lr=0.02, batch=64), "fixed", 1).said, lonely
        )
        < 0.65
    )


def _singles(stretch: Stretch) -> list[Stretch]:
    return [Stretch(stretch.rows[place : place + 1], np.zeros(1)) for place in range(len(stretch.rows))]


def said_by(model: str, features: NDArray[np.float32], fold: Fold, of: Section) -> NDArray[np.float64]:
    if model in KINDS:
        return network_answers(model, features, fold, of, "validation", 1).said  # type: ignore[arg-type]
    probabilities = 1 / (1 + np.exp(-features[:, :1].astype(float)))
    return (median_answers if model == "median" else markov_answers)(probabilities, fold, of, "validation").said


@pytest.mark.parametrize("model", [*KINDS, "median", "hmm"])
def test_twice_is_the_same_and_test_rows_teach_nothing(model: str) -> None:
    features, fold = planted(2)
    of = section(dropout=0.2, noise=0.2, components=3)
    first = said_by(model, features, fold, of)
    assert np.array_equal(first, said_by(model, features, fold, of), equal_nan=True)
    garbled, rng = features.copy(), np.random.default_rng(9)
    garbled[fold.sides["test"]] = rng.normal(size=(len(fold.sides["test"]), 4))
    other = fold.truth.copy()
    other[fold.sides["test"]] = 1 - other[fold.sides["test"]]
    second = said_by(model, garbled, Fold(fold.name, other, fold.sides, fold.stretches, fold.leaning), of)
    held = fold.sides["validation"]
    assert np.array_equal(first[held], second[held])  # nothing that was fitted or chosen has seen them
    assert not np.array_equal(first[fold.sides["test"]], second[fold.sides["test"]])
    assert np.isnan(first[fold.sides["train"]]).all()
    assert ((first[held] >= 0) & (first[held] <= 1)).all()


def test_the_chain_pools_witnesses_who_err() -> None:
    """A label that changes rarely, a network that errs one frame in five: the chain is right far more often."""
    rng = np.random.default_rng(4)
    _, fold = planted(0)
    truth = (np.arange(CLIPS * LENGTH) // 10 % 2).astype(np.float32)[:, None]
    said = np.where(rng.uniform(size=truth.shape) < 0.2, 1 - truth, truth) * 0.6 + 0.2
    steady = Fold(fold.name, truth, fold.sides, fold.stretches, fold.leaning)
    found = markov_answers(said, steady, section(), "validation")
    assert accuracy(found.said, steady) > accuracy(said, steady) + 0.05
    assert markov_answers(said, steady, section(), "fixed").chosen == {"temperature": 2.0}


def test_validation_chooses_the_medians_window() -> None:
    """A label in runs of ten frames, one answer in five wrong: some seconds help, half a clip does not."""
    rng = np.random.default_rng(4)
    _, fold = planted(0)
    truth = (np.arange(CLIPS * LENGTH) // 10 % 2).astype(np.float32)[:, None]
    said = np.where(rng.uniform(size=truth.shape) < 0.2, 1 - truth, truth) * 0.6 + 0.2
    steady = Fold(fold.name, truth, fold.sides, fold.stretches, fold.leaning)
    tried = section(median_s={"tried": [5.0, 0.2, 0.01], "fixed": 5.0}, causal=False)
    losses = {}
    for window in tried.median_s.tried:
        alone = median_answers(
            said, steady, section(median_s={"tried": [window], "fixed": 1.0}, causal=False), "validation"
        ).said
        losses[window] = float(log_loss(alone[fold.sides["validation"]], truth[fold.sides["validation"]]))
    assert median_answers(said, steady, tried, "validation").chosen == {
        "median_s": min(losses, key=lambda window: losses[window])
    }
    blind = Fold(fold.name, np.full_like(truth, np.nan), fold.sides, fold.stretches, fold.leaning)
    assert median_answers(said, blind, tried, "validation").chosen == {"median_s": 0.01}  # no label is known
    assert median_answers(said, steady, tried, "fixed").chosen == {"median_s": 5.0}


def test_scaling_is_the_training_sides() -> None:
    rng = np.random.default_rng(5)
    features = rng.normal(3, [1, 10, 0.1, 0], (50, 4)).astype(np.float16)
    scaling = scaling_of(features, np.arange(40), None, 1)
    inputs = scaling(features)
    np.testing.assert_allclose(inputs[:40].mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(inputs[:40, :3].std(axis=0), 1, atol=1e-3)
    assert (inputs[:, 3] == 0).all()  # what does not vary is not blown up
    other = features.copy()
    other[40:] = 100
    assert np.array_equal(scaling_of(other, np.arange(40), None, 1).mean, scaling.mean)


def test_components_are_uncorrelated_and_ordered() -> None:
    rng = np.random.default_rng(6)
    features = rng.normal(size=(200, 3)) @ rng.normal(size=(3, 12))
    inputs = scaling_of(features, np.arange(200), 3, 1)(features)
    covariance = np.cov(inputs.T)
    np.testing.assert_allclose(covariance - np.diag(np.diag(covariance)), 0, atol=1e-3)
    assert all(first >= second for first, second in pairwise(np.diag(covariance)))
    assert np.diag(covariance).mean() == pytest.approx(1, abs=1e-3)
    assert scaling_of(features, np.arange(5), 64, 1)(features).shape == (200, 5)  # no more than there are frames


def test_the_best_epoch_is_the_least_loss_among_those_that_vary_most() -> None:
    lines = [Epoch(1, 0.2, 1), Epoch(2, 0.5, 0), Epoch(3, 0.4, 0), Epoch(4, 0.6, 0)]
    assert kept_line(lines, "validation").epoch == 3
    assert kept_line(lines, "fixed").epoch == 4
