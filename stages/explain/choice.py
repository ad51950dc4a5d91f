"""Which answers are looked at: by a rule, never by hand."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice, zip_longest

import numpy as np
from numpy.typing import NDArray

from stages.common.evaluation.answers import Answers, Rows
from stages.explain.params import Explain

MISSED, FALSE_ALARM, RIGHT = "missed", "false alarm", "right"
RULE = (
    "Wrong answers to test frames, in turn from each group (label; missed or false alarm), the most confident first "
    "(farthest from the threshold), at most {per_clip} of one clip in a group and {per_model} of one model under one "
    "protocol; then of each label {right_per_label} of the positives found, the most confident, one a clip."
)


@dataclass(frozen=True)
class Shown:
    """One answer to look at.

    Attributes:
        row: position in the protocol's rows.
        column: position of the label.
        outcome: MISSED (the expert says yes, the model no), FALSE_ALARM (the other way round) or RIGHT (both say yes).
    """

    row: int
    column: int
    outcome: str


def rule(params: Explain) -> str:
    """Return in words how the gallery is chosen."""
    return RULE.format(**params.model_dump())


def wrong(rows: Rows, answers: Answers) -> NDArray[np.bool_]:
    """Return (rows, labels): the test answers that differ from the expert's; an unknown label is never wrong."""
    differs = ((rows.truth == 1) & ~answers.said) | ((rows.truth == 0) & answers.said)
    return differs & rows.on("test")[:, None]


def margins(rows: Rows, answers: Answers, labels: Sequence[str]) -> NDArray[np.float64]:
    """Return (rows, labels): how far each probability lies from its threshold; larger is more confident."""
    limits = [[answers.thresholds[fold][label] for label in labels] for fold in rows.frames["fold"]]
    return np.abs(np.asarray(answers.scores, float) - np.asarray(limits).reshape(-1, len(labels)))


def choose(rows: Rows, answers: Answers, labels: Sequence[str], params: Explain) -> list[Shown]:
    """Return what is shown of one model by `RULE`, errors first; equally confident ones in the order of the frames."""
    far, errors = margins(rows, answers, labels), wrong(rows, answers)
    found = rows.on("test")[:, None] & (rows.truth == 1) & answers.said
    groups = [
        _confident(errors[:, column] & (rows.truth[:, column] == truth), far, rows, params.per_clip, column, outcome)
        for column in range(len(labels))
        for truth, outcome in ((1, MISSED), (0, FALSE_ALARM))
    ]
    in_turn = (shown for turn in zip_longest(*groups) for shown in turn if shown is not None)
    contrast = (
        islice(_confident(found[:, column], far, rows, 1, column, RIGHT), params.right_per_label)
        for column in range(len(labels))
    )
    return [*islice(in_turn, params.per_model), *chain.from_iterable(contrast)]


def _confident(
    candidates: NDArray[np.bool_], far: NDArray[np.float64], rows: Rows, per_clip: int, column: int, outcome: str
) -> Iterator[Shown]:
    """Yield a group's candidates, farthest from the threshold first, at most `per_clip` of a clip."""
    clips, taken = rows.frames["clip_id"].to_numpy(), Counter[str]()
    for row in np.argsort(-far[:, column], kind="stable"):
        if candidates[row] and taken[clips[row]] < per_clip:
            taken[clips[row]] += 1
            yield Shown(int(row), column, outcome)


def evenly(candidates: NDArray[np.bool_], most: int) -> NDArray[np.int64]:
    """Return at most `most` positions of true `candidates`, evenly spaced over all of them."""
    places = np.flatnonzero(candidates)
    if len(places) <= most:
        return places
    return places[np.rint(np.linspace(0, len(places) - 1, most)).astype(np.int64)] if most else places[:0]
