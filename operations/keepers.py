"""What .dvc files track, here and on every ref of Git, and so who keeps an object."""

import json
from collections.abc import Set
from pathlib import Path
from typing import Any

from dvc.repo import Repo
from ruamel.yaml import YAML

from operations.run_git import git


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


def keepers(repo: Repo, values: Set[str], *odbs: Any) -> dict[str, list[tuple[str, str]]]:
    """Return MD5 -> who tracks it, as (.dvc file, the ref of Git or the workspace that has it so).

    Args:
        repo: the clone.
        values: MD5s asked for.
        odbs: a cache and perhaps a remote, which list what tracked folders hold.
    """
    here = {out.hash_info.value: str(out.stage.relpath) for out in repo.index.outs if out.stage.is_data_source}
    tracking = [(value, (name, "workspace")) for value, name in here.items() if value]
    tracking += [(value, (name, ref)) for ref in refs() for name, value in tracked(ref).items()]
    lists = {value: {value} | members(value, *odbs) for value, _ in tracking}
    found: dict[str, list[tuple[str, str]]] = {}
    for value, keeper in tracking:
        for kept in sorted(lists[value] & values):
            found.setdefault(kept, []).append(keeper)
    return found
