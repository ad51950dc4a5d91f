"""A search as Optuna keeps it: what was asked, which trials there were, and what comes next.

`.search/<name>/study.jsonl` is a journal, a line a fact: a search that is killed loses nothing but the trial that ran.
"""

import copy
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import optuna
import psutil
from optuna.samplers import RandomSampler, TPESampler
from optuna.trial import FrozenTrial, Trial, TrialState

from experiments.overrides import leaves, shown
from experiments.search_journal import open_journal
from experiments.search_score import MAXIMISED
from experiments.search_space import Search, Value, distribution, grid, neat
from experiments.search_trial import runs
from stages.common.core.errors import PipelineError, Problem, raise_all

ROOT = Path(".search")
TPE_RANDOM = 5  # trials that are drawn at random before TPE has anything to go by; Optuna's default is 10
Sampler = Literal["random", "grid", "tpe"]
SETTING, SEARCHER, PROCESS, VALUES, INTERRUPTED = "setting", "searcher", "process", "values", "interrupted"
EXPERIMENT, SCORES = "experiment", "scores"
TWIN = "twin"  # a trial whose values a finished one had: it was not run
TWINS_IN_A_ROW = 50  # then there is hardly another value left to draw


@dataclass(frozen=True)
class Study:
    """One search.

    Attributes:
        name: of its folder.
        sampler: who draws.
        asked: profiles/search.yaml.
        optuna: its trials.
    """

    name: str
    sampler: Sampler
    asked: Search
    optuna: optuna.Study

    @property
    def prefix(self) -> str:
        """What the names of its experiments begin with; the trial's number follows."""
        return f"search-{self.name}-"

    @property
    def counted(self) -> list[FrozenTrial]:
        """The trials that came to an end of their own: finished, pruned or failed; what was interrupted is not one."""
        over = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
        interrupted = self.optuna.user_attrs.get(INTERRUPTED, [])
        return [trial for trial in self.optuna.get_trials(False, states=over) if trial.number not in interrupted]

    @property
    def ran(self) -> list[FrozenTrial]:
        """Those of `counted` that were trained, and are no copy of an earlier one."""
        return [trial for trial in self.counted if TWIN not in trial.user_attrs]

    @property
    def exhausted(self) -> bool:
        """Whether a grid has no point left, or a sampler draws nothing any more that was not tried."""
        if self.sampler == "grid":
            return not self.optuna.get_trials(False, states=(TrialState.WAITING,))
        last = self.counted[-TWINS_IN_A_ROW:]
        return len(last) == TWINS_IN_A_ROW and all(TWIN in trial.user_attrs for trial in last)

    @property
    def best(self) -> FrozenTrial | None:
        """The finished trial with the best score; the earlier of two equal ones."""
        finished = [trial for trial in self.counted if trial.state == TrialState.COMPLETE]
        sign = -1.0 if self.asked.objective in MAXIMISED else 1.0
        return min(finished, key=lambda trial: (sign * float(trial.value or 0.0), trial.number), default=None)


class PresentMedianPruner(optuna.pruners.MedianPruner):
    """Optuna's median pruner, shown a trial's present value alone.

    Optuna's own compares the best value so far: a good first network would shield all that are trained after it.
    """

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        """Return whether the value at the last step is worse than the finished trials' median at that step."""
        present = copy.copy(trial)
        present.intermediate_values = {
            step: value for step, value in trial.intermediate_values.items() if step == trial.last_step
        }
        return super().prune(study, present)


def folder_of(name: str) -> Path:
    """Return where a search keeps its journal, its logs, its table and its plot."""
    return ROOT / name


def open_study(name: str, sampler: Sampler, asked: Search, setting: Mapping[str, Any]) -> Study:
    """Begin a search, or go on with it.

    Args:
        name: of its folder.
        sampler: who draws.
        asked: profiles/search.yaml.
        setting: whatever two trials must share to be comparable.

    Raises:
        PipelineError: it was begun with another setting, or it runs already.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    folder_of(name).mkdir(parents=True, exist_ok=True)
    found = optuna.create_study(
        storage=open_journal(folder_of(name) / "study.jsonl"),
        study_name=name,
        load_if_exists=True,
        direction="maximize" if asked.objective in MAXIMISED else "minimize",
        pruner=PresentMedianPruner(asked.pruning.after_trials, asked.pruning.after_quarters + 1),  # the first step is 1
    )
    _refuse_another(found, name, setting)
    _refuse_twice(found, name)
    study = Study(name, sampler, asked, found)
    if sampler == "grid":
        for point in grid(asked.space, asked.seed):  # again after a kill: what is there is not added twice
            found.enqueue_trial(point, skip_if_exists=True)
    return study


def _refuse_another(study: optuna.Study, name: str, setting: Mapping[str, Any]) -> None:
    if SETTING not in study.user_attrs:
        study.set_user_attr(SETTING, dict(setting))
    then, now = dict(leaves(study.user_attrs[SETTING])), dict(leaves(setting))
    keys = [key for key in [*then, *(key for key in now if key not in then)] if then.get(key) != now.get(key)]
    lowest = [key for key in keys if not any(other.startswith(f"{key}.") for other in keys)]
    bring = "Bring it back, or begin another search: --name."
    raise_all(
        [
            Problem(f"search {name}: {key}", "other than it began", shown(then.get(key)), shown(now.get(key)), bring)
            for key in lowest
        ],
        f"{folder_of(name)} holds trials that cannot be compared with new ones",
    )  # fmt: skip


def _refuse_twice(study: optuna.Study, name: str) -> None:
    other = study.user_attrs.get(SEARCHER)
    if other and other[0] != os.getpid() and runs(*other):
        raise PipelineError(f"search {name} runs already, as process {other[0]}. Wait for it, or stop it.")
    study.set_user_attr(SEARCHER, [os.getpid(), psutil.Process().create_time()])


def again(study: Study, trial: FrozenTrial) -> None:
    """Mark a trial that something interrupted as failed, and put its values in line."""
    values = trial.params or trial.system_attrs.get("fixed_params", {})  # killed before it had its values: as queued
    study.optuna.enqueue_trial(values)
    study.optuna.set_user_attr(INTERRUPTED, [*study.optuna.user_attrs.get(INTERRUPTED, []), trial.number])
    study.optuna.tell(trial.number, state=TrialState.FAIL)


def interrupted(study: Study) -> list[FrozenTrial]:
    """Return the trials that were running when the search was killed."""
    return study.optuna.get_trials(False, states=(TrialState.RUNNING,))


def draw(study: Study) -> tuple[Trial, dict[str, Value]]:
    """Return the next trial and its values.

    Every trial has a sampler with a seed of its own, so that a search that was stopped draws what it would have drawn.
    """
    drawn = [trial for trial in study.optuna.get_trials(False) if "fixed_params" not in trial.system_attrs]
    seed = int(np.random.SeedSequence([study.asked.seed, len(drawn)]).generate_state(1)[0])
    tpe = study.sampler == "tpe"
    study.optuna.sampler = TPESampler(seed=seed, n_startup_trials=TPE_RANDOM) if tpe else RandomSampler(seed=seed)
    trial = study.optuna.ask({key: distribution(axis) for key, axis in study.asked.space.items()})
    values = {key: neat(trial.params[key], axis) for key, axis in study.asked.space.items()}
    trial.set_user_attr(VALUES, values)
    return trial, values


def same_as(study: Study, values: Mapping[str, Value]) -> FrozenTrial | None:
    """Return a finished trial of the same values: it need not be run twice."""
    finished = [trial for trial in study.counted if trial.state == TrialState.COMPLETE]
    return next((trial for trial in finished if trial.user_attrs[VALUES] == values), None)
