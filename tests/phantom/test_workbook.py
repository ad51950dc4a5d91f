"""The workbook has the study's form; with `messy_labels` it has each of the study's flaws."""

from __future__ import annotations

from pathlib import Path

import pytest
from openpyxl import load_workbook

from stages.phantom.plan import ClipPlan, plan_cohort
from stages.phantom.workbook import HEADER, OTHER_DEFINITION, Sheet, clean_sheet, messy_sheets, write_workbook
from tests.phantom.conftest import make_params


@pytest.fixture(scope="module")
def plans() -> list[ClipPlan]:
    return plan_cohort(make_params(sweep_candidates=5))


@pytest.fixture(scope="module")
def clean(plans: list[ClipPlan]) -> list[Sheet]:
    return [clean_sheet(plan) for plan in plans]


@pytest.fixture(scope="module")
def messy(clean: list[Sheet]) -> list[Sheet]:
    return messy_sheets(clean, seed=3)


def test_clean_form(plans: list[ClipPlan], clean: list[Sheet], tmp_path: Path) -> None:
    write_workbook(tmp_path / "labels.xlsx", clean)
    book = load_workbook(tmp_path / "labels.xlsx")
    assert book.sheetnames == [plan.clip for plan in plans]
    rows = list(book["AM12"].values)
    assert rows[0] == ("FILENAME", "BAD QUALITY", "CORD", "FLUID")
    assert [row[0] for row in rows[1:]] == [f"AM12_{index}.jpg" for index in range(373)]
    assert {value for row in rows[1:] for value in row[1:]} <= {0, 1}


def test_workbook_bytes_depend_on_the_content_alone(clean: list[Sheet], tmp_path: Path, monkeypatch) -> None:
    write_workbook(tmp_path / "a.xlsx", clean)
    monkeypatch.setattr("time.time", lambda: 2_000_000_000.0)
    write_workbook(tmp_path / "b.xlsx", clean)
    assert (tmp_path / "a.xlsx").read_bytes() == (tmp_path / "b.xlsx").read_bytes()


def test_messy_sheet_name_differs_a_little(messy: list[Sheet]) -> None:
    assert messy[0].title == "LPPILOTSITTING2"


def test_messy_rows_are_missing_and_extra(clean: list[Sheet], messy: list[Sheet]) -> None:
    surplus = [len(after.rows) - len(before.rows) for before, after in zip(clean, messy, strict=True)]
    assert {-1, 0, 1} == set(surplus)


def test_messy_row_order_is_not_frame_order(clean: list[Sheet], messy: list[Sheet]) -> None:
    shuffled = [after for before, after in zip(clean, messy, strict=True)
                if after.rows != before.rows and sorted(after.rows) == sorted(before.rows)]  # fmt: skip
    assert shuffled


def test_messy_names_are_bare_numbers_in_some_sheets(messy: list[Sheet]) -> None:
    bare = [str(sheet.rows[0][0]).removesuffix(".jpg").isdigit() for sheet in messy]
    assert any(bare)
    assert not all(bare)


def test_messy_cells_are_blank(messy: list[Sheet]) -> None:
    assert any(value is None for sheet in messy for row in sheet.rows for value in row)


def test_messy_column_has_another_definition(messy: list[Sheet]) -> None:
    headers = [sheet.header for sheet in messy]
    assert headers.count((*HEADER[:3], OTHER_DEFINITION)) == 1
    other = messy[-1]
    assert all(row[3] == 0 for row in other.rows if row[2] == 1)
