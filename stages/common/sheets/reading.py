"""Read all label sheets of a cohort, and gather everything that is wrong with them before anything stops."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from stages.common.clips.cohort import Clip
from stages.common.core.errors import Problem
from stages.common.sheets.counting import mixed_numbering
from stages.common.sheets.files import read_files
from stages.common.sheets.findings import Finding
from stages.common.sheets.matching import match_sheets
from stages.common.sheets.names import normal
from stages.common.sheets.one_sheet import look_unmatched, read_sheet
from stages.common.sheets.placement import Frames
from stages.common.sheets.rows import Sheet
from stages.common.sheets.said import contested, idle
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
    sheets, findings = read_files(cohort, params.label_merge.clip_column)
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
    matching = match_sheets(sheets, clips, params.label_merge)
    reading.add(matching.findings, expert=expert_id)
    reading.notes += matching.notes
    reading.titles[expert_id] = {clip_id: sheet.title for clip_id, sheet in matching.sheets.items()}
    names = {normal(clip.name): clip.name for clip in clips}
    for sheet, seeming in matching.unsettled:
        its = None if seeming is None else frames.get(seeming.clip_id)
        reading.add(look_unmatched(sheet, seeming, names, its, params), expert=expert_id)
    read = {
        clip.clip_id: read_sheet(matching.sheets[clip.clip_id], clip, names, frames.get(clip.clip_id), params)
        for clip in clips
        if clip.clip_id in matching.sheets
    }
    for clip in clips:
        found = read[clip.clip_id].findings if clip.clip_id in read else [_unlabelled(clip, sheets[0].expert)]
        reading.add(found, expert=expert_id, clip_id=clip.clip_id)
    told = {clip_id: one.base for clip_id, one in read.items() if one.base is not None}
    reading.first_numbers[expert_id] = told
    reading.notes += mixed_numbering(matching.sheets, told, params.label_merge)
    tables = {clip.clip_id: _unknown(frames[clip.clip_id], params) for clip in clips if clip.clip_id in frames}
    tables |= {clip_id: one.table for clip_id, one in read.items() if one.table is not None}
    if tables:
        votes = pd.concat(tables, names=["clip_id"])
        reading.votes[expert_id] = complete(votes, params.label_merge.without)


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
