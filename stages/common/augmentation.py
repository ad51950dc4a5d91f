"""The study's seven augmentations: what each draws, and the OpenCV call that applies the number drawn.

A draw depends on (seed, variant, frame_id) alone, so neither the order of the frames, nor the number of workers, nor
another variant changes it. Replaying a drawn number gives the identical picture.
"""

import hashlib
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from stages.common.core.params import Strict

Pictures = NDArray[np.uint8]


class Ordered(Strict):
    """Two bounds the right way round."""

    min: float
    max: float

    @model_validator(mode="after")
    def _ordered(self) -> "Ordered":
        if self.min > self.max:
            raise ValueError(f"min not above max ({self.max})")
        return self


class Range(Ordered):
    """Uniform draw from min to max."""

    min: float = Field(ge=0)
    max: float = Field(ge=0)


class Whole(Ordered):
    """Uniform draw of a whole number from min to max, both included."""

    min: int
    max: int


class Shift(Whole):
    """Whole steps on OpenCV's circle of 180 hues."""

    min: int = Field(ge=-179, le=179)
    max: int = Field(ge=-179, le=179)


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

    shift: Shift


class Jpeg(Strict):
    """Encode and decode at the quality drawn."""

    quality: Quality


class Saturation(Strict):
    """Multiplies the saturation, clipped to 255."""

    factor: Range


def _no_draw(_params: Original, _rng: np.random.Generator) -> int:
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


def _same(picture: Pictures, _number: float) -> Pictures:
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
    return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), np.uint8)


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
