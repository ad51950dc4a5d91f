"""Make one variant of every frame: the original, or one of the study's seven augmentations.

    python -m stages.augment jpeg

Reads   data/extract_frames/ (variant `original`) or data/augment/original.npy (all others), and frames.csv
Writes  data/augment/<variant>.npy  (N, S, S, 3) uint8, BGR, row i is row i of frames.csv
        data/augment/<variant>.csv  frame_id and the number drawn for it

One step draws the numbers, another applies them: replaying the table gives the identical pictures.
"""

import sys
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from pydantic import create_model

from stages.common.augmentation import VARIANTS, Pictures, apply, draw
from stages.common.core.errors import PipelineError, run
from stages.common.core.files import new_array
from stages.common.core.params import Strict, one_entry, read_params
from stages.common.core.progress import chunks, in_parallel
from stages.common.core.tables import FRAME_COLUMNS, read_table, write_table

FRAMES = Path("data/extract_frames")
OUT = Path("data/augment")


def read_picture(clip_id: str, frame_index: int) -> Pictures:
    """Return one extracted frame as (S, S, 3) uint8, BGR.

    Raises:
        PipelineError: the file is absent or no picture.
    """
    path = FRAMES / clip_id / f"{frame_index:05d}.png"
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        raise PipelineError(f"{path}: expected a picture, got none. Run `dvc repro extract_frames`.")
    return picture


def _read_all(places: list[tuple[str, int]]) -> Pictures:
    return np.stack([read_picture(*place) for place in places])  # (n, S, S, 3)


def _augment_all(drawn: list[tuple[int, float]], variant: str) -> Pictures:
    originals = np.load(OUT / "original.npy", mmap_mode="r")  # here: to another machine its content would travel
    return np.stack([apply(variant, originals[row], number) for row, number in drawn])


def read_originals(count: int) -> Pictures:
    """Return data/augment/original.npy without loading it.

    Raises:
        PipelineError: it does not hold one picture a row of frames.csv.
    """
    originals = np.load(OUT / "original.npy", mmap_mode="r")
    if len(originals) != count:
        raise PipelineError(
            f"{OUT}/original.npy: expected {count} pictures, one a row of frames.csv, got {len(originals)}. "
            "Run `dvc repro augment@original`."
        )
    return originals


def params_of(variant: str) -> type[Strict]:
    """Return the class of what `variant` reads: the seed and its own entry of section `augment`, nothing else's.

    Raises:
        PipelineError: there is no such variant.
    """
    if variant not in VARIANTS:
        raise PipelineError(f"stages.augment: expected one of {', '.join(VARIANTS)}, got {variant!r}.")
    section: Any = one_entry(variant, VARIANTS[variant][0])
    return create_model("Params", __base__=Strict, seed=(int, ...), augment=(section, ...))


def main() -> None:
    """Write one variant of all frames and the numbers drawn for it."""
    variant = sys.argv[1] if len(sys.argv) == 2 else ""
    cv2.setNumThreads(1)  # frames run side by side on all cores
    params: Any = read_params(params_of(variant))
    frames = read_table(FRAMES / "frames.csv", FRAME_COLUMNS)
    numbers = draw(variant, getattr(params.augment, variant), params.seed, frames["frame_id"].tolist())
    make: Any
    if variant == "original":
        each: list[Any] = list(zip(frames["clip_id"], frames["frame_index"], strict=True))
        make, side = _read_all, len(read_picture(*each[0]))
    else:
        each = list(enumerate(numbers))
        make, side = partial(_augment_all, variant=variant), read_originals(len(frames)).shape[1]
    parts = [each[rows.start : rows.stop] for rows in chunks(len(each))]
    with new_array(OUT / f"{variant}.npy", (len(frames), side, side, 3)) as append:
        for _, pictures in in_parallel(make, parts, f"augment {variant}"):
            append(pictures)
    write_table(OUT / f"{variant}.csv", pd.DataFrame({"frame_id": frames["frame_id"], "number": numbers}))


if __name__ == "__main__":
    run(main)
