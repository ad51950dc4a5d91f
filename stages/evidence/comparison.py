"""Is one model better than another, as far as these patients can tell: paired within patients, signs permuted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import permutation_test
from statsmodels.stats.multitest import multipletests

from stages.common.evaluation.answers import Answers, Rows
from stages.common.evaluation.rule import Rule
from stages.common.evaluation.scores import FN, FP, TN, TP, confusion

CASES = {"false_positive_rate": (FP, TN), "false_negative_rate": (FN, TP)}  # errors and the other cases of a rate
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
# What a comparison holds, so that one that cannot be made has the same keys
KEYS = (
    "models", "losses", "difference", "patients", "better", "worse", "ties", "per_patient", "own_per_patient", "p",
    "smallest_p", "smallest_p_without_ties", "exact",
)  # fmt: skip
NAMED = "the winner by the doctor's rule in the study's way (validation rows) against the simplest eligible model"
DIGITS = 6  # of p, whose smallest value is 2 / 2^patients


@dataclass(frozen=True)
class Losses:
    """What each patient contributes to the loss of the doctor's rule.

    Attributes:
        patients: (patients,) those with a case of at least one rate.
        contributions: (patients,) whose mean is the rule's loss.
        own: (patients,) the sum of those of the rule's rates of which the patient has cases.
    """

    patients: NDArray[np.object_]
    contributions: NDArray[np.float64]
    own: NDArray[np.float64]


def losses_of(rows: Rows, answers: Answers, labels: Sequence[str], rule: Rule) -> Losses | None:
    """Return what each patient contributes to the rule's loss; None where a rate has no case at all.

    The loss is a sum of rates, each a mean over the patients that have its cases. A patient without a cord says
    nothing of missed cords, so a rate is scaled by all patients over those that have its cases before it is added:
    the mean of the contributions is then exactly the rule's loss, and their paired differences have as mean the
    difference of two models' losses. A patient without a case of any rate is left out.

    Args:
        rows: the test frames.
        answers: a model's answers to them.
        labels: the label columns.
        rule: the declared rule.
    """
    patients = np.unique(rows.patients)
    counts = patient_counts(rows, answers)
    rates = np.stack([rate_of(counts, labels.index(label), name) for label, name in rule.minimise.items()])
    estimable = ~np.isnan(rates)  # (rates, patients)
    mine = estimable.any(axis=0)
    if not estimable.any(axis=1).all():
        return None
    there = np.where(estimable, rates, 0.0)
    scaled = there * mine.sum() / estimable.sum(axis=1, keepdims=True)
    return Losses(patients[mine], scaled.sum(axis=0)[mine], there.sum(axis=0)[mine])


def patient_counts(rows: Rows, answers: Answers) -> NDArray[np.int64]:
    """Return (patients, labels, 4) as `confusion` counts, patients in the order of `np.unique(rows.patients)`."""
    masks = [rows.patients == patient for patient in np.unique(rows.patients)]
    counts = [confusion(rows.truth[mine], answers.said[mine]) for mine in masks]
    return np.stack(counts) if counts else np.zeros((0, rows.truth.shape[1], 4), dtype=np.int64)


def rate_of(counts: NDArray[np.int64], label: int, name: str) -> NDArray[np.float64]:
    """Return (patients,): an error rate of one label in each patient, NaN without its cases."""
    errors, others = (counts[:, label, place].astype(float) for place in CASES[name])
    return np.divide(errors, errors + others, out=np.full(len(counts), np.nan), where=errors + others > 0)


def sign_flips(differences: NDArray[np.float64], permutations: int, rng: np.random.Generator) -> dict[str, Any]:
    """Return the two-sided permutation test of paired differences: under the null each could have either sign.

    Args:
        differences: (patients,).
        permutations: all 2^patients signs are tried up to so many, else so many are drawn.
        rng: draws the signs where not all are tried.

    Returns:
        p; the smallest p that the patients who differ can give (a tie has no sign: it doubles the signs and the
        hits alike); the smallest that all of them could give without a tie; and whether all signs were tried.
    """
    every = 2 ** len(differences)
    exact = every <= permutations
    if not differences.any() or len(differences) == 1:
        p = 1.0  # every sign gives the same, as with a single patient, whose difference is as large either way
    else:
        zeros = np.zeros_like(differences)  # exchanging the members of a pair (d, 0) flips the sign of their difference
        p = permutation_test(
            (differences, zeros), _mean_difference, permutation_type="samples", vectorized=True,
            n_resamples=permutations, batch=4096, rng=rng,
        ).pvalue  # fmt: skip
    drawn = 0.0 if exact else 2 / (permutations + 1)
    untied = int(np.count_nonzero(differences))
    smallest, without_ties = (min(1.0, max(2.0 / 2**number, drawn)) for number in (untied, len(differences)))
    return {
        "p": round(float(p), DIGITS),
        "smallest_p": round(smallest, DIGITS),
        "smallest_p_without_ties": round(without_ties, DIGITS),
        "exact": exact,
    }


def _mean_difference(first: NDArray[np.float64], second: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    # rounded, so that sums of the same numbers in another order stay equal
    return np.round((first - second).mean(axis=axis), 12)


def compare(
    first: str, second: str, losses: Mapping[str, Losses], permutations: int, rng: np.random.Generator
) -> dict[str, Any]:
    """Return the paired comparison of two models: negative differences are in favour of the first."""
    one, other = losses[first], losses[second]
    # rounded, so that equals are a tie, which has no sign, whatever order their sums were taken in
    differences = np.round(one.contributions - other.contributions, 12)
    return {
        "models": [first, second],
        "losses": [round(float(each.contributions.mean()), 4) for each in (one, other)],
        "difference": round(float(differences.mean()), 4),
        "patients": len(differences),
        "better": int((differences < 0).sum()),
        "worse": int((differences > 0).sum()),
        "ties": int((differences == 0).sum()),
        "per_patient": dict(zip(one.patients.tolist(), np.round(differences, 4).tolist(), strict=True)),
        "own_per_patient": dict(zip(one.patients.tolist(), np.round(one.own - other.own, 4).tolist(), strict=True)),
        **sign_flips(differences, permutations, rng),
    }


def named_beforehand(
    winner: str | None, simplest: str | None, losses: Mapping[str, Losses | None], permutations: int,
    rng: np.random.Generator,
) -> dict[str, Any]:  # fmt: skip
    """Return the one comparison that is declared before any result: the winner against the simplest eligible model.

    Args:
        winner: by the doctor's rule on validation rows.
        simplest: the eligible model of fewest operations.
        losses: of each model on the test rows.
        permutations: as in `sign_flips`.
        rng: as in `sign_flips`.
    """
    named: dict[str, Any] = {"named_beforehand": NAMED}
    named |= dict.fromkeys(KEYS)
    whole = {model: loss for model, loss in losses.items() if loss is not None}
    if winner is None or simplest is None:
        return named | {"why": "no model is eligible under the doctor's rule on validation rows"}
    if winner == simplest:
        return named | {"models": [winner, simplest], "why": "the winner is the simplest eligible model"}
    if winner not in whole or simplest not in whole:
        why = "the rule's loss is not estimable: no test frame has the cases of one of its rates"
        return named | {"models": [winner, simplest], "why": why}
    return named | compare(winner, simplest, whole, permutations, rng) | {"why": None}


def all_pairs(
    losses: Mapping[str, Losses | None], patients: int, least: int, confidence: float, permutations: int,
    rng: np.random.Generator,
) -> dict[str, Any]:  # fmt: skip
    """Return every pair with Holm's correction, or the sentence that these patients cannot separate the models.

    Args:
        losses: of each model on the test rows.
        patients: on the test side.
        least: patients from which on pairs are tested.
        confidence: a pair is separated when its corrected p is below 1 - confidence.
        permutations: as in `sign_flips`.
        rng: as in `sign_flips`.
    """
    sentence = f"this cohort cannot separate {spelt(len(losses))} models"
    whole = {model: loss for model, loss in losses.items() if loss is not None}
    if len(losses) < 2:
        return {"pairs": None, "sentence": None, "why": "one model: there is no pair"}
    if patients < least:
        return {"pairs": None, "sentence": sentence, "why": f"{patients} test patients; pairs are tested from {least}"}
    if len(whole) < len(losses):
        return {"pairs": None, "sentence": sentence, "why": "the rule's loss is not estimable on the test frames"}
    pairs = [compare(first, second, whole, permutations, rng) for first, second in combinations(whole, 2)]
    separated, corrected = multipletests([pair["p"] for pair in pairs], alpha=1 - confidence, method="holm")[:2]
    for pair, p, apart in zip(pairs, corrected.tolist(), separated.tolist(), strict=True):
        pair |= {"p_holm": round(p, DIGITS), "separated": apart}
    none = sentence if not separated.any() else None
    return {"pairs": pairs, "sentence": none, "why": None}


def spelt(number: int) -> str:
    """Return a small number as a word, a larger one in digits."""
    return NUMBERS[number] if number < len(NUMBERS) else str(number)
