"""Show what the eight variants are: pictures before and after, and how many of them differ from the original.

Reads   data/augment/<variant>.npy, data/preprocess/<variant>.npy, data/extract_frames/frames.csv
Writes  metrics/augment.json, metrics/augment.md   frames per clip before and after; share of pictures that do not
                                                   differ from the original once preprocessed
        metrics/pictures/augment.png               one frame in all variants, before and after preprocessing
        metrics/pictures/preprocess.png            a frame of each of some clips, before and after preprocessing

On a grey picture hue and saturation change nothing, a flip changes nothing half the time, and equalization undoes most
of brightness and contrast: 'eight times the data' is far fewer pictures, and this stage counts how many differ from
the original. Variants that equal each other (an unchanged hue and saturation do) are not told apart.
"""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.common.core.errors import run
from stages.common.core.files import replacing, write_json, write_text
from stages.common.core.params import Strict, read_params
from stages.common.core.progress import bar, chunks
from stages.common.core.tables import FRAME_COLUMNS, read_table
from stages.common.variants import VARIANT_NAMES

METRICS = Path("metrics")
PICTURES = METRICS / "pictures"
SAMPLES = 4  # clips shown before and after preprocessing
CAPTION_PX = 14  # height of the caption strip above a picture


class Params(Strict):
    """What this stage reads of params.yaml."""

    cohort: str


def same_share(variant: NDArray[np.uint8], original: NDArray[np.uint8]) -> float:
    """Return the share of rows that are equal, pixel for pixel.

    Args:
        variant, original: (N, S, S) uint8, row-aligned.
    """
    same = sum(
        int((variant[rows.start : rows.stop] == original[rows.start : rows.stop]).all(axis=(1, 2)).sum())
        for rows in chunks(len(original))
    )
    return same / len(original)


def before_and_after(frames: pd.DataFrame, variants: int) -> pd.DataFrame:
    """Return the study's table: pictures of each clip before and after augmentation."""
    before = frames.groupby("clip_id").size()
    return pd.DataFrame({"before": before, "after": before * variants})


def differing(shares: dict[str, float]) -> float:
    """Return how many of a frame's derived pictures differ from its original, on average over frames.

    Derived pictures that equal each other are not told apart: the distinct ones may be fewer.

    Args:
        shares: variant -> share of frames equal to the original, which is among them.
    """
    return sum(1 - share for name, share in shares.items() if name != "original")


def markdown(counts: pd.DataFrame, shares: dict[str, float], cohort: str) -> str:
    """Return both tables as a page that a person reads."""
    renamed = {name: f"{share:.1%}" for name, share in shares.items()}
    same = pd.DataFrame({"same as the original": renamed}).rename_axis("variant")
    return "\n".join(
        [
            f"# Augmentation of cohort `{cohort}`",
            "",
            f"{len(shares)} pictures a frame on paper; {differing(shares):.1f} of the {len(shares) - 1} derived differ "
            "from the original once preprocessed. Derived pictures that equal each other are not told apart.",
            "",
            same.to_markdown(),
            "",
            "Pictures per clip:",
            "",
            counts.to_markdown(),
            "",
        ]
    )


def captioned(picture: NDArray[np.uint8], caption: str) -> NDArray[np.uint8]:
    """Return an (H, W, 3) picture under a strip with its name."""
    strip = np.full((CAPTION_PX, picture.shape[1], 3), 255, np.uint8)
    cv2.putText(strip, caption, (1, CAPTION_PX - 4), cv2.FONT_HERSHEY_SIMPLEX, 0.28, (0, 0, 0), 1, cv2.LINE_AA)
    return np.vstack([strip, picture])


def _colour(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.repeat(grey[..., None], 3, axis=-1)


def _sheet(columns: list[tuple[str, NDArray[np.uint8], NDArray[np.uint8]]]) -> NDArray[np.uint8]:
    """Return a sheet with a column a picture: name, picture before, picture after preprocessing."""
    return np.hstack([np.vstack([captioned(before, name), _colour(after)]) for name, before, after in columns])


def _write_png(path: Path, picture: NDArray[np.uint8]) -> None:
    with replacing(path) as partial:  # encoded by hand: imwrite would take the format from the partial file's suffix
        partial.write_bytes(cv2.imencode(".png", picture)[1].tobytes())


def main() -> None:
    """Write the counts, the shares and the two contact sheets."""
    params = read_params(Params)
    frames = read_table(Path("data/extract_frames/frames.csv"), FRAME_COLUMNS)
    before = {name: np.load(f"data/augment/{name}.npy", mmap_mode="r") for name in VARIANT_NAMES}
    after = {name: np.load(f"data/preprocess/{name}.npy", mmap_mode="r") for name in VARIANT_NAMES}
    shares = {
        name: same_share(after[name], after["original"]) for name in bar(VARIANT_NAMES, "compare", unit="variant")
    }
    counts = before_and_after(frames, len(VARIANT_NAMES))
    write_json(METRICS / "augment.json", {"same_as_original": shares, "pictures": counts.to_dict("index")})
    write_text(METRICS / "augment.md", markdown(counts, shares, params.cohort))
    middle = len(frames) // 2
    _write_png(
        PICTURES / "augment.png", _sheet([(name, before[name][middle], after[name][middle]) for name in VARIANT_NAMES])
    )
    rows = frames.groupby("clip_id").head(1).index[:SAMPLES]
    sheet = _sheet([(frames["clip_id"][row], before["original"][row], after["original"][row]) for row in rows])
    _write_png(PICTURES / "preprocess.png", sheet)


if __name__ == "__main__":
    run(main)
