"""Read what every declared model answered under every declared protocol: what evaluate and evidence both stand on.

Models are those that params.yaml declares, never those that lie on disk.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Self

import pandas as pd
from pydantic import Field

from stages.common.core.errors import Problem
from stages.common.core.params import Strict
from stages.common.evaluation.answers import Answers, Rows, baseline_answers, model_answers, split_rows
from stages.common.evaluation.baselines import RESERVED
from stages.common.evaluation.predictions import Training, read_all, refuse_missing, remove_undeclared
from stages.common.evaluation.sidecars import OWN, giga_operations, refuse_mix
from stages.common.evaluation.thresholds import Threshold
from stages.common.features import TEXTURE, unknown_features
from stages.common.labels import LabelName
from stages.common.protocols import FoldKey, Nothing, Protocol, declared, models_of, read_split, without_bundles
from stages.common.truth import read_labels

PREDICTIONS = Path("data/predictions")
CURVES = Path("data/curves")
CLASSIFY, SEQUENCE = "classify", "sequence"  # stages, and their folders below the predictions
LABELS = Path("data/label_merge/labels.csv")
SPLIT = Path("data/split")


class Declared(Strict):
    """The top-level keys of params.yaml that say which models there are; base of what a reader of answers reads."""

    seed: int  # part of the predictions' place
    seeds: dict[FoldKey, Nothing]  # further ones, of networks alone
    labels: Annotated[dict[LabelName, Any], Field(min_length=1)]  # the keys are the label columns
    architectures: Annotated[dict[str, Any], Field(min_length=1)]  # the keys are the networks
    baselines: dict[str, Any]  # the keys are the classical models
    sequences: dict[str, Any]  # the keys are the models over frames in time
    protocols: dict[Protocol, Nothing]
    folds: dict[FoldKey, Nothing]

    def models(self, protocol: str) -> list[str]:
        """Return the names of all models compared under a protocol."""
        return models_of(protocol, self.architectures, self.baselines, self.sequences)

    def networks_alone(self, **changes: Any) -> Self:
        """Return the same without the models that are no networks."""
        return self.model_copy(update={"baselines": {}, "sequences": {}, **changes})

    def of_seed(self, seed: str) -> Self:
        """Return the same with the networks of a further seed alone."""
        return self.networks_alone(seed=int(seed), seeds={})


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
    """Return every training that params.yaml declares, but for those of further seeds."""
    return [
        Training(protocol, fold, params.seed, model)
        for protocol, folds in declared(params.protocols, params.folds).items()
        for fold, model in product(folds, params.models(protocol))
    ]


def files_of(params: Declared) -> dict[Training, Path]:
    """Return where the predictions table of each declared training lies; its sidecar is beside it as .json.

    The classical models and those over time lie in a folder a model: one run of theirs serves all protocols and folds.
    """
    own = {model: PREDICTIONS / CLASSIFY / model for model in params.baselines}
    own |= {model: PREDICTIONS / SEQUENCE / model for model in params.sequences}
    return {
        training: Path(f"{training.below(own.get(training.model, PREDICTIONS))}.csv") for training in trainings(params)
    }


def clear_undeclared(params: Declared) -> None:
    """Delete predictions and curves of models no longer declared.

    DVC hashes the folders after a run: whichever of the stages runs first must leave them as the others find them.
    """
    each = [params, *(params.of_seed(seed) for seed in params.seeds)]
    tables = [path for one in each for path in files_of(one).values()]
    remove_undeclared(PREDICTIONS, [*tables, *(path.with_suffix(".json") for path in tables)])
    networks = [training for one in each for training in trainings(one.networks_alone())]
    remove_undeclared(CURVES, [training.below(CURVES) for training in networks])


def contradictions(params: Declared) -> list[Problem]:
    """Return what no single entry shows.

    Names used twice or reserved, features that nothing makes, a seed repeated, folds without a protocol beside them.
    """
    names = [*params.architectures, *params.baselines, *params.sequences]
    where = "params.yaml: architectures, baselines, sequences"
    found = [
        Problem(where, "a name of something else", "a name of its own for each model", name, "Rename the model.")
        for name in dict.fromkeys(names)
        if names.count(name) > 1 or name in RESERVED
    ]
    found += unknown_features("baselines", params.baselines, [TEXTURE, *params.architectures])
    found += unknown_features("sequences", params.sequences, params.architectures)
    if str(params.seed) in params.seeds:
        expected = f"others than `seed`, which is {params.seed}"
        found.append(Problem("params.yaml: seeds", "the same seed twice", expected, str(params.seed), "Remove it."))
    return found + without_bundles(params.protocols, params.folds)


def operations_of(params: Declared) -> dict[str, float]:
    """Return model -> 10^9 multiply-adds a picture, as its first sidecar says; a baseline's with its network's.

    Raises:
        PipelineError: a sidecar is absent or does not say.
    """
    found: dict[str, float] = {}
    for training, path in files_of(params).items():
        if training.model not in found:
            found[training.model] = giga_operations(path.with_suffix(".json"))
    for baseline, entry in params.baselines.items():  # a classifier of activations costs the network that makes them
        reads = entry.get("features") if isinstance(entry, Mapping) else None
        found[baseline] = found.get(baseline, 0.0) + found.get(str(reads), 0.0)
    return found


def refuse_mixed_seeds(params: Declared) -> None:
    """Refuse further seeds whose networks were trained with other params: their difference is no noise.

    Raises:
        PipelineError: a sidecar is absent, or as `refuse_mix`.
    """
    each = [params.networks_alone(), *(params.of_seed(seed) for seed in params.seeds)]
    sidecars = {training: path.with_suffix(".json") for one in each for training, path in files_of(one).items()}
    refuse_missing(list(sidecars.values()))
    refuse_mix(sidecars, own=(*OWN, "seed"))


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
        for model in params.models(protocol):
            scores = pd.concat([tables[Training(protocol, fold, params.seed, model)] for fold in folds]).to_numpy(float)
            answers[model] = model_answers(rows[protocol], scores, labels, threshold)
        found[protocol] = Protocoled(rows[protocol], answers)
    return found
