"""Make one variant of every frame: the original, or one of the study's seven augmentations.

    python -m stages.augment jpeg

Reads   data/extract_frames/ (variant `original`) or data/augment/original.npy (all others), and frames.csv
Writes  data/augment/<variant>.npy  (N, S, S, 3) uint8, BGR, row i is row i of frames.csv
        data/augment/<variant>.csv  frame_id and the number drawn for it

The seven are the study's OpenCV calls. One step draws the numbers, another applies them: replaying the table gives
the identical pictures. A draw depends on (seed, variant, frame_id) alone, so neither the order of the frames, nor
the number of workers, nor another variant changes it.
"""

import hashlib
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field, create_model, model_validator

from stages.common.errors import PipelineError, run
from stages.common.files import new_array
from stages.common.params import Strict, one_entry, read_params
from stages.common.progress import chunks, in_parallel
from stages.common.tables import FRAME_COLUMNS, read_table, write_table

Pictures = NDArray[np.uint8]
FRAMES = Path("data/extract_frames")
OUT = Path("data/augment")


class Range(Strict):
    """Uniform draw from min to max."""

    min: float = Field(ge=0)
    max: float = Field(ge=0)

    @model_validator(mode="after")
    def _ordered(self) -> "Range":
        if self.min > self.max:
            raise ValueError(f"min not above max ({self.max})")
        return self


class Whole(Strict):
    """Uniform draw of a whole number from min to max, both included."""

    min: int = Field(ge=-180, le=180)
    max: int = Field(ge=-180, le=180)

    @model_validator(mode="after")
    def _ordered(self) -> "Whole":
        if self.min > self.max:
            raise ValueError(f"min not above max ({self.max})")
        return self


class Quality(Whole):
    """JPEG quality, 0 (worst) to 100."""

    min: int = Field(ge=0, le=100)
    max: int = Field(ge=0, le=100)


class Original(Strict):
    """The frame as extracted: nothing to draw."""


class Gain(Strict):
    """Brightness and contrast, the same operation with its own draw: `convertScaleAbs(alpha, beta=0)`."""

    alpha: Range


class Flip(Strict):
    """Mirror the picture with this probability."""

    probability: Annotated[float, Field(ge=0, le=1)]


class Hue(Strict):
    """Added to OpenCV's hue (0 to 179, so 10 is 20 degrees), modulo 180."""

    shift: Whole


class Jpeg(Strict):
    """Encode and decode at the quality drawn."""

    quality: Quality


class Saturation(Strict):
    """Multiplies the saturation, clipped to 255."""

    factor: Range


def _no_draw(params: Original, rng: np.random.Generator) -> int:
    return 0


def _draw_alpha(params: Gain, rng: np.random.Generator) -> float:
    return round(rng.uniform(params.alpha.min, params.alpha.max), 6)  # rounded as the table is: the table replays it


def _draw_flip(params: Flip, rng: np.random.Generator) -> int:
    return int(rng.random() < params.probability)


def _draw_shift(params: Hue, rng: np.random.Generator) -> int:
    return int(rng.integers(params.shift.min, params.shift.max, endpoint=True))


def _draw_quality(params: Jpeg, rng: np.random.Generator) -> int:
    return int(rng.integers(params.quality.min, params.quality.max, endpoint=True))


def _draw_factor(params: Saturation, rng: np.random.Generator) -> float:
    return round(rng.uniform(params.factor.min, params.factor.max), 6)


def _same(picture: Pictures, number: float) -> Pictures:
    return picture


def _scale(picture: Pictures, number: float) -> Pictures:
    return cv2.convertScaleAbs(picture, alpha=number, beta=0)


def _mirror(picture: Pictures, number: float, axis: int) -> Pictures:
    return cv2.flip(picture, axis) if number else picture


def _shift_hue(picture: Pictures, number: float) -> Pictures:
    hsv = cv2.cvtColor(picture, cv2.COLOR_BGR2HSV)
    hsv[..., 0] = (hsv[..., 0].astype(np.int16) + int(number)) % 180
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)


def _compress(picture: Pictures, number: float) -> Pictures:
    _, encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, int(number)])
    return cv2.imdecode(encoded, cv2.IMREAD_COLOR)


def _saturate(picture: Pictures, number: float) -> Pictures:
    hsv = cv2.cvtColor(picture, cv2.COLOR_BGR2HSV)
    hsv[..., 1] = cv2.convertScaleAbs(hsv[..., 1], alpha=number)  # saturates at 255
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)


Draw = Callable[[Any, np.random.Generator], float]
Apply = Callable[[Pictures, float], Pictures]

# variant: its params, how its number is drawn, how it is applied
VARIANTS: dict[str, tuple[type[Strict], Draw, Apply]] = {
    "original": (Original, _no_draw, _same),
    "brightness": (Gain, _draw_alpha, _scale),
    "contrast": (Gain, _draw_alpha, _scale),
    "flip_left_right": (Flip, _draw_flip, partial(_mirror, axis=1)),
    "flip_up_down": (Flip, _draw_flip, partial(_mirror, axis=0)),
    "hue": (Hue, _draw_shift, _shift_hue),
    "jpeg": (Jpeg, _draw_quality, _compress),
    "saturation": (Saturation, _draw_factor, _saturate),
}


def draw(variant: str, params: Strict, seed: int, frame_ids: list[str]) -> list[float]:
    """Return one number a frame, each from a generator of its own keyed by (seed, variant, frame_id)."""
    _, draw_one, _ = VARIANTS[variant]
    return [draw_one(params, _generator(seed, variant, frame)) for frame in frame_ids]


def _generator(seed: int, variant: str, frame_id: str) -> np.random.Generator:
    key = hashlib.blake2b(f"{seed}/{variant}/{frame_id}".encode(), digest_size=16).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(key, "little")))


def apply(variant: str, picture: Pictures, number: float) -> Pictures:
    """Return the variant of one picture.

    Args:
        variant: a key of `VARIANTS`.
        picture: (S, S, 3) uint8, BGR, 0 to 255.
        number: what `draw` gave for this frame.
    """
    return VARIANTS[variant][2](picture, number)


def _read_pictures(frames: pd.DataFrame, rows: range) -> Pictures:
    paths = [FRAMES / clip / f"{index:05d}.png" for clip, index in frames.iloc[rows][["clip_id", "frame_index"]].values]
    return np.stack([cv2.imread(str(path), cv2.IMREAD_COLOR) for path in paths])  # (n, S, S, 3)


def _augment_rows(rows: range, originals: Pictures, variant: str, numbers: list[float]) -> Pictures:
    return np.stack([apply(variant, originals[row], numbers[row]) for row in rows])


def _check_rows(originals: Pictures, frames: pd.DataFrame) -> None:
    if len(originals) != len(frames):
        raise PipelineError(
            f"data/augment/original.npy: expected {len(frames)} pictures, one a row of frames.csv, got {len(originals)}. "
            "Run `dvc repro augment@original`."
        )


def params_of(variant: str) -> type[Strict]:
    """Return the class of what `variant` reads: the seed and its own entry of section `augment`, nothing else's."""
    section: Any = one_entry(variant, VARIANTS[variant][0])
    return create_model("Params", __base__=Strict, seed=(int, ...), augment=(section, ...))


def main() -> None:
    """Write one variant of all frames and the numbers drawn for it."""
    variant = sys.argv[1] if len(sys.argv) == 2 else ""
    if variant not in VARIANTS:
        raise PipelineError(f"stages.augment: expected one of {', '.join(VARIANTS)}, got {variant!r}.")
    params: Any = read_params(params_of(variant))
    frames = read_table(FRAMES / "frames.csv", FRAME_COLUMNS)
    numbers = draw(variant, getattr(params.augment, variant), params.seed, frames["frame_id"].tolist())
    if variant == "original":
        side = cv2.imread(str(next(FRAMES.glob("C*/*.png")))).shape[0]  # extract_frames writes squares of one size
        make = partial(_read_pictures, frames)
    else:
        originals = np.load(OUT / "original.npy", mmap_mode="r")
        _check_rows(originals, frames)
        side = originals.shape[1]
        make = partial(_augment_rows, originals=originals, variant=variant, numbers=numbers)
    with new_array(OUT / f"{variant}.npy", (len(frames), side, side, 3)) as array:
        for rows, pictures in in_parallel(make, chunks(len(frames)), f"augment {variant}"):
            array[rows.start : rows.stop] = pictures
    write_table(OUT / f"{variant}.csv", pd.DataFrame({"frame_id": frames["frame_id"], "number": numbers}))


if __name__ == "__main__":
    run(main)
