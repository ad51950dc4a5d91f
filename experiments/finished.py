"""What DVC knows of the queued and finished experiments, and what each finished one gave for every patient."""

import contextlib
import json
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from dvc.api import DVCFileSystem

from experiments.run_dvc import dvc
from stages.common.core.errors import PipelineError
from stages.common.core.params import read_by
from stages.common.evaluation.reading import LABELS, PREDICTIONS, SPLIT, Declared, Protocoled, read_answers
from stages.common.evaluation.scores import macro_f1
from stages.common.evaluation.thresholds import Threshold

Scores = dict[str, dict[str, float | None]]  # protocol -> model -> macro F1 on test
PatientScores = dict[str, dict[str, dict[str, float]]]  # protocol -> model -> patient -> macro F1 on test


@dataclass(frozen=True)
class Experiment:
    """One experiment as `dvc exp show --json` tells it.

    Attributes:
        rev: its commit.
        state: queued, running, failed, or finished.
        params: the content of its params.yaml.
        scores: its metrics/summary.json; empty until it is finished.
    """

    rev: str
    state: str
    params: dict[str, Any]
    scores: Scores


def exp_show(rev: str) -> list[dict[str, Any]]:
    """Return what `dvc exp show --json` says of the experiments derived from `rev`.

    Raises:
        PipelineError: DVC fails.
    """
    shown: list[dict[str, Any]] = json.loads(dvc("exp", "show", "--json", "--rev", rev))
    return shown


def experiments_in(shown: list[dict[str, Any]], prefix: str) -> dict[str, Experiment]:
    """Return the experiments whose name begins with `prefix`, by the rest of it; the latest of a name."""
    found: dict[str, tuple[str, Experiment]] = {}
    for commit in shown:
        for entry in commit.get("experiments") or []:
            name = entry.get("name") or ""
            last = (entry.get("revs") or [{}])[0]
            data = last.get("data") or {}
            stamp = str(data.get("timestamp"))
            if name.startswith(prefix) and stamp >= found.get(name, ("", None))[0]:
                found[name] = (stamp, _experiment(last.get("rev", ""), data, entry.get("executor") or {}))
    return {name.removeprefix(prefix): experiment for name, (_, experiment) in sorted(found.items())}


def _experiment(rev: str, data: Mapping[str, Any], executor: Mapping[str, Any]) -> Experiment:
    state = str(executor.get("state") or "success").lower()
    summary = _content(data, "metrics", "metrics/summary.json")
    finished = state == "success" and bool(summary)
    return Experiment(
        rev, "finished" if finished else state, _content(data, "params", "params.yaml"), summary if finished else {}
    )


def _content(data: Mapping[str, Any], kind: str, path: str) -> dict[str, Any]:
    return dict(((data.get(kind) or {}).get(path) or {}).get("data") or {})


def fetch(rev: str, paths: Iterable[Path], folder: Path, repository: Path = Path()) -> None:
    """Copy outputs of an experiment below `folder`, from the cache of a repository.

    Raises:
        PipelineError: they are no longer there.
    """
    files = DVCFileSystem(str(repository.resolve()), rev=rev)
    for path in paths:
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            files.get(str(path), str(target), recursive=True)
        except FileNotFoundError as error:
            raise PipelineError(
                f"{path} of experiment {rev[:7]} is gone from DVC's cache: {error}. Run it again."
            ) from error


def patient_scores(experiment: Experiment) -> PatientScores:
    """Return what each patient's test frames gave, from the predictions of a finished experiment.

    Raises:
        PipelineError: its outputs are no longer in DVC's cache.
    """
    content = experiment.params
    with tempfile.TemporaryDirectory() as folder:
        fetch(experiment.rev, (PREDICTIONS, LABELS, SPLIT), Path(folder))
        with contextlib.chdir(folder):
            threshold = Threshold.model_validate(content["evaluate"]["threshold"])
            found = read_answers(Declared.model_validate(read_by(Declared, content)), threshold)
    return {
        protocol: {model: _by_patient(of, model) for model in content["architectures"]}
        for protocol, of in found.items()
    }


def _by_patient(of: Protocoled, model: str) -> dict[str, float]:
    test = of.rows.on("test")
    rows, answers = of.rows[test], of.models[model][test]
    found = {}
    for patient in np.unique(rows.patients):
        mine = rows.patients == patient
        score = macro_f1(rows.truth[mine], answers.said[mine])
        if score is not None:  # a patient with no positive frame of any label has no F1
            found[str(patient)] = score
    return found
