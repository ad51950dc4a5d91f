"""Cut every clip of a cohort into lossless pictures of one size and, where it is known, one scale.

Reads `data/cohorts/<cohort>/` (clips.csv and the clips). Writes `data/extract_frames/`:

- `<clip_id>/<frame_index:05d>.png`: the sector on a square canvas, grey or RGB as decoded. The index is the 0-based
  decode position, which thinning keeps.
- `frames.csv`: frame_id, clip_id, patient, frame_index, time_s (blank where the clip states none).
- `clips.csv`: what each clip is and how it was cut: `CLIP_COLUMNS`.

Frames are counted by decoding. All clips are checked before anything is refused, and no file name, no tag and no date
of a clip is written.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import pandas as pd

from stages.common.clips.canvas import Picture, Placement
from stages.common.clips.cine import CutParams, Survey, covered_share, covers, drawn, kept_indices, placement, survey
from stages.common.clips.cohort import Clip, check_clips, of_clip
from stages.common.clips.decode import ClipError
from stages.common.clips.folder import CohortName
from stages.common.clips.same import same_recordings
from stages.common.core.errors import Problem, raise_all, run
from stages.common.core.files import replacing
from stages.common.core.params import read_params
from stages.common.core.progress import in_parallel
from stages.common.core.tables import FRAME_COLUMNS, frame_id, write_table

COHORTS = Path("data/cohorts")
OUT = Path("data/extract_frames")
CLIP_COLUMNS = (
    "clip_id", "patient", "position", "frames_decoded", "frames_stated", "frames_kept", "frame_rate_hz", "width_px",
    "height_px", "crop_x_px", "crop_y_px", "crop_width_px", "crop_height_px", "crop_source", "depth_cm", "mm_per_px",
    "scale_source", "shown_share", "covered_share", "coloured",
)  # fmt: skip
# OpenCV's own fast setting, pinned: naming the level alone makes it try every filter, which doubles the time
PNG = (
    cv2.IMWRITE_PNG_COMPRESSION, 1,
    cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE,
    cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_SUB,
)  # fmt: skip


class Params(CutParams):
    """What extract_frames reads of params.yaml, besides `size_px` and its own section."""

    cohort: CohortName  # folder under data/cohorts


@dataclass(frozen=True)
class Extracted:
    """One clip written: its row of clips.csv and its rows of frames.csv, and which recording it is."""

    recording: str
    clip: dict[str, Any]
    frames: list[tuple[Any, ...]]
    notes: list[str]


def extract_clip(clip: Clip, folder: Path, params: Params) -> Extracted | Problem:
    """Write the pictures of one clip under `folder`; a clip that cannot be used comes back as its problem."""
    cv2.setNumThreads(1)  # clips run side by side on all cores
    section = params.extract_frames
    try:
        surveyed = survey(clip.path, clip.crop, clip.depth_cm, section, covers(section, params.cohort))
        indices = kept_indices(len(surveyed.times_s), section.stride, section.max_frames).tolist()
        where = placement(surveyed, params.size_px, section)
        (folder / clip.clip_id).mkdir()  # without parents: a worker that is late must not bring a removed folder back
        for index, picture in drawn(surveyed, indices, where):
            write_png(folder / clip.clip_id / f"{index:05d}.png", picture)
    except ClipError as error:
        return of_clip(clip, error.problem)
    rows = [_frame_row(clip, index, surveyed.times_s[index]) for index in indices]
    return Extracted(surveyed.recording, _clip_row(clip, surveyed, where, len(indices)), rows, _notes(clip, surveyed))


def _notes(clip: Clip, surveyed: Survey) -> list[str]:
    dropped = surveyed.header.regions_dropped
    return [f"{clip.clip_id}: DICOM regions not used, because they reach past the picture: {dropped}"] * bool(dropped)


def write_png(path: Path, picture: Picture) -> None:
    """Write a grey or RGB picture without loss."""
    stored = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR) if picture.ndim == 3 else picture
    path.write_bytes(cv2.imencode(".png", stored, PNG)[1].tobytes())  # imwrite would keep the reason to itself


def _frame_row(clip: Clip, index: int, time_s: float | None) -> tuple[Any, ...]:
    return frame_id(clip.clip_id, index), clip.clip_id, clip.patient, index, time_s


def _clip_row(clip: Clip, surveyed: Survey, where: Placement, kept: int) -> dict[str, Any]:
    view, header = surveyed.view, surveyed.header
    crop = dict(zip(("crop_x_px", "crop_y_px", "crop_width_px", "crop_height_px"), view.crop, strict=True))
    return crop | {
        "clip_id": clip.clip_id,
        "patient": clip.patient,
        "position": clip.position,
        "frames_decoded": len(surveyed.times_s),
        "frames_stated": header.frames_stated,
        "frames_kept": kept,
        "frame_rate_hz": header.frame_rate_hz,
        "width_px": surveyed.whole[2],
        "height_px": surveyed.whole[3],
        "crop_source": view.crop_source,
        "depth_cm": clip.depth_cm,
        "mm_per_px": where.mm_per_px,
        "scale_source": view.scale_source,
        "shown_share": where.shown_share,
        "covered_share": covered_share(surveyed, where),
        "coloured": int(surveyed.coloured),
    }


def extract(cohort: Path, out: Path, params: Params) -> pd.DataFrame:
    """Write `out` from a cohort and return its clips.csv.

    Raises:
        PipelineError: one message with every clip, row and file that cannot be used; then nothing is written.
    """
    listing = check_clips(cohort)
    clips = listing.clips
    with replacing(out) as folder:
        folder.mkdir()
        work = partial(extract_clip, folder=folder, params=params)
        # The largest first, so that no core is left alone with a long clip at the end
        by_size = sorted(clips, key=lambda clip: (-clip.path.stat().st_size, clip.clip_id))
        of = {clip.clip_id: result for clip, result in in_parallel(work, by_size, "clips", "clip")}
        results = [of[clip.clip_id] for clip in clips]
        damaged = [result for result in results if isinstance(result, Problem)]
        read = [(clip, of[clip.clip_id].recording) for clip in clips if isinstance(of[clip.clip_id], Extracted)]
        doubles, twice = same_recordings(read)
        raise_all([*listing.problems, *damaged, *doubles], f"the clips of cohort '{cohort.name}' cannot be used")
        extracted = [result for result in results if isinstance(result, Extracted)]
        table = _write_tables(folder, extracted)
    _say(table, listing.notes, cohort)
    for note in [*(note for one in extracted for note in one.notes), *twice]:
        print(note, file=sys.stderr)
    return table


def _write_tables(folder: Path, extracted: Sequence[Extracted]) -> pd.DataFrame:
    rows = [row for one in extracted for row in one.frames]
    write_table(folder / "frames.csv", pd.DataFrame(rows, columns=list(FRAME_COLUMNS)))
    clips = pd.DataFrame([one.clip for one in extracted], columns=list(CLIP_COLUMNS))
    clips["frames_stated"] = clips["frames_stated"].astype("Int64")  # blank where unknown, and no decimals
    write_table(folder / "clips.csv", clips)
    return clips


def _say(table: pd.DataFrame, notes: Sequence[str], cohort: Path) -> None:
    """Tell on stderr what a person should look at: counts, and clips by number; others read a runner's log."""
    kept, decoded = table["frames_kept"].sum(), table["frames_decoded"].sum()
    print(f"{kept} of {decoded} frames of {len(table)} clips kept", file=sys.stderr)
    if notes:
        print(f"files that are no clips are left out: `python -m stages.check {cohort}` names them", file=sys.stderr)
    concerns = {
        "nothing moves, so the whole picture is kept": table["crop_source"] == "still",
        "fewer frames than the container states, perhaps cut short": table["frames_decoded"] < table["frames_stated"],
        "depth_cm not used, because the DICOM states its own scale": (
            (table["scale_source"] == "dicom") & table["depth_cm"].notna()
        ),
        "depth_cm not used, because the whole picture is kept and may hold more than the sector": (
            (table["scale_source"] == "unknown") & table["depth_cm"].notna()
        ),
        "scale unknown, so fitted to the canvas": table["scale_source"] == "unknown",
        "larger than field_mm, so cut": table["shown_share"] < 1,
        "lettering, or what looks like it, covered in black": table["covered_share"] > 0,
    }
    for what, concerned in concerns.items():
        clip_ids = table.loc[concerned.fillna(False).astype(bool), "clip_id"]
        if len(clip_ids):
            print(f"clips: {len(clip_ids)}: {what}: {', '.join(clip_ids)}", file=sys.stderr)


def main() -> None:
    """Extract the cohort that params.yaml names."""
    params = read_params(Params)
    extract(COHORTS / params.cohort, OUT, params)


if __name__ == "__main__":
    run(main)
