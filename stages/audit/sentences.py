"""What sentences beside a table say of it, held to the table."""

from collections.abc import Iterator
from fractions import Fraction

from stages.audit.compared import Compared, plain
from stages.audit.table import Table, row_of


def claimed_extremes(table: Table) -> Iterator[Compared]:
    """A column that a sentence calls the largest or smallest is that, with the number that the sentence gives."""
    for claim in table.claims:
        rows = [row_of(table, row) for row in claim.rows]
        common = [column for column in rows[0] if all(column in row for row in rows)]
        sums = {column: sum((row[column] for row in rows), Fraction(0)) for column in common}
        best = max(sums.values()) if claim.extreme == "largest" else min(sums.values())
        mine = sums[claim.column]
        leaders = " and ".join(column for column, value in sums.items() if value == best)
        holds = mine == best and (claim.value is None or Fraction(claim.value) == mine)
        named, wrong = " + ".join(claim.rows), mine != best
        yield Compared(
            where=f"'{claim.quote}'",
            what=(f"{claim.column} has not the {claim.extreme} {named}" if wrong else "the table has another number")
            + (f", unless it is read as: {claim.reading}" if claim.reading else ""),
            expected=f"{leaders} with {plain(best)}" if wrong else plain(mine),
            got=f"{claim.column} with {claim.value or plain(mine)}",
            holds=holds,
            level="suspicious" if claim.reading else "finding",
        )


def totals(table: Table) -> Iterator[Compared]:
    """Parts add up to their total."""
    for total in table.totals:
        parts = sum(total.parts.values())
        what = f"the {len(total.parts)} parts do not add up to the total"
        yield Compared(f"'{total.quote}'", what, str(parts), str(total.total), parts == total.total)
