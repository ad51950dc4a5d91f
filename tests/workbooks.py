"""Cohorts with label files of every form and every flaw, for the tests of sheets, label_merge and check.

Clips are empty files: only their frame counts matter where nothing is decoded.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from openpyxl import Workbook

from stages.common.clips.cohort import Clip
from stages.common.core.tables import frame_id
from stages.common.sheets.placement import Frames
from stages.common.sheets.reading import Reading, read_labels
from stages.common.sheets.settings import LabelParams

HEADING = ("FILENAME", "BAD QUALITY", "CORD", "FLUID")
STUDY = {
    "LPILOT SITTING2": 373, "LPILOT LAT2": 373, "US00000L": 67, "LPILOT LAT1": 288, "LPILOT LAT3": 221,
    "LPSON0001POSTFNLCONUS": 108, "LPSON0001POSTFSTCONUS": 108, "01.09.3hrs-0025097": 180, "01.09.47hrs-0025098": 180,
    "AM12": 373, "BM12": 373, "XM12": 371, "YM12": 373,
}  # fmt: skip
LABELS = {"bad_quality": {"column": "BAD QUALITY"}, "cord": {"column": "CORD"}, "fluid": {"column": "FLUID"}}
KINDS = (
    "not_binary", "blank_cell", "duplicate_frame", "contradiction", "frame_without_label", "label_without_frame",
    "clip_without_sheet", "foreign_name",
)  # fmt: skip
WARN = dict.fromkeys(KINDS, "warn")
SECTION: dict[str, Any] = {
    "filename_column": "FILENAME",
    "clip_column": "CLIP",
    "first_number": "auto",
    "first_number_of": {},
    "aliases": {},
    "column_aliases": {},
    "confirmed_headings": {},
    "ignored_sheets": {},
    "definitions": {},
    "without": {"fluid_without_cord": {"label": "fluid", "without": "cord", "column": "FLUID without cord"}},
    "excludes_others": "bad_quality",
    "problems": {**dict.fromkeys(KINDS, "stop"), "blank_cell": "warn", "foreign_name": "warn"},
}

Rows = list[list[Any]]
Triple = tuple[int, int, int]


def settings(labels: Mapping[str, Any] = LABELS, **section: Any) -> LabelParams:
    """Return the shipped parameters, with keys of `label_merge` replaced."""
    return LabelParams.model_validate({"labels": dict(labels), "label_merge": {**SECTION, **section}})


def truth(frames: int, seed: int = 0) -> list[Triple]:
    """Return (bad quality, cord, fluid) a frame; labels hold for runs of frames and obey the exclusion."""
    states = np.random.default_rng(seed).integers(0, 5, size=frames // 7 + 1)
    triples = ((1, 0, 0), (0, 1, 1), (0, 0, 1), (0, 1, 0), (0, 0, 0))
    return [triples[states[frame // 7]] for frame in range(frames)]


def sheet(labels: Sequence[Triple], clip: str = "AM12", first: int = 0, heading: Sequence[str] = HEADING) -> Rows:
    """Return a flawless sheet: a heading, and a row a frame."""
    return [list(heading), *([f"{clip}_{first + frame}.jpg", *triple] for frame, triple in enumerate(labels))]


def write_workbook(path: Path, sheets: Mapping[str, Rows]) -> Path:
    """Write an .xlsx with these sheets."""
    book = Workbook()
    book.remove(book.active)
    for title, rows in sheets.items():
        worksheet = book.create_sheet(title)
        for row in rows:
            worksheet.append(row)
    path.parent.mkdir(parents=True, exist_ok=True)
    book.save(path)
    return path


def clips_of(names: Iterable[str]) -> list[Clip]:
    """Return clips as `read_clips` would; each patient has two."""
    return [
        Clip(f"C{number:03d}", name, Path(f"{name}.avi"), f"P{(number + 1) // 2:03d}", None, None, None)
        for number, name in enumerate(names, start=1)
    ]


def write_clips(cohort: Path, names: Iterable[str]) -> None:
    """Write clips.csv and an empty file a clip."""
    cohort.mkdir(parents=True, exist_ok=True)
    clips = clips_of(names)
    table = [{"clip": clip.name, "file": clip.path.name, "patient": clip.patient} for clip in clips]
    pd.DataFrame(table).to_csv(cohort / "clips.csv", index=False)
    for clip in clips:
        (cohort / clip.path).touch()


def write_extracted(root: Path, frames: Mapping[str, int], stride: int = 1) -> pd.DataFrame:
    """Write what extract_frames says of these clips; return frames.csv."""
    clips = [
        {"clip_id": clip.clip_id, "patient": clip.patient, "frames_decoded": frames[clip.name]}
        for clip in clips_of(frames)
    ]
    rows = [
        {
            "frame_id": frame_id(clip["clip_id"], index),
            "clip_id": clip["clip_id"],
            "patient": clip["patient"],
            "frame_index": index,
            "time_s": index / 30,
        }
        for clip in clips
        for index in range(0, clip["frames_decoded"], stride)
    ]
    folder = root / "data/extract_frames"
    folder.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(clips).to_csv(folder / "clips.csv", index=False)
    pd.DataFrame(rows).to_csv(folder / "frames.csv", index=False)
    return pd.DataFrame(rows)


def read(cohort: Path, frames: Mapping[str, int], params: LabelParams | None = None, stride: int = 1) -> Reading:
    """Return what the label files in `cohort` say of clips with these frame counts."""
    clips = clips_of(frames)
    kept = {clip.clip_id: Frames(frames[clip.name], range(0, frames[clip.name], stride)) for clip in clips}
    return read_labels(cohort, clips, kept, params or settings())


def read_sheet(cohort: Path, rows: Rows, frames: int, title: str = "AM12", **section: Any) -> Reading:
    """Return what one sheet says of the single clip AM12."""
    write_workbook(cohort / "labels.xlsx", {title: rows})
    return read(cohort, {"AM12": frames}, settings(**section))


def values(reading: Reading, label: str, expert: str = "E1") -> list[bool | None]:
    """Return the votes on a label; None is unknown."""
    return [None if pd.isna(value) else bool(value) for value in reading.votes[expert][label]]


def messages(reading: Reading) -> str:
    """Return every finding's words, one a line."""
    return "\n".join(str(finding.problem) for finding in reading.findings)


def kinds(reading: Reading) -> set[str]:
    """Return the kinds of everything found."""
    return {finding.kind for finding in reading.findings}


def study_labels() -> dict[str, list[Triple]]:
    """Return the true labels of 13 clips with the study's frame counts."""
    return {name: truth(frames, seed) for seed, (name, frames) in enumerate(STUDY.items())}


def study_workbook() -> dict[str, Rows]:
    """Return the study's workbook with everything that has been seen in it.

    | sheet | flaw |
    |---|---|
    | LPPILOTSITTING2 | named otherwise than its clip |
    | LPILOT LAT2 | one row more than frames |
    | US00000L | blank cells |
    | LPILOT LAT1 | a row missing in the middle, which shifted the study's labels |
    | lpilot-lat3 | spelt otherwise; headings, too |
    | LPSON0001POSTFNLCONUS | bare numbers in place of names |
    | AM12 | rows not in the order of frames |
    | XM12 | a column `FLUID without cord`: another definition |
    | YM12 | counts from 1 |
    """
    labels = study_labels()
    sheets = {name: sheet(labels[name], name) for name in STUDY}
    sheets["LPILOT LAT2"].append(["LPILOT LAT2_373.jpg", 0, 0, 0])
    sheets["US00000L"][5][1:] = [None, None, None]
    sheets["US00000L"][9][2] = " "
    del sheets["LPILOT LAT1"][101]
    sheets["LPILOT LAT3"][0] = [" Filename ", "bad_quality", "Cord", "FLUID "]
    for number, row in enumerate(sheets["LPSON0001POSTFNLCONUS"][1:]):
        row[0] = number
    body = sheets["AM12"][1:]
    sheets["AM12"][1:] = [body[place] for place in np.random.default_rng(1).permutation(len(body))]
    sheets["XM12"] = sheet(
        [(bad, cord, int(fluid and not cord)) for bad, cord, fluid in labels["XM12"]],
        "XM12",
        heading=(*HEADING[:3], "FLUID without cord"),
    )
    sheets["YM12"] = sheet(labels["YM12"], "YM12", first=1)
    renamed = {"LPILOT SITTING2": "LPPILOTSITTING2", "LPILOT LAT3": "lpilot-lat3"}
    return {renamed.get(name, name): rows for name, rows in sheets.items()}


# What a doctor and an engineer decide together after reading the messages about `study_workbook`
STUDY_CHOICES: dict[str, Any] = {
    "aliases": {"LPPILOTSITTING2": "LPILOT SITTING2"},
    "definitions": {"XM12": "fluid_without_cord"},
    "first_number_of": {"LPILOT LAT2": 0},
    "problems": {**SECTION["problems"], "frame_without_label": "warn", "label_without_frame": "warn"},
}
