"""Describe every frame by numbers that no network learnt: what the classical baselines see.

Reads   data/augment/original.npy           every frame in colour, before the contrast operation
Writes  data/features/texture/frames.npy    (N, D) float32, row i = row i of data/extract_frames/frames.csv
        data/features/texture/columns.csv   name and group (histogram, glcm, lbp, hog) of each of the D columns

The pictures are grey and otherwise as recorded, not those that the networks see: histogram equalization makes every
histogram nearly the same, and grey levels that it has moved are no longer the tissue's.

Nothing is fitted here, so no frame learns of another and one table serves all protocols and folds.
"""

from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.common.core.errors import raise_all, run
from stages.common.core.files import replacing
from stages.common.core.params import read_params
from stages.common.core.progress import chunks, in_parallel
from stages.common.core.tables import write_table
from stages.texture.features import Vector, columns, features, mistakes
from stages.texture.params import Params, Texture

PICTURES = Path("data/augment/original.npy")
OUT = Path("data/features/texture")
FRAMES = 16  # a process takes at a time: at 224 px a frame takes some 20 ms


def describe(rows: range, params: Texture) -> Vector:
    """Return (rows, D) features of these rows of the (N, S, S, 3) pictures, BGR."""
    pictures = np.load(PICTURES, mmap_mode="r")  # here: to another machine its content would travel
    return np.stack([features(_grey(pictures[row]), params) for row in rows])


def _grey(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), np.uint8)


def main() -> None:
    """Describe all frames, a few at a time on every core."""
    params = read_params(Params).texture
    count, side = np.load(PICTURES, mmap_mode="r").shape[:2]
    raise_all(mistakes(params, side), "params.yaml does not fit the pictures")
    work = partial(describe, params=params)
    # processes: counting pairs of grey levels holds Python's lock
    parts = [part for _, part in in_parallel(work, chunks(count, FRAMES), "texture", threads=False)]
    with replacing(OUT / "frames.npy") as partial_file, partial_file.open("wb") as file:
        np.save(file, np.concatenate(parts))
    write_table(OUT / "columns.csv", pd.DataFrame(columns(params), columns=["name", "group"]))


if __name__ == "__main__":
    run(main)
