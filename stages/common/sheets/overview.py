"""A cohort in words and tables for the terminal; nothing here goes into a file, so it may name clips and sheets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from stages.common.clips.canvas import View
from stages.common.clips.cohort import Clip
from stages.common.core.tables import SIDES
from stages.common.sheets.findings import Finding
from stages.common.sheets.names import as_yaml
from stages.common.sheets.reading import Reading
from stages.common.sheets.settings import LabelMerge, LabelParams
from stages.common.sheets.shares import combinations, patients, shares, too_few_patients

LEAST_PATIENTS = 2  # with a label, and without it: one to train on, one to test on
ENOUGH = 2  # the same on each side of protocol `patient`, from which `split` calls figures estimable


@dataclass(frozen=True)
class Size:
    """A decoded clip's size: `frames` counted, pictures of `width_px` x `height_px`, stated `frame_rate_hz`.

    `recording` is the same for every file of one recording; blank where it was not looked at. `view` is the sector that
    is cut out, with its scale.
    """

    frames: int
    width_px: int
    height_px: int
    frame_rate_hz: float | None
    recording: str = ""
    view: View | None = None


def clip_table(
    clips: Sequence[Clip],
    sizes: Mapping[str, Size],
    reading: Reading,
    labels: pd.DataFrame | None,
    params: LabelParams,
) -> str:
    """Return one line a clip: name, size, the sheets matched, and frames a label."""
    rows = []
    for clip in clips:
        size = sizes.get(clip.clip_id)
        row = {"id": clip.clip_id, "clip": clip.name, "patient": clip.patient, "frames": "-", "size": "-", "fps": "-"}
        if size is not None:
            row |= {"frames": str(size.frames), "size": f"{size.width_px}x{size.height_px}", "fps": _rate(size)}
        row |= _sector(size.view if size else None)
        row["sheet"] = ", ".join(_title(titles.get(clip.clip_id), clip) for titles in reading.titles.values()) or "-"
        row["first"] = ", ".join(str(its.get(clip.clip_id, "-")) for its in reading.first_numbers.values()) or "-"
        rows.append(row | _positives(clip.clip_id, labels, params.names))
    return aligned(rows)


def _sector(view: View | None) -> dict[str, str]:
    if view is None:
        return {"sector": "-", "mm_per_px": "-"}
    scale = "unknown" if view.scale_source == "unknown" else f"{view.pixel_mm[1]:.3f}"
    return {"sector": f"{view.crop[2]}x{view.crop[3]} {view.crop_source}", "mm_per_px": scale}


def scale_notes(sizes: Mapping[str, Size]) -> list[str]:
    """Return which clips' scale rests on a far edge that was found: compression makes both uncertain."""
    found = [name for name, size in sizes.items() if size.view and _rests_on_an_edge(size.view)]
    if not found:
        return []
    return [
        f"mm_per_px of {', '.join(found)} is depth_cm over the height of the sector found. Where a clip was compressed "
        "hard, the dark far edge may be missed by a tenth: compare `sector` with the picture, and give `crop` where it "
        "is wrong."
    ]


def _rests_on_an_edge(view: View) -> bool:
    return view.scale_source == "depth_cm" and view.crop_source == "found"


def aligned(rows: Sequence[Mapping[str, str]]) -> str:
    """Return rows under their headings, names to the left and numbers to the right."""
    table = [list(rows[0]), *(list(row.values()) for row in rows)]
    columns = list(zip(*table, strict=True))
    widths = [max(len(cell) for cell in column) for column in columns]
    signs = [">" if all(_is_figure(cell) for cell in column[1:]) else "<" for column in columns]
    lines = [
        "  ".join(f"{cell:{sign}{width}}" for cell, sign, width in zip(line, signs, widths, strict=True))
        for line in table
    ]
    return "\n".join(line.rstrip() for line in lines)


def _is_figure(cell: str) -> bool:
    return cell == "-" or cell.replace(".", "").isdecimal()


def _title(title: str | None, clip: Clip) -> str:
    if title is None:
        return "-"
    return "as the clip" if title == clip.name else f"'{title}'"


def _rate(size: Size) -> str:
    return "-" if size.frame_rate_hz is None else f"{size.frame_rate_hz:.3g}"


def _figure(value: float | None) -> str:
    if value is None:
        return "-"
    return str(value) if isinstance(value, int) else f"{value:.3f}"


def _positives(clip_id: str, labels: pd.DataFrame | None, names: Sequence[str]) -> dict[str, str]:
    if labels is None or clip_id not in labels.index.get_level_values("clip_id"):
        return dict.fromkeys(names, "-")
    its = labels.xs(clip_id, level="clip_id")
    return {name: str(int(its[name].fillna(False).sum())) if its[name].notna().any() else "-" for name in names}


def patient_lines(clips: Sequence[Clip]) -> str:
    """Return the patients, each with its clips: a patient that is two splits a person over training and test."""
    by_patient: dict[str, list[str]] = {}
    for clip in clips:
        by_patient.setdefault(clip.patient, []).append(clip.name)
    lines = [f"  {patient}: {', '.join(names)}" for patient, names in sorted(by_patient.items())]
    return "\n".join(["patients (clips of one infant must bear one patient):", *lines])


def label_lines(labels: pd.DataFrame, clips: Sequence[Clip], params: LabelParams, by_patient: bool) -> str:
    """Return shares and combinations, and which labels too few patients have (`by_patient`: on three sides)."""
    patient = labels.index.get_level_values("clip_id").map({clip.clip_id: clip.patient for clip in clips})
    counted = patients(labels, pd.Series(patient, index=labels.index), params.names)
    rows = [
        {
            "label": name,
            **{key: _figure(value) for key, value in share.items()},
            "patients with a 1": str(counted[name]["positive"]),
            "patients with a 0": str(counted[name]["negative"]),
        }
        for name, share in shares(labels, params.names).items()
    ]
    together = combinations(labels, list(params.labels))
    lines = [
        f"labels of {len(labels)} frames (share of the known ones):",
        aligned(rows),
        "together: " + ", ".join(f"{name} {frames}" for name, frames in together.items() if frames),
    ]
    least = ENOUGH * len(SIDES) if by_patient else LEAST_PATIENTS
    lines += [_too_few(*found, by_patient) for found in too_few_patients(counted, least)]
    return "\n".join(lines)


def _too_few(name: str, sign: str, count: int, by_patient: bool) -> str:
    said = f"warning: {name} is {sign} in frames of {count} patient(s), at least "
    if not by_patient:
        return (
            f"{said}{LEAST_PATIENTS} are needed: no patient-disjoint split can train on it and test it. Add patients."
        )
    return (
        f"{said}{ENOUGH * len(SIDES)} are needed: {ENOUGH} each in {', '.join(SIDES)} of protocol 'patient'. On a side "
        "with fewer its figures are not estimable. Add patients, or read its results as the frame split's alone."
    )


def titled(title: str, items: Sequence[str]) -> str:
    """Return items under their title and number; nothing where there is none."""
    return "\n".join([f"{title} ({len(items)}):", *(f"  - {item}" for item in items)]) if items else ""


def proposals(findings: Sequence[Finding], section: LabelMerge) -> str:
    """Return YAML that would mend what can be mended in params.yaml, for a person to confirm."""
    by_key: dict[str, dict[str, str]] = {}
    for finding in findings:
        if finding.proposal is not None and section.stops(finding.kind):
            key, sheet, value = finding.proposal
            by_key.setdefault(key, {})[sheet] = value
    if not by_key:
        return ""
    lines = ["to paste into params.yaml, section label_merge; each line is a guess that a person must confirm:"]
    for key, values in by_key.items():
        all_of_it = getattr(section, key) | values  # pasting replaces the key, so what stands there comes along
        lines += [f"  {key}:", *(f"    {as_yaml(sheet)}: {as_yaml(value)}" for sheet, value in all_of_it.items())]
    return "\n".join(lines)
