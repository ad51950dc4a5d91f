"""profiles/search.yaml: which parameters are searched, between which limits, and by what trials are judged."""

import itertools
import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from experiments.plan import PROFILES
from stages.common.core.params import Strict

FILE = PROFILES / "search.yaml"
DIGITS = 3  # significant ones of a drawn number: `lr=0.00317` can be read, repeated and typed
# What only trainings read. With other rows, labels or pictures the scores of two trials would not be comparable, nor
# with another loss (train.imbalance) the losses by which a trial is pruned
SEARCHED = re.compile(r"lr|epochs|architectures\.[^.]+\.[^.]+|train\.(?!device|threads|kept_epoch|imbalance).+")
Value = str | bool | int | float


class Values(Strict):
    """A parameter that takes one of several values."""

    values: list[Value] = Field(min_length=1)


class Range(Strict):
    """A parameter between two limits; whole numbers where both limits are whole."""

    min: int | float
    max: int | float
    scale: Literal["linear", "log"]
    points: int = Field(ge=2)  # of a grid, evenly apart on the scale

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.min < self.max or (self.scale == "log" and self.min <= 0):
            raise ValueError("min below max, and above 0 on a log scale")
        return self

    @property
    def whole(self) -> bool:
        return isinstance(self.min, int) and isinstance(self.max, int)


def _kind(axis: Any) -> str:
    return "values" if isinstance(axis, Values) or (isinstance(axis, dict) and "values" in axis) else "range"


Axis = Annotated[Annotated[Values, Tag("values")] | Annotated[Range, Tag("range")], Discriminator(_kind)]


class Pruning(Strict):
    """When a trial is stopped early."""

    after_trials: int = Field(ge=1)  # that finished first
    after_quarters: int = Field(ge=0)  # of the first network's epochs that nobody is judged by


class Search(Strict):
    """profiles/search.yaml."""

    profile: str  # the profile that every trial begins from
    objective: Literal["log_loss", "average_precision"]
    seed: int = Field(ge=0)  # of the draws
    space: dict[str, Axis] = Field(min_length=1)  # dotted key of params.yaml -> where to look
    pruning: Pruning

    @field_validator("space")
    @classmethod
    def _searchable(cls, value: dict[str, Axis]) -> dict[str, Axis]:
        strange = [key for key in value if not SEARCHED.fullmatch(key)]
        if strange:
            raise ValueError(
                f"keys that only trainings read: lr, epochs, train.*, architectures.*.*; not {', '.join(strange)}"
            )
        return value


def distribution(axis: Values | Range) -> BaseDistribution:
    """Return an axis as Optuna understands it."""
    if isinstance(axis, Values):
        return CategoricalDistribution(axis.values)
    log = axis.scale == "log"
    if axis.whole:
        return IntDistribution(int(axis.min), int(axis.max), log=log)
    return FloatDistribution(float(axis.min), float(axis.max), log=log)


def points(axis: Values | Range) -> list[Value]:
    """Return the values that a grid has on an axis."""
    if isinstance(axis, Values):
        return axis.values
    spaced = np.geomspace if axis.scale == "log" else np.linspace
    found = [neat(float(value), axis) for value in spaced(axis.min, axis.max, axis.points)]
    return list(dict.fromkeys(found))


def samples(space: dict[str, Axis]) -> list[dict[str, Value]]:
    """Return few combinations in which every point of every axis stands: enough to check them all."""
    axes = {key: points(axis) for key, axis in space.items()}
    longest = max(map(len, axes.values()))
    return [{key: values[place % len(values)] for key, values in axes.items()} for place in range(longest)]


def neat(value: Value, axis: Values | Range) -> Value:
    """Return a drawn value as it is set: few digits, and never outside the limits."""
    if isinstance(axis, Values) or not isinstance(value, float):
        return value
    if axis.whole:
        return round(value)
    return min(max(float(f"{value:.{DIGITS}g}"), float(axis.min)), float(axis.max))


def grid(space: dict[str, Axis], seed: int) -> list[dict[str, Value]]:
    """Return every combination, in a drawn order: a budget that ends early has seen no corner alone."""
    axes: Sequence[list[Value]] = [points(axis) for axis in space.values()]
    whole = [dict(zip(space, chosen, strict=True)) for chosen in itertools.product(*axes)]
    order = np.random.default_rng(seed).permutation(len(whole))
    return [whole[place] for place in order]
