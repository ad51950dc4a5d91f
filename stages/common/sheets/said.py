"""What parameters say about a sheet: which key of `aliases`, `first_number_of` and so on means which sheet."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from stages.common.core.errors import Problem
from stages.common.sheets.findings import Finding
from stages.common.sheets.names import listed, normal
from stages.common.sheets.rows import Sheet
from stages.common.sheets.settings import LabelMerge

Value = TypeVar("Value")

BY_SHEET = ("aliases", "ignored_sheets", "definitions", "first_number_of")


def with_twins(sheets: Sequence[Sheet]) -> list[Sheet]:
    """Return the sheets, each knowing those of its expert that only case, spaces or punctuation tell from it."""
    titles: dict[tuple[str, str], list[str]] = {}
    for sheet in sheets:
        titles.setdefault((sheet.expert, normal(sheet.title)), []).append(sheet.title)
    return [
        replace(
            sheet, twins=tuple(title for title in titles[sheet.expert, normal(sheet.title)] if title != sheet.title)
        )
        for sheet in sheets
    ]


def entry(mapping: Mapping[str, Value], sheet: Sheet) -> Value | None:
    """Return what a parameter says about a sheet; None where nothing does, or several keys do: `contested` tells."""
    keys = keys_of(mapping, sheet)
    return mapping[keys[0]] if len(keys) == 1 else None


def keys_of(keys: Iterable[str], sheet: Sheet) -> list[str]:
    """Return the keys that mean a sheet: `<expert>/<sheet>` before `<sheet>`, an identical one before those alike."""
    parts = {key: key.partition("/") for key in keys}
    own = {key: title for key, (expert, _, title) in parts.items() if _is_expert(expert, sheet) and title}
    plain = {key: key for key in parts if "/" not in key or "/" in sheet.title}
    return _meant(own, sheet) or _meant(plain, sheet)


def _is_expert(name: str, sheet: Sheet) -> bool:
    return sheet.expert != "" and normal(name) == normal(sheet.expert)


def _meant(titles: Mapping[str, str], sheet: Sheet) -> list[str]:
    identical = [key for key, title in titles.items() if title.strip() == sheet.title.strip()]
    return identical or [
        key
        for key, title in titles.items()
        if normal(title) == normal(sheet.title) and title.strip() not in sheet.twins
    ]


def contested(section: LabelMerge, sheets: Sequence[Sheet]) -> list[Finding]:
    """Return a finding for each parameter of which several keys mean one sheet, none of them spelt as it is."""
    return [
        Finding(
            "parameter",
            Problem(
                f"params.yaml: label_merge.{key}",
                f"several entries for {sheet.where}",
                "one, or one spelt exactly as the sheet",
                listed(keys),
                "Remove all but one.",
            ),
        )
        for key in BY_SHEET
        for sheet in sheets
        if len(keys := keys_of(getattr(section, key), sheet)) > 1
    ]


def idle(section: LabelMerge, sheets: Sequence[Sheet]) -> list[str]:
    """Return a note for each parameter that names no sheet: harmless for another cohort, or a slip of the pen."""
    return [
        f"label_merge.{key}: '{title}' is no sheet of this cohort; left unused"
        for key in BY_SHEET
        for title in getattr(section, key)
        if not any(keys_of([title], sheet) for sheet in sheets)
    ]
