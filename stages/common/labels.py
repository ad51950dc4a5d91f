"""The labels as params.yaml declares them: another organ's labels stand in the same place."""

import re
from collections.abc import Iterable, Mapping
from typing import Annotated

from pydantic import AfterValidator, Field

from stages.common.core.errors import Problem
from stages.common.core.params import Strict
from stages.common.core.tables import FRAME_COLUMNS, LABEL_COLUMNS, SPLIT_COLUMNS

NAME = re.compile(r"[a-z][a-z0-9_]*")
# What stands beside the labels in a table (`split` in predictions) or in the count of their combinations
RESERVED = tuple(dict.fromkeys((*LABEL_COLUMNS, *FRAME_COLUMNS, *SPLIT_COLUMNS, "split", "none", "unknown")))


class Label(Strict):
    """An entry of `labels`; its key names the label everywhere downstream, its order is the networks' output order."""

    column: str = Field(min_length=1)  # its column in the expert's sheets, compared without case, spaces, punctuation


class Imbalance(Strict):
    """What training does about rare labels; all off as shipped, because each shifts the probabilities."""

    pos_weight: bool  # a label's positives weigh as much as its negatives
    focal_gamma: float = Field(ge=0, le=10)  # Lin et al. 2017; 0 is plain cross-entropy
    balanced_sampling: bool  # each combination of labels is drawn equally often


def label_name(name: str) -> str:
    """Return the name of a label; raises ValueError, with what is expected, where tables could not hold it."""
    if not NAME.fullmatch(name) or name in RESERVED:
        raise ValueError(f"a lower-case letter, then letters, digits and _, and none of {', '.join(RESERVED)}")
    return name


LabelName = Annotated[str, AfterValidator(label_name)]  # as a key: dict[LabelName, Label]


def unusable_names(names: Iterable[str]) -> list[Problem]:
    """Return a problem for each name that no label can have."""
    problems = []
    for name in names:
        try:
            label_name(name)
        except ValueError as error:
            where, what = "params.yaml: labels", "name of a label"
            problems.append(Problem(where, what, str(error), repr(name), "Rename the label."))
    return problems


def unknown_labels(labels: Iterable[str], named: Mapping[str, Iterable[str]]) -> list[Problem]:
    """Return a problem for each label that a parameter names and `labels` does not declare.

    Args:
        labels: those declared.
        named: path in params.yaml, e.g. `evaluate.decision.go` -> the labels that stand there.
    """
    known = list(labels)
    return [
        Problem(
            f"params.yaml: {key}", "unknown label", f"one of {', '.join(known)}", repr(name), "Name a key of `labels`."
        )
        for key, names in named.items()
        for name in names
        if name not in known
    ]
