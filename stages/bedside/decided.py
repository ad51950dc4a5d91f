"""The test rows of one protocol with the expert's decision, and what one model decided for them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.bedside.clock import timed
from stages.bedside.operating import Decider
from stages.common.evaluation.answers import Rows
from stages.common.evaluation.decision import DECISIONS, Decision, decide
from stages.common.evaluation.scores import Truth

UNKNOWN_NAME = "unknown"
NAMES = np.array([*DECISIONS, UNKNOWN_NAME], dtype=object)  # UNKNOWN is -1: the last


@dataclass(frozen=True)
class Decided:
    """One model's decisions on test rows, clip by clip in time.

    Attributes:
        frames: frame_id, clip_id, patient, frame_index, time_s, duration_s, span_s, clip_frames.
        labels: names of the label columns.
        truth: (rows, labels) of 1, 0 and NaN.
        expert: (rows,) the expert's decision, UNKNOWN where unknown labels leave it open.
        decider: who said what.
        decision: (rows,) the model's decision.
    """

    frames: pd.DataFrame
    labels: Sequence[str]
    truth: Truth
    expert: NDArray[np.int64]
    decider: Decider
    decision: NDArray[np.int64]

    @property
    def patients(self) -> NDArray[np.object_]:
        """(rows,) the patient of each row."""
        return self.frames["patient"].to_numpy(dtype=object)

    @property
    def seconds(self) -> NDArray[np.float64]:
        """(rows,) how long each frame stands; NaN in clips without times."""
        return self.frames["duration_s"].to_numpy(float)

    def clips(self) -> dict[str, slice]:
        """Return clip -> its rows, which stand together."""
        names, starts, counts = np.unique(
            self.frames["clip_id"].to_numpy(dtype=str), return_index=True, return_counts=True
        )
        found = zip(names, starts, counts, strict=True)
        return {str(name): slice(int(start), int(start + count)) for name, start, count in found}


def on_test(rows: Rows, decider: Decider, clock: pd.DataFrame, labels: Sequence[str], decision: Decision) -> Decided:
    """Return the answered test rows of a protocol, in the order of clips and frames.

    Raises:
        PipelineError: a frame is not in frames.csv.
    """
    answered = rows.on("test") & (decider.answered_by != "")
    places = np.flatnonzero(answered)
    keys = rows.frames.iloc[places]
    order = places[np.lexsort((keys["frame_index"].to_numpy(), keys["clip_id"].to_numpy(dtype=str)))]
    columns = ["frame_id", "clip_id", "patient", "frame_index"]
    frames = timed(rows.frames.iloc[order][columns].reset_index(drop=True), clock)
    truth, mine = rows.truth[order], decider[order]
    return Decided(
        frames=frames,
        labels=labels,
        truth=truth,
        expert=decide(truth, labels, decision),
        decider=mine,
        decision=decide(mine.said.astype(float), labels, decision),
    )


def decisions_table(of: Decided) -> pd.DataFrame:
    """Return data/bedside/<protocol>/<model>.csv: a row a test frame; probabilities are blank for a baseline."""
    table = of.frames.drop(columns=["clip_frames", "span_s"]).assign(answered_by=of.decider.answered_by)
    for column, label in enumerate(of.labels):
        table[f"{label}_truth"] = pd.array(of.truth[:, column], dtype="Int8")
        table[f"{label}_probability"] = np.nan if of.decider.after is None else of.decider.after[:, column]
        table[f"{label}_said"] = of.decider.said[:, column].astype(np.int8)
    return table.assign(truth=NAMES[of.expert], decision=NAMES[of.decision])


def timeline(of: Decided) -> pd.DataFrame:
    """Return what a timeline of each clip draws; columns as in the stage's docstring."""
    unused = ["frame_id", "answered_by", *(f"{label}_said" for label in of.labels)]
    return decisions_table(of).drop(columns=unused)
