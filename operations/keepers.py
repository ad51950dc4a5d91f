"""What .dvc files track, here and on every ref of Git, and so who keeps an object."""

import hashlib
import json
from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import Any

from dvc.repo import Repo
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from operations.owners import FOLDER
from operations.run_git import git
from stages.common.core.errors import PipelineError

Keeper = tuple[str, str]  # a .dvc file, and the ref of Git or the workspace that has it so
Known = Sequence[tuple[str, Keeper]]  # what is tracked, and who tracks it
WORKSPACE = "workspace"


def tracked(ref: str) -> dict[str, str]:
    """Return path of a .dvc file -> the MD5 of what it tracks, as a ref of Git has it.

    Raises:
        PipelineError: the ref leads to no files, or .dvc files there cannot be read; with all of them.
    """
    listed = git("ls-tree", "-r", "-z", "--name-only", ref).split("\0")
    outs = {name: _out(git("show", f"{ref}:./{name}")) for name in listed if name.endswith(".dvc")}
    wrong = [f"  - {ref}: {name}: {out}" for name, out in outs.items() if isinstance(out, str)]
    if wrong:
        lines = "\n".join(wrong)
        raise PipelineError(
            f"Git: expected .dvc files as `dvc add` writes them, got:\n{lines}\nNobody can tell what they keep: mend "
            "them there and commit, or delete the branch or tag. Then the same command again."
        )
    return {name: out["md5"] for name, out in outs.items() if isinstance(out, Mapping) and "md5" in out}


def _out(text: str) -> Mapping[str, str] | str:
    """Return the one output of a .dvc file, or what is wrong with it."""
    try:
        outs = YAML(typ="safe", pure=True).load(text)["outs"]
    except YAMLError as error:
        return f"no YAML, {' '.join(str(error).split())[:120]}"
    except (KeyError, TypeError):
        return "no `outs`"
    right = isinstance(outs, list) and len(outs) == 1 and isinstance(outs[0], Mapping)
    return outs[0] if right else "`outs` that are not one"


def state_of(cohort: Path) -> str:
    """Return the MD5 of the list of a cohort's files, as its .dvc file in the workspace has it."""
    text = Path(f"{cohort}.dvc").read_text(encoding="utf-8")
    state: str = YAML(typ="safe", pure=True).load(text)["outs"][0]["md5"]
    return state


def refs() -> list[str]:
    """Return the full names of the refs that lead to files, and HEAD; a tag may also name a file's content.

    Raises:
        PipelineError: nothing is committed.
    """
    if not git("rev-list", "--max-count=1", "--all"):
        raise PipelineError("Git: expected a commit that tracks the cohort, got none. `git commit` first.")
    names = git("for-each-ref", "--format=%(refname)").splitlines()
    kinds = git("cat-file", "--batch-check=%(objecttype)", given="".join(f"{name}^{{}}\n" for name in names))
    return ["HEAD", *(name for name, kind in zip(names, kinds.splitlines(), strict=True) if kind != "blob")]


def stored(odb: Any) -> list[str]:
    """Return the paths of all files where a cache or a remote keeps its objects."""
    return sorted(odb.fs.find(odb.path)) if odb.fs.exists(odb.path) else []


def members(value: str, *odbs: Any) -> set[str]:
    """Return the MD5s of a folder's files, as the first of `odbs` that has its list says; none for a file.

    Raises:
        PipelineError: the list is damaged.
    """
    lists = (listed(value, odb) for odb in odbs if value.endswith(FOLDER))
    return next((found for found in lists if found is not None), set())


def listed(value: str, odb: Any) -> set[str] | None:
    """Return the MD5s of a folder's files, as its list in a cache or a remote says; None where there is no list.

    Raises:
        PipelineError: its bytes are not what its name says: what it fails to name would be nobody's.
    """
    path = odb.oid_to_path(value)
    if not odb.fs.exists(path):
        return None
    content = odb.fs.cat_file(path)
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found + FOLDER != value:
        raise PipelineError(
            f"{path}: expected a folder's list of the MD5 that it is named by, got {found}: damaged. `python -m "
            "operations.cache --heal` removes it (of a remote: with its name), and `dvc fetch` brings it again."
        )
    return {entry["md5"] for entry in json.loads(content)}


def tracking(repo: Repo) -> Known:
    """Return (MD5, who tracks it) of all that .dvc files track, here and on every ref."""
    here = [(out.hash_info.value, (str(out.stage.relpath), WORKSPACE)) for out in repo.index.outs
            if out.stage.is_data_source and out.hash_info]  # fmt: skip
    return [*here, *((value, (name, ref)) for ref in refs() for name, value in tracked(ref).items())]


def kept(known: Known, cohort: Path) -> set[str]:
    """Return the MD5s of what stays: files and folders that are tracked here, and other cohorts' on any ref.

    Args:
        known: as `tracking` returns it.
        cohort: data/cohorts/<cohort>.
    """
    return {value for value, (name, ref) in known if ref == WORKSPACE or name != f"{cohort}.dvc"}


def keepers(repo: Repo, values: Set[str], *odbs: Any) -> dict[str, list[Keeper]]:
    """Return MD5 -> who tracks it, or a folder that has it.

    Args:
        repo: the clone.
        values: MD5s asked for.
        odbs: a cache and perhaps a remote, which list what tracked folders hold.
    """
    by = tracking(repo)
    lists = {value: {value} | members(value, *odbs) for value, _ in by}
    found: dict[str, list[Keeper]] = {}
    for value, keeper in by:
        for kept in sorted(lists[value] & values):
            found.setdefault(kept, []).append(keeper)
    return found
