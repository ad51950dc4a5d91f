"""The section `texture`."""

from typing import Annotated

from pydantic import Field

from stages.common.core.params import Strict

Distance = Annotated[int, Field(ge=1, le=512)]


class Histogram(Strict):
    """Shares of the grey values."""

    bins: int = Field(ge=2, le=256)  # of equal width over 0 to 255


class Glcm(Strict):
    """Grey-level co-occurrence (Haralick 1973): how often two grey levels stand so far apart."""

    levels: int = Field(ge=2, le=256)  # grey values are counted in so many steps of equal width
    distances_px: list[Distance] = Field(min_length=1)  # between the two pixels, in four directions


class Lbp(Strict):
    """Uniform local binary patterns (Ojala 2002): which neighbours on a circle are at least as bright."""

    radii_px: list[Distance] = Field(min_length=1)  # of the circle; eight neighbours a pixel of radius


class Hog(Strict):
    """Histograms of oriented gradients (Dalal and Triggs 2005)."""

    cells: int = Field(ge=1, le=64)  # a side: the count of columns is the same at any size of picture
    block_cells: int = Field(ge=1, le=64)  # cells a side of the blocks within which contrast is normalised
    orientations: int = Field(ge=2, le=36)  # bins over 180 degrees


class Texture(Strict):
    """The section `texture`."""

    histogram: Histogram
    glcm: Glcm
    lbp: Lbp
    hog: Hog


class Params(Strict):
    """What this stage reads of params.yaml."""

    texture: Texture
