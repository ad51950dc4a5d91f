"""dvc.yaml against the code (static): what a stage imports is what it declares, and stages stand alone."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from dvc.dependency.param import ParamsDependency
from dvc.repo import Repo
from dvc.stage import PipelineStage

from tests.closure import ROOT, closure, entry_of, folded, imported
from tests.workspace import read_params_file, set_params

# Off as shipped, so that params.yaml alone would leave their stages without a test
SWITCHED_ON: dict[str, Any] = {
    "folds": {"0": {}},
    "seeds": {"2": {}},
    "baselines": {"tree_texture": {"classifier": "tree", "features": "texture"}},
    "sequences": {"gru_resnet18": {"model": "gru", "features": "resnet18"}},
}


def every_stage() -> list[PipelineStage]:
    """Return the stages of dvc.yaml with everything switched on; their paths lie in a folder that is gone."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made).resolve()
        for name in ("dvc.yaml", "params.yaml"):
            shutil.copy2(ROOT / name, folder)
        set_params(folder, SWITCHED_ON)
        stages: list[PipelineStage] = Repo.init(str(folder), no_scm=True).index.stages
        return stages


STAGES = every_stage()
ONCE = {stage.name.split("@")[0]: stage for stage in STAGES}
TRAININGS = ("train_fold", "train_seed", "train_fold_seed")


def module_of(stage: PipelineStage) -> str:
    words = str(stage.cmd).split()
    assert words[:2] == ["python", "-m"], f"{stage.name}: expected `python -m stages.<name>`, got {stage.cmd}"
    return words[2]


def declared(stage: PipelineStage) -> set[Path]:
    """Return a stage's dependencies, relative to the project's root."""
    root = Path(stage.repo.root_dir)
    return {Path(dep.fs_path).relative_to(root) for dep in stage.deps if not isinstance(dep, ParamsDependency)}


def code_deps(stage: PipelineStage) -> set[Path]:
    return {ROOT / path for path in declared(stage) if path.parts[0] == "stages"}


def params_of(stage: PipelineStage) -> set[str]:
    return {key for dep in stage.deps if isinstance(dep, ParamsDependency) for key in dep.params}


def model_of(stage: PipelineStage) -> str:
    return str(stage.cmd).split()[5]


def unsplit(path: Path) -> Path:
    """Return a path without the protocol's name, where it is a split."""
    return path.parent if path.parent == Path("data/split") else path


def test_what_is_off_as_shipped_is_tested_too() -> None:
    assert {*TRAININGS, "classify", "sequence"} <= ONCE.keys()


@pytest.mark.parametrize("name", TRAININGS)
def test_every_training_depends_on_what_train_depends_on(name: str) -> None:
    # `train` itself is run on what it declares alone (tests/pipeline/test_hermetic.py)
    ours, train = ONCE[name], ONCE["train"]
    assert model_of(ours) == model_of(train)
    assert {unsplit(path) for path in declared(ours)} == {unsplit(path) for path in declared(train)}
    assert Path(f"data/split/{str(ours.cmd).split()[3]}.csv") in declared(ours)
    assert params_of(ours) == params_of(train)


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_declared_code_is_the_import_closure(stage: PipelineStage) -> None:
    needed, said = folded(closure(entry_of(module_of(stage)))), code_deps(stage)
    hint = f"paste what `python -m tests.closure {module_of(stage)}` prints into dvc.yaml"
    assert said == needed, f"{stage.name}: missing {needed - said}, superfluous {said - needed}: {hint}"


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_a_stage_is_named_as_its_code(stage: PipelineStage) -> None:
    name = (
        stage.name.split("@")[0].removesuffix("_seed").removesuffix("_fold")
    )  # train_fold is train without one patient
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
