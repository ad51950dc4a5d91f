"""What is asked of one network: which of its answers are shown, and which frames its heat is measured on."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stages.common.evaluation.answers import Answers, Rows
from stages.common.evaluation.predictions import Training
from stages.explain.choice import Shown, choose, evenly
from stages.explain.params import Params

Pair = tuple[int, int]  # row of the protocol, column of the label


@dataclass(frozen=True)
class Asked:
    """One training under one protocol.

    Attributes:
        training: whose answers.
        rows: the protocol's validation and test frames.
        answers: what the model said of them.
        shown: the gallery.
        measured: the pairs whose heat is measured for the summary.
    """

    training: Training
    rows: Rows
    answers: Answers
    shown: list[Shown]
    measured: list[Pair]

    def pairs(self) -> list[Pair]:
        """Return every pair that needs a heatmap, once, in the order of the rows."""
        return sorted({*((shown.row, shown.column) for shown in self.shown), *self.measured})

    def looked_at(self) -> list[int]:
        """Return the rows of `pairs`, once each."""
        return sorted({row for row, _ in self.pairs()})

    def frames(self) -> Iterator[tuple[str, int]]:
        """Yield clip_id and frame_index of every row that is looked at."""
        chosen = self.rows.frames.iloc[self.looked_at()]
        yield from zip(chosen["clip_id"], chosen["frame_index"].astype(int), strict=True)

    def frame_ids(self, rows: list[int]) -> list[str]:
        """Return the names of rows."""
        return list(self.rows.frames["frame_id"].iloc[rows])

    @property
    def scores(self) -> NDArray[np.float64]:
        """(rows, labels) probabilities as the predictions table holds them."""
        return np.asarray(self.answers.scores, float)


def ask(training: Training, rows: Rows, answers: Answers, params: Params) -> Asked:
    """Choose what is shown and measured of one model under one protocol."""
    labels, section = list(params.labels), params.explain
    positive = rows.on("test")[:, None] & (rows.truth == 1)
    measured = [
        (int(row), column)
        for column, label in enumerate(labels)
        if label in section.masks
        for row in evenly(positive[:, column], section.measured_per_label)
    ]
    return Asked(training, rows, answers, choose(rows, answers, labels, section), measured)
