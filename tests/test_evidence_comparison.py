"""The paired test against enumeration, and the shares of wins against the rule, one resample after another."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from stages.common.evaluation.answers import Answers, Rows
from stages.common.evaluation.rule import Rule, judge, winner_of
from stages.evidence.comparison import Losses, all_pairs, compare, losses_of, named_beforehand, sign_flips, spelt
from stages.evidence.resamples import distinct, draw, win_shares, winners

LABELS = ["bad_quality", "cord", "fluid"]
RULE = Rule(
    minimise={"fluid": "false_positive_rate", "cord": "false_negative_rate"},
    subject_to={"fluid": {"sensitivity": 0.5}, "cord": {"specificity": 0.5}},
)
ALL_SIGNS = 65536


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def answers_of(said: NDArray[np.bool_]) -> Answers:
    return Answers(said, None, {})


def cohort(patients: int = 5, frames: int = 12, seed: int = 0, folds: int = 1) -> Rows:
    """Return validation rows; the first patient has no cord, some labels are unknown."""
    draws = np.random.default_rng(seed)
    truth = (draws.random((patients * frames, 3)) < 0.4).astype(float)
    names = np.repeat([f"P{number:03d}" for number in range(patients)], frames)
    truth[names == "P000", 1] = 0
    truth[draws.random(truth.shape) < 0.05] = np.nan
    fold = [str(place % folds) for place in range(len(names))]
    return Rows(pd.DataFrame({"fold": fold, "side": "validation", "patient": names}), truth)


def guesses(rows: Rows, error: float, seed: int) -> Answers:
    draws = np.random.default_rng(seed)
    return answers_of((rows.truth == 1) ^ (draws.random(rows.truth.shape) < error))


def losses(contributions: list[float]) -> Losses:
    patients = np.array([f"P{n}" for n in range(len(contributions))], dtype=object)
    return Losses(patients, np.array(contributions), np.array(contributions))


@pytest.mark.parametrize("seed", range(5))
def test_the_mean_of_the_contributions_is_the_rule_s_loss(seed: int) -> None:
    rows = cohort(seed=seed)
    said = guesses(rows, 0.3, seed)
    found = losses_of(rows, said, LABELS, RULE)
    assert found is not None
    assert found.contributions.mean() == pytest.approx(judge(rows, said, LABELS, RULE).loss)


def test_a_patient_s_own_loss_is_the_sum_of_its_own_rates() -> None:
    rows = cohort()  # P000 has no cord: its own loss is its rate of fluid alone
    said = guesses(rows, 0.3, 0)
    found = losses_of(rows, said, LABELS, RULE)
    assert found is not None
    for patient, own in zip(found.patients, found.own, strict=True):
        truth, answers = rows.truth[rows.patients == patient], said.said[rows.patients == patient]
        rates = [answers[truth[:, 2] == 0, 2], ~answers[truth[:, 1] == 1, 1]]
        assert own == pytest.approx(sum(rate.mean() for rate in rates if len(rate)))


def test_a_patient_without_a_case_is_left_out_and_no_case_at_all_is_not_estimable() -> None:
    rows = cohort()
    nothing = rows.truth.copy()
    nothing[rows.patients == "P001"] = np.nan
    found = losses_of(Rows(rows.frames, nothing), guesses(rows, 0.3, 0), LABELS, RULE)
    assert found is not None
    assert found.patients.tolist() == ["P000", "P002", "P003", "P004"]
    cordless = rows.truth.copy()
    cordless[:, 1] = 0
    assert losses_of(Rows(rows.frames, cordless), guesses(rows, 0.3, 0), LABELS, RULE) is None


@pytest.mark.parametrize("patients", [1, 2, 5, 8])
def test_p_is_that_of_all_signs(patients: int) -> None:
    differences = np.random.default_rng(patients).normal(0.3, 1, patients)
    means = [abs(np.mean(signs * differences)) for signs in product([1, -1], repeat=patients)]
    expected = np.mean(np.array(means) >= abs(differences.mean()) - 1e-12)
    found = sign_flips(differences, ALL_SIGNS, rng())
    smallest = pytest.approx(2 / 2**patients, abs=1e-6)
    assert found == {"p": pytest.approx(expected, abs=1e-6), "smallest_p": smallest,
                     "smallest_p_without_ties": smallest, "exact": True}  # fmt: skip


def test_ties_and_zeros_are_counted_as_all_signs_do() -> None:
    differences = np.array([0.1, 0.2, 0.3, 0.0, 0.0, -0.1])
    means = [abs(np.mean(signs * differences)) for signs in product([1, -1], repeat=6)]
    expected = np.mean(np.array(means) >= abs(differences.mean()) - 1e-12)
    assert sign_flips(differences, ALL_SIGNS, rng())["p"] == pytest.approx(expected, abs=1e-6)
    assert sign_flips(np.zeros(8), ALL_SIGNS, rng())["p"] == 1


def test_the_smallest_p_is_attained_when_all_patients_agree() -> None:
    found = sign_flips(np.full(8, -0.2), ALL_SIGNS, rng())
    assert found["p"] == found["smallest_p"] == round(2 / 256, 6)


@pytest.mark.parametrize("ties", range(9))
def test_ties_raise_the_smallest_p_which_is_still_attained(ties: int) -> None:
    differences = np.r_[np.zeros(ties), -np.arange(1.0, 9 - ties)]
    sums = [abs(np.sum(signs * differences)) for signs in product([1, -1], repeat=8)]
    found = sign_flips(differences, ALL_SIGNS, rng())
    assert found["p"] == found["smallest_p"] == pytest.approx(np.mean(np.array(sums) >= max(sums)), abs=1e-6)
    assert found["smallest_p_without_ties"] == round(2 / 256, 6)


def test_ties_are_named_and_rounding_makes_none_differ() -> None:
    both = {"a": losses([0.1 + 0.2, 0.3, 0.2]), "b": losses([0.3, 0.3, 0.4])}
    found = compare("a", "b", both, ALL_SIGNS, rng())
    assert (found["better"], found["worse"], found["ties"]) == (1, 0, 2)
    assert (found["p"], found["smallest_p"], found["smallest_p_without_ties"]) == (1.0, 1.0, 0.25)


def test_many_patients_draw_signs_and_repeat() -> None:
    differences = np.random.default_rng(1).normal(0.4, 1, 30)
    first, again = (sign_flips(differences, 5000, rng()) for _ in range(2))
    assert first == again
    assert not first["exact"]
    assert first["smallest_p"] == round(2 / 5001, 6)
    enumerated = sign_flips(differences[:16], ALL_SIGNS, rng())
    drawn = sign_flips(differences[:16], 20000, rng())
    assert enumerated["exact"]
    assert not drawn["exact"]
    assert drawn["p"] == pytest.approx(enumerated["p"], abs=0.02)


def test_the_test_keeps_its_level_when_models_are_alike() -> None:
    draws = np.random.default_rng(7)
    rejected = [sign_flips(draws.normal(0, 1, 8), 1000, rng())["p"] <= 0.05 for _ in range(400)]
    assert np.mean(rejected) < 0.075


def test_compare_is_paired_and_signed() -> None:
    found = compare("a", "b", {"a": losses([0.1, 0.2, 0.3]), "b": losses([0.4, 0.2, 0.1])}, ALL_SIGNS, rng())
    assert (found["better"], found["worse"], found["patients"]) == (1, 1, 3)
    assert found["difference"] == pytest.approx(np.mean([-0.3, 0, 0.2]), abs=1e-4)
    assert found["losses"] == [0.2, 0.2333]
    assert found["per_patient"] == found["own_per_patient"] == {"P0": -0.3, "P1": 0.0, "P2": 0.2}


def test_what_is_named_beforehand_says_why_it_cannot_be_compared() -> None:
    both: dict[str, Losses | None] = {"a": losses([0.1, 0.2]), "b": losses([0.4, 0.2])}
    none = named_beforehand(None, None, both, ALL_SIGNS, rng())
    assert none["why"] == "no model is eligible under the doctor's rule on validation rows"
    assert "winner is the simplest" in named_beforehand("a", "a", both, ALL_SIGNS, rng())["why"]
    assert "not estimable" in named_beforehand("a", "b", {**both, "b": None}, ALL_SIGNS, rng())["why"]
    done = named_beforehand("a", "b", both, ALL_SIGNS, rng())
    assert (done["models"], done["why"]) == (["a", "b"], None)
    assert (done["ties"], done["smallest_p"], done["smallest_p_without_ties"]) == (1, 1.0, 0.5)
    assert list(done) == list(named_beforehand(None, None, both, ALL_SIGNS, rng()))


def test_few_patients_cannot_separate_the_models() -> None:
    five: dict[str, Losses | None] = {name: losses([0.1] * 8) for name in "abcde"}
    found = all_pairs(five, 8, 10, 0.95, ALL_SIGNS, rng())
    assert found["pairs"] is None
    assert found["sentence"] == "this cohort cannot separate five models"
    assert found["why"] == "8 test patients; pairs are tested from 10"
    assert all_pairs({"a": losses([0.1])}, 8, 10, 0.95, ALL_SIGNS, rng())["sentence"] is None
    assert spelt(27) == "27"


def test_from_ten_patients_on_all_pairs_are_tested_with_holm() -> None:
    draws = np.random.default_rng(3)
    base = draws.random(12)
    three: dict[str, Losses | None] = {
        "a": losses((base + 1).tolist()),
        "b": losses(base.tolist()),
        "c": losses((base + draws.normal(0, 0.1, 12)).tolist()),
    }
    found = all_pairs(three, 12, 10, 0.95, ALL_SIGNS, rng())
    assert [pair["models"] for pair in found["pairs"]] == [["a", "b"], ["a", "c"], ["b", "c"]]
    p = [pair["p"] for pair in found["pairs"]]
    order, running, expected = np.argsort(p, kind="stable"), 0.0, np.empty(3)
    for rank, place in enumerate(order):  # Holm 1979
        running = max(running, min(1.0, (3 - rank) * p[place]))
        expected[place] = running
    assert [pair["p_holm"] for pair in found["pairs"]] == pytest.approx(expected.tolist(), abs=1e-6)
    assert [pair["separated"] for pair in found["pairs"]] == [True, True, False]
    assert found["sentence"] is None
    alike = all_pairs({"a": three["b"], "b": three["c"]}, 12, 10, 0.95, ALL_SIGNS, rng())
    assert alike["sentence"] == "this cohort cannot separate two models"


def one_by_one(rows: Rows, models: Mapping[str, Answers], drawn: NDArray[np.float64]) -> list[int]:
    """Return the winners as evaluate finds them, each resample written out frame by frame."""
    found, names = [], np.unique(rows.patients)
    for times in drawn.astype(int):
        # a patient drawn twice is two patients
        parts = [
            (np.flatnonzero(rows.patients == name), copy)
            for name, n in zip(names, times, strict=True)
            for copy in range(n)
        ]
        places = np.concatenate([part for part, _ in parts])
        frames = rows.frames.iloc[places].reset_index(drop=True)
        copies = np.concatenate([np.full(len(part), copy) for part, copy in parts])
        frames["patient"] = [f"{name}-{copy}" for name, copy in zip(frames["patient"], copies, strict=True)]
        again = Rows(frames, rows.truth[places])
        judged = {
            model: judge(again, replace(said, said=said.said[places]), LABELS, RULE) for model, said in models.items()
        }
        winner = winner_of(judged)[0]
        found.append(-1 if winner is None else list(models).index(winner))
    return found


@pytest.mark.parametrize(("seed", "folds"), [(0, 1), (1, 2), (2, 3)])
def test_winners_are_those_of_the_rule_applied_to_each_resample(seed: int, folds: int) -> None:
    rows = cohort(patients=5, frames=8, seed=seed, folds=folds)
    models = {f"m{place}": guesses(rows, error, place) for place, error in enumerate((0.25, 0.3, 0.35, 0.45))}
    constant = np.tile([False, True, False], (len(rows.truth), 1))
    models["always cord"] = answers_of(constant)
    models["m0 again"] = models["m0"]  # a tie in everything: the first declared wins
    drawn = draw(5, 150, np.random.default_rng(seed))
    expected = one_by_one(rows, models, drawn)
    assert winners(rows, models, LABELS, RULE, drawn).tolist() == expected
    assert len(set(expected)) > 1
    assert list(models).index("m0 again") not in expected


def test_shares_add_up_and_repeat() -> None:
    rows = cohort()
    models = {f"m{place}": guesses(rows, 0.3, place) for place in range(3)}
    first, again = (win_shares(rows, models, LABELS, RULE, 500, rng()) for _ in range(2))
    assert first == again
    assert sum(first["shares"].values()) + first["no_winner"] == pytest.approx(1, abs=1e-3)
    assert first["patients"] == 5


def test_nobody_wins_where_nobody_may() -> None:
    rows = cohort()
    models = {"always cord": answers_of(np.tile([False, True, False], (len(rows.truth), 1)))}
    found = win_shares(rows, models, LABELS, RULE, 200, rng())
    assert (found["shares"], found["no_winner"]) == ({"always cord": 0.0}, 1.0)


def test_one_patient_is_not_resampled() -> None:
    rows = cohort(patients=1)
    found = win_shares(rows, {"m": guesses(rows, 0.1, 0)}, LABELS, RULE, 200, rng())
    why = "1 patient gives 1 resample, however many are drawn: shares are shown from 5 patients on"
    assert found == {"shares": None, "no_winner": None, "patients": 1, "distinct": 1, "why": why}


@pytest.mark.parametrize("patients", range(1, 7))
def test_the_resamples_that_differ_are_the_multisets_of_the_patients(patients: int) -> None:
    assert distinct(patients) == len({tuple(sorted(drawn)) for drawn in product(range(patients), repeat=patients)})


@pytest.mark.parametrize(("patients", "ways"), [(2, 3), (4, 35), (5, 126)])
def test_shares_are_withheld_below_five_patients(patients: int, ways: int) -> None:
    rows = cohort(patients=patients)
    found = win_shares(rows, {"m": guesses(rows, 0.1, 0)}, LABELS, RULE, 200, rng())
    assert (found["patients"], found["distinct"]) == (patients, ways)
    assert (found["shares"] is None) == (found["no_winner"] is None) == (patients < 5)
    told = f"{patients} patients give {ways} resamples, however many are drawn: shares are shown from 5 patients on"
    assert found["why"] == (told if patients < 5 else None)
