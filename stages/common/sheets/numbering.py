"""Frame numbers: which one a FILENAME ends in, and whose name stands before it."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from stages.common.core.errors import Problem
from stages.common.sheets.findings import Finding, spans
from stages.common.sheets.names import close, listed, normal
from stages.common.sheets.rows import Entry, Formula, Moment, Sheet

PICTURE = re.compile(r"\.(jpe?g|png|bmp|tiff?|gif|webp|dcm)$", re.IGNORECASE)
WHOLE = re.compile(r"([0-9]{1,9})(\.0+)?")  # '206.0' is what spreadsheets and pandas make of 206
DECIMAL = re.compile(r"[+-]?[0-9]*[.,]?[0-9]+([eE][+-]?[0-9]+)?")
MOST_DIGITS = 9  # longer runs are serial numbers, not frames
LONGEST = 255  # characters in a file name
# 2024-01-12, 12.01.2024, 12/1/24, 00:12 or both: what spreadsheets make of numbers, and then write into a CSV
DATE = r"([0-9]{4}-[0-9]{1,2}-[0-9]{1,2}|[0-9]{1,2}([./-])[0-9]{1,2}\2([0-9]{4}|[0-9]{2}))"
TIME = r"[0-9]{1,2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?( ?[AP]M)?"
MOMENT = re.compile(rf"{DATE}([ T]{TIME})?|{TIME}", re.IGNORECASE)


@dataclass(frozen=True)
class FrameName:
    """A FILENAME taken apart.

    Attributes:
        number: as written, before it is known whether counting starts at 0 or 1.
        before: what stands before the number, e.g. `AM12_`.
    """

    number: int
    before: str


def frame_name(text: Entry) -> FrameName | None:
    """Return the number that ends a FILENAME's stem: 206 of `AM12_206.jpg`, `frame 206.png`, `206` and 206.

    None where there is none, or where the entry is a number that counts nothing (-5, 2.5), or a date or time.
    """
    if text is None or isinstance(text, (bool, Formula, Moment)) or MOMENT.fullmatch(str(text).strip()):
        return None
    stem = PICTURE.sub("", str(text).strip()).strip()
    if whole := WHOLE.fullmatch(stem):
        return FrameName(int(whole[1]), "")
    before = stem.rstrip("0123456789")
    digits = stem[len(before) :]
    if not digits or len(digits) > MOST_DIGITS or len(stem) > LONGEST or DECIMAL.fullmatch(stem):
        return None
    return FrameName(int(digits), before)


def runs_into(name: FrameName, clip: str) -> bool:
    """Return whether the number may be part of the clip's name: `LAT15` in clip `LAT1` is frame 5 or 15."""
    before = normal(name.before)
    return (
        before != "" and len(before) < len(normal(clip)) and normal(f"{before}{name.number}").startswith(normal(clip))
    )


def foreign_names(sheet: Sheet, place: int, heading: str, own: Sequence[str], others: Iterable[str]) -> list[Finding]:
    """Return a finding for each name before the numbers that is none of the clip's, or not that of the other rows.

    Args:
        sheet: one clip's sheet.
        place: the column of its FILENAMEs.
        heading: of that column.
        own: the clip's name, the sheet's and the file's; close spellings count.
        others: normalised names of other clips, whose rows are refused elsewhere.
    """
    rows_of: dict[str, list[int]] = {}
    for row in sheet.rows[1:]:
        name = frame_name(row.cell(place))
        if name and (form := normal(name.before)) and form not in others:
            rows_of.setdefault(form, []).append(row.number)
    usual = max(rows_of, key=lambda form: len(rows_of[form]), default="")
    remedy = "Make sure that these rows are about this clip, and correct the name."
    findings = []
    for form, numbers in rows_of.items():
        if form != usual or not _resembles(form, own):
            what = "name of no clip" if not _resembles(form, own) else "another name than in the other rows"
            where = f"{sheet.where}, row{'s' if len(numbers) > 1 else ''} {spans(numbers)}, column '{heading}'"
            problem = Problem(where, what, f"names like {listed(dict.fromkeys(own))}", repr(form), remedy)
            findings.append(Finding("foreign_name", problem, count=len(numbers), case={"rows": spans(numbers)}))
    return findings


def _resembles(form: str, own: Sequence[str]) -> bool:
    forms = [normal(name) for name in own]
    return bool(close(form, own)) or any(other and (other in form or form in other) for other in forms)


def bases(numbers: Sequence[int], frames: int) -> list[int]:
    """Return the first numbers, of 0 and 1, with which all `numbers` are among `frames` decoded frames."""
    return [base for base in (0, 1) if not outside(numbers, base, frames)]


def outside(numbers: Sequence[int], base: int, frames: int) -> list[int]:
    """Return the numbers that no frame has when counting starts at `base`."""
    return [number for number in numbers if not base <= number < base + frames]
