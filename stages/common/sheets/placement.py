"""Put the rows of a sheet on the frames of its clip, by number and never by row position."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pandas as pd

from stages.common.core.errors import Problem
from stages.common.sheets.cells import Labelled
from stages.common.sheets.columns import Columns
from stages.common.sheets.findings import Finding, runs, span, spans
from stages.common.sheets.names import listed
from stages.common.sheets.numbering import outside
from stages.common.sheets.rows import Sheet
from stages.common.sheets.settings import LabelParams


@dataclass(frozen=True)
class Frames:
    """The frames of a clip that labels can be about.

    Attributes:
        decoded: their number in the file.
        kept: frame_index of those that thinning left, sorted. A frame keeps its number.
    """

    decoded: int
    kept: Sequence[int]


def place(
    sheet: Sheet, columns: Columns, entries: Sequence[Labelled], base: int, frames: Frames, params: LabelParams
) -> tuple[pd.DataFrame, list[Finding]]:
    """Return the labels of one expert for the kept frames of one clip.

    Args:
        sheet: for its name.
        columns: for their headings.
        entries: its rows.
        base: number of the clip's first frame in this sheet.
        frames: those of the clip.
        params: which labels there are and which exclude each other.

    Returns:
        nullable booleans, indexed by frame_index, one column a label and derived label; NA is unknown.
        Whatever the findings are about is unknown.
    """
    by_frame: dict[int, list[Labelled]] = {}
    for entry in entries:
        by_frame.setdefault(entry.number - base, []).append(entry)
    findings = _beyond(sheet, entries, base, frames.decoded) + _absent(sheet, by_frame, base, frames.kept)
    findings += _repeated(sheet, entries, base) + _contradictions(sheet, columns, entries, params)
    rows = {
        frame: _agreed([_consistent(entry, params) for entry in by_frame[frame]])
        for frame in frames.kept
        if frame in by_frame
    }
    table = pd.DataFrame.from_dict(rows, orient="index", dtype=object).reindex(
        index=list(frames.kept), columns=params.names
    )
    return table.astype("boolean").rename_axis("frame_index"), findings


def look_unplaced(sheet: Sheet, columns: Columns, entries: Sequence[Labelled], params: LabelParams) -> list[Finding]:
    """Return what is wrong with the rows of a sheet whatever its first number is: repeated numbers, contradictions."""
    return _repeated(sheet, entries, None) + _contradictions(sheet, columns, entries, params)


def _agreed(rows: Sequence[dict[str, bool | None]]) -> dict[str, bool | None]:
    """Return the labels on which all rows of one frame agree; the others are unknown."""
    return {label: rows[0][label] if len({row[label] for row in rows}) == 1 else None for label in rows[0]}


def _consistent(entry: Labelled, params: LabelParams) -> dict[str, bool | None]:
    return dict.fromkeys(entry.labels) if _clash(entry, params) else entry.labels


def _clash(entry: Labelled, params: LabelParams) -> list[str]:
    """Return the labels that are 1 although one of them excludes the others, or none."""
    positive = [label for label, value in entry.labels.items() if value]
    if params.label_merge.excludes_others in positive and len(positive) > 1:
        return positive
    pairs = [[derived, rule.without] for derived, rule in params.label_merge.without.items()]
    return next((pair for pair in pairs if set(pair) <= set(positive)), [])


def _contradictions(sheet: Sheet, columns: Columns, entries: Iterable[Labelled], params: LabelParams) -> list[Finding]:
    clashes: dict[tuple[str, ...], list[int]] = {}
    for entry in entries:
        if clash := _clash(entry, params):
            clashes.setdefault(tuple(clash), []).append(entry.row)
    return [
        _contradiction(sheet, columns, labels, first, last)
        for labels, rows in clashes.items()
        for first, last in runs(rows)
    ]


def _contradiction(sheet: Sheet, columns: Columns, labels: Sequence[str], first: int, last: int) -> Finding:
    headings = listed(columns.labels[label].heading for label in labels)
    where = f"{sheet.where}, row{'s' if last > first else ''} {span(first, last)}, columns {headings}"
    problem = Problem(
        where, "labels that exclude each other", "at most one of them 1", "all 1", "Ask the expert and correct the row."
    )
    case = {"rows": span(first, last), "label": ", ".join(labels)}
    return Finding("contradiction", problem, count=last - first + 1, case=case)


def _repeated(sheet: Sheet, entries: Iterable[Labelled], base: int | None) -> list[Finding]:
    """Return a finding for each number on several rows; without `base`, which frame that is stays open."""
    rows_of: dict[int, list[int]] = {}
    for entry in entries:
        rows_of.setdefault(entry.number, []).append(entry.row)
    return [
        Finding(
            "duplicate_frame",
            Problem(
                f"{sheet.where}, rows {spans(rows)}",
                "duplicate frame",
                "one row a frame",
                f"{len(rows)} rows with number {number}",
                "Remove all but the right one.",
            ),
            count=len(rows),
            case={"rows": spans(rows)} | ({} if base is None else {"frames": str(number - base)}),
        )
        for number, rows in sorted(rows_of.items())
        if len(rows) > 1
    ]


def _beyond(sheet: Sheet, entries: Sequence[Labelled], base: int, frames: int) -> list[Finding]:
    misfits = set(outside([entry.number for entry in entries], base, frames))
    expected = f"numbers {base} to {frames - 1 + base} for a clip of {frames} frames"
    remedy = "Correct the number or delete the row; if the clip is cut short, export it again."
    return [
        Finding(
            "label_without_frame",
            Problem(
                f"{sheet.where}, row {entry.row}", "label without a frame", expected, f"number {entry.number}", remedy
            ),
            case={"rows": str(entry.row)},
        )
        for entry in entries
        if entry.number in misfits
    ]


def _absent(sheet: Sheet, by_frame: dict[int, list[Labelled]], base: int, kept: Sequence[int]) -> list[Finding]:
    # stretches of kept frames: under thinning, neighbours are several numbers apart
    missing = runs(place for place, frame in enumerate(kept) if frame not in by_frame)
    remedy = "Add the rows; leave the labels blank where nobody knows."
    return [
        Finding(
            "frame_without_label",
            Problem(
                sheet.where,
                "frames without a label",
                "a row for each frame",
                f"no row numbered {span(kept[first] + base, kept[last] + base)} ({_frames(last - first + 1)})",
                remedy,
            ),
            count=last - first + 1,
            case={"frames": span(kept[first], kept[last])},
        )
        for first, last in missing
    ]


def _frames(count: int) -> str:
    return "1 frame" if count == 1 else f"{count} frames"
