"""What a trial is judged by: the probabilities of validation frames beside the expert's labels of those frames.

A row of another side is dropped before its numbers are looked at: nothing here can tell whether test rows exist.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import log_loss

from stages.common.core.errors import PipelineError
from stages.common.core.tables import DIGITS, SPLIT_COLUMNS, read_table
from stages.common.evaluation.predictions import Training
from stages.common.evaluation.reading import LABELS, PREDICTIONS, SPLIT
from stages.common.evaluation.scores import Truth, average_precision
from stages.common.truth import read_labels

MAXIMISED = ("average_precision",)
ROUNDED = 0.5 * 10.0**-DIGITS  # a probability of 0 or 1 in the table is one that was rounded: no infinite loss


def files_of(trainings: Sequence[Training]) -> list[Path]:
    """Return the tables that the score of a trial with these trainings is read from."""
    predictions = [Path(f"{training.below(PREDICTIONS)}.csv") for training in trainings]
    return [LABELS, *dict.fromkeys(SPLIT / f"{training.protocol}.csv" for training in trainings), *predictions]


def validation_scores(
    root: Path, trainings: Sequence[Training], labels: Sequence[str], objective: str
) -> dict[str, float]:
    """Return model -> its score on the validation frames.

    Args:
        root: folder that `files_of(trainings)` lie below.
        trainings: one a model.
        labels: the probability columns.
        objective: log_loss or average_precision.

    Raises:
        PipelineError: a table lacks a validation frame, or holds another on that side.
    """
    return {training.model: _score(root, training, labels, objective) for training in trainings}


def _score(root: Path, training: Training, labels: Sequence[str], objective: str) -> float:
    split = read_table(root / SPLIT / f"{training.protocol}.csv", SPLIT_COLUMNS, text=SPLIT_COLUMNS)
    mine = split[(split["fold"] == training.fold) & (split["side"] == "validation")]
    path = root / f"{training.below(PREDICTIONS)}.csv"
    said = read_table(path, ["frame_id", "split", *labels], text=("frame_id", "split"))
    said = said[said["split"] == "validation"].set_index("frame_id")
    if set(said.index) != set(mine["frame_id"]) or mine.empty:
        raise PipelineError(
            f"{path}: expected the {len(mine)} validation frames of the split, got {len(said)} rows. Run it again."
        )
    known = read_labels(root / LABELS, labels).set_index("frame_id").loc[said.index]
    return judged(objective, known[list(labels)].to_numpy(float), said[list(labels)].to_numpy(float), _patients(known))


def _patients(known: pd.DataFrame) -> NDArray[np.object_]:
    return known["patient"].to_numpy(dtype=object)


def judged(objective: str, truth: Truth, scores: Truth, patients: NDArray[np.object_]) -> float:
    """Return the mean over labels of the mean over patients: a patient counts once, however long the clips.

    Args:
        objective: `log_loss`, natural logarithm, defined for every patient with a known label; or `average_precision`,
            of patients that have frames with and without the label.
        truth: (rows, labels) of 1, 0 and NaN, which is left out.
        scores: (rows, labels) probabilities.
        patients: (rows,).

    Raises:
        PipelineError: no label can be judged.
    """
    if objective in MAXIMISED:
        found = average_precision(truth, scores, patients)
    else:
        found = [_loss(truth[:, label], scores[:, label], patients) for label in range(truth.shape[1])]
    defined = [value for value in found if value is not None]
    if not defined:
        raise PipelineError(
            f"{objective}: expected validation frames that show at least one label, got none. Try objective: log_loss, "
            "or another split."
        )
    return float(np.mean(defined))


def _loss(truth: NDArray[np.float64], scores: NDArray[np.float64], patients: NDArray[np.object_]) -> float | None:
    known = ~np.isnan(truth)
    parts = [known & (patients == patient) for patient in np.unique(patients[known])]
    bounded = scores.clip(ROUNDED, 1 - ROUNDED)
    losses = [log_loss(truth[rows], bounded[rows], labels=[0, 1]) for rows in parts]
    return float(np.mean(losses)) if losses else None


def mean_of(scores: Mapping[str, float]) -> float:
    """Return the score of a trial: its networks share lr and epochs, so they share the judgement."""
    return float(np.mean(list(scores.values())))
