"""dvc.yaml against what stages do (dynamic): each runs on its declared inputs alone and writes its declared outputs.

The outputs are compared with the finished workspace's, byte by byte: every stage is run twice, the second time in
another folder, under another time zone and locale, with another hash seed and another number of workers.
"""

import filecmp
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from dvc.dependency.param import ParamsDependency
from dvc.repo import Repo
from dvc.stage import PipelineStage
from ruamel.yaml import YAML

from tests.workspace import environment

pytestmark = pytest.mark.slow


def declared_params(stage: PipelineStage, content: dict[str, Any]) -> dict[str, Any]:
    """Return params.yaml cut down to the keys that the stage declares."""
    kept: dict[str, Any] = {}
    for dep in stage.deps:
        for key in dep.params if isinstance(dep, ParamsDependency) else ():
            *parents, last = key.split(".")
            source, target = content, kept
            for parent in parents:
                source, target = source[parent], target.setdefault(parent, {})
            target[last] = source[last]
    return kept


def copy_in(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True)
    else:
        shutil.copy2(source, target)


def files_below(folder: Path) -> set[Path]:
    return {
        path.relative_to(folder) for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts
    }


def isolate(stage: PipelineStage, finished: Path, folder: Path) -> None:
    """Fill `folder` with the stage's declared dependencies and parameters, and nothing else."""
    for dep in stage.deps:
        if not isinstance(dep, ParamsDependency):
            copy_in(Path(dep.fs_path), folder / Path(dep.fs_path).relative_to(finished))
    yaml = YAML()  # keeps the order of keys, which is the order of labels and models
    params = declared_params(stage, yaml.load((finished / "params.yaml").read_text(encoding="utf-8")))
    with (folder / "params.yaml").open("w", encoding="utf-8") as file:
        yaml.dump(params, file)


def expected_files(stage: PipelineStage, finished: Path) -> set[Path]:
    expected: set[Path] = set()
    for out in stage.outs:
        place = Path(out.fs_path)
        within = [place / path for path in files_below(place)] if place.is_dir() else [place]
        expected |= {path.relative_to(finished) for path in within}
    return expected


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What differs in the environment of the second run. Turkish writes the capital of i otherwise, and 0,5 for 0.5."""
    locales = tmp_path_factory.mktemp("locales")
    command = ["localedef", "-i", "tr_TR", "-f", "UTF-8", str(locales / "tr_TR.UTF-8")]
    made = shutil.which("localedef") and subprocess.run(command, capture_output=True).returncode == 0
    language = {"LOCPATH": str(locales), "LC_ALL": "tr_TR.UTF-8"} if made else {"LC_ALL": "C"}
    workers = 1 if (os.cpu_count() or 1) > 1 else 2
    return {"TZ": "Asia/Kathmandu", "PYTHONHASHSEED": "12345", "LOKY_MAX_CPU_COUNT": str(workers), **language}


SEEN = """import joblib, locale, os, time
print(time.strftime("%z", time.localtime(0)), locale.setlocale(locale.LC_ALL, ""), hash("spine"), joblib.cpu_count())"""


def test_the_second_run_sees_another_environment(elsewhere: dict[str, str], tmp_path: Path) -> None:
    here, there = (
        subprocess.run(
            [sys.executable, "-c", SEEN], env=environment(tmp_path) | other, capture_output=True, text=True, check=True
        ).stdout.split()
        for other in ({"PYTHONHASHSEED": "random"}, elsewhere)
    )
    assert there[0] == "+0530"  # Nepal's time in 1970
    assert [one != other for one, other in zip(here, there, strict=True)] == [True, here[1] != "C", True, True]


def run_alone(stage: PipelineStage, finished: Path, folder: Path, elsewhere: dict[str, str]) -> None:
    folder.mkdir(parents=True)
    isolate(stage, finished, folder)
    before = files_below(folder)
    done = subprocess.run(
        str(stage.cmd), shell=True, cwd=folder, env=environment(folder) | elsewhere, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{stage.name} alone: {done.stderr}"
    expected = expected_files(stage, finished)
    assert files_below(folder) - before == expected, (
        f"{stage.name}: written and not declared, or declared and not written"
    )
    differing = [path for path in sorted(expected) if not filecmp.cmp(folder / path, finished / path, shallow=False)]
    assert not differing, f"{stage.name}: other bytes when run alone: {differing}"


def test_every_stage_runs_on_what_it_declares_and_gives_the_same_bytes(
    finished: Path, tmp_path: Path, elsewhere: dict[str, str]
) -> None:
    stages: list[PipelineStage] = Repo(str(finished)).index.stages
    assert len(stages) > 20
    for stage in stages:
        folder = tmp_path / "Säuglinge und Föten" / stage.name.replace("@", "-")
        run_alone(stage, finished, folder, elsewhere)
        shutil.rmtree(folder)
