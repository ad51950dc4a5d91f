"""The section `evidence`, and what follows from it alone."""

import zlib
from typing import Annotated

import numpy as np
from pydantic import Field

from stages.common.core.params import Strict
from stages.common.evaluation.reading import Declared, operations_of
from stages.common.evaluation.section import Evaluate


class Evidence(Strict):
    """The section `evidence`."""

    resamples: Annotated[int, Field(ge=100)]  # of the patients, for the share of wins
    permutations: Annotated[int, Field(ge=1000)]  # all signs of 2^patients are tried up to so many, else drawn
    all_pairs_from: Annotated[int, Field(ge=2)]  # test patients; below, the models are not compared pair by pair


class Params(Declared):
    """What this stage reads of params.yaml."""

    evaluate: Evaluate
    evidence: Evidence


def generator(seed: int, *names: str) -> np.random.Generator:
    """Return a generator of its own for each purpose: adding a protocol leaves the others as they are."""
    return np.random.default_rng([seed, *(zlib.crc32(name.encode()) for name in ("evidence", *names))])


def simplest_first(params: Params) -> list[str]:
    """Return the declared models, fewest multiply-adds a picture first, then as declared: no result decides."""
    operations = operations_of(params)
    return sorted(operations, key=lambda model: operations[model])
