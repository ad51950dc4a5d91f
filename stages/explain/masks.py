"""True masks of a cohort that has them, brought onto the canvas as the frames were."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.common.clips.canvas import Picture, Placement, choose_view, draw, place
from stages.common.clips.cohort import MASKS, Clip, read_clips
from stages.common.clips.decode import frames, read_header
from stages.common.clips.inside import strange
from stages.common.core.errors import Problem, raise_all
from stages.explain.params import Params

REMEDY = "Draw the masks over the very frames of the clip, or take the file out of the folder."
CROP = ["crop_x_px", "crop_y_px", "crop_width_px", "crop_height_px"]
Coverage = NDArray[np.float64]


@dataclass(frozen=True)
class Mask:
    """Where a structure lies in one frame as the network saw it.

    Attributes:
        inside: (S, S) from 0 to 1: how much of each pixel the structure covers.
        uniform: the structure's share of the sector shown: what heat spread evenly over it would put inside.
    """

    inside: Coverage
    uniform: float


Masks = Mapping[tuple[str, int, str], Mask]  # clip_id, frame_index, structure


def read_masks(cohort: Path, clips: pd.DataFrame, wanted: Mapping[str, Iterable[int]], params: Params) -> Masks:
    """Return (clip_id, frame_index, structure) -> mask, for the clips that have a masks/<clip>.mkv.

    Args:
        cohort: the folder.
        clips: data/extract_frames/clips.csv.
        wanted: clip_id -> the frames asked for.
        params: their `structures` say which grey value is what.

    Raises:
        PipelineError: a mask is no file of the cohort, has other frames or another size than its clip, or a grey value
            that is no structure.
    """
    if not (cohort / MASKS).is_dir():
        return {}
    table = clips.set_index("clip_id")
    found: dict[tuple[str, int, str], Mask] = {}
    problems: list[Problem] = []
    for clip in read_clips(cohort):
        path = cohort / MASKS / f"{clip.name}.mkv"
        if clip.clip_id in wanted and (problem := strange(path, cohort)) is not None:
            problems.append(problem)
        elif clip.clip_id in wanted and path.is_file():
            row = table.loc[clip.clip_id]
            pictures, count = _kept(path, set(wanted[clip.clip_id]))
            misfits = _misfits(path, pictures, count, row, params.explain.structures)
            problems += misfits
            if not misfits:
                found |= _structures(clip.clip_id, pictures, _placement(clip, row, params), params)
    raise_all(problems, f"the masks of cohort '{cohort.name}' cannot be used")
    return found


def _kept(path: Path, wanted: set[int]) -> tuple[dict[int, Picture], int]:
    """Return the wanted frames of a video by their index, and how many frames it has."""
    kept: dict[int, Picture] = {}
    count = 0
    for picture in frames(path):
        if count in wanted:
            kept[count] = picture
        count += 1
    return kept, count


def _misfits(
    path: Path, pictures: Mapping[int, Picture], count: int, row: pd.Series, structures: Mapping[str, int]
) -> list[Problem]:
    """Return what keeps a mask from lying over its clip."""
    where, problems = f"{path.parent.name}/{path.name}", []
    if count != row["frames_decoded"]:
        problems.append(Problem(where, "other frames", f"{row['frames_decoded']}, as the clip", str(count), REMEDY))
    expected = (int(row["height_px"]), int(row["width_px"]))
    for shape in sorted({picture.shape for picture in pictures.values()} - {expected}):
        said = [" x ".join(map(str, part)) for part in (expected, shape)]
        problems.append(Problem(where, "another shape", f"{said[0]} in grey, as the clip", said[1], REMEDY))
    values = {int(value) for picture in pictures.values() for value in np.unique(picture)}
    strange = sorted(values - {0, *structures.values()})
    if strange:
        known = ", ".join(f"{value} ({name})" for name, value in structures.items())
        remedy = "Name it in explain.structures of params.yaml, and store masks without loss."
        problems.append(Problem(where, "unknown grey value", f"0 or {known}", str(strange[0]), remedy))
    return problems


def _placement(clip: Clip, row: pd.Series, params: Params) -> Placement:
    """Return how extract_frames laid the clip on the canvas: from the crop that it wrote, by its own functions."""
    x, y, width, height = (int(row[name]) for name in CROP)
    view = choose_view((x, y, width, height), row["crop_source"], read_header(clip.path), clip.depth_cm)
    return place(view, params.size_px, params.extract_frames.field_mm)


def _structures(
    clip_id: str, pictures: Mapping[int, Picture], where: Placement, params: Params
) -> dict[tuple[str, int, str], Mask]:
    values = params.explain.structures
    return {
        (clip_id, index, name): on_canvas(picture == values[name], where)
        for index, picture in pictures.items()
        for name in dict.fromkeys(params.explain.masks.values())
    }


def on_canvas(inside: NDArray[np.bool_], where: Placement) -> Mask:
    """Return a structure's (H, W) pixels of a decoded frame on the canvas, resampled as the frame's own were."""
    coverage = draw(inside.astype(np.uint8) * 255, where).astype(np.float64) / 255
    return Mask(coverage, float(coverage.sum() / (where.target[2] * where.target[3])))
