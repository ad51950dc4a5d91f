"""One trial: `dvc exp run --temp` in a process group of its own, watched by the curves that it writes.

DVC runs such an experiment in a folder below .dvc/tmp, made for it and removed at its end: the workspace stays as it
is, and an experiment that is stopped leaves nothing. An interrupt to the whole group lets DVC clean up after itself;
what had to be killed is cleaned up here, or `dvc exp show` would say for ever that it runs.
"""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import pandas as pd
import psutil
from dvc.api import DVCFileSystem

from stages.common.evaluation.predictions import Training
from stages.common.evaluation.reading import CURVES

RUNS = Path(".dvc/tmp/exps/run")  # one `.run` file an experiment says which folder it has (seen with DVC 3.67)
FOLDERS = Path(".dvc/tmp/exps/standalone")
LOSS = Path("plots/metrics/validation/loss.tsv")  # DVCLive's, a line an epoch
POLL_S = 1.0
GRACE_S = 30.0  # for DVC to remove its folder after an interrupt
QUARTERS = 4


@dataclass(frozen=True)
class Progress:
    """How far a trial is.

    Attributes:
        quarters: of the epochs, summed over its networks; trials of other lengths are compared at the same one.
        loss: the last validation loss of each network that has begun, their mean. Networks come in one order, so that
            at one quarter trials are compared by the same networks.
    """

    quarters: int
    loss: float


def run_trial(
    words: Sequence[str], log: Path, began: Callable[[int, float], None], hopeless: Callable[[], bool]
) -> int | None:
    """Run a command and return its exit status; None where it was stopped because it was `hopeless`.

    Args:
        words: of the command.
        log: gets what it prints.
        began: is told the process's id and the time of its start.
        hopeless: asked every second.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w", encoding="utf-8") as file:
        process = subprocess.Popen(
            list(words), stdout=file, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True
        )
        try:
            began(process.pid, psutil.Process(process.pid).create_time())
            while True:
                with suppress(subprocess.TimeoutExpired):
                    return process.wait(POLL_S)
                if hopeless():
                    return None
        finally:
            stop(process.pid)


def stop(pid: int) -> None:
    """End a process group: politely, and by force after a while. None of that name: nothing to do."""
    group = [process for process in psutil.process_iter() if _group_of(process) == pid]
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGINT)
        _, alive = psutil.wait_procs(group, GRACE_S)
        if alive:
            os.killpg(pid, signal.SIGKILL)
            psutil.wait_procs(alive, GRACE_S)


def _group_of(process: psutil.Process) -> int | None:
    with suppress(ProcessLookupError, PermissionError):
        return os.getpgid(process.pid)
    return None


def runs(pid: int, created: float) -> bool:
    """Return whether that very process is there: a number may belong to another one by now."""
    try:
        process = psutil.Process(pid)
        return process.create_time() == created and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _infos(name: str) -> Iterator[tuple[Path, Path]]:
    """Yield the `.run` file and the folder of every experiment of that name that DVC has begun in a folder."""
    for file in RUNS.glob("*/*.run"):
        with suppress(OSError, ValueError):  # being written just now
            info = json.loads(file.read_text(encoding="utf-8"))
            if info.get("name") == name and info.get("location") == "tempdir":
                yield file, Path(info["root_dir"])


def folder_of(name: str) -> Path | None:
    """Return the folder in which an experiment runs now."""
    return next((folder for _, folder in _infos(name) if folder.is_dir()), None)


def clean(name: str) -> None:
    """End and remove what is left of an experiment whose search is gone: stages, their folder, and DVC's note of it."""
    for file, folder in list(_infos(name)):
        if folder.parent == FOLDERS.resolve():
            orphans = [process for process in psutil.process_iter() if _stands_in(process, folder)]
            for process in orphans:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            psutil.wait_procs(orphans, GRACE_S)
            shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(file.parent, ignore_errors=True)


def _stands_in(process: psutil.Process, folder: Path) -> bool:
    with suppress(psutil.Error, OSError):
        return Path(process.cwd()).is_relative_to(folder)
    return False


def committed_curves(trainings: Sequence[Training]) -> dict[Training, str]:
    """Return the validation losses that lie in DVC's cache for the last commit: a trial's folder begins with them."""
    files, found = DVCFileSystem(".", rev="HEAD"), {}
    for training in trainings:
        with suppress(FileNotFoundError):
            found[training] = files.read_text(str(training.below(CURVES) / LOSS), encoding="utf-8")
    return found


def progress(
    folder: Path | None, trainings: Sequence[Training], epochs: int, committed: Mapping[Training, str]
) -> Progress | None:
    """Return how far the trial in `folder` is; None before the first quarter and at the end.

    Args:
        folder: of the trial; None while DVC makes it.
        trainings: of the trial.
        epochs: of each.
        committed: what `committed_curves` returns. DVC puts it into the folder first and takes each away only when its
            training begins, so what equals it is another training's.
    """
    if folder is None:
        return None
    files = {training: training.below(folder / CURVES) / LOSS for training in trainings}
    losses = [found for training, file in files.items() if (found := _losses(file, committed.get(training)))]
    quarters = sum(QUARTERS * min(len(found), epochs) // epochs for found in losses)
    if not quarters or quarters == QUARTERS * len(trainings):  # an end is no news: the score follows
        return None
    return Progress(quarters, sum(found[-1] for found in losses) / len(losses))


def _losses(file: Path, other: str | None) -> list[float]:
    try:
        text = file.read_text(encoding="utf-8")
        losses = pd.read_csv(StringIO(text), sep="\t")["loss"].dropna()
        return [] if text == other else losses.astype(float).tolist()
    except (OSError, ValueError, KeyError):  # not there yet, or a line half written
        return []
