"""Tell which sheet holds which clip; whatever is not certain is a finding."""

from collections.abc import Sequence
from dataclasses import dataclass

from stages.common.clips.cohort import Clip
from stages.common.core.errors import Problem
from stages.common.sheets.findings import Finding
from stages.common.sheets.names import as_yaml, close, listed, same
from stages.common.sheets.rows import Sheet
from stages.common.sheets.said import entry
from stages.common.sheets.settings import LabelMerge


@dataclass(frozen=True)
class Matching:
    """Which sheet of one expert holds which clip.

    Attributes:
        sheets: clip_id -> its only sheet.
        unsettled: all other sheets with the clip that each seems to be, or None where nothing tells.
        findings: why those are not settled, and hidden sheets.
        notes: what was left out and why.
    """

    sheets: dict[str, Sheet]
    unsettled: list[tuple[Sheet, Clip | None]]
    findings: list[Finding]
    notes: list[str]


def match_sheets(sheets: Sequence[Sheet], clips: Sequence[Clip], section: LabelMerge) -> Matching:
    """Return which sheet holds which clip.

    Args:
        sheets: all sheets of one expert.
        clips: the cohort's clips.
        section: the parameters `aliases` and `ignored_sheets` say what names cannot.
    """
    used, notes = _used(sheets, clips, section)
    claims: dict[str, list[Sheet]] = {clip.clip_id: [] for clip in clips}
    findings: list[Finding] = []
    unsettled: list[tuple[Sheet, Clip | None]] = []
    strangers = []
    for sheet in used:
        meant = _meant(sheet, clips, section)
        if len(meant) == 1:
            claims[meant[0].clip_id].append(sheet)
        elif meant:
            findings.append(_ambiguous(sheet, meant))
            unsettled.append((sheet, None))
        else:
            strangers.append(sheet)
        if sheet.hidden:
            findings.append(_hidden(sheet))
    free = {clip.name: clip for clip in clips if not claims[clip.clip_id]}
    for sheet in strangers:
        findings.append(stranger := _stranger(sheet, list(free), section))
        unsettled.append((sheet, free[stranger.proposal[2]] if stranger.proposal else None))
    for clip in clips:
        if len(its := claims[clip.clip_id]) > 1:
            findings.append(_contested(clip, its))
            unsettled += [(sheet, clip) for sheet in its]
    settled = {clip_id: its[0] for clip_id, its in claims.items() if len(its) == 1}
    return Matching(settled, unsettled, findings, notes)


def _used(sheets: Sequence[Sheet], clips: Sequence[Clip], section: LabelMerge) -> tuple[list[Sheet], list[str]]:
    used, notes = [], []
    for sheet in sheets:
        if (reason := entry(section.ignored_sheets, sheet)) is not None:
            notes.append(f"{sheet.where}: ignored, as label_merge.ignored_sheets says ({reason})")
        elif not sheet.rows and not _meant(sheet, clips, section):
            notes.append(f"{sheet.where}: ignored, as it is empty and named like no clip")
        else:
            used.append(sheet)
    return used, notes


def _meant(sheet: Sheet, clips: Sequence[Clip], section: LabelMerge) -> list[Clip]:
    name = entry(section.aliases, sheet) or sheet.title
    names = same(name, [clip.name for clip in clips])
    return [clip for clip in clips if clip.name in names]


def _ambiguous(sheet: Sheet, meant: Sequence[Clip]) -> Finding:
    got = f"several: {listed(clip.name for clip in meant)}"
    remedy = f"Say which in params.yaml, label_merge.aliases: {{{as_yaml(sheet.title)}: ...}}."
    return Finding("sheet", Problem(sheet.where, "ambiguous name", "the name of one clip", got, remedy))


def _hidden(sheet: Sheet) -> Finding:
    remedy = f"Unhide it if it counts, else add label_merge.ignored_sheets: {{{as_yaml(sheet.title)}: hidden}}."
    return Finding("sheet", Problem(sheet.where, "hidden sheet", "sheets that are seen", "a hidden one", remedy))


def _stranger(sheet: Sheet, free: Sequence[str], section: LabelMerge) -> Finding:
    alias = entry(section.aliases, sheet)
    candidates = close(alias or sheet.title, free)
    got = f"'{sheet.title}'" + (f", in label_merge.aliases called '{alias}'" if alias else "")
    if candidates:
        expected = f"a clip's name, perhaps {' or '.join(repr(name) for name in candidates)}"
        pair = f"{{{as_yaml(sheet.title)}: {as_yaml(candidates[0])}}}"
        remedy = f"If it is that clip, set in params.yaml label_merge.aliases: {pair}."
    else:
        expected = f"a clip without a sheet: {listed(free)}"
        remedy = "Say which clip it is in label_merge.aliases, or why it is none in label_merge.ignored_sheets."
    problem = Problem(sheet.where, "no clip of this name", expected, got, remedy)
    return Finding("sheet", problem, proposal=("aliases", sheet.title, candidates[0]) if candidates else None)


def _contested(clip: Clip, sheets: Sequence[Sheet]) -> Finding:
    got = f"{len(sheets)}: {'; '.join(sheet.where for sheet in sheets)}"
    remedy = "Remove or rename all but one, or name the others in label_merge.ignored_sheets."
    return Finding("sheet", Problem(f"clip '{clip.name}'", "several sheets for one clip", "one sheet", got, remedy))
