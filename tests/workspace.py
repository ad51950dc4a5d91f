"""A copy of the project in a folder of its own, shrunk by tests/tiny.yaml, to run DVC in."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).parents[1]
TINY = ROOT / "tests/tiny.yaml"
COHORTS = Path("data/cohorts")


def project_files() -> list[Path]:
    """Return what Git tracks or would track, relative to the root, but for added cohorts: their data stays behind."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    files = [Path(line) for line in listed.stdout.splitlines() if (ROOT / line).is_file()]
    return [file for file in files if not (file.parent == COHORTS and file.suffix == ".dvc")]


def copy_project(folder: Path) -> Path:
    """Copy the project without its lock into a Git repository of its own: what a fresh clone would run."""
    for file in project_files():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / file, folder / file)
    (folder / "dvc.lock").unlink(missing_ok=True)
    git(folder, "init", "-q")
    commit(folder, "start")
    return folder


def make_workspace(folder: Path) -> Path:
    """Copy the project, apply tests/tiny.yaml, and commit: a small project in the same form."""
    copy_project(folder)
    set_params(folder, read_params_file(TINY))
    commit(folder, "tiny")
    return folder


def read_params_file(path: Path) -> dict[str, Any]:
    """Return a YAML file as DVC reads it."""
    content: dict[str, Any] = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    return content


def set_params(folder: Path, changes: dict[str, Any]) -> None:
    """Set dotted keys of params.yaml; a mapping replaces what stood there. Comments stay."""
    yaml = YAML()
    path = folder / "params.yaml"
    content = yaml.load(path.read_text(encoding="utf-8"))
    for key, value in changes.items():
        *parents, last = key.split(".")
        place = content
        for parent in parents:
            place = place[parent]
        assert last in place, f"tests change params.yaml: {key}: no such key"
        place[last] = value
    with path.open("w", encoding="utf-8") as file:
        yaml.dump(content, file)


def environment(folder: Path) -> dict[str, str]:
    """Return an environment in which DVC touches nothing outside `folder`, and `dvc` means this interpreter's."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("DVC_", "GIT_"))}
    own = folder.parent / f".{folder.name}"
    author = {f"GIT_{who}_{what}": "test@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    return {
        **kept,
        **author,
        "DVC_NO_ANALYTICS": "1",
        "DVC_SITE_CACHE_DIR": str(own / "site"),
        "DVC_GLOBAL_CONFIG_DIR": str(own / "global"),
        "DVC_SYSTEM_CONFIG_DIR": str(own / "system"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', '')}",
    }


def dvc(folder: Path, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run `dvc ...` in `folder` and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *arguments], cwd=folder, env=environment(folder), capture_output=True, text=True
    )
    assert not check or done.returncode == 0, f"dvc {' '.join(arguments)}:\n{done.stdout}\n{done.stderr}"
    return done


def track_cohort(folder: Path, name: str) -> None:
    """Track data/cohorts/<name> as the README says: its remote is the one of its name."""
    dvc(folder, "add", "-q", str(COHORTS / name))
    with (folder / COHORTS / f"{name}.dvc").open("a", encoding="utf-8") as file:
        file.write(f"  remote: {name}\n")


def stage(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m stages.<words>` in `folder`, without DVC, and return what it printed."""
    command = [sys.executable, "-m", f"stages.{words[0]}", *words[1:]]
    return subprocess.run(command, cwd=folder, env=environment(folder), check=True, capture_output=True, text=True)


def git(folder: Path, *arguments: str) -> str:
    """Run `git ...` in `folder` and return what it printed."""
    done = subprocess.run(
        ["git", *arguments], cwd=folder, env=environment(folder), capture_output=True, text=True, check=True
    )
    return done.stdout


def commit(folder: Path, message: str) -> None:
    """Commit everything that Git does not ignore."""
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "--allow-empty", "-m", message)
