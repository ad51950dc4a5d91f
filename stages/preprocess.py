"""Turn one variant's colour pictures into what a network sees.

    python -m stages.preprocess jpeg

Reads   data/augment/<variant>.npy     (N, S, S, 3) uint8, BGR
Writes  data/preprocess/<variant>.npy  (N, S, S) uint8, rows unchanged
"""

import sys
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from stages.common.core.errors import PipelineError, run
from stages.common.core.files import new_array
from stages.common.core.params import Strict, read_params
from stages.common.core.progress import chunks, in_parallel
from stages.common.preprocessing import Preprocess, preprocess

IN = Path("data/augment")
OUT = Path("data/preprocess")


class Params(Strict):
    """What this stage reads of params.yaml."""

    preprocess: Preprocess


def preprocess_rows(rows: range, path: Path, params: Preprocess) -> NDArray[np.uint8]:
    """Return rows of a file of (N, S, S, 3) pictures as (n, S, S)."""
    pictures = np.load(path, mmap_mode="r")  # here: to another machine its content would travel
    return np.stack([preprocess(pictures[row], params) for row in rows])


def main() -> None:
    """Write the preprocessed pictures of one variant."""
    params = read_params(Params)
    if len(sys.argv) != 2 or not (IN / f"{sys.argv[1]}.npy").is_file():
        raise PipelineError(
            f"stages.preprocess: expected the name of an array in {IN}, got {sys.argv[1:]}. Run `dvc repro preprocess`."
        )
    variant = sys.argv[1]
    cv2.setNumThreads(1)  # frames run side by side on all cores
    path = IN / f"{variant}.npy"
    shape = np.load(path, mmap_mode="r").shape
    work = partial(preprocess_rows, path=path, params=params.preprocess)
    with new_array(OUT / f"{variant}.npy", shape[:3]) as append:
        for _, grey in in_parallel(work, chunks(shape[0]), f"preprocess {variant}"):
            append(grey)


if __name__ == "__main__":
    run(main)
