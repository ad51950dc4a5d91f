"""The loop of a search: draw, run, judge, record, until the budget is spent."""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from optuna.trial import Trial, TrialState
from tqdm import tqdm

from experiments.plan import Plan
from experiments.search_dvc import Runner
from experiments.search_page import DIGITS
from experiments.search_score import MAXIMISED, mean_of
from experiments.search_space import Value
from experiments.search_study import EXPERIMENT, PROCESS, SCORES, TWIN, Study, again, draw, interrupted, same_as
from experiments.search_trial import runs, stop
from stages.common.core.errors import PipelineError

FAILED_IN_A_ROW = 3  # then something is wrong that other values will not mend
LOG_LINES = 8


@dataclass(frozen=True)
class Budget:
    """When no further trial begins; one that runs is finished.

    Attributes:
        trials: that are run, earlier calls included; None for no limit.
        minutes: of this call; None for no limit.
    """

    trials: int | None
    minutes: float | None

    def left(self, study: Study, passed_s: float) -> bool:
        """Return whether another trial may begin, so many seconds after this call did."""
        over = self.minutes is not None and passed_s >= 60 * self.minutes
        return not over and not study.exhausted and (self.trials is None or len(study.ran) < self.trials)


def search(
    study: Study,
    planned: Callable[[dict[str, Value]], Plan],
    budget: Budget,
    runner: Runner,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Run trials while there is budget.

    Args:
        study: new, or with the trials of earlier calls.
        planned: makes of a trial's values what DVC is asked for.
        budget: of trials and time.
        runner: runs them.
        clock: seconds.

    Raises:
        PipelineError: several trials in a row failed.
    """
    begun = clock()
    _heal(study, runner)
    with tqdm(total=budget.trials, initial=len(study.ran), desc=study.name, unit="trial", disable=None) as progress:
        while budget.left(study, clock() - begun):
            trial, values = draw(study)
            name = f"{study.prefix}{trial.number:03d}"
            print(f"{name}: {_said(values)}", file=sys.stderr, flush=True)
            _one(study, trial, name, planned(values), values, runner)
            _refuse_hopeless(study, runner)
            progress.update(len(study.ran) - progress.n)


def _heal(study: Study, runner: Runner) -> None:
    """Bring in order what a killed search left: its trial is failed, and runs again from the start."""
    for trial in interrupted(study):
        process = trial.user_attrs.get(PROCESS)
        if process and runs(*process):
            stop(process[0])
        name = f"{study.prefix}{trial.number:03d}"
        runner.remove(name)
        print(f"{name} was interrupted; it runs again", file=sys.stderr)
        again(study, trial)


def _said(values: dict[str, Value]) -> str:
    return ", ".join(f"{key}={value}" for key, value in values.items())


def _one(study: Study, trial: Trial, name: str, planned: Plan, values: dict[str, Value], runner: Runner) -> None:
    """Run one trial and record how it went."""
    twin = same_as(study, values)
    if twin:
        trial.set_user_attr(TWIN, twin.number)
        _finish(study, trial, twin.user_attrs[EXPERIMENT], twin.user_attrs[SCORES])
        return
    sign = -1.0 if study.asked.objective in MAXIMISED else 1.0  # a loss, as what is maximised sees it

    def hopeless(quarter: int, loss: float) -> bool:
        trial.report(sign * loss, quarter)
        return trial.should_prune()

    status = runner.run(name, planned, lambda *process: trial.set_user_attr(PROCESS, list(process)), hopeless)
    if status == 0:
        scores = runner.scores(name)
        final = f"{name}-{mean_of(scores):.{DIGITS}f}"
        runner.rename(name, final)
        _finish(study, trial, final, scores)
        return
    runner.remove(name)
    study.optuna.tell(trial, state=TrialState.PRUNED if status is None else TrialState.FAIL)


def _finish(study: Study, trial: Trial, experiment: str, scores: dict[str, float]) -> None:
    trial.set_user_attr(EXPERIMENT, experiment)
    trial.set_user_attr(SCORES, scores)
    study.optuna.tell(trial, mean_of(scores))


def _refuse_hopeless(study: Study, runner: Runner) -> None:
    last = study.counted[-FAILED_IN_A_ROW:]
    if len(last) == FAILED_IN_A_ROW and all(trial.state == TrialState.FAIL for trial in last):
        log = runner.log(f"{study.prefix}{last[-1].number:03d}")
        end = "\n".join(log.read_text(encoding="utf-8").splitlines()[-LOG_LINES:]) if log.is_file() else "no output"
        raise PipelineError(f"the last {FAILED_IN_A_ROW} trials failed; {log} ends in:\n{end}")
