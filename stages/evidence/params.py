"""The section `evidence`, and what follows from it alone."""

import zlib
from typing import Annotated

import numpy as np
from pydantic import Field

from stages.common.errors import Problem, raise_all
from stages.common.evaluation.reading import Declared
from stages.common.evaluation.section import Evaluate
from stages.common.params import Strict


class Evidence(Strict):
    """The section `evidence`."""

    confidence: Annotated[float, Field(gt=0.5, lt=1)]  # of every interval, two-sided
    resamples: Annotated[int, Field(ge=100)]  # of the patients, for the share of wins
    permutations: Annotated[int, Field(ge=1000)]  # all signs of 2^patients are tried up to so many, else drawn
    all_pairs_from: Annotated[int, Field(ge=2)]  # test patients; below, the models are not compared pair by pair
    giga_operations: dict[str, Annotated[float, Field(gt=0)]]  # model -> 10^9 multiply-adds a picture: simplest = least


class Params(Declared):
    """What this stage reads of params.yaml."""

    evaluate: Evaluate
    evidence: Evidence


def generator(seed: int, *names: str) -> np.random.Generator:
    """Return a generator of its own for each purpose: adding a protocol leaves the others as they are."""
    return np.random.default_rng([seed, *(zlib.crc32(name.encode()) for name in ("evidence", *names))])


def simplest_first(params: Params) -> list[str]:
    """Return the declared models, fewest operations first.

    Raises:
        PipelineError: naming the models whose operations are not declared.
    """
    known = params.evidence.giga_operations
    where, remedy = "params.yaml: evidence.giga_operations", "Add it, so that the simplest model is named beforehand."
    raise_all(
        [
            Problem(where, "model missing", "a number for every key of `architectures`", f"none for {model}", remedy)
            for model in params.architectures
            if model not in known
        ],
        "params.yaml has mistakes",
    )
    return sorted(params.architectures, key=lambda model: known[model])
