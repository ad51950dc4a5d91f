"""Put whole patients on sides, as close to the wanted shares as their frames allow."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from stages.common.core.params import Strict
from stages.common.protocols import ENOUGH

Rng = np.random.Generator
Assignment = NDArray[np.int8]  # (patients,) side numbers
Rows = NDArray[np.intp]
Counts = NDArray[np.float64]  # (patients, 1 + 2 * labels): frames, then positives a label, then negatives a label


AT_A_TIME = 64  # patients whose swaps with all others are compared at a time: memory stays flat
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


def shortage(bearers: NDArray[np.float64], enough: int) -> NDArray[np.float64]:
    """Return (assignments,): patients that the sides lack in all, so that each has `enough` with positives and as many
    with negatives of every label.

    Args:
        bearers: (assignments, sides, 2 * labels) patients with positives of a label, then with negatives.
        enough: patients wanted.
    """
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
    brought, sides = _with_bearers(counts[order]), len(shares)
    if sides ** len(counts) <= search.exhaustive_up_to:
        each = _all_assignments(len(counts), sides)
        best = each[int(np.argmin(_costs(side_sums(each, brought, sides), shares, enough)))]
    else:
        climbs = (_climb(brought, shares, rng, enough) for _ in range(search.restarts))
        best = min(climbs, key=lambda found: found[0])[1]
    assignment = np.empty(len(counts), dtype=np.int8)
    assignment[order] = best
    return assignment


def _all_assignments(patients: int, sides: int) -> NDArray[np.int8]:
    numbers = np.arange(sides**patients)[:, None]
    return (numbers // sides ** np.arange(patients) % sides).astype(np.int8)


def _with_bearers(counts: Counts) -> NDArray[np.float64]:
    """Return (patients, 1 + 4 * labels): the counts, then 1 for each of them but the frames that is not 0."""
    return np.column_stack([counts, counts[:, 1:] > 0]).astype(float)


def _costs(sums: NDArray[np.float64], shares: Sequence[int], enough: int) -> NDArray[np.float64]:
    """Return (assignments,): how bad each is, from its side sums of `_with_bearers`."""
    classes = sums.shape[2] // 2
    frames, labels, missing = deviations(sums[:, :, : 1 + classes], shares).T
    short = shortage(sums[:, :, 1 + classes :], enough)
    # frames + labels never exceeds 2, `short` enough a class and side: one missing class outweighs them all
    most = 2 + LACKING * enough * len(shares) * classes
    return np.round((most + 1) * missing + LACKING * short + frames + labels, 12)  # rounded, so that equals stay equal


def _climb(brought: NDArray[np.float64], shares: Sequence[int], rng: Rng, enough: int) -> tuple[float, Assignment]:
    """Improve a random start by the best move of one patient or swap of two until none helps."""
    sides = len(shares)
    current = rng.choice(sides, size=len(brought), p=np.asarray(shares) / sum(shares)).astype(np.int8)
    current[rng.permutation(len(brought))[:sides]] = np.arange(sides)  # no side starts empty
    cost = float(_costs(side_sums(current[None], brought, sides), shares, enough)[0])
    while True:
        lower, steps = _best_step(current, brought, shares, enough)
        if lower >= cost:
            return cost, current
        cost = lower
        for patient, side in steps:
            current[patient] = side


def _best_step(
    current: Assignment, brought: NDArray[np.float64], shares: Sequence[int], enough: int
) -> tuple[float, list[tuple[int, int]]]:
    """Return the lowest cost one move or one swap away, and who then goes where.

    Only the sums of the sides change, and those by whole numbers: the assignments themselves are never written out,
    which for a thousand patients would be gigabytes.
    """
    sums = side_sums(current[None], brought, len(shares))
    found: list[tuple[float, list[tuple[int, int]]]] = []
    for one, to, other in _neighbours(current, len(shares)):
        changed = np.repeat(sums, len(one), axis=0)
        rows, came, swapped = np.arange(len(one)), current[one], other >= 0
        gain = brought[one] - np.where(swapped[:, None], brought[other], 0)
        changed[rows, came] -= gain
        changed[rows, to] += gain
        costs = _costs(changed, shares, enough)
        best = int(np.argmin(costs))
        steps = [(int(one[best]), int(to[best]))] + [(int(other[best]), int(came[best]))] * bool(swapped[best])
        found.append((float(costs[best]), steps))
    return min(found, key=lambda of: of[0])  # the first of equals


def _neighbours(current: Assignment, sides: int) -> Iterator[tuple[Rows, Rows, Rows]]:
    """Yield some at a time: a patient, the side it goes to, and who comes from there for it, or -1."""
    patients = np.arange(len(current))
    yield np.repeat(patients, sides), np.tile(np.arange(sides), len(current)), np.full(len(current) * sides, -1)
    for first in range(0, len(current), AT_A_TIME):
        one, other = np.triu_indices(min(AT_A_TIME, len(current) - first), 1 + first, len(current))
        one = one + first
        apart = current[one] != current[other]
        if apart.any():
            yield one[apart], current[other[apart]].astype(np.intp), other[apart]
