"""Frame numbers: which one a FILENAME ends in, and whether a sheet counts from 0 or from 1.

The study took labels by row position, so one missing row shifted all that followed. Here the number decides, and
where it cannot, a person does.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from stages.common.core.errors import Problem
from stages.common.sheets.findings import Finding, runs, span, spans
from stages.common.sheets.names import as_yaml, close, entry, listed, normal
from stages.common.sheets.rows import Entry, Formula, Sheet
from stages.common.sheets.settings import LabelMerge

PICTURE = re.compile(r"\.(jpe?g|png|bmp|tiff?|gif|webp|dcm)$", re.IGNORECASE)
WHOLE = re.compile(r"([0-9]{1,9})(\.0+)?")  # '206.0' is what spreadsheets and pandas make of 206
DECIMAL = re.compile(r"[+-]?[0-9]*[.,]?[0-9]+([eE][+-]?[0-9]+)?")
MOST_DIGITS = 9  # longer runs are serial numbers, not frames
LONGEST = 255  # characters in a file name
MOST_SHOWN = 3  # stretches of numbers in one message


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

    None where there is none, or where the entry is a number that counts nothing (-5, 2.5).
    """
    if text is None or isinstance(text, bool):
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
        entry = row.cell(place)
        name = None if isinstance(entry, Formula) else frame_name(entry)
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


def first_number(
    sheet: Sheet, numbers: Sequence[int], frames: int, section: LabelMerge
) -> tuple[int | None, list[Finding]]:
    """Return the number of the clip's first frame in this sheet, or None and why it is not certain.

    Args:
        sheet: for its name.
        numbers: the frame numbers in it, in any order.
        frames: decoded frames of its clip.
        section: `first_number_of` is believed; `first_number` is held against the sheet.
    """
    told = entry(section.first_number_of, sheet.expert, sheet.title)
    if told is not None:
        return told, []
    if not numbers:
        return 0, []  # nothing to shift; every frame is reported as without label
    if section.first_number == "auto":
        fitting = bases(numbers, frames)
        return (fitting[0], []) if len(fitting) == 1 else (None, [_undecided(sheet, numbers, frames, fitting)])
    general = section.first_number
    if len(outside(numbers, 1 - general, frames)) < len(outside(numbers, general, frames)):
        return None, [_contradicted(sheet, numbers, frames, general)]
    return general, []


def mixed_numbering(sheets: Mapping[str, Sheet], told: Mapping[str, int], section: LabelMerge) -> list[str]:
    """Return a note where one expert's sheets were found to count differently: a wholly shifted sheet looks so, too.

    Args:
        sheets: clip_id -> sheet of one expert.
        told: clip_id -> first number found.
        section: sheets in `first_number_of` were settled by a person and are left out.
    """
    by_base: dict[int, list[str]] = {0: [], 1: []}
    for clip_id, base in told.items():
        sheet = sheets[clip_id]
        if len(sheet.rows) > 1 and entry(section.first_number_of, sheet.expert, sheet.title) is None:
            by_base[base].append(sheet.title)
    if section.first_number != "auto" or not all(by_base.values()):
        return []
    fewer = min(by_base, key=lambda base: (len(by_base[base]), -base))
    titles, others = by_base[fewer], by_base[1 - fewer]
    pairs = ", ".join(f"{as_yaml(title)}: {fewer}" for title in titles)
    whose = next(iter(sheets.values())).expert
    return [
        (f"expert '{whose}': " if whose else "")
        + f"frame numbers start at {fewer} in {listed(titles)}, but at {1 - fewer} in {len(others)} other sheet(s). "
        "A sheet whose labels are all shifted by one frame looks the same: open these clips beside their sheets, "
        f"and if they are right, set label_merge.first_number_of: {{{pairs}}}."
    ]


def _undecided(sheet: Sheet, numbers: Sequence[int], frames: int, fitting: list[int]) -> Finding:
    got = f"{_extent(numbers)}, which fits {'both' if fitting else 'neither'}"
    if not fitting:
        misfits = [f"no frame for {_some(outside(numbers, base, frames))} if the first is {base}" for base in (0, 1)]
        got += f" ({', '.join(misfits)})"
    what = "cannot tell whether its frame numbers start at 0 or 1"
    return Finding("first_number", Problem(sheet.where, what, _allowed(frames), got, _remedy(sheet)))


def _contradicted(sheet: Sheet, numbers: Sequence[int], frames: int, general: int) -> Finding:
    what = f"label_merge.first_number says {general}, but its frame numbers fit {1 - general} better"
    return Finding("first_number", Problem(sheet.where, what, _allowed(frames), _extent(numbers), _remedy(sheet)))


def _extent(numbers: Sequence[int]) -> str:
    return f"{len(set(numbers))} numbers from {min(numbers)} to {max(numbers)}"


def _some(numbers: Sequence[int]) -> str:
    stretches = runs(numbers)
    more = ", ..." if len(stretches) > MOST_SHOWN else ""
    return ", ".join(span(first, last) for first, last in stretches[:MOST_SHOWN]) + more


def _allowed(frames: int) -> str:
    return f"numbers 0 to {frames - 1} or 1 to {frames} for a clip of {frames} frames"


def _remedy(sheet: Sheet) -> str:
    title = as_yaml(sheet.title)
    return (
        "Open the clip beside the sheet, then correct the numbers or set in params.yaml "
        f"label_merge.first_number_of: {{{title}: 0}} or {{{title}: 1}}."
    )
