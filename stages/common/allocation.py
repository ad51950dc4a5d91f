"""How many frames of each label combination go to which side: exact in every cell and in every total."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, milp

from stages.common.core.tables import SIDES


def allocate(sizes: Sequence[int], shares: Sequence[int]) -> NDArray[np.int64]:
    """Return whole counts (groups, sides) that are within one of `size * share` in every cell and column total.

    Rounding each group by itself lets the totals drift by as many frames as there are groups. Controlled rounding
    (Bacharach 1966) rounds cells and totals together; a solution always exists, because the fractions themselves
    solve the transportation problem and its corners are whole. Among the solutions the one nearest to proportion wins.

    Args:
        sizes: frames in each group.
        shares: whole weights of the sides, e.g. 70, 10, 20; whole, so that 3390 frames give 2373, 339 and 678 exactly.
    """
    whole = sum(shares)
    parts = np.outer(np.asarray(sizes, dtype=np.int64), np.asarray(shares, dtype=np.int64))  # (groups, sides) * whole
    totals = parts.sum(axis=0)
    groups, sides = parts.shape
    rows = np.kron(np.eye(groups), np.ones(sides))
    columns = np.kron(np.ones(groups), np.eye(sides))
    result = milp(
        c=(1 - 2 * (parts % whole) / whole).ravel(),  # rounding up gains most where the remainder is largest
        integrality=np.ones(parts.size),
        bounds=Bounds(parts.ravel() // whole, -(-parts.ravel() // whole)),
        constraints=[
            LinearConstraint(rows, sizes, sizes),
            LinearConstraint(columns, totals // whole, -(-totals // whole)),
        ],
    )
    counts: NDArray[np.int64] = np.rint(result.x).astype(np.int64).reshape(groups, sides)
    return counts


def stratified_sides(labels: NDArray[np.float64], shares: Sequence[int], rng: np.random.Generator) -> NDArray[np.str_]:
    """Return the side of each frame, stratified over label combinations, within one frame in each combination.

    An unknown label counts as a state of its own, so that frames with gaps are shared out as evenly as the others.

    Args:
        labels: (frames, labels) of 1, 0 and NaN.
        shares: whole weights of train, validation and test.
        rng: chooses which frames of a combination go where.
    """
    combinations, members = np.unique(np.nan_to_num(labels, nan=2.0), axis=0, return_inverse=True)
    counts = allocate(np.bincount(members, minlength=len(combinations)).tolist(), shares)
    sides = np.empty(len(labels), dtype="<U10")
    for combination, row in enumerate(counts):
        sides[rng.permutation(np.flatnonzero(members == combination))] = np.repeat(SIDES, row)
    return sides
