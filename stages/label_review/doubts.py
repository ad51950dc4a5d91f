"""What is doubted of the answers under one protocol, and in which order the expert is asked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.common.evaluation.baselines import BASELINES
from stages.common.evaluation.reading import Protocoled
from stages.label_review.calibration import calibrated
from stages.label_review.stretches import Stretch, Timeline, suspected_stretches
from stages.label_review.suspicion import Score, Suspicion, suspicion, wrong_answers


@dataclass(frozen=True)
class Doubts:
    """What is doubted under the protocol that is reviewed.

    Attributes:
        timeline: all frames, and where the rows of the predictions stand.
        of_label: label -> what is doubted, aligned to `timeline.rows`.
        means: label -> (frames,) mean probability over models, NaN where none was asked.
    """

    timeline: Timeline
    of_label: Mapping[str, Suspicion]
    means: Mapping[str, NDArray[np.float64]]


def doubts(of: Protocoled, sides: Sequence[str], frames: pd.DataFrame, labels: Sequence[str], score: Score) -> Doubts:
    """Return what is doubted of the rows on `sides`.

    Args:
        of: what every model answered under the reviewed protocol.
        sides: those reviewed.
        frames: labels.csv sorted by clip and frame.
        labels: the label columns.
        score: how cleanlab scores a label.
    """
    places = pd.Series(np.arange(len(frames)), index=frames["frame_id"])
    chosen = np.flatnonzero(of.rows.frames["side"].isin(sides))
    where = places.loc[of.rows.frames["frame_id"].iloc[chosen]].to_numpy()
    chosen, where = chosen[np.argsort(where)], np.sort(where)
    models = [answers for name, answers in of.models.items() if name not in BASELINES]
    mean = np.mean([answers.scores[chosen] for answers in models if answers.scores is not None], axis=0)
    patients = of.rows.patients[chosen]
    means = {label: np.full(len(frames), np.nan) for label in labels}
    of_label = {}
    for column, label in enumerate(labels):
        means[label][where] = mean[:, column]
        truth = of.rows.truth[chosen, column]
        wrong = wrong_answers(truth, [answers.said[chosen, column] for answers in models])
        of_label[label] = suspicion(truth, calibrated(truth, mean[:, column], patients), wrong, score)
    return Doubts(Timeline(frames, where), of_label, means)


def worst_first(found: Doubts, bridge: int) -> list[Stretch]:
    """Return every doubted stretch, the least believed first."""
    stretches = [
        stretch
        for label, doubt in found.of_label.items()
        for stretch in suspected_stretches(found.timeline, label, doubt, bridge)
    ]
    return sorted(stretches, key=lambda of: (round(of.quality or 0.0, 9), of.start, of.label))


def counts_of(found: Doubts, stretches: Sequence[Stretch], listed: Sequence[Stretch]) -> dict[str, dict[str, Any]]:
    """Return how many of each label are known, doubted and asked about."""
    return {
        label: {
            "known": int((~np.isnan(doubt.quality)).sum()),
            "doubted": int(doubt.suspected.sum()),
            "stretches": sum(of.label == label for of in stretches),
            "listed": sum(of.label == label for of in listed),
            "why": doubt.why,
        }
        for label, doubt in found.of_label.items()
    }
