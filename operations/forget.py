"""Leave nothing of an older state of a cohort in DVC's cache, in its own remote and in what DVC keeps beside them.

What is kept: what the workspace's .dvc files track, and what those of any branch, tag or experiment track, but for the
cohort's. Remotes of other cohorts are not touched. Everything here can be done again: a second time finds less to do.
"""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dvc.repo import Repo
from dvc_data.hashfile.gc import gc
from dvc_data.hashfile.hash_info import HashInfo
from ruamel.yaml import YAML

from experiments.run_dvc import dvc
from operations.approved import git
from stages.common.core.errors import PipelineError

NOWHERE = "/proc/"  # a remote below it is push turned off
# copies that queues and searches work in, and networks half trained
LEFTOVERS = (Path(".dvc/tmp/exps"), Path(".search"), Path(".checkpoints"))
STATES = ("refs/heads/", "refs/remotes/", "refs/tags/")  # refs that a person made; those of experiments follow one


def tracked(ref: str) -> dict[str, str]:
    """Return path of a .dvc file -> the MD5 of what it tracks, as a ref of Git has it."""
    listed = git("ls-tree", "-r", "-z", "--name-only", ref).split("\0")
    files = {name: git("show", f"{ref}:./{name}") for name in listed if name.endswith(".dvc")}
    outs = {name: YAML(typ="safe", pure=True).load(text)["outs"][0] for name, text in files.items()}
    return {name: out["md5"] for name, out in outs.items() if "md5" in out}


def refs() -> list[str]:
    """Return the full names of all refs, and HEAD."""
    return ["HEAD", *git("for-each-ref", "--format=%(refname)").splitlines()]


def other_states(cohort: Path) -> dict[str, str]:
    """Return branch or tag -> the cohort's MD5 there, where neither the workspace nor the last commit has it so."""
    name = f"{cohort}.dvc"
    out = YAML(typ="safe", pure=True).load(Path(name).read_text(encoding="utf-8"))["outs"][0]
    known = {None, out["md5"], tracked("HEAD").get(name)}
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
    """Remove every object but those kept and the files of kept folders, which `odb` or `listings` lists."""
    folders = [value for value in keep if value.endswith(".dir")]
    files = {md5 for value in folders for md5 in _members(value, odb, listings)}
    gc(odb, [HashInfo("md5", value) for value in keep | files])


def _members(value: str, *odbs: Any) -> set[str]:
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


@contextmanager
def _told(where: str, again: str) -> Iterator[None]:
    """Say where it broke: file systems of remotes fail in many ways."""
    try:
        yield
    except Exception as error:
        raise PipelineError(
            f"{where}: {type(error).__name__}: {error}. The withdrawal is half done; mend it, then `{again}` goes on."
        ) from error


def forget(cohort: Path, again: str) -> None:
    """Track the cohort as it is, remove every output, and clear the cache, the cohort's remote and DVC's memory.

    Args:
        cohort: data/cohorts/<cohort>.
        again: the command that goes on where this one breaks.

    Raises:
        PipelineError: DVC fails, or the remote cannot be reached.
    """
    dvc("add", str(cohort))
    with Repo() as repo:
        for out in [out for out in repo.index.outs if not out.stage.is_data_source]:
            out.remove()
    Path("dvc.lock").unlink(missing_ok=True)
    with Repo() as repo:
        keep, cache = kept(repo, cohort), repo.cache.local
        remote = remote_of(repo, cohort)
        if remote is not None:  # first: it breaks more often, and the cache still lists other cohorts' folders
            with _told(f"remote {remote}", again):
                place = repo.cloud.get_remote(remote)
                clear(place.odb, keep, cache)
                clear_runs(place.legacy_odb)
        clear(cache, keep, cache)
        clear_runs(repo.cache.legacy)
    for folder in LEFTOVERS:
        shutil.rmtree(folder, ignore_errors=True)
    clear_site(repo)
