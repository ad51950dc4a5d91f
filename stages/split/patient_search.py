"""Put whole patients on sides, as close to the wanted shares as their frames allow."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field

from stages.common.core.errors import PipelineError
from stages.common.core.params import Strict

Rng = np.random.Generator
Counts = NDArray[np.float64]  # (patients, 1 + 2 * labels): frames, then positives a label, then negatives a label


ENOUGH = 2  # patients with positives, and with negatives, from which a side's figures of a label are estimable
LACKING = 0.1  # what one patient too few weighs, in units of a deviation: a tenth of the frames on the wrong side


class Search(Strict):
    """How hard to look for the best assignment of patients to sides."""

    exhaustive_up_to: int = Field(ge=1, le=1_000_000)  # assignments: up to this many, all are tried
    restarts: int = Field(ge=1)  # random starts of the local search beyond that


@dataclass(frozen=True)
class Deviation:
    """How far a split is from its targets; 0 is perfect.

    Attributes:
        frames: mean over sides of |share of the frames - wanted share|.
        labels: mean over sides and labels of |share of positives on the side - share in the whole cohort|;
            1 where a side knows nothing of a label.
        missing: how many (side, label) pairs lack positives, plus how many lack negatives.
    """

    frames: float
    labels: float
    missing: int


def patient_counts(labels: NDArray[np.float64], patients: NDArray[np.intp], number: int) -> Counts:
    """Return the counts of `number` patients from (frames, labels) of 1, 0, NaN and each frame's patient index."""
    columns = np.column_stack([np.ones(len(labels)), labels == 1, labels == 0])
    return np.column_stack([np.bincount(patients, weights=column, minlength=number) for column in columns.T])


def deviations(sums: NDArray[np.float64], shares: Sequence[int]) -> NDArray[np.float64]:
    """Return (assignments, 3): the fields of `Deviation` for side sums (assignments, sides, 1 + 2 * labels)."""
    labels = sums.shape[2] // 2
    frames, positives, negatives = sums[:, :, 0], sums[:, :, 1 : 1 + labels], sums[:, :, 1 + labels :]
    known, total = positives + negatives, sums[:1].sum(axis=1)[0]
    overall = total[1 : 1 + labels] / np.maximum(total[1 : 1 + labels] + total[1 + labels :], 1)
    apart = np.where(known > 0, np.abs(positives / np.maximum(known, 1) - overall), 1.0)
    missing = ((positives == 0).sum(axis=(1, 2)) + (negatives == 0).sum(axis=(1, 2))).astype(float)
    missing[(frames == 0).any(axis=1)] = np.inf  # a side without patients is no split
    wanted = np.asarray(shares) / sum(shares)
    return np.column_stack([np.abs(frames / total[0] - wanted).mean(axis=1), apart.mean(axis=(1, 2)), missing])


def shortage(assignments: NDArray[np.int8], counts: Counts, sides: int, enough: int) -> NDArray[np.float64]:
    """Return (assignments,): patients that the sides lack in all, so that each has `enough` with positives and as many
    with negatives of every label."""
    bearers = side_sums(assignments, (counts[:, 1:] > 0).astype(float), sides)
    return np.maximum(enough - bearers, 0).sum(axis=(1, 2))


def side_sums(assignments: NDArray[np.int8], counts: Counts, sides: int) -> NDArray[np.float64]:
    """Return (assignments, sides, counts) for assignments (assignments, patients) of side numbers."""
    return np.stack([(assignments == side) @ counts for side in range(sides)], axis=1)


def deviation_of(assignment: NDArray[np.int8], counts: Counts, shares: Sequence[int]) -> Deviation:
    """Return how far one assignment (patients,) is from its targets."""
    frames, labels, missing = deviations(side_sums(assignment[None], counts, len(shares)), shares)[0]
    return Deviation(float(frames), float(labels), int(missing))


def best_assignment(
    counts: Counts, shares: Sequence[int], search: Search, rng: Rng, enough: int = ENOUGH
) -> NDArray[np.int8]:
    """Return the side number of each patient, (patients,).

    First wanted: positives and negatives of every label on every side. Then: `enough` patients with each on every side,
    and frame shares and label shares near their targets. Few patients: all assignments are tried. Many: moves and swaps
    from random starts. The seed decides between equals.

    Args:
        counts: what each patient brings; at least as many patients as sides.
        shares: whole weights of the sides.
        search: the effort.
        rng: the order in which patients are tried and the random starts.
        enough: patients wanted; 0 where no figure is taken over the patients of one side.
    """
    order = rng.permutation(len(counts))
    shuffled, sides = counts[order], len(shares)
    if sides ** len(counts) <= search.exhaustive_up_to:
        best = _best(_all_assignments(len(counts), sides), shuffled, shares, enough)[1]
    else:
        best = min((_climb(shuffled, shares, rng, enough) for _ in range(search.restarts)), key=lambda found: found[0])[
            1
        ]
    assignment = np.empty(len(counts), dtype=np.int8)
    assignment[order] = best
    return assignment


def _all_assignments(patients: int, sides: int) -> NDArray[np.int8]:
    numbers = np.arange(sides**patients)[:, None]
    return (numbers // sides ** np.arange(patients) % sides).astype(np.int8)


def _best(
    assignments: NDArray[np.int8], counts: Counts, shares: Sequence[int], enough: int
) -> tuple[float, NDArray[np.int8]]:
    frames, labels, missing = deviations(side_sums(assignments, counts, len(shares)), shares).T
    short = shortage(assignments, counts, len(shares), enough)
    # frames + labels never exceeds 2, `short` enough a class and side: one missing class outweighs them all
    most = 2 + LACKING * enough * len(shares) * (counts.shape[1] - 1)
    cost = np.round((most + 1) * missing + LACKING * short + frames + labels, 12)  # rounded, so that equals stay equal
    place = int(np.argmin(cost))
    return float(cost[place]), assignments[place]


def _climb(counts: Counts, shares: Sequence[int], rng: Rng, enough: int) -> tuple[float, NDArray[np.int8]]:
    """Improve a random start by the best move of one patient or swap of two until none helps."""
    sides = len(shares)
    start = rng.choice(sides, size=len(counts), p=np.asarray(shares) / sum(shares)).astype(np.int8)
    start[rng.permutation(len(counts))[:sides]] = np.arange(sides)  # no side starts empty
    cost, current = _best(start[None], counts, shares, enough)
    while True:
        lower, better = _best(_neighbours(current, sides), counts, shares, enough)
        if lower >= cost:
            return cost, current
        cost, current = lower, better


def _neighbours(current: NDArray[np.int8], sides: int) -> NDArray[np.int8]:
    """Return every assignment (neighbours, patients) one move or one swap away."""
    patients = np.arange(len(current))
    moves = np.repeat(current[None], len(current) * sides, axis=0)
    moves[np.arange(len(moves)), np.repeat(patients, sides)] = np.tile(np.arange(sides), len(current))
    one, other = np.triu_indices(len(current), 1)
    apart = current[one] != current[other]
    one, other = one[apart], other[apart]
    swaps = np.repeat(current[None], len(one), axis=0)
    swaps[np.arange(len(one)), one], swaps[np.arange(len(one)), other] = current[other], current[one]
    return np.concatenate([moves, swaps])


def assign_folds(
    frames: pd.DataFrame, labels: Sequence[str], folds: Sequence[str], search: Search, rng: Rng
) -> dict[str, str]:
    """Return patient -> fold: one each where they are as many, else folds as even in frames and labels as can be.

    Folds are numbered by their first patient, so that a fold is known by whom it tests and not by the seed's luck.

    Raises:
        PipelineError: fewer patients than folds.
    """
    index, patients = pd.factorize(frames["patient"], sort=True)
    if len(patients) < len(folds):
        found = f"params.yaml: folds: {len(folds)} folds, but the cohort has {len(patients)} patients"
        raise PipelineError(f"{found}; a fold needs one to test. Remove {len(folds) - len(patients)} folds.")
    if len(patients) == len(folds):
        return dict(zip(patients, folds, strict=True))
    counts = patient_counts(frames[list(labels)].to_numpy(float), index, len(patients))
    numbers = pd.factorize(best_assignment(counts, [1] * len(folds), search, rng, enough=0))[
        0
    ]  # in order of appearance
    return {str(patient): folds[number] for patient, number in zip(patients, numbers, strict=True)}
