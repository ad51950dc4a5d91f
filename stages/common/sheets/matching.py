"""Tell which sheet holds which clip; whatever is not certain is a finding."""

from collections.abc import Sequence

from stages.common.clips.cohort import Clip
from stages.common.core.errors import Problem
from stages.common.sheets.findings import Finding
from stages.common.sheets.names import as_yaml, close, listed, same
from stages.common.sheets.rows import Sheet
from stages.common.sheets.said import entry
from stages.common.sheets.settings import LabelMerge


def match_sheets(
    sheets: Sequence[Sheet], clips: Sequence[Clip], section: LabelMerge
) -> tuple[dict[str, Sheet], list[Finding], list[str]]:
    """Return clip_id -> sheet of one expert, findings, and notes on what was left out.

    Args:
        sheets: all sheets of one expert.
        clips: the cohort's clips.
        section: the parameters `aliases` and `ignored_sheets` say what names cannot.
    """
    used, notes = _used(sheets, clips, section)
    claims: dict[str, list[Sheet]] = {clip.clip_id: [] for clip in clips}
    findings, strangers = [], []
    for sheet in used:
        meant = _meant(sheet, clips, section)
        if len(meant) == 1:
            claims[meant[0].clip_id].append(sheet)
        elif meant:
            findings.append(_ambiguous(sheet, meant))
        else:
            strangers.append(sheet)
        if sheet.hidden:
            findings.append(_hidden(sheet))
    free = [clip.name for clip in clips if not claims[clip.clip_id]]
    findings += [_stranger(sheet, free, section) for sheet in strangers]
    findings += [_contested(clip, claims[clip.clip_id]) for clip in clips if len(claims[clip.clip_id]) > 1]
    return {clip_id: its[0] for clip_id, its in claims.items() if len(its) == 1}, findings, notes


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
