"""dvc.yaml against the code (static): what a stage imports is what it declares, and stages stand alone."""

from pathlib import Path

import pytest
from dvc.repo import Repo
from dvc.stage import PipelineStage

from tests.closure import ROOT, closure, entry_of, folded, imported
from tests.workspace import read_params_file

STAGES: list[PipelineStage] = Repo(str(ROOT)).index.stages


def module_of(stage: PipelineStage) -> str:
    words = str(stage.cmd).split()
    assert words[:2] == ["python", "-m"], f"{stage.name}: expected `python -m stages.<name>`, got {stage.cmd}"
    return words[2]


def code_deps(stage: PipelineStage) -> set[Path]:
    return {path for dep in stage.deps if (path := Path(dep.fs_path)).is_relative_to(ROOT / "stages")}


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_declared_code_is_the_import_closure(stage: PipelineStage) -> None:
    needed, declared = folded(closure(entry_of(module_of(stage)))), code_deps(stage)
    hint = f"paste what `python -m tests.closure {module_of(stage)}` prints into dvc.yaml"
    assert declared == needed, f"{stage.name}: missing {needed - declared}, superfluous {declared - needed}: {hint}"


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_a_stage_is_named_as_its_code(stage: PipelineStage) -> None:
    name = stage.name.split("@")[0].removesuffix("_fold")  # train_fold is train without one patient
    assert module_of(stage) == f"stages.{name}"


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_every_stage_says_what_it_does(stage: PipelineStage) -> None:
    assert stage.desc


def keys_of(value: object) -> set[str]:
    """Return every key of a nested mapping."""
    if not isinstance(value, dict):
        return set()
    return {str(key) for key in value} | {key for item in value.values() for key in keys_of(item)}


def test_no_parameter_has_a_name_that_the_run_cache_ignores() -> None:
    # DVC leaves `size` and `nfiles` out of the run-cache's key at any depth: another value would bring old outputs
    assert not keys_of(read_params_file(ROOT / "params.yaml")) & {"size", "nfiles"}


def test_evaluate_needs_no_torch() -> None:
    names = {name for file in closure(entry_of("stages.evaluate")) for name in imported(file)}
    assert not {name for name in names if name.split(".")[0] in {"torch", "torchvision"}}


def test_stages_never_import_stages_and_common_is_a_leaf() -> None:
    for file in sorted((ROOT / "stages").rglob("*.py")):
        package = file.relative_to(ROOT / "stages").parts[0].removesuffix(".py")
        for name in imported(file):
            parts = name.split(".")
            if parts[0] == "stages" and len(parts) > 1:
                assert parts[1] in {package, "common"}, f"{file.name} imports {name}"


def test_modules_import_in_no_circle() -> None:
    for file in sorted((ROOT / "stages").rglob("*.py")):
        direct = {ROOT / found.relative_to(ROOT) for found in closure(file) - {file}}
        assert not [other for other in direct if file in closure(other)], f"{file} is part of an import circle"
