"""Whether each picture that training reads was made of the frame that it is filed under.

`split` keeps a frame's derived pictures on the frame's side, by name. This proves that the name is true: every picture
is made once more from its own frame, with the number drawn for it. Else a flipped, brighter or re-encoded picture of a
test frame could stand in training under another name, where no comparison with the originals sees it.
"""

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.common.augmentation import apply
from stages.common.core.errors import PipelineError, Problem
from stages.common.core.progress import chunks, in_parallel
from stages.common.core.tables import read_table
from stages.common.preprocessing import Preprocess, preprocess
from stages.leakage.cohort import Cohort, open_array

AUGMENTED = Path("data/augment")
PREPROCESSED = Path("data/preprocess")
GREY_LEVELS = 1.0  # on average over a picture: another maker's processor may round a few pixels otherwise
SHOWN = 5


def drawn(variant: str, frames: Sequence[str]) -> NDArray[np.float64]:
    """Return (N,) the numbers that were drawn for one variant.

    Raises:
        PipelineError: the table holds other frames, or another order.
    """
    path = AUGMENTED / f"{variant}.csv"
    table = read_table(path, ("frame_id", "number"), text=("frame_id",))
    if table["frame_id"].tolist() != list(frames):
        raise PipelineError(f"{path}: expected the frames of frames.csv in their order, got others. Run `dvc repro`.")
    return table["number"].to_numpy(float)


def distances(rows: range, variant: str, numbers: NDArray[np.float64], params: Preprocess) -> NDArray[np.float64]:
    """Return for each row how far its picture is from the one made again, in grey levels on average."""
    originals, filed = (
        open_array(path, len(numbers)) for path in (AUGMENTED / "original.npy", PREPROCESSED / f"{variant}.npy")
    )
    again = (preprocess(apply(variant, originals[row], numbers[row]), params) for row in rows)
    return np.array([np.abs(made.astype(np.int16) - filed[row]).mean() for row, made in zip(rows, again, strict=True)])


def foreign(cohort: Cohort, variant: str, params: Preprocess) -> pd.DataFrame:
    """Return frame_id and distance of the pictures of one variant that were not made of their own frame."""
    numbers = drawn(variant, cohort.column("frame_id").tolist())
    work = partial(distances, variant=variant, numbers=numbers, params=params)
    parts = [part for _, part in in_parallel(work, chunks(len(numbers)), f"replay {variant}")]
    table = pd.DataFrame({"frame_id": cohort.column("frame_id"), "distance": np.concatenate(parts)})
    return table[table["distance"] > GREY_LEVELS]


def misfiled(cohort: Cohort, variants: Iterable[str], params: Preprocess) -> list[Problem]:
    """Return, for each variant, what stands under a frame's name and is no picture of it: whatever the protocol."""
    found = {name: foreign(cohort, name, params) for name in dict.fromkeys(["original", *variants])}
    return [
        Problem(
            f"{PREPROCESSED}/{name}.npy",
            "pictures that were not made of the frame they are filed under: a test frame's may stand in training",
            "none",
            f"{len(of)}: {', '.join(of['frame_id'].head(SHOWN))}{', ...' if len(of) > SHOWN else ''}",
            "Run `dvc repro --force augment preprocess`; it comes back where a stage mixes up rows.",
        )
        for name, of in found.items()
        if len(of)
    ]
