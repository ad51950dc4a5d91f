"""Has a stage written again what a withdrawal removed? One may begin after the first look, and end before the last."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dvc.repo import Repo

from operations.cache import is_object, value_of
from operations.clone import clone
from operations.derived import DVC_LOCK, LEFTOVERS, TMP, derived
from operations.keepers import kept, members, stored, tracking
from stages.common.core.errors import PipelineError

COPIES = TMP / "exps"  # what experiments of DVC work in


def refuse_back(cohort: Path) -> None:
    """Raise where something derived is there again, made of what a stage had read before it was removed.

    Args:
        cohort: data/cohorts/<cohort>.

    Raises:
        PipelineError: it is; with what, by folder.
    """
    with clone() as repo:
        found = [*_in_workspace(cohort), *_in_cache(repo, cohort)]
    if found:
        lines = "\n".join(f"  - {line}" for line in found)
        raise PipelineError(
            f"{Path.cwd()}: expected nothing of what was removed to be there again, got:\n{lines}\nA stage ran beside "
            "the withdrawal, and what it wrote may show the patient. Let no `dvc` run in this clone."
        )


def _in_workspace(cohort: Path) -> Iterator[str]:
    """Yield folders of the pipeline with how many files are there again, and single files."""
    again = [*derived(cohort), *(path for top in (*LEFTOVERS, COPIES, DVC_LOCK) for path in _files(top))]
    counts = Counter(Path(*path.parts[:2]) if len(path.parts) > 2 else path for path in again)
    for place, count in sorted(counts.items()):
        yield f"{place} (files: {count})" if place.is_dir() else str(place)


def _files(top: Path) -> list[Path]:
    return [path for path in (top, *top.rglob("*")) if path.is_symlink() or path.is_file()]


def _in_cache(repo: Repo, cohort: Path) -> Iterator[str]:
    """Yield how many objects of the cache nothing keeps, and how many records of runs lie there."""
    cache, runs = repo.cache.local, Path(repo.cache.legacy.path, "runs")
    beyond = _beyond_kept(cache, kept(tracking(repo), cohort))
    if beyond:
        yield f"the cache ({cache.path}): objects that nothing keeps (files: {beyond})"
    if records := _files(runs):
        yield f"the cache ({runs}): records of runs (files: {len(records)})"


def _beyond_kept(odb: Any, keep: set[str]) -> int:
    known = keep | {md5 for value in keep for md5 in members(value, odb)}
    return sum(not is_object(path) or value_of(path) not in known for path in stored(odb))
