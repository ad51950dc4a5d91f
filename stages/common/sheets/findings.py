"""What a look at label sheets brings to light, each with its kind, so that a parameter can say what stops a run."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from stages.common.core.errors import Problem


@dataclass(frozen=True)
class Finding:
    """One problem, or the same problem on consecutive rows.

    Attributes:
        kind: a key of `label_merge.problems`, or another word for what always stops.
        problem: the words for the terminal; they may name files, sheets and entries.
        count: rows, cells or frames concerned.
        case: where it is, for metrics: clip_id, expert, label, rows or frames; no name a person gave.
        proposal: what would mend it, as (key of label_merge, sheet, value), or None where a person must look.
    """

    kind: str
    problem: Problem
    count: int = 1
    case: dict[str, str] = field(default_factory=dict)
    proposal: tuple[str, str, str] | None = None


def runs(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Return the first and last of each stretch of consecutive numbers.

    >>> runs([2, 3, 4, 9])
    [(2, 4), (9, 9)]
    """
    ordered = sorted(set(numbers))
    if not ordered:
        return []
    breaks = [(last, first) for last, first in pairwise(ordered) if first != last + 1]
    return list(
        zip([ordered[0], *(first for _, first in breaks)], [*(last for last, _ in breaks), ordered[-1]], strict=True)
    )


def span(first: int, last: int) -> str:
    """Return `7` or `7 to 12`."""
    return str(first) if first == last else f"{first} to {last}"


def spans(numbers: Iterable[int]) -> str:
    """Return all numbers in short, e.g. `2 to 4, 9`."""
    return ", ".join(span(first, last) for first, last in runs(numbers))


def counts(findings: Sequence[Finding]) -> dict[str, int]:
    """Return how many rows, cells or frames each kind concerns, sorted by kind."""
    kinds = sorted({finding.kind for finding in findings})
    return {kind: sum(finding.count for finding in findings if finding.kind == kind) for kind in kinds}
