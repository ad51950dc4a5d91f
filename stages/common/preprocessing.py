"""From a colour picture to what a network sees: grey, then one of the study's contrast operations.

`preprocess` uses it on all frames, and the bundle of a trained model carries the same `Preprocess`, so that a new
clip is prepared by the same call.
"""

from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator, model_validator

from stages.common.core.params import Strict

Grey = NDArray[np.uint8]
WHITE = 255.0


class Equalize(Strict):
    """The study's choice: Gaussian blur, then histogram equalization over the whole picture."""

    blur_px: int = Field(ge=1, le=31)  # side of the Gaussian kernel, odd; 1 = no blur; the study: 7 at 224 px

    @field_validator("blur_px")
    @classmethod
    def _odd(cls, value: int) -> int:
        if value % 2 == 0:
            raise ValueError("an odd number, so that the kernel has a centre")
        return value


class Clahe(Strict):
    """Contrast-limited adaptive equalization (Zuiderveld 1994)."""

    clip_limit: float = Field(gt=0)  # the study: 2.0
    tiles: int = Field(ge=1, le=64)  # tiles a side; the study: 8


class Stretch(Strict):
    """Linear stretch: these percentiles of the grey values become black and white."""

    low_percent: float = Field(ge=0, le=100)
    high_percent: float = Field(ge=0, le=100)

    @model_validator(mode="after")
    def _ordered(self) -> "Stretch":
        if self.low_percent >= self.high_percent:
            raise ValueError("low_percent below high_percent")
        return self


class Gamma(Strict):
    """Power law 255 (g/255)^gamma: below 1 lightens the dark depth of a picture."""

    gamma: float = Field(gt=0, le=10)


class Preprocess(Strict):
    """Section `preprocess`: the method and the numbers of each."""

    method: Literal["equalize", "clahe", "stretch", "gamma", "log", "none"]
    equalize: Equalize
    clahe: Clahe
    stretch: Stretch
    gamma: Gamma


def preprocess(picture: NDArray[np.uint8], params: Preprocess) -> Grey:
    """Return the grey picture that a network sees.

    Args:
        picture: (S, S, 3) uint8, BGR.
        params: section `preprocess`.

    Returns:
        (S, S) uint8, 0 to 255.
    """
    grey = np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), np.uint8)
    match params.method:
        case "equalize":
            blurred = cv2.GaussianBlur(grey, (params.equalize.blur_px, params.equalize.blur_px), 0)
            return np.asarray(cv2.equalizeHist(blurred), np.uint8)
        case "clahe":
            tiles = (params.clahe.tiles, params.clahe.tiles)
            return np.asarray(cv2.createCLAHE(params.clahe.clip_limit, tiles).apply(grey), np.uint8)
        case "stretch":
            return _stretch(grey, params.stretch)
        case "gamma":
            return _apply_table(grey, _levels() ** params.gamma.gamma)
        case "log":
            return _apply_table(grey, np.log1p(_levels() * WHITE) / np.log1p(WHITE))
        case "none":
            return grey


def _stretch(grey: Grey, params: Stretch) -> Grey:
    low, high = np.percentile(grey, [params.low_percent, params.high_percent])
    if low == high:  # a blank picture has nothing to stretch
        return grey
    return _apply_table(grey, (_levels() * WHITE - low) / (high - low))


def _apply_table(grey: Grey, curve: NDArray[np.float64]) -> Grey:
    return np.asarray(cv2.LUT(grey, _table(curve)), np.uint8)


def _levels() -> NDArray[np.float64]:
    return np.arange(256) / WHITE  # the 256 grey levels as 0..1


def _table(curve: NDArray[np.float64]) -> NDArray[np.uint8]:
    return np.rint(np.clip(curve, 0, 1) * WHITE).astype(np.uint8)
