"""Read all label sheets of a cohort, and gather everything that is wrong with them before anything stops."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from stages.common.clips.cohort import Clip
from stages.common.core.errors import Problem
from stages.common.sheets.cells import read_cells
from stages.common.sheets.columns import match_columns
from stages.common.sheets.counting import first_number, mixed_numbering
from stages.common.sheets.files import read_files
from stages.common.sheets.findings import Finding
from stages.common.sheets.matching import match_sheets
from stages.common.sheets.names import normal
from stages.common.sheets.numbering import foreign_names
from stages.common.sheets.placement import Frames, look_unplaced, place
from stages.common.sheets.rows import Sheet
from stages.common.sheets.said import contested, idle, with_twins
from stages.common.sheets.settings import LabelMerge, LabelParams
from stages.common.sheets.votes import Agreement, agreement, clear_contradictions, complete, derive, majority


@dataclass
class Reading:
    """What the sheets of a cohort say.

    Attributes:
        experts: expert_id (`E1`...) -> name in the file's name.
        votes: expert_id -> labels, indexed by (clip_id, frame_index); NA is unknown.
        titles: expert_id -> clip_id -> title of the sheet.
        first_numbers: expert_id -> clip_id -> number of the first frame.
        findings: everything that is wrong, in reading order.
        notes: what was left out and why, for the terminal.
    """

    experts: dict[str, str] = field(default_factory=dict)
    votes: dict[str, pd.DataFrame] = field(default_factory=dict)
    titles: dict[str, dict[str, str]] = field(default_factory=dict)
    first_numbers: dict[str, dict[str, int]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, findings: Sequence[Finding], **case: str) -> None:
        """Note findings; `case` (expert, clip_id) says where, without a name."""
        self.findings += [replace(finding, case=finding.case | case) for finding in findings]

    def stopping(self, section: LabelMerge) -> list[Finding]:
        """Return the findings that stop a run."""
        return [finding for finding in self.findings if section.stops(finding.kind)]

    def warned(self, section: LabelMerge) -> list[Finding]:
        """Return the findings that a parameter lets pass."""
        return [finding for finding in self.findings if not section.stops(finding.kind)]


@dataclass(frozen=True)
class United:
    """One answer a frame and label.

    Attributes:
        labels: indexed by (clip_id, frame_index); NA is unknown.
        ties: label -> frames on which the experts are divided equally; unknown.
        contradictions: frames whose majorities exclude each other; unknown.
        agreement: label -> pair of experts -> frames, agreement, Cohen's kappa.
    """

    labels: pd.DataFrame
    ties: dict[str, int]
    contradictions: int
    agreement: Agreement


def read_labels(cohort: Path, clips: Sequence[Clip], frames: Mapping[str, Frames], params: LabelParams) -> Reading:
    """Return every expert's labels and everything that is wrong; raises nothing.

    Args:
        cohort: the folder with the label files.
        clips: its clips.
        frames: clip_id -> frames. A clip that cannot be decoded is absent, and its sheet is read but not placed.
        params: `labels` and `label_merge`.
    """
    reading = Reading()
    found, findings = read_files(cohort, params.label_merge.clip_column)
    sheets = with_twins(found)
    reading.add(findings + contested(params.label_merge, sheets))
    for number, expert in enumerate(sorted({sheet.expert for sheet in sheets}, key=normal), start=1):
        reading.experts[f"E{number}"] = expert
        its = [sheet for sheet in sheets if sheet.expert == expert]
        _read_expert(reading, f"E{number}", its, clips, frames, params)
    reading.notes += idle(params.label_merge, sheets)
    return reading


def _read_expert(
    reading: Reading,
    expert_id: str,
    sheets: Sequence[Sheet],
    clips: Sequence[Clip],
    frames: Mapping[str, Frames],
    params: LabelParams,
) -> None:
    matched, findings, notes = match_sheets(sheets, clips, params.label_merge)
    reading.add(findings, expert=expert_id)
    reading.notes += notes
    reading.titles[expert_id] = {clip_id: sheet.title for clip_id, sheet in matched.items()}
    reading.first_numbers[expert_id] = {}
    names = {normal(clip.name): clip.name for clip in clips}
    tables = {}
    for clip in clips:
        its = frames.get(clip.clip_id)
        sheet = matched.get(clip.clip_id)
        if sheet is None:
            reading.add([_unlabelled(clip, sheets[0].expert)], expert=expert_id, clip_id=clip.clip_id)
        table = None if sheet is None else _read_sheet(reading, expert_id, sheet, clip, names, its, params)
        if its is not None:
            tables[clip.clip_id] = _unknown(its, params) if table is None else table
    reading.notes += mixed_numbering(matched, reading.first_numbers[expert_id], params.label_merge)
    if tables:
        votes = pd.concat(tables, names=["clip_id"])
        reading.votes[expert_id] = complete(votes, params.label_merge.without)


def _read_sheet(
    reading: Reading,
    expert_id: str,
    sheet: Sheet,
    clip: Clip,
    names: Mapping[str, str],
    frames: Frames | None,
    params: LabelParams,
) -> pd.DataFrame | None:
    where = {"expert": expert_id, "clip_id": clip.clip_id}
    columns, findings = match_columns(sheet, params)
    reading.add(findings, **where)
    if columns is None:
        return None
    entries, findings = read_cells(sheet, columns, clip.name, names)
    own = (clip.name, sheet.title, clip.path.stem)
    others = set(names) - set(map(normal, own))
    findings += foreign_names(sheet, columns.filename.place, columns.filename.heading, own, others)
    reading.add(findings, **where)
    if frames is None:
        reading.add(look_unplaced(sheet, columns, entries, params), **where)
        return None
    base, findings = first_number(sheet, entries, frames.decoded, params.label_merge)
    reading.add(findings, **where)
    if base is None:
        reading.add(look_unplaced(sheet, columns, entries, params), **where)
        return None
    reading.first_numbers[expert_id][clip.clip_id] = base
    table, findings = place(sheet, columns, entries, base, frames, params)
    reading.add(findings, **where)
    return table


def _unknown(frames: Frames, params: LabelParams) -> pd.DataFrame:
    index = pd.Index(list(frames.kept), name="frame_index")
    return pd.DataFrame(index=index, columns=params.names).astype("boolean")


def _unlabelled(clip: Clip, expert: str) -> Finding:
    where = f"clip '{clip.name}' ({clip.clip_id})"
    expected = "a sheet named as the clip" + (f" from expert '{expert}'" if expert else "")
    remedy = "Add the sheet, or say in label_merge.aliases which one it is."
    return Finding("clip_without_sheet", Problem(where, "clip without a sheet", expected, "none", remedy))


def unite(reading: Reading, params: LabelParams) -> United:
    """Return the majority of all experts, completed by what follows from it."""
    tables = list(reading.votes.values())
    merged, ties = majority(tables)
    merged = derive(merged, params.label_merge.without)
    merged, contradictions = clear_contradictions(merged, params.label_merge.excludes_others, list(params.labels))
    return United(
        labels=merged,
        ties={label: int(ties[label].sum()) for label in params.names},
        contradictions=contradictions,
        agreement=agreement(reading.votes, params.names),
    )
