"""Which commands of DVC run in this clone: DVC lets go of its own lock while a stage's command runs."""

import json
import os
from pathlib import Path

import psutil
from dvc.lock import LockError
from dvc.repo import Repo

from stages.common.core.errors import PipelineError

RWLOCK = "rwlock"  # DVC writes there which process reads and writes which paths


def running(tmp: Path) -> list[str]:
    """Return the commands whose stages run now, here and in the copies that experiments work in.

    Args:
        tmp: .dvc/tmp.

    Raises:
        PipelineError: DVC's record of them cannot be read.
    """
    records = [Path(folder, RWLOCK) for folder, _, names in os.walk(tmp) if RWLOCK in names]
    found = {one for path in records for one in _recorded(path)}
    alive = [(pid, cmd) for pid, cmd in sorted(found) if pid != os.getpid() and psutil.pid_exists(pid)]
    return [f"{cmd} (process {pid})" for pid, cmd in alive]


def _recorded(path: Path) -> list[tuple[int, str]]:
    """Return process and command of each that reads or writes; none of an experiment that ended meanwhile."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        readers = [info for infos in content.get("read", {}).values() for info in infos]
        return [(int(info["pid"]), str(info["cmd"])) for info in (*content.get("write", {}).values(), *readers)]
    except FileNotFoundError:
        return []
    except (ValueError, AttributeError, TypeError, KeyError) as error:
        raise PipelineError(
            f"{path}: expected DVC's record of what runs, got {type(error).__name__}: {error}. The same command again; "
            "if it is still so, and no `dvc` runs in this clone, delete the file."
        ) from error


def refuse_running(repo: Repo) -> None:
    """Raise where a command of DVC runs here: what a stage read of a patient it would write afterwards."""
    commands = running(Path(repo.tmp_dir))
    if commands:
        raise PipelineError(beside(commands, "Let it end, or end it, then the same command again."))
    try:
        with repo.lock:
            return
    except LockError as error:
        raise PipelineError(beside(["one that holds its lock"], "Let it end, then the same command again.")) from error


def beside(commands: list[str], then: str) -> str:
    """Return what is said of commands that run beside a withdrawal.

    Args:
        commands: as `running` returns them.
        then: what a person does.
    """
    lines = "\n".join(f"  - {command}" for command in commands)
    return (
        f"DVC in this clone: expected no command to run, got:\n{lines}\nWhat its stages write may show the patient. "
        f"{then} No such process, or another program's? Delete the rwlock below .dvc/tmp that names it."
    )
