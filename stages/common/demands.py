"""What later stages demand of a cohort and of params.yaml, told by `stages.check` before anything is trained."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.common.allocation import stratified_sides
from stages.common.core.errors import Problem
from stages.common.core.tables import SIDES

NAMING = (  # mappings whose keys are labels; those of `label_merge` are looked at by its `mistakes`
    "evaluate.decision.go", "evaluate.decision.stop", "evaluate.rule.minimise", "evaluate.rule.subject_to",
    "bedside.operating_point.maximise", "bedside.operating_point.caps", "explain.masks",
)  # fmt: skip


def named_labels(sections: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return path in params.yaml -> what is keyed by labels there; a wrong form is left for its stage to refuse.

    Args:
        sections: section -> its content, unchecked.
    """
    named = {}
    for path in NAMING:
        found: Any = sections
        for key in path.split("."):
            found = found.get(key) if isinstance(found, Mapping) else None
        if isinstance(found, Mapping):
            named[path] = found
    return named


def unfilled(labels: NDArray[np.float64], shares: object) -> list[Problem]:
    """Return why protocol `frame` cannot fill its three sides, which `split` refuses; none for shares of wrong form.

    Args:
        labels: (frames, labels) of 1, 0 and NaN.
        shares: side -> whole per cent, as `split.shares` has it.
    """
    if not isinstance(shares, Mapping) or set(shares) != set(SIDES):
        return []
    # which frame goes where is drawn, how many go is not: any generator tells
    if len(labels) and set(stratified_sides(labels, list(shares.values()), np.random.default_rng(0))) == set(SIDES):
        return []
    expected = f"enough for {', '.join(SIDES)} at {list(shares.values())} per cent"
    remedy = "Add clips, or change split.shares in params.yaml."
    return [Problem("protocol frame", "too few frames", expected, f"{len(labels)}", remedy)]
