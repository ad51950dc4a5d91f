"""Read one sheet as far as it can be read, so that one problem hides no other."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pandas as pd

from stages.common.clips.cohort import Clip
from stages.common.sheets.cells import read_cells
from stages.common.sheets.columns import Columns, match_columns
from stages.common.sheets.counting import first_number
from stages.common.sheets.findings import Finding
from stages.common.sheets.names import normal
from stages.common.sheets.numbering import foreign_names
from stages.common.sheets.placement import Frames, look_unplaced, place
from stages.common.sheets.rows import Sheet
from stages.common.sheets.settings import LabelParams


@dataclass(frozen=True)
class SheetReading:
    """What one sheet says.

    Attributes:
        table: its labels, indexed by frame_index; None where they cannot be placed.
        base: number of the clip's first frame in it; None where that is open.
        findings: everything that is wrong with it.
    """

    table: pd.DataFrame | None = None
    base: int | None = None
    findings: list[Finding] = field(default_factory=list)


def read_sheet(
    sheet: Sheet, clip: Clip, names: Mapping[str, str], frames: Frames | None, params: LabelParams
) -> SheetReading:
    """Return the labels of a sheet whose clip is certain.

    Where its columns are not, its cells and numbers are looked at all the same, under the headings found or proposed;
    of these only what will stop the run is told, as no label is taken.

    Args:
        sheet: the clip's.
        clip: whose labels they are.
        names: normalised name -> name of every clip.
        frames: those of the clip; None where it cannot be decoded.
        params: `labels` and `label_merge`.
    """
    columns, findings = match_columns(sheet, params)
    if columns is None:
        return SheetReading(findings=findings)
    own = (clip.name, sheet.title, clip.path.stem)
    read = _read_rows(sheet, columns, own, names, frames, params)
    return SheetReading(findings=findings + _stopping(read, params)) if findings else read


def look_unmatched(
    sheet: Sheet, clip: Clip | None, names: Mapping[str, str], frames: Frames | None, params: LabelParams
) -> list[Finding]:
    """Return what else will stop the run in a sheet whose clip is not certain.

    Args:
        sheet: the sheet.
        clip: the one that it seems to be; None where there is none, and then only sheets with FILENAMEs are looked at.
        names: normalised name -> name of every clip.
        frames: those of the clip.
        params: `labels` and `label_merge`.
    """
    if clip is not None:
        guessed = replace(sheet, where=f"{sheet.where}, taken for clip '{clip.name}'")
        return _stopping(read_sheet(guessed, clip, names, frames, params), params)
    columns, findings = match_columns(sheet, params)
    if columns is None or columns.filename is None:
        return []  # a legend, notes: no label sheet that anyone will be asked to mend
    return findings + _stopping(_read_rows(sheet, columns, (sheet.title,), {}, None, params), params)


def _stopping(read: SheetReading, params: LabelParams) -> list[Finding]:
    return [finding for finding in read.findings if params.label_merge.stops(finding.kind)]


def _read_rows(
    sheet: Sheet,
    columns: Columns,
    own: tuple[str, ...],
    names: Mapping[str, str],
    frames: Frames | None,
    params: LabelParams,
) -> SheetReading:
    """Return what the rows say; `own` are the names that they may bear, the clip's first."""
    entries, findings = read_cells(sheet, columns, own[0], names)
    if columns.filename is None:
        return SheetReading(findings=findings)
    others = set(names) - set(map(normal, own))
    findings += foreign_names(sheet, columns.filename.place, columns.filename.heading, own, others)
    base: int | None = None
    if frames is not None:
        base, wrong = first_number(sheet, entries, frames.decoded, params.label_merge)
        findings += wrong
    if frames is None or base is None:
        return SheetReading(findings=findings + look_unplaced(sheet, columns, entries, params))
    table, wrong = place(sheet, columns, entries, base, frames, params)
    return SheetReading(table, base, findings + wrong)
