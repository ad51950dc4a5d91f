"""Leave nothing of an older state of a cohort in DVC's cache, in its own remote and in what DVC keeps beside them.

What is kept in the cache: what the workspace's .dvc files track, and what those of any branch, tag or experiment
track, but for the cohort's. In the cohort's own remote: the cohort as it is, and nothing else. Remotes of other cohorts
are not touched. Everything here can be done again: a second time finds less to do.
"""

import shutil
from pathlib import Path
from typing import Any

from dvc.repo import Repo
from dvc_data.hashfile.gc import gc
from dvc_data.hashfile.hash_info import HashInfo

from experiments.run_dvc import dvc
from operations.cache import is_object
from operations.clone import clone
from operations.derived import COHORTS, DVC_LOCK, clear_workspace
from operations.gone import remember_gone
from operations.keepers import kept, members, state_of, stored, tracking
from operations.own_remote import called, refuse_others, remote_of
from operations.reached import half, reached


def clear(odb: Any, keep: set[str], listings: Any) -> None:
    """Remove every object but those kept and the files of kept folders, which `odb` or `listings` lists.

    What a broken transfer left beside the objects goes too: it may hold any of them, under no name.
    """
    files = {md5 for value in keep for md5 in members(value, odb, listings)}
    gc(odb, [HashInfo("md5", value) for value in keep | files])
    if strays := [path for path in stored(odb) if not is_object(path)]:
        odb.fs.remove(strays)


def clear_runs(odb: Any) -> None:
    """Remove the records of runs from a cache or a remote: they quote parameters, which may name clips."""
    runs = odb.fs.join(odb.path, "runs")
    if odb.fs.exists(runs):
        odb.fs.remove(list(odb.fs.find(runs)))


def clear_site(repo: Repo) -> None:
    """Remove what DVC remembers of this folder, and of copies in it, outside of it: paths of clips among it."""
    mark = f"{repo.root_dir}/".encode()
    for folder in Path(repo.site_cache_dir).parent.iterdir():
        if folder == Path(repo.site_cache_dir) or _mentions(folder, mark):
            shutil.rmtree(folder, ignore_errors=True)


def _mentions(folder: Path, mark: bytes) -> bool:
    try:
        return any(mark in path.read_bytes() for path in folder.rglob("*") if path.is_file())
    except OSError:  # another person's, or gone meanwhile
        return False


def forget(cohort: Path, again: str) -> list[str]:
    """Track the cohort as it is, remove every output, and clear the cache, the cohort's remote and DVC's memory.

    Args:
        cohort: data/cohorts/<cohort>.
        again: the command that goes on where this one breaks.

    Returns:
        Links that led out of the workspace, with what they led to.

    Raises:
        PipelineError: DVC fails, or the remote cannot be reached, or holds what others track.
    """
    with clone() as repo:
        remote = remote_of(repo, cohort)
        if remote is not None:
            with reached(f"{called(repo, remote)}: expected to see what it holds", lambda: half(again)):
                refuse_others(repo, cohort, remote, again)
    dvc("add", str(cohort))
    with clone() as repo:
        for out in [out for out in repo.index.outs if not out.stage.is_data_source]:
            if COHORTS not in Path(str(out)).parents:  # the phantom's infants are others
                out.remove()
    DVC_LOCK.unlink(missing_ok=True)
    led_out = clear_workspace(cohort)
    with clone() as repo:
        cache = repo.cache.local
        remote = remote_of(repo, cohort)
        if remote is not None:  # first: it breaks more often, and the cache still lists other cohorts' folders
            with reached(f"{called(repo, remote)}: expected to clear it", lambda: half(again)):
                place = repo.cloud.get_remote(remote)
                clear(place.odb, {state_of(cohort)}, cache)
                clear_runs(place.legacy_odb)
        known = tracking(repo)
        stays = kept(known, cohort)
        clear(cache, stays, cache)
        clear_runs(repo.cache.legacy)
    remember_gone({value for value, _ in known} - stays)
    clear_site(repo)
    return led_out
