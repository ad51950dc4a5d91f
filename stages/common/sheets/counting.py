"""Whether a sheet counts its frames from 0 or from 1.

The study took labels by row position, so one missing row shifted all that followed. Here the number decides, and
where it cannot, a person does.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

from stages.common.core.errors import Problem
from stages.common.sheets.cells import Labelled
from stages.common.sheets.findings import Finding, runs, span, spans
from stages.common.sheets.names import as_yaml, listed
from stages.common.sheets.numbering import bases, outside
from stages.common.sheets.rows import Sheet
from stages.common.sheets.said import entry
from stages.common.sheets.settings import LabelMerge

MOST_SHOWN = 3  # stretches of numbers in one message
LEAST_ORDERED = 2  # rows that make an order


def first_number(
    sheet: Sheet, entries: Sequence[Labelled], frames: int, section: LabelMerge
) -> tuple[int | None, list[Finding]]:
    """Return the number of the clip's first frame in this sheet, or None and why it is not certain.

    Args:
        sheet: for its name.
        entries: its rows, in the order in which they stand.
        frames: decoded frames of its clip.
        section: `first_number_of` is believed; `first_number` is held against the sheet.
    """
    told = entry(section.first_number_of, sheet)
    if told is not None:
        return told, []
    if not entries:
        return 0, []  # nothing to shift; every frame is reported as without label
    if section.first_number == "auto":
        return _fitting(sheet, entries, frames)
    general, numbers = section.first_number, [row.number for row in entries]
    if len(outside(numbers, 1 - general, frames)) < len(outside(numbers, general, frames)):
        return None, [_contradicted(sheet, numbers, frames, general)]
    return general, []


def _fitting(sheet: Sheet, entries: Sequence[Labelled], frames: int) -> tuple[int | None, list[Finding]]:
    """Return the only first number that fits the rows of the sheet's usual name: a foreign row must not choose it."""
    usual = Counter(row.name for row in entries).most_common(1)[0][0]
    deciding = [row for row in entries if row.name == usual]
    fitting = bases([row.number for row in deciding], frames)
    if len(fitting) != 1:
        return None, [_undecided(sheet, deciding, frames, fitting, len(entries) - len(deciding))]
    if lone := _misplaced(deciding, frames):
        return None, [_decided_by_one(sheet, lone, deciding, frames)]
    return fitting[0], []


def _misplaced(entries: Sequence[Labelled], frames: int) -> Labelled | None:
    """Return the row that alone decides the first number although it breaks the order of all others, if there is one.

    In 1, 2, ... 9, 0 of ten frames, 0 may be frame 0 or a 10 mistyped. In its place in the order it is believed: a
    flawless sheet has only one number, its first or last, that does not fit both ways.
    """
    decisive = [row for row in entries if not 1 <= row.number < frames]
    others = [row.number for row in entries if 1 <= row.number < frames]
    if len(decisive) != 1 or len(others) < LEAST_ORDERED:
        return None
    return decisive[0] if _in_order(others) and not _in_order([row.number for row in entries]) else None


def _in_order(numbers: Sequence[int]) -> bool:
    """Return whether numbers ascend, or stand as a file browser lists them: 10 before 2."""
    return list(numbers) in (sorted(numbers), sorted(numbers, key=str))


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
        if len(sheet.rows) > 1 and entry(section.first_number_of, sheet) is None:
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


def _undecided(sheet: Sheet, entries: Sequence[Labelled], frames: int, fitting: list[int], foreign: int) -> Finding:
    numbers = [row.number for row in entries]
    got = f"{_extent(numbers)}, which fits {'both' if fitting else 'neither'}"
    if not fitting:
        wrong = [[row for row in entries if outside([row.number], base, frames)] for base in (0, 1)]
        misfits = [
            f"no frame for {_some([row.number for row in rows])} if the first is {base}"
            for base, rows in enumerate(wrong)
        ]
        places = [spans(row.row for row in rows) for rows in wrong]
        got += f" ({', '.join(misfits)}), in row(s) {places[0]} and {places[1]}"
    if foreign:
        got += f"; not counting {foreign} row(s) of another name"
    what = "cannot tell whether its frame numbers start at 0 or 1"
    remedy = _remedy(sheet) + ("" if fitting else " Either way, correct or delete the rows that then have no frame.")
    return Finding("first_number", Problem(sheet.where, what, _allowed(frames), got, remedy))


def _decided_by_one(sheet: Sheet, lone: Labelled, entries: Sequence[Labelled], frames: int) -> Finding:
    others = [row.number for row in entries if row is not lone]
    what = f"row {lone.row} alone decides whether its frame numbers start at 0 or 1, and stands out of their order"
    got = f"number {lone.number} among {_extent(others)}, which fits both"
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
