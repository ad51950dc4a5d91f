"""The study's workbook: one sheet a clip, columns FILENAME, BAD QUALITY, CORD, FLUID; on request with its flaws.

The bytes depend on the content alone: openpyxl's clock is taken out of docProps/core.xml and the zip entries.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from openpyxl import Workbook

from stages.phantom.draws import keyed_rng
from stages.phantom.plan import ClipPlan

HEADER = ("FILENAME", "BAD QUALITY", "CORD", "FLUID")
OTHER_DEFINITION = "FLUID without cord"
BLANK_SHARE = 0.02
LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the earliest date that a zip entry can hold
SHEET_TITLE_LIMIT = 31  # of the format

Row = tuple[object, ...]


@dataclass(frozen=True)
class Sheet:
    title: str
    header: tuple[str, ...]
    rows: tuple[Row, ...]


def clean_sheet(plan: ClipPlan) -> Sheet:
    """One row a frame in frame order: `<clip>_<index>.jpg`, 0 or 1 thrice."""
    ticks = np.stack([plan.labels.bad_quality, plan.labels.cord, plan.labels.fluid], axis=1)[plan.kept].astype(int)
    rows = tuple((f"{plan.clip}_{index}.jpg", *row) for index, row in enumerate(ticks.tolist()))
    return Sheet(plan.clip[:SHEET_TITLE_LIMIT], HEADER, rows)


def messy_sheets(sheets: Sequence[Sheet], seed: int) -> list[Sheet]:
    """Give the sheets the flaws seen in the study's workbook; each flaw lands on a fixed place in the list.

    The first sheet's name differs from its clip's; of every five sheets one is short of a row, one has a row too
    many, one is out of order and one holds bare numbers; the last but one has blanks; the last another definition.
    """
    messy = [_spoil(sheet, place, keyed_rng(seed, sheet.title, "messy")) for place, sheet in enumerate(sheets)]
    messy[0] = replace(messy[0], title=_misspell(messy[0].title))
    messy[-2:] = [_blank(sheet, keyed_rng(seed, sheet.title, "blank")) for sheet in messy[-2:]]
    messy[-1] = _without_cord(messy[-1])
    return messy


def _misspell(title: str) -> str:
    """`LPILOT SITTING2` -> `LPPILOTSITTING2`: a letter doubled, the blank lost."""
    letter = 1 if len(title) > 1 else 0
    return (title[: letter + 1] + title[letter:]).replace(" ", "")[:SHEET_TITLE_LIMIT]


def _spoil(sheet: Sheet, place: int, rng: np.random.Generator) -> Sheet:
    rows = list(sheet.rows)
    flaw = place % 5
    if flaw == 0:
        del rows[int(rng.integers(len(rows)))]
    elif flaw == 1:
        rows.append((f"{sheet.title}_{len(rows)}.jpg", *rows[-1][1:]))
    elif flaw == 2:
        rows.sort(key=lambda row: str(row[0]))  # 10 before 2, as a file browser lists them
        rows = [*rows[1:], rows[0]] if rows == list(sheet.rows) else rows
    elif flaw == 3:
        rows = [(str(row[0]).rsplit("_", 1)[1], *row[1:]) for row in rows]
    return replace(sheet, rows=tuple(rows))


def _blank(sheet: Sheet, rng: np.random.Generator) -> Sheet:
    """Leave a few ticks open, at least one."""
    gaps = rng.uniform(size=(len(sheet.rows), 3)) < BLANK_SHARE
    gaps[int(rng.integers(len(gaps))), int(rng.integers(2))] = True
    rows = (
        (row[0], *(None if gap else tick for gap, tick in zip(gaps_of, row[1:], strict=True)))
        for gaps_of, row in zip(gaps, sheet.rows, strict=True)
    )
    return replace(sheet, rows=tuple(rows))


def _without_cord(sheet: Sheet) -> Sheet:
    """The earlier version's column: another definition, not another spelling."""
    rows = ((name, bad, cord, 0 if cord == 1 else fluid) for name, bad, cord, fluid in sheet.rows)
    return Sheet(sheet.title, (*HEADER[:3], OTHER_DEFINITION), tuple(rows))


def write_workbook(path: Path, sheets: Sequence[Sheet]) -> None:
    """Write the sheets; the same sheets give the same bytes."""
    book = Workbook()
    book.remove(book.worksheets[0])
    for sheet in sheets:
        page = book.create_sheet(sheet.title)
        page.append(sheet.header)
        for row in sheet.rows:
            page.append(row)
    buffer = io.BytesIO()
    book.save(buffer)
    path.write_bytes(_without_clock(buffer.getvalue()))


def _without_clock(content: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(out, "w") as target:
        for name in sorted(source.namelist()):
            data = source.read(name)
            if name == "docProps/core.xml":
                data = re.sub(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", b"1980-01-01T00:00:00Z", data)
            target.writestr(zipfile.ZipInfo(name, LONG_AGO), data, zipfile.ZIP_DEFLATED, 6)
    return out.getvalue()
