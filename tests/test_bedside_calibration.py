"""Calibration per infant against scikit-learn, the likelihood's own equations and simulated truth."""

import numpy as np
import pytest
from scipy.special import expit
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from stages.bedside.calibration import calibration_part, patient_calibration, recalibration, reliability
from stages.bedside.decided import Decided
from stages.bedside.operating import Decider, baseline
from tests.bedside_clips import LABELS, judged


def decided(rows: int = 200, seed: int = 0) -> Decided:
    """Return three infants' clips with probabilities that rank well and promise too much."""
    rng = np.random.default_rng(seed)
    letters = ["".join(rng.choice(list("GSNB?"), rows)) for _ in range(3)]
    truth = {(f"P{place}", f"C{place}"): each for place, each in enumerate(letters)}
    plain = judged(truth, truth)
    noise = rng.normal(0, 1.5, plain.truth.shape)
    values = np.nan_to_num(plain.truth, nan=0.5) * 2 - 1 + noise
    who = np.full(len(values), "net", object)
    return judged(truth, truth, decider=Decider(who, values > 0, expit(3 * values), expit(values)))


def test_simulated_miscalibration_is_found() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(0, 2, 200_000)
    truth = (rng.random(len(values)) < expit(0.3 + 0.5 * values)).astype(float)
    found = recalibration(values, truth)
    assert found == (pytest.approx(0.5, abs=0.02), pytest.approx(0.3, abs=0.02))


def test_the_line_solves_the_likelihood_s_equations() -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(0, 3, 60)
    truth = (rng.random(60) < expit(values / 3)).astype(float)
    slope, intercept = recalibration(values, truth)
    residual = truth - expit(intercept + slope * values)
    assert residual.sum() == pytest.approx(0, abs=1e-5)
    assert residual @ values == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize(
    ("values", "truth", "why"),
    [
        ([1.0, 2.0], [1, 1], "all yes"),
        ([1.0, 2.0], [0, 0], "all no"),
        ([], [], "no known label"),
        ([1.0, 1.0, 1.0], [0, 1, 1], "same probability"),
        ([-1.0, 0.0, 1.0], [0, 0, 1], "separates"),
        ([1.0, 0.0, 0.0, -1.0], [0, 0, 1, 1], "separates"),  # they touch: still without a bound
    ],
)
def test_where_there_is_no_line_it_says_why(values: list[float], truth: list[int], why: str) -> None:
    assert why in str(recalibration(np.array(values), np.array(truth, float)))


def test_brier_scores_are_scikit_learn_s_in_each_infant_over_known_labels() -> None:
    of = decided()
    table = patient_calibration(of)
    assert len(table) == 9
    for row in table.itertuples():
        column = LABELS.index(row.label)
        mine = (of.patients == row.patient) & ~np.isnan(of.truth[:, column])
        assert row.brier_before == pytest.approx(
            brier_score_loss(of.truth[mine, column], of.decider.before[mine, column])
        )
        assert row.brier_after == pytest.approx(
            brier_score_loss(of.truth[mine, column], of.decider.after[mine, column])
        )
        assert (row.frames, row.positives) == (mine.sum(), of.truth[mine, column].sum())


def test_the_summary_is_a_mean_over_infants() -> None:
    table = patient_calibration(decided())
    cord = table[table["label"] == "cord"]
    table.loc[table["label"] == "fluid", "why"] = ["all no", "", "all no"]
    assert calibration_part(table, LABELS)["fluid"]["why"] == {"all no": 2}
    found = calibration_part(table, LABELS)["cord"]["slope"]
    assert found["mean"] == pytest.approx(cord["slope"].mean(), abs=1e-4)
    assert (found["min"], found["infants"]) == (pytest.approx(cord["slope"].min(), abs=1e-4), 3)


@pytest.mark.parametrize("stage", ["before", "after"])
def test_bins_are_scikit_learn_s(stage: str) -> None:
    of = decided()
    table = reliability(of, 10)
    seen = of.decider.before if stage == "before" else of.decider.after
    for column, label in enumerate(LABELS):
        known = ~np.isnan(of.truth[:, column])
        observed, predicted = calibration_curve(of.truth[known, column], seen[known, column], n_bins=10)
        mine = table[(table["label"] == label) & (table["stage"] == stage)]
        assert mine["observed"].to_numpy() == pytest.approx(observed)
        assert mine["mean_probability"].to_numpy() == pytest.approx(predicted)
        assert mine["frames"].sum() == known.sum()


def test_a_probability_of_one_is_in_the_last_bin() -> None:
    rows = {("P0", "C0"): "SN"}
    sure = np.array([[0.0, 1.0, 1.0], [0.0, 0.0, 0.0]])
    table = reliability(judged(rows, rows, decider=Decider(np.full(2, "net", object), sure > 0, sure, sure)), 4)
    assert table.loc[table["label"] == "cord", "bin"].tolist() == [0, 3, 0, 3]


def test_a_baseline_has_nothing_to_calibrate() -> None:
    of = judged({("P0", "C0"): "GS"}, {("P0", "C0"): "GS"}, decider=baseline("majority", np.zeros((2, 3), bool)))
    assert patient_calibration(of).empty
    assert reliability(of, 5).empty
