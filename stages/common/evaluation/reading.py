"""Read what every declared model answered under every declared protocol: what evaluate and evidence both stand on.

Models are those that params.yaml declares, never those that lie on disk.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
from pydantic import Field

from stages.common.evaluation.answers import Answers, Rows, baseline_answers, model_answers, split_rows
from stages.common.evaluation.predictions import Training, read_all, refuse_missing, refuse_mix
from stages.common.evaluation.thresholds import Threshold
from stages.common.labels import LabelName
from stages.common.params import Strict
from stages.common.protocols import FoldKey, Nothing, Protocol, declared, read_split
from stages.common.truth import read_labels

PREDICTIONS = Path("data/predictions")
CURVES = Path("data/curves")
LABELS = Path("data/label_merge/labels.csv")
SPLIT = Path("data/split")


class Declared(Strict):
    """The top-level keys of params.yaml that say which models there are; base of what a reader of answers reads."""

    seed: int  # part of the predictions' place
    labels: Annotated[dict[LabelName, Any], Field(min_length=1)]  # the keys are the label columns
    architectures: Annotated[dict[str, Any], Field(min_length=1)]  # the keys are the models
    protocols: dict[Protocol, Nothing]
    folds: dict[FoldKey, Nothing]


@dataclass(frozen=True)
class Protocoled:
    """What was asked and answered under one protocol.

    Attributes:
        rows: the validation and test frames, fold by fold.
        models: model -> its answers to those rows; `label_copy` and `majority` first.
    """

    rows: Rows
    models: Mapping[str, Answers]


def trainings(params: Declared) -> list[Training]:
    """Return every training that params.yaml declares."""
    return [
        Training(protocol, fold, params.seed, model)
        for protocol, folds in declared(params.protocols, params.folds).items()
        for fold, model in product(folds, params.architectures)
    ]


def files_of(params: Declared) -> dict[Training, Path]:
    """Return where the predictions table of each declared training lies; its sidecar is beside it as .json."""
    return {training: Path(f"{training.below(PREDICTIONS)}.csv") for training in trainings(params)}


def read_answers(params: Declared, threshold: Threshold) -> dict[str, Protocoled]:
    """Return protocol -> its rows and what each model answers to them at `threshold`.

    Raises:
        PipelineError: files are missing, tables do not fit the split, or models were trained with different params.
    """
    files, labels = files_of(params), list(params.labels)
    sidecars = {training: path.with_suffix(".json") for training, path in files.items()}
    refuse_missing([*files.values(), *sidecars.values()])
    refuse_mix(sidecars)
    frames = read_labels(LABELS, labels)
    protocols = declared(params.protocols, params.folds)
    splits = {protocol: read_split(SPLIT / f"{protocol}.csv", folds, frames) for protocol, folds in protocols.items()}
    rows = {protocol: split_rows(split, labels) for protocol, split in splits.items()}
    tables = read_all(files, {protocol: of.frames for protocol, of in rows.items()}, labels)
    found = {}
    for protocol, folds in protocols.items():
        answers = baseline_answers(splits[protocol], labels)
        for model in params.architectures:
            scores = pd.concat([tables[Training(protocol, fold, params.seed, model)] for fold in folds]).to_numpy(float)
            answers[model] = model_answers(rows[protocol], scores, labels, threshold)
        found[protocol] = Protocoled(rows[protocol], answers)
    return found
