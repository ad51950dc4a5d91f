"""Unite the experts: majority a frame and label, derived labels, and how far the experts agree.

Tables hold nullable booleans, one row a frame, one column a label: True, False or NA, which is 'unknown' and never
'no'. pandas computes with them by Kleene's three-valued logic, which is what 'A without B' needs.
"""

from collections.abc import Mapping, Sequence
from functools import reduce
from itertools import combinations

import pandas as pd
from sklearn.metrics import cohen_kappa_score

from stages.common.sheets.settings import Without

Agreement = dict[str, dict[str, dict[str, float | int | None]]]  # label -> pair of experts -> statistic


def majority(tables: Sequence[pd.DataFrame]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return what most experts say, and where they are divided equally.

    Args:
        tables: one an expert, all with the same index and columns. NA is no vote.

    Returns:
        the majority, NA where nobody voted or votes are tied; and booleans, True at a tie.
    """
    positive = _count(tables)
    negative = _count([~table for table in tables])
    undecided = positive.eq(negative)
    return positive.gt(negative).astype("boolean").mask(undecided), undecided & positive.gt(0)


def _count(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return how many tables are True, cell by cell."""
    return reduce(pd.DataFrame.add, [table.fillna(False).astype(int) for table in tables])


def complete(table: pd.DataFrame, without: Mapping[str, Without]) -> pd.DataFrame:
    """Return one expert's labels with 'A', 'B' and 'A without B' each told by the others as far as they can be known.

    From A and B, 'A without B' is A and not B. From 'A without B' = 1 follow A = 1 and B = 0; from 0 and B = 0
    follows A = 0; from 0 and B = 1 nothing follows for A.
    """
    filled = table.copy()
    for derived, rule in without.items():
        alone = table[derived]
        b = table[rule.without].mask(table[rule.without].isna() & alone.fillna(False), False)
        filled[rule.without] = b
        # Kleene: 'A without B' where that is 1, or where B is 0; unknown under B = 1
        filled[rule.label] = table[rule.label].fillna(alone | b.mask(b.fillna(True)))
    return derive(filled, without)


def derive(table: pd.DataFrame, without: Mapping[str, Without]) -> pd.DataFrame:
    """Return `table` with 'A without B' computed from A and B; as it stands where both of them are unknown."""
    filled = table.copy()
    for derived, rule in without.items():
        a, b = table[rule.label], table[rule.without]
        filled[derived] = (a & ~b).fillna(table[derived].mask(a.notna() | b.notna()))
    return filled


def clear_contradictions(
    table: pd.DataFrame, excludes_others: str | None, labels: Sequence[str]
) -> tuple[pd.DataFrame, int]:
    """Return `table` without the frames on which a vote made labels positive that exclude each other, and their number.

    Each expert may be consistent and the majority not, e.g. where one left a cell blank. All labels of such a frame
    become unknown.
    """
    if excludes_others is None:
        return table, 0
    others = [label for label in labels if label != excludes_others]
    clash = table[excludes_others].fillna(False) & table[others].fillna(False).any(axis=1)
    return table.mask(clash), int(clash.sum())


def agreement(tables: Mapping[str, pd.DataFrame], labels: Sequence[str]) -> Agreement:
    """Return label -> pair of experts -> frames that both labelled, share on which they agree, Cohen's kappa.

    Kappa (Cohen 1960, as scikit-learn computes it) is None where both experts used one and the same value only.
    """
    return {
        label: {
            f"{one}-{other}": _pair(tables[one][label], tables[other][label]) for one, other in combinations(tables, 2)
        }
        for label in labels
    }


def _pair(one: pd.Series, other: pd.Series) -> dict[str, float | int | None]:
    both = one.notna() & other.notna()
    first, second = one[both].astype(bool), other[both].astype(bool)
    if first.empty:
        return {"frames": 0, "agreement": None, "kappa": None}
    constant = len({*first.unique(), *second.unique()}) == 1
    kappa = None if constant else round(float(cohen_kappa_score(first, second)), 6)
    return {"frames": len(first), "agreement": round(float((first == second).mean()), 6), "kappa": kappa}
