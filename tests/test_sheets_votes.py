"""Experts and derived labels, against oracles: possible worlds, counting by hand, closed formulas."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.common.sheets.settings import Without
from stages.common.sheets.shares import combinations, patients, shares, too_few_patients
from stages.common.sheets.votes import agreement, clear_contradictions, complete, derive, majority

WITHOUT = {"fluid_without_cord": Without(label="fluid", without="cord", column="FLUID without cord")}
MAYBE = st.sampled_from([True, False, None])
NAMES = ["cord", "fluid", "fluid_without_cord"]


def table(rows: list[dict[str, bool | None]], columns: list[str] = NAMES) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=columns, dtype=object).astype("boolean")


def plain(frame: pd.DataFrame) -> list[dict[str, bool | None]]:
    return [
        {key: None if pd.isna(value) else bool(value) for key, value in row.items()} for row in frame.to_dict("records")
    ]


def possible(seen: dict[str, bool | None]) -> dict[str, bool | None]:
    """Return what holds in every world that agrees with what was seen: the oracle of `complete`."""
    worlds = [{"cord": c, "fluid": f, "fluid_without_cord": f and not c} for c, f in product((False, True), repeat=2)]
    left = [world for world in worlds if all(value is None or world[key] == value for key, value in seen.items())]
    return {key: left[0][key] if len({world[key] for world in left}) == 1 else None for key in NAMES}


@pytest.mark.parametrize("cord", [True, False, None])
@pytest.mark.parametrize("entered", [True, False, None])
@pytest.mark.parametrize("column", ["fluid", "fluid_without_cord"])
def test_each_definition_tells_of_the_other_what_can_be_known(
    column: str, entered: bool | None, cord: bool | None
) -> None:
    seen = {"cord": cord, "fluid": None, "fluid_without_cord": None} | {column: entered}
    if column == "fluid_without_cord" and entered and cord:
        return  # a contradiction, which `place` has made unknown before
    assert plain(complete(table([seen]), WITHOUT)) == [possible(seen)]


@given(st.lists(st.lists(MAYBE, min_size=4, max_size=4), min_size=1, max_size=5))
def test_majority_counts_votes_and_unknown_is_none(votes: list[list[bool | None]]) -> None:
    merged, ties = majority([table([{"cord": value} for value in its], ["cord"]) for its in votes])
    for frame in range(4):
        cast = [its[frame] for its in votes if its[frame] is not None]
        balance = sum(1 if vote else -1 for vote in cast)
        assert plain(merged)[frame]["cord"] == (None if balance == 0 else balance > 0)
        assert bool(ties["cord"].iloc[frame]) == (balance == 0 and bool(cast))


@given(st.lists(st.tuples(MAYBE, MAYBE, st.booleans()), min_size=1, max_size=5))
def test_the_majority_never_contradicts_itself(sheets: list[tuple[bool | None, bool | None, bool]]) -> None:
    experts = []
    for cord, entered, other_definition in sheets:
        column = "fluid_without_cord" if other_definition else "fluid"
        if not (other_definition and cord and entered):
            experts.append(complete(table([{"cord": cord, column: entered}]), WITHOUT))
    if experts:
        row = plain(derive(majority(experts)[0], WITHOUT))[0]
        if row["cord"] is not None and row["fluid"] is not None:
            assert row["fluid_without_cord"] == (row["fluid"] and not row["cord"])
        if row["fluid_without_cord"]:
            assert row["fluid"]
            assert row["cord"] is False


def test_majorities_that_exclude_each_other_become_unknown() -> None:
    names = ["bad_quality", "cord", "fluid"]
    merged = table(
        [{"bad_quality": True, "cord": True, "fluid": None}, {"bad_quality": True, "cord": False, "fluid": False}],
        names,
    )
    cleared, count = clear_contradictions(merged, "bad_quality", names)
    assert count == 1
    assert plain(cleared) == [dict.fromkeys(names), {"bad_quality": True, "cord": False, "fluid": False}]
    assert clear_contradictions(merged, None, names)[1] == 0


@given(st.lists(st.tuples(MAYBE, MAYBE), min_size=1, max_size=40))
def test_kappa_is_cohen_s_formula(votes: list[tuple[bool | None, bool | None]]) -> None:
    one = table([{"cord": vote[0]} for vote in votes], ["cord"])
    other = table([{"cord": vote[1]} for vote in votes], ["cord"])
    found = agreement({"E1": one, "E2": other}, ["cord"])["cord"]["E1-E2"]
    both = np.array([vote for vote in votes if None not in vote], dtype=float).reshape(-1, 2)
    assert found["frames"] == len(both)
    if not len(both):
        assert found["agreement"] is None
        return
    observed = float((both[:, 0] == both[:, 1]).mean())
    p, q = both.mean(axis=0)
    chance = p * q + (1 - p) * (1 - q)
    assert found["agreement"] == pytest.approx(observed, abs=1e-6)
    if chance == 1:
        assert found["kappa"] is None
    else:
        assert found["kappa"] == pytest.approx((observed - chance) / (1 - chance), abs=1e-6)


def test_none_of_the_labels_is_not_unknown() -> None:
    names = ["bad_quality", "cord", "fluid"]
    labels = table(
        [dict.fromkeys(names, False), dict.fromkeys(names), {**dict.fromkeys(names, False), "cord": True}], names
    )
    counted = combinations(labels, names)
    assert (counted["none"], counted["unknown"], counted["cord"]) == (1, 1, 1)
    assert len(counted) == 2**3 + 1
    assert sum(counted.values()) == 3
    assert shares(labels, names)["cord"] == {"positive": 1, "negative": 1, "unknown": 1, "share": 0.5}
    assert shares(labels.iloc[1:2], names)["cord"]["share"] is None


def test_labels_that_too_few_patients_have_are_named() -> None:
    labels = table([{"cord": True}, {"cord": False}, {"cord": False}, {"cord": None}], ["cord"])
    counted = patients(labels, pd.Series(["P001", "P001", "P002", "P003"]), ["cord"])
    assert counted == {"cord": {"positive": 1, "negative": 2}}
    assert list(too_few_patients(counted, 2)) == [("cord", "positive", 1)]
