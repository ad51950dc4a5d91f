"""One thing that a check compared."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

Level = Literal["finding", "suspicious"]


@dataclass(frozen=True)
class Compared:
    """One thing that a check compared; a finding, or suspicious, where it does not hold.

    Attributes:
        where: the place in the table, or the sentence.
        what: what is wrong, if it does not hold.
        expected: what the rest of the table demands.
        got: what stands there.
        holds: whether it is right.
        level: where it does not hold, whether that cannot be (finding) or could be chance (suspicious).
    """

    where: str
    what: str
    expected: str
    got: str
    holds: bool
    level: Level = "finding"


def plain(value: Fraction) -> str:
    """Return a number as a table prints it: 1294, 0.9897."""
    return str(value) if value.denominator == 1 else f"{float(value):.6f}".rstrip("0")
