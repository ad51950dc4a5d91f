"""A search's trials as DVC experiments: run, scored, named and removed."""

import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from experiments.finished import fetch
from experiments.plan import Plan
from experiments.profile import run_dvc
from experiments.search_score import files_of, validation_scores
from experiments.search_trial import clean, committed_curves, folder_of, progress, run_trial
from stages.common.core.errors import PipelineError
from stages.common.evaluation.predictions import Training


class Runner(Protocol):
    """Who runs trials: DVC, or a test's own."""

    def run(
        self, name: str, planned: Plan, began: Callable[[int, float], None], hopeless: Callable[[int, float], bool]
    ) -> int | None:
        """Run an experiment; return its exit status, None where it was stopped.

        Args:
            name: of the experiment.
            planned: its parameters and targets.
            began: is told the process's id and the time of its start.
            hopeless: is told the quarter and the validation loss, and says whether to stop.
        """
        ...

    def log(self, name: str) -> Path:
        """Return where the experiment's output stands."""
        ...

    def scores(self, name: str) -> dict[str, float]:
        """Return model -> validation score of a finished experiment."""
        ...

    def rename(self, name: str, new: str) -> None:
        """Give a finished experiment its last name."""
        ...

    def remove(self, name: str) -> None:
        """Remove what there is of an experiment, running, unfinished or finished."""
        ...


@dataclass(frozen=True)
class DVC:
    """Trials as DVC experiments.

    Attributes:
        folder: of the search, for logs.
        trainings: of a trial, one a network.
        labels: columns of the predictions.
        objective: what they are judged by.
    """

    folder: Path
    trainings: Sequence[Training]
    labels: Sequence[str]
    objective: str

    def run(
        self, name: str, planned: Plan, began: Callable[[int, float], None], hopeless: Callable[[int, float], bool]
    ) -> int | None:
        epochs, seen = int(planned.after["epochs"]), 0
        committed = committed_curves(self.trainings)

        def asked() -> bool:
            nonlocal seen
            found = progress(folder_of(name), self.trainings, epochs, committed)
            if found is None or found.quarters <= seen:
                return False
            seen = found.quarters
            return hopeless(seen, found.loss)

        words = [sys.executable, "-m", "dvc", *planned.elsewhere("--temp", "--name", name)]
        return run_trial(words, self.log(name), began, asked)

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def scores(self, name: str) -> dict[str, float]:
        with tempfile.TemporaryDirectory() as folder:
            fetch(experiments_of(head())[name], files_of(self.trainings), Path(folder))
            return validation_scores(Path(folder), self.trainings, self.labels, self.objective)

    def rename(self, name: str, new: str) -> None:
        if run_dvc(["exp", "rename", "-q", name, new]):
            raise PipelineError(f"`dvc exp rename {name} {new}` failed. Give the command again: the search goes on.")

    def remove(self, name: str) -> None:
        clean(name)
        there = [one for one in experiments_of(head()) if one == name or one.startswith(f"{name}-")]
        if there and run_dvc(["exp", "remove", "-q", *there]):
            raise PipelineError(f"`dvc exp remove {' '.join(there)}` failed. Remove it, and give the command again.")


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise PipelineError(f"`git {' '.join(words)}` failed: {done.stderr.strip()}")
    return done.stdout.rstrip("\n")


def head() -> str:
    """Return the commit that experiments hang on."""
    return _git("rev-parse", "HEAD")


def changed_files() -> list[str]:
    """Return the files that Git knows and that differ from the last commit."""
    return [line[3:] for line in _git("status", "--porcelain", "--untracked-files=no").splitlines()]


def experiments_of(commit: str) -> Mapping[str, str]:
    """Return name -> revision of every experiment that hangs on a commit."""
    place = f"refs/exps/{commit[:2]}/{commit[2:]}/"
    listed = _git("for-each-ref", "--format=%(objectname) %(refname)", place).splitlines()
    return {line.split(" ")[1].removeprefix(place): line.split(" ")[0] for line in listed}
