"""Remove from a workspace what was derived from a cohort: also of other parameters, and what killed stages left.

Parameters change, and outputs of earlier ones stay where they were: another seed's bundle, the folds of a protocol that
is off now. No file says so, hence everything goes that is no input: what Git or a .dvc file tracks, and other cohorts.
"""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from operations.clone import clone
from operations.run_git import git

COHORTS = Path("data/cohorts")
OUTPUTS = (Path("data"), Path("metrics"), Path("dvc_plots"))
# copies that queues and searches work in, and networks half trained
LEFTOVERS = (Path(".search"), Path(".checkpoints"))
TMP = Path(".dvc/tmp")  # DVC's queues, results.patch of operations/gpu.sh, and the like
WITHDRAWING = "lock.withdraw"  # see alone.py; not of the form of JOURNALS, which end with their withdrawal
LOCKS = ("lock", "rwlock", "rwlock.lock", "btime", WITHDRAWING)
DVC_LOCK = Path("dvc.lock")  # DVC writes it after each stage; it names what was made
GONE = TMP / "gone-lists.json"  # see gone.py
JOURNALS = "withdraw*"  # what is to go, written down until it has gone
PARTIAL = "*.partial"  # half-written; gone-*.partial where a killed stage had begun to remove it


def clear_workspace(cohort: Path) -> list[str]:
    """Remove everything derived; return links that led out of the workspace, with what they led to, which stays.

    Args:
        cohort: data/cohorts/<cohort>; other cohorts are not touched.
    """
    with clone() as repo:  # links into DVC's cache, wherever it lies, lead to what is cleared there
        inside = (Path.cwd().resolve(), Path(repo.cache.local_cache_dir).resolve())
    led_out = []
    leftovers = [folder for folder in LEFTOVERS if folder.is_symlink() or folder.exists()]
    for path in [*derived(cohort), *leftovers]:
        if path.is_symlink() and (to := _outside(path, inside)) is not None:
            led_out.append(f"{path} -> {to}")
        _remove(path)
    for folder in OUTPUTS:
        _prune(folder)
    for path in TMP.iterdir():
        if path.name not in LOCKS and path != GONE and not path.match(JOURNALS):
            _remove(path)
    return led_out


def derived(cohort: Path) -> list[Path]:
    """Return the files and links below OUTPUTS that are no inputs, and what killed stages left anywhere, sorted.

    Args:
        cohort: data/cohorts/<cohort>; of other cohorts nothing is returned.
    """
    return sorted({*_untracked(), *_half_written(cohort)})


def _untracked() -> Iterator[Path]:
    """Yield the files and links of OUTPUTS, but inputs."""
    tracked = {Path(name) for name in git("ls-files", "-z").split("\0") if name}
    with clone() as repo:
        inputs = [Path(out.fs_path) for out in repo.index.outs if out.stage.is_data_source]
    sources = {path.relative_to(repo.root_dir) for path in inputs if path.is_relative_to(repo.root_dir)}
    kept = {COHORTS, *tracked, *sources}
    for top in OUTPUTS:
        for path in top.rglob("*"):
            if (path.is_symlink() or not path.is_dir()) and not kept & {path, *path.parents}:
                yield path


def _half_written(cohort: Path) -> Iterator[Path]:
    """Yield what killed stages and commands left, anywhere but in other cohorts and in the environment."""
    listed = git("ls-files", "-o", "-z", "--", PARTIAL, f"{PARTIAL}/*").split("\0")
    found = [Path(name) for name in listed if name]
    yield from (path for path in found if not path.is_relative_to(COHORTS) and path.parts[0] != ".venv")
    yield from cohort.rglob(PARTIAL)
    for name in (cohort.name, f"{cohort.name}.dvc"):
        yield from (path for begin in ("", "gone-") if (path := COHORTS / f"{begin}{name}.partial").exists())


def _outside(link: Path, inside: Sequence[Path]) -> Path | None:
    to = link.resolve()
    return to if to.exists() and not any(to.is_relative_to(folder) for folder in inside) else None


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _prune(top: Path) -> None:
    """Remove empty folders below `top`: their names may tell of patients, folds and runs."""
    folders = [path for path in top.rglob("*") if path.is_dir() and not path.is_symlink()]
    for folder in sorted(folders, reverse=True):
        if not folder.is_relative_to(COHORTS) and folder not in COHORTS.parents and not any(folder.iterdir()):
            folder.rmdir()
