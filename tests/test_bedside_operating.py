"""Temperatures, thresholds, winners: against known temperatures, scikit-learn, brute force, and their own infants."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator

from stages.bedside.choices import operating_part
from stages.bedside.choosing import choosing_infants, units_of
from stages.bedside.operating import Point, assemble, network, points_of, winners
from stages.bedside.settings import Cap, OperatingPoint, Temperature
from stages.bedside.temperature import fit_temperature, logits
from stages.bedside.thresholds import Threshold, candidates_of, choose
from stages.common.evaluation.answers import Rows
from stages.common.evaluation.rule import Rule
from stages.common.evaluation.scores import mean_over_patients
from stages.common.protocols import LEAVE_ONE_OUT

LABELS = ["bad_quality", "cord", "fluid"]
BOUNDS = Temperature(min=0.1, max=10.0)
POINT = OperatingPoint(
    temperature=BOUNDS,
    maximise={"cord": "sensitivity"},
    caps={"cord": {"false_positive_rate": 0.2}, "fluid": {"false_positive_rate": 0.1}},
    fallback=0.5,
)
RULE = Rule(
    minimise={"fluid": "false_positive_rate", "cord": "false_negative_rate"},
    subject_to={"fluid": {"sensitivity": 0.3}, "cord": {"specificity": 0.3}},
)


class Identity(ClassifierMixin, BaseEstimator):
    """A classifier whose one feature is its logit."""

    def fit(self, x: np.ndarray, y: np.ndarray) -> "Identity":
        self.classes_, self.n_features_in_ = np.unique(y), x.shape[1]
        return self

    def decision_function(self, x: np.ndarray) -> np.ndarray:
        return x[:, 0]

    def predict(self, x: np.ndarray) -> np.ndarray:
        return self.classes_[(x[:, 0] > 0).astype(int)]


def simulated(temperature: float, rows: int, seed: int = 0, labels: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Return logits that are `temperature` times too large, and labels drawn from the right ones."""
    rng = np.random.default_rng(seed)
    right = rng.normal(0, 2, (rows, labels))
    return right * temperature, (rng.random((rows, labels)) < expit(right)).astype(float)


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
def test_a_known_temperature_is_recovered(temperature: float) -> None:
    values, truth = simulated(temperature, 20_000)
    found, why = fit_temperature(values, truth, np.full(len(values), "P001", object), BOUNDS)
    assert found == pytest.approx(temperature, rel=0.03)
    assert why is None


@pytest.mark.filterwarnings("ignore:Since FrozenEstimator")  # it fits nothing that weights could spoil
@pytest.mark.parametrize("patients", [1, 5])
def test_the_temperature_is_scikit_learn_s_with_each_infant_weighing_the_same(patients: int) -> None:
    values, truth = simulated(1.7, 400, labels=1)
    names = np.array([f"P{int(place**0.5) % patients}" for place in range(400)], dtype=object)
    weights = 1 / pd.Series(names).map(pd.Series(names).value_counts()).to_numpy()
    prefit = FrozenEstimator(Identity().fit(values, truth[:, 0]))
    oracle = CalibratedClassifierCV(prefit, method="temperature", ensemble=False)
    oracle.fit(values, truth[:, 0].astype(int), sample_weight=weights * 400)
    expected = 3.0 / logit(oracle.predict_proba(np.array([[3.0]]))[0, 1])
    assert fit_temperature(values, truth, names, BOUNDS)[0] == pytest.approx(expected, rel=1e-3)


def test_unknown_labels_change_no_temperature() -> None:
    values, truth = simulated(2.0, 300)
    names = np.full(300, "P001", object)
    more = np.vstack([values, values * 9]), np.vstack([truth, np.full(truth.shape, np.nan)])
    expected = fit_temperature(values, truth, names, BOUNDS)
    assert fit_temperature(*more, np.concatenate([names, names]), BOUNDS) == expected


def test_where_nothing_can_be_fitted_probabilities_stay() -> None:
    values, truth = simulated(2.0, 30)
    found, why = fit_temperature(values, np.ones_like(truth), np.full(30, "P001", object), BOUNDS)
    assert found == 1.0
    assert "no label has positives and negatives" in str(why)
    assert fit_temperature(np.empty((0, 3)), np.empty((0, 3)), np.empty(0, object), BOUNDS)[0] == 1.0


def test_perfect_separation_stops_at_the_bound_and_says_so() -> None:
    truth = np.tile([0.0, 1.0], 20)[:, None]
    found, why = fit_temperature(truth * 2 - 1, truth, np.full(40, "P001", object), BOUNDS)
    assert found == pytest.approx(0.1, rel=1e-3)
    assert "at the bound" in str(why)


def test_a_spread_holds_estimates_alone_and_what_is_none_is_counted() -> None:
    def point(value: float, temperature: float, why: str | None = None) -> Point:
        return Point(temperature, why, {"cord": Threshold(value, "a rule", None, None, None)})

    points = {"a": point(0.0, 2.0), "b": point(np.inf, 10.0, "at the bound"), "c": point(logit(0.75), 4.0)}
    found = operating_part(points, ["cord"])
    assert found["temperature"] == {"min": 2.0, "median": 3.0, "max": 4.0}
    assert (found["units"], found["temperatures_without_estimate"]) == (3, 1)
    cord = found["labels"]["cord"]
    assert cord["threshold"] == {"min": 0.5, "median": 0.625, "max": 0.75}
    assert (cord["never"], cord["always"], cord["why"]) == (1, 0, [])
    lonely = operating_part({"b": points["b"]}, ["cord"])
    assert (lonely["temperature"], lonely["labels"]["cord"]["threshold"]) == (None, None)
    assert "alike" in lonely["labels"]["cord"]["why"][0]


def test_how_many_infants_choose_is_how_many_others_there_are() -> None:
    rows, _ = cohort(5)
    assert choosing_infants(units_of(LEAVE_ONE_OUT, rows), rows.patients) == {"min": 4, "max": 4}


def test_certain_probabilities_have_finite_logits() -> None:
    assert logits(np.array([0.0, 1.0])).tolist() == pytest.approx([-13.8155, 13.8155], abs=1e-3)


scored = st.lists(
    st.tuples(st.integers(-3, 3), st.sampled_from([0.0, 1.0, np.nan]), st.sampled_from("ABC")), min_size=1, max_size=25
)


@pytest.mark.parametrize("label", LABELS)
@given(rows=scored)
@settings(deadline=None, max_examples=60)
def test_thresholds_agree_with_trying_all_of_them(label: str, rows: list[tuple[int, float, str]]) -> None:
    values, truth = np.array([row[0] for row in rows], float), np.array([row[1] for row in rows])
    patients = np.array([row[2] for row in rows], dtype=object)

    def rate(at: float, name: str) -> float | None:
        return mean_over_patients(truth[:, None], (values >= at)[:, None], patients, 0, name)

    loose = {"cord": Cap(false_positive_rate=0.5), "fluid": Cap(false_positive_rate=0.4)}
    found = choose(label, values, truth, patients, POINT.model_copy(update={"caps": loose}))
    if rate(0, "sensitivity") is None or rate(0, "false_positive_rate") is None:
        assert found.logit == logit(0.5)
        assert f"of {label}" in str(found.why)
        return
    cap = {"cord": 0.5, "fluid": 0.4}.get(label, 1.0)
    tried = [(rate(at, "sensitivity"), rate(at, "false_positive_rate")) for at in np.arange(-3.5, 5)]
    allowed = [(hits, alarms) for hits, alarms in tried if alarms <= cap + 1e-9]
    worth = [hits if label == "cord" else (hits + 1 - alarms) / 2 for hits, alarms in allowed]
    best = [pair for pair, value in zip(allowed, worth, strict=True) if value > max(worth) - 1e-9]
    assert found.why is None
    assert found.false_positive_rate <= cap + 1e-9
    assert (found.sensitivity, found.false_positive_rate) == pytest.approx(min(best, key=lambda pair: pair[1]))
    assert found.sensitivity == pytest.approx(rate(found.logit, "sensitivity"))
    assert found.false_positive_rate == pytest.approx(rate(found.logit, "false_positive_rate"))


def test_candidates_lie_between_the_values_and_beyond_them() -> None:
    assert candidates_of(np.array([2.0, 1.0, 1.0])).tolist() == [-np.inf, 1.5, np.inf]


def test_a_cap_of_nothing_is_kept_by_saying_no_where_it_must() -> None:
    strict = POINT.model_copy(update={"caps": {"cord": Cap(false_positive_rate=0.0)}})
    found = choose("cord", np.array([0.0, 1.0]), np.array([1.0, 0.0]), np.array(["A", "A"], object), strict)
    assert (found.probability, found.sensitivity, found.false_positive_rate) == (1.0, 0.0, 0.0)


def cohort(seed: int, protocol: str = LEAVE_ONE_OUT, patients: int = 5, frames: int = 40) -> tuple[Rows, dict]:
    """Return rows of `patients` infants and the scores of two models; with folds, each infant is one fold's test."""
    rng = np.random.default_rng(seed)
    names = np.repeat([f"P{place}" for place in range(patients)], frames)
    sides = np.full(len(names), "test")
    if protocol != LEAVE_ONE_OUT:
        sides[names == "P0"] = "validation"
    table = pd.DataFrame({"fold": names if protocol == LEAVE_ONE_OUT else "0", "side": sides, "patient": names})
    table["clip_id"], table["frame_index"] = table["patient"], np.tile(np.arange(frames), patients)
    table["frame_id"] = table["clip_id"] + "_" + table["frame_index"].astype(str)
    truth = rng.integers(0, 2, (len(names), 3)).astype(float)
    truth[rng.random(truth.shape) < 0.05] = np.nan
    lean = np.nan_to_num(truth, nan=0.5) * 2 - 1
    scores = {model: expit(lean + rng.normal(0, noise, lean.shape)) for model, noise in (("a", 1.5), ("b", 1.0))}
    return Rows(table, truth), scores


def everything(rows: Rows, scores: dict, protocol: str) -> tuple[dict, dict]:
    units = units_of(protocol, rows)
    points = {model: points_of(rows, values, LABELS, units, POINT) for model, values in scores.items()}
    return points, winners(rows, scores, points, units, LABELS, RULE)


@given(seed=st.integers(0, 1000), patient=st.sampled_from(["P0", "P2", "P4"]))
@settings(deadline=None, max_examples=15)
def test_an_infant_s_own_labels_and_scores_choose_nothing_for_it(seed: int, patient: str) -> None:
    rows, scores = cohort(seed)
    points, won = everything(rows, scores, LEAVE_ONE_OUT)
    mine, rng = rows.patients == patient, np.random.default_rng(seed)
    truth = rows.truth.copy()
    truth[mine] = rng.integers(0, 2, truth[mine].shape)
    changed = {model: np.where(mine[:, None], rng.random(values.shape), values) for model, values in scores.items()}
    after, won_after = everything(Rows(rows.frames, truth), changed, LEAVE_ONE_OUT)
    assert [after[model][patient] for model in scores] == [points[model][patient] for model in scores]
    assert won_after[patient] == won[patient]
    others = [name for name in won if name != patient]
    assert any(
        after[model][name] != points[model][name] for model, name in product(scores, others)
    )  # it chooses for them


@pytest.mark.parametrize("protocol", ["patient", "frame"])
def test_with_one_fold_test_rows_choose_nothing_at_all(protocol: str) -> None:
    rows, scores = cohort(1, protocol)
    points, won = everything(rows, scores, protocol)
    test, rng = rows.on("test"), np.random.default_rng(0)
    truth = np.where(test[:, None], 1 - rows.truth, rows.truth)
    changed = {model: np.where(test[:, None], rng.random(values.shape), values) for model, values in scores.items()}
    assert everything(Rows(rows.frames, truth), changed, protocol) == (points, won)


@pytest.mark.parametrize("protocol", ["patient", LEAVE_ONE_OUT])
def test_units_test_every_row_once_and_choose_from_others(protocol: str) -> None:
    rows, _ = cohort(0, protocol)
    units = units_of(protocol, rows)
    assert (np.sum([unit.tested for unit in units], axis=0) == rows.on("test")).all()
    assert not any((unit.tested & unit.choosing).any() for unit in units)


def test_a_network_answers_each_infant_at_its_own_point() -> None:
    rows, scores = cohort(3)
    units = units_of(LEAVE_ONE_OUT, rows)
    points = points_of(rows, scores["a"], LABELS, units, POINT)
    found = network("a", scores["a"], points, units)
    for unit in units:
        point = points[unit.name]
        after = expit(logit(scores["a"][unit.tested]) / point.temperature)
        assert found.after[unit.tested] == pytest.approx(after)
        thresholds = [threshold.probability for threshold in point.thresholds.values()]
        assert (found.said[unit.tested] == (after >= thresholds)).all()


def test_chosen_is_the_winner_of_each_infant_and_silent_where_there_is_none() -> None:
    rows, scores = cohort(4)
    units = units_of(LEAVE_ONE_OUT, rows)
    points = {model: points_of(rows, values, LABELS, units, POINT) for model, values in scores.items()}
    who = {"P0": "a", "P1": "b", "P2": None, "P3": "b", "P4": "a"}
    found = assemble(who, scores, points, units)
    for name, model in who.items():
        mine = rows.patients == name
        assert set(found.answered_by[mine]) == {model or ""}
        if model:
            assert (found.said[mine] == network(model, scores[model], points[model], units).said[mine]).all()
        else:
            assert np.isnan(found.after[mine]).all()


def test_an_only_infant_has_nobody_to_choose_for_it() -> None:
    points, won = everything(*cohort(6, patients=1), LEAVE_ONE_OUT)
    point = points["a"]["P0"]
    assert point.temperature == 1.0
    assert [threshold.rule for threshold in point.thresholds.values()] == ["fixed at 0.5"] * 3
    assert won["P0"][0] is None
    assert "not estimable" in won["P0"][1]


def test_a_rule_that_nobody_meets_leaves_no_winner_and_says_why() -> None:
    rows, scores = cohort(5)
    units = units_of(LEAVE_ONE_OUT, rows)
    points = {model: points_of(rows, values, LABELS, units, POINT) for model, values in scores.items()}
    never = RULE.model_copy(update={"subject_to": {"fluid": {"sensitivity": 1.0}, "cord": {"specificity": 1.0}}})
    for who, why in winners(rows, scores, points, units, LABELS, never).values():
        assert who is None
        assert "a: sensitivity of fluid must be at least 1" in why
