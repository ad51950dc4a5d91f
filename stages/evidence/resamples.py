"""How often each model wins the doctor's rule when the patients are drawn again.

Patients are drawn with replacement, all their frames with them. The rule is then judged on sums over patients, so all
resamples are a few matrix products: no frame is touched twice, whatever their number. `judge` and `winner_of` say the
same of each resample one by one, and a test holds them to it.

Of n patients there are binom(2n - 1, n) different resamples, however many are drawn: 3 of two patients, 126 of five.
Below `FEWEST` a share is that of the patients who came and of no others, and is withheld.
"""

from collections.abc import Mapping, Sequence
from math import comb
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.common.evaluation.answers import Answers, Rows
from stages.common.evaluation.rule import Rule
from stages.common.evaluation.scores import FN, FP, TN, TP
from stages.evidence.comparison import patient_counts, rate_of

Draws = NDArray[np.float64]  # (resamples, patients): how often each patient was drawn
COMPLEMENT = {"sensitivity": "false_negative_rate", "specificity": "false_positive_rate"}
FEWEST = 5  # patients from which on shares are shown
SLACK = 1e-9  # a rate that equals its least by arithmetic must not fail by rounding


def draw(patients: int, resamples: int, rng: np.random.Generator) -> Draws:
    """Return how often each of `patients` is in each resample of as many."""
    return rng.multinomial(patients, np.full(patients, 1 / patients), size=resamples).astype(float)


def win_shares(
    rows: Rows, models: Mapping[str, Answers], labels: Sequence[str], rule: Rule, resamples: int,
    rng: np.random.Generator,
) -> dict[str, Any]:  # fmt: skip
    """Return the share of resamples in which each model wins, and in which none may; null below `FEWEST` patients.

    Args:
        rows: frames of one side.
        models: the models' answers to them, in declared order, which decides the last ties.
        labels: the label columns.
        rule: the declared rule.
        resamples: how many.
        rng: draws them.
    """
    patients = len(np.unique(rows.patients))
    told = {"patients": patients, "distinct": distinct(patients)}
    if patients < FEWEST:
        return {"shares": None, "no_winner": None, **told, "why": _withheld(patients)}
    won = winners(rows, models, labels, rule, draw(patients, resamples, rng))
    shares = {model: round(float((won == place).mean()), 4) for place, model in enumerate(models)}
    return {"shares": shares, "no_winner": round(float((won < 0).mean()), 4), **told, "why": None}


def distinct(patients: int) -> int:
    """Return how many resamples of as many patients differ: multisets of n out of n."""
    return comb(2 * patients - 1, patients) if patients else 0


def _withheld(patients: int) -> str:
    if not patients:
        return "no frame on this side"
    who = "1 patient gives 1 resample" if patients == 1 else f"{patients} patients give {distinct(patients)} resamples"
    return f"{who}, however many are drawn: shares are shown from {FEWEST} patients on"


def winners(
    rows: Rows, models: Mapping[str, Answers], labels: Sequence[str], rule: Rule, drawn: Draws
) -> NDArray[np.int64]:
    """Return (resamples,): the winner's place in `models`, -1 where no model is eligible."""
    losses, f1 = (np.empty((len(models), len(drawn))) for _ in range(2))
    for place, answers in enumerate(models.values()):
        counts = patient_counts(rows, answers)
        losses[place] = np.where(
            eligible(rows, answers, counts, labels, rule, drawn), loss(counts, labels, rule, drawn), np.inf
        )
        f1[place] = macro_f1(counts, drawn)
    losses, f1 = np.round(losses, 9), np.round(f1, 9)  # as rule.winner_of, so that equals stay equal
    best = losses == losses.min(axis=0)
    first = np.argmax(np.where(best, f1, -1.0), axis=0)  # the first of equals is the first declared
    return np.where(np.isinf(losses.min(axis=0)), -1, first)


def mean_rate(counts: NDArray[np.int64], label: int, name: str, drawn: Draws) -> Draws:
    """Return (resamples,): the mean rate over the drawn patients that have its cases, NaN where none has."""
    rates = rate_of(counts, label, name)
    has = ~np.isnan(rates)
    total, number = drawn @ np.where(has, rates, 0.0), drawn @ has.astype(float)
    return np.divide(total, number, out=np.full(len(drawn), np.nan), where=number > 0)


def loss(counts: NDArray[np.int64], labels: Sequence[str], rule: Rule, drawn: Draws) -> Draws:
    """Return (resamples,): the rule's loss, NaN where a part of it has no case."""
    parts = [mean_rate(counts, labels.index(label), name, drawn) for label, name in rule.minimise.items()]
    return np.sum(parts, axis=0)


def eligible(
    rows: Rows, answers: Answers, counts: NDArray[np.int64], labels: Sequence[str], rule: Rule, drawn: Draws
) -> NDArray[np.bool_]:
    """Return (resamples,): whether the model may win."""
    fine = ~np.isnan(loss(counts, labels, rule, drawn)) & ~collapsed(rows, answers, drawn)
    for label, of_label in rule.subject_to.items():
        for name, least in of_label.items():
            error = mean_rate(counts, labels.index(label), COMPLEMENT[name], drawn)
            fine &= 1 - error >= least - SLACK  # NaN, without cases, is not at least anything
    return fine


def collapsed(rows: Rows, answers: Answers, drawn: Draws) -> NDArray[np.bool_]:
    """Return (resamples,): whether any label gets one answer in most of the folds that have both of the expert's."""
    folds = rows.frames["fold"].to_numpy()
    counts = np.stack([_counts_in(rows, answers, folds == fold) for fold in dict.fromkeys(folds)])
    tn, fp, fn, tp = (np.tensordot(drawn, counts[..., place], axes=(1, 1)) for place in (TN, FP, FN, TP))
    shows = (tn + fp > 0) & (fn + tp > 0)  # (resamples, folds, labels)
    constant = (fp + tp == 0) | (tn + fn == 0)
    found: NDArray[np.bool_] = (2 * (constant & shows).sum(axis=1) > shows.sum(axis=1)).any(axis=1)
    return found


def _counts_in(rows: Rows, answers: Answers, mine: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return (all patients, labels, 4) of some rows; patients without such rows count zeros."""
    patients = np.unique(rows.patients)
    counts = np.zeros((len(patients), rows.truth.shape[1], 4), dtype=np.int64)
    counts[np.isin(patients, rows.patients[mine])] = patient_counts(rows[mine], answers[mine])
    return counts


def macro_f1(counts: NDArray[np.int64], drawn: Draws) -> Draws:
    """Return (resamples,): the mean F1 over the labels with positives, 0 where there is none."""
    _, fp, fn, tp = np.moveaxis(
        np.tensordot(drawn, counts.astype(float), axes=(1, 0)), 2, 0
    )  # each (resamples, labels)
    has = fn + tp > 0
    f1 = np.divide(2 * tp, 2 * tp + fp + fn, out=np.zeros_like(tp), where=has)
    number = has.sum(axis=1)
    return np.divide(f1.sum(axis=1), number, out=np.zeros(len(drawn)), where=number > 0)
