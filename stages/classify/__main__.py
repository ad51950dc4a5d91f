"""Fit one classical baseline, a classifier a label, under every declared protocol and fold.

    python -m stages.classify knn_texture

Reads   data/features/texture/frames.npy                                or, of a network,
        data/features/<architecture>/<protocol>/<fold>/<seed>.npy       (N, D), row i = row i of frames.csv
        data/extract_frames/frames.csv, data/label_merge/labels.csv, data/split/<protocol>.csv
        data/preprocess/original.npy                                    for its digest alone
Writes  data/predictions/classify/<system>/<protocol>/<fold>/<seed>/<system>
            .csv    frame_id, split, one probability a label
            .json   what it was made from, and which hyper-parameters were chosen for each label

Fitted on the original pictures of the training side alone, not on augmented ones. Hyper-parameters are chosen a label
each; test rows choose nothing. An unknown label leaves its frame out of that label's fit and choice.

On texture `classify.chosen_by` says who chooses: validation, or the training side's own patients. On a network's
activations validation rows alone do: those of training frames are surer than those of new frames, because the network
learnt their labels, and would choose whatever trusts them most. Where validation lacks a class the first of the grid
is taken, and said.
"""

import argparse
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from stages.classify.choosing import Choice, Chooses, Side, choose
from stages.classify.classifiers import Probabilities, Values
from stages.classify.params import Baseline, Shared, params_of
from stages.common.core.errors import raise_all, run
from stages.common.core.files import digest, replacing, write_json
from stages.common.core.params import read_params
from stages.common.core.progress import in_parallel
from stages.common.core.tables import write_table
from stages.common.dataset import digests, read_frames, read_sides, read_truth
from stages.common.features import (
    FEATURES,
    asked_rows,
    clear_undeclared_places,
    features_file,
    places_of,
    predictions_of,
    read_features,
    unusable,
)

OUT = Path("data/predictions/classify")


@dataclass(frozen=True)
class Task:
    """One protocol and fold.

    Attributes:
        features: file of the features of all frames; absolute, because a process keeps the folder that it started in.
        rows: side -> row numbers.
    """

    protocol: str
    fold: str
    features: Path
    rows: Mapping[str, NDArray[np.int64]]


def side_of(values: Values, truth: NDArray[np.float32], patients: NDArray[np.object_], rows: NDArray[np.int64]) -> Side:
    """Return those of `rows` whose label is known."""
    known = rows[~np.isnan(truth[rows])]
    return Side(values[known], truth[known], patients[known])


def answer(
    asked: tuple[Task, int], truth: NDArray[np.float32], patients: NDArray[np.object_], how: Mapping[str, Chooses]
) -> tuple[Choice, Probabilities]:
    """Return what was chosen for one label of one task, and its probabilities of the validation and test rows."""
    task, label = asked
    values = read_features(task.features)
    train, validation = (
        side_of(values, truth[:, label], patients, task.rows[side]) for side in ("train", "validation")
    )
    with threadpool_limits(1):  # the same bytes on any machine, and small fits that wait for threads are slower
        choice = choose(train, validation, how[task.protocol])
        return choice, choice.says(values[asked_rows(task.rows)])


def sidecar(task: Task, params: Shared, entry: Baseline, chosen: Mapping[str, Choice]) -> dict[str, Any]:
    """Return what stands beside the predictions; evaluate refuses systems made from different data."""
    section = params.classify
    system = {
        **entry.model_dump(),
        "features_digest": digest(task.features),
        "grid": getattr(section, entry.classifier).model_dump(),
        "chosen_by": section.chooser(entry, task.protocol),
        **section.model_dump(include={"score", "patient_folds", "components"}),
    }
    shared = params.model_dump(include={"seed", "labels"})
    return {
        "params": {**shared, **digests(task.protocol, []), "system": system},
        "giga_operations": 0.0,
        "chosen": {label: choice.report for label, choice in chosen.items()},
    }


def tasks_of(params: Shared, entry: Baseline, frames: pd.DataFrame) -> list[Task]:
    """Return a task for each declared protocol and fold.

    Raises:
        PipelineError: every features file that cannot be used, or a fold that is not in its split.
    """
    places = places_of(params.protocols, params.folds)
    clear_undeclared_places(FEATURES, entry.features, places, params.seed)
    files = {place: features_file(entry.features, place, params.seed) for place in places}
    problems = [problem for path in dict.fromkeys(files.values()) for problem in unusable(path, len(frames))]
    raise_all(problems, "the features cannot be used")
    return [Task(*place, path.resolve(), read_sides(place[0], int(place[1]), frames)) for place, path in files.items()]


def how_of(protocol: str, params: Shared, entry: Baseline) -> Chooses:
    """Return how a baseline is fitted under a protocol."""
    by = params.classify.chooser(entry, protocol)
    return Chooses(entry.classifier, params.classify, by, params.seed, alone=entry.learnt)


def main() -> None:
    """Choose, fit and answer, a process a protocol, fold and label."""
    parser = argparse.ArgumentParser(prog="python -m stages.classify", description="Fit one classical baseline.")
    parser.add_argument("system", help="a key of `baselines` in params.yaml")
    system = parser.parse_args().system
    params: Any = read_params(params_of(system))
    entry: Baseline = getattr(params.baselines, system)
    labels, frames = list(params.labels), read_frames()
    truth, patients = read_truth(labels, frames), frames["patient"].to_numpy(object)
    tasks = tasks_of(params, entry, frames)
    how = {protocol: how_of(protocol, params, entry) for protocol, _ in params.classify.chosen_by}
    asked = [(task, label) for task in tasks for label in range(len(labels))]
    work = partial(answer, truth=truth, patients=patients, how=how)
    found = [result for _, result in in_parallel(work, asked, system, unit="classifier", threads=False)]
    with replacing(OUT / system) as folder:
        folder.mkdir()
        for number, task in enumerate(tasks):
            mine = found[number * len(labels) : (number + 1) * len(labels)]
            write_task(folder, system, task, dict(zip(labels, mine, strict=True)), frames, params, entry)


def write_task(
    folder: Path,
    system: str,
    task: Task,
    found: Mapping[str, tuple[Choice, Probabilities]],
    frames: pd.DataFrame,
    params: Shared,
    entry: Baseline,
) -> None:
    """Write one protocol's and fold's table and sidecar; say what a person should hear of."""
    place = folder / task.protocol / task.fold / str(params.seed) / system
    said = np.column_stack([said for _, said in found.values()])
    write_table(Path(f"{place}.csv"), predictions_of(said, task.rows, frames["frame_id"], list(found)))
    chosen = {label: choice for label, (choice, _) in found.items()}
    write_json(Path(f"{place}.json"), sidecar(task, params, entry, chosen))
    for label, choice in chosen.items():
        if choice.remark:
            print(f"{system}: {task.protocol} {task.fold}: {label}: {choice.remark}", file=sys.stderr)


if __name__ == "__main__":
    run(main)
