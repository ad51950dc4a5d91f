"""Leave nothing of an older state of a cohort in DVC's cache, in its own remote and in what DVC keeps beside them.

What is kept in the cache: what the workspace's .dvc files track, and what those of any branch, tag or experiment
track, but for the cohort's. In the cohort's own remote: the cohort as it is, and nothing else. Remotes of other cohorts
are not touched. Everything here can be done again: a second time finds less to do.
"""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dvc.repo import Repo
from dvc_data.hashfile.gc import gc
from dvc_data.hashfile.hash_info import HashInfo
from ruamel.yaml import YAML

from experiments.run_dvc import dvc
from operations.cache import is_object
from operations.derived import COHORTS, clear_workspace
from operations.reached import reached
from operations.run_git import git
from stages.common.core.errors import PipelineError

NOWHERE = "/proc/"  # a remote below it is push turned off
STATES = ("refs/heads/", "refs/remotes/", "refs/tags/")  # refs that a person made; those of experiments follow one


def tracked(ref: str) -> dict[str, str]:
    """Return path of a .dvc file -> the MD5 of what it tracks, as a ref of Git has it."""
    listed = git("ls-tree", "-r", "-z", "--name-only", ref).split("\0")
    files = {name: git("show", f"{ref}:./{name}") for name in listed if name.endswith(".dvc")}
    outs = {name: YAML(typ="safe", pure=True).load(text)["outs"][0] for name, text in files.items()}
    return {name: out["md5"] for name, out in outs.items() if "md5" in out}


def state_of(cohort: Path) -> str:
    """Return the MD5 of the list of a cohort's files, as its .dvc file in the workspace has it."""
    text = Path(f"{cohort}.dvc").read_text(encoding="utf-8")
    state: str = YAML(typ="safe", pure=True).load(text)["outs"][0]["md5"]
    return state


def refs() -> list[str]:
    """Return the full names of all refs, and HEAD."""
    return ["HEAD", *git("for-each-ref", "--format=%(refname)").splitlines()]


def other_states(cohort: Path) -> dict[str, str]:
    """Return branch or tag -> the cohort's MD5 there, where neither the workspace nor the last commit has it so."""
    name = f"{cohort}.dvc"
    known = {None, state_of(cohort), tracked("HEAD").get(name)}
    states = {ref: tracked(ref).get(name) for ref in refs() if ref.startswith(STATES)}
    return {ref: state for ref, state in states.items() if state is not None and state not in known}


def remote_of(repo: Repo, cohort: Path) -> str | None:
    """Return the cohort's own remote; None where it has none or `push` is off.

    Raises:
        PipelineError: another remote lies in the same place, and nobody can tell whose objects are there.
    """
    urls: Mapping[str, str] = {name: fields["url"].rstrip("/") for name, fields in repo.config["remote"].items()}
    own = cohort.name
    if own not in urls or urls[own].startswith(NOWHERE):
        return None
    same = [name for name, url in urls.items() if url == urls[own] and name != own]
    if same:
        raise PipelineError(
            f".dvc/config: remote '{own}': expected a place of its own, got that of {', '.join(same)}: "
            f"{urls[own]}. Nobody can tell whose objects lie there: give each cohort's remote a url of its own."
        )
    return own


def kept(repo: Repo, cohort: Path) -> set[str]:
    """Return the MD5s of what stays: files and folders that are tracked here, and other cohorts' on any ref."""
    here = {out.hash_info.value for out in repo.index.outs if out.stage.is_data_source and out.hash_info}
    there = {value for ref in refs() for name, value in tracked(ref).items() if name != f"{cohort}.dvc"}
    return here | there


def clear(odb: Any, keep: set[str], listings: Any) -> None:
    """Remove every object but those kept and the files of kept folders, which `odb` or `listings` lists.

    What a broken transfer left beside the objects goes too: it may hold any of them, under no name.
    """
    files = {md5 for value in keep for md5 in members(value, odb, listings)}
    gc(odb, [HashInfo("md5", value) for value in keep | files])
    if strays := [path for path in stored(odb) if not is_object(path)]:
        odb.fs.remove(strays)


def stored(odb: Any) -> list[str]:
    """Return the paths of all files where a cache or a remote keeps its objects."""
    return sorted(odb.fs.find(odb.path)) if odb.fs.exists(odb.path) else []


def members(value: str, *odbs: Any) -> set[str]:
    """Return the MD5s of a folder's files, as the first of `odbs` that has its list says; none for a file."""
    if not value.endswith(".dir"):
        return set()
    for odb in odbs:
        path = odb.oid_to_path(value)
        if odb.fs.exists(path):
            return {entry["md5"] for entry in json.loads(odb.fs.cat_file(path))}
    return set()


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
        PipelineError: DVC fails, or the remote cannot be reached.
    """
    dvc("add", str(cohort))
    with Repo() as repo:
        for out in [out for out in repo.index.outs if not out.stage.is_data_source]:
            if COHORTS not in Path(str(out)).parents:  # the phantom's infants are others
                out.remove()
    Path("dvc.lock").unlink(missing_ok=True)
    led_out = clear_workspace(cohort)
    with Repo() as repo:
        cache = repo.cache.local
        remote = remote_of(repo, cohort)
        if remote is not None:  # first: it breaks more often, and the cache still lists other cohorts' folders
            with reached(
                f"remote {remote}: {repo.config['remote'][remote]['url']}: expected to clear it", lambda: half(again)
            ):
                place = repo.cloud.get_remote(remote)
                clear(place.odb, {state_of(cohort)}, cache)
                clear_runs(place.legacy_odb)
        clear(cache, kept(repo, cohort), cache)
        clear_runs(repo.cache.legacy)
    clear_site(repo)
    return led_out


def half(again: str) -> str:
    """Return what a person does where a withdrawal broke off."""
    return f"The withdrawal is half done; mend it, then `{again}` goes on."
