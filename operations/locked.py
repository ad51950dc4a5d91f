"""Is a table of results the one that dvc.lock names, and of the cohort that params.yaml names?"""

from pathlib import Path
from typing import Any

from dvc.dependency import ParamsDependency
from dvc.repo import Repo

from operations.digest import digest
from stages.common.core.errors import PipelineError


def refuse_unlocked(repo: Repo, path: Path, target: str) -> None:
    """Raise where a stage's output has other bytes than dvc.lock says, or where there is none.

    Args:
        repo: the clone.
        path: in the workspace.
        target: what `dvc repro` makes it with.
    """
    known = {Path(str(out)): out.hash_info.value for out in repo.index.outs if out.hash_info}
    if not path.is_file() or digest(path, "md5") != known.get(path):
        raise PipelineError(
            f"{path}: expected the bytes of dvc.lock, got others or none. Run `dvc repro {target}`, and commit."
        )


def refuse_other_cohort(repo: Repo, path: Path, cohort: str, target: str) -> None:
    """Raise where dvc.lock says that what led to a stage's output was made of another cohort.

    Args:
        repo: the clone.
        path: in the workspace.
        cohort: that params.yaml names.
        target: what `dvc repro` makes it with.
    """
    others = {cohort_of(stage) for stage in _leading_to(repo, path)} - {None, cohort}
    if others:
        raise PipelineError(
            f"{path}: expected it of cohort {cohort}, as params.yaml has it, got one that dvc.lock says was made of "
            f"{', '.join(sorted(map(str, others)))}. Run `dvc repro {target}`, and commit."
        )


def refuse_apart(repo: Repo, path: Path, other: Path, target: str) -> None:
    """Raise where dvc.lock says that two outputs were made of different data: one of an earlier run.

    Args:
        repo: the clone.
        path: in the workspace.
        other: likewise; what the stages of both read is held to each other.
        target: what `dvc repro` makes `path` with.
    """
    makers = {Path(str(out)): out.stage for out in repo.index.outs}
    read, known = (_read_by(makers[each]) for each in (path, other))
    apart = sorted(name for name in read.keys() & known.keys() if read[name] != known[name])
    if apart:
        raise PipelineError(
            f"{path}: expected it of what {other} was made of, got other {', '.join(apart)} in dvc.lock. "
            f"Run `dvc repro {target}`, and commit."
        )


def _read_by(stage: Any) -> dict[str, str]:
    files = [each for each in stage.deps if not isinstance(each, ParamsDependency)]
    return {str(each): str(each.hash_info.value) for each in files if each.hash_info}


def cohort_of(stage: Any) -> str | None:
    """Return the cohort of a stage's last run, as dvc.lock records it; None where the stage reads no such parameter."""
    found = [each.hash_info.value or {} for each in stage.deps if isinstance(each, ParamsDependency)]
    return next((str(values["cohort"]) for values in found if "cohort" in values), None)


def _leading_to(repo: Repo, path: Path) -> list[Any]:
    makers = [out.stage.addressing for out in repo.index.outs if Path(str(out)) == path]
    return [stage for name in makers for stage in repo.stage.collect(name, with_deps=True)]
