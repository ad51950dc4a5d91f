"""What the stages would have against a params.yaml, asked of every stage before any of them runs."""

import importlib
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import create_model

from stages.common.core.errors import PipelineError, Problem
from stages.common.core.params import PARAMS_FILE, Strict, mistakes_in, read_by, unknown_keys
from stages.common.core.yaml_file import load_yaml
from stages.common.demands import named_labels
from stages.common.evaluation.reading import Declared, contradictions
from stages.common.labels import unknown_labels

PIPELINE = Path("dvc.yaml")
MODULE = re.compile(r"python -m (stages\.\w+)")
ITEM = re.compile(r"(\w+)\.\$\{[^}]+\}")  # augment.${key}: a stage that fans out reads its own entry of a section


def entries(pipeline: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the name and the definition of every stage of dvc.yaml; a fan-out is one."""
    for name, stage in pipeline["stages"].items():
        yield name, stage.get("do", stage)


def classes_of(stage: dict[str, Any], content: dict[str, Any]) -> list[type[Strict]]:
    """Return the classes through which a stage reads params.yaml: its `Params`, or `params_of` each item it fans out.

    A section that is fanned out is asked whether it is a mapping, too: no item of it could say so.

    Args:
        stage: its definition in dvc.yaml.
        content: of params.yaml.
    """
    found = MODULE.search(str(stage["cmd"]))
    if not found:
        return []
    module = importlib.import_module(found[1])
    if hasattr(module, "__path__"):  # a stage of several files
        module = importlib.import_module(f"{found[1]}.__main__")
    if hasattr(module, "Params"):
        return [module.Params]
    sections = [match[1] for match in map(ITEM.fullmatch, map(str, stage["params"])) if match]
    items = [module.params_of(key) for section in sections for key in _items(content.get(section))]
    return [_mapping(section) for section in sections] + items


def _items(section: Any) -> Iterable[str]:
    return [key for key in section if isinstance(key, str)] if isinstance(section, dict) else ()


def _mapping(section: str) -> type[Strict]:
    fields: dict[str, Any] = {section: (dict[str, Any], ...)}
    return create_model("Mapping", __base__=Strict, **fields)


def mistakes(content: dict[str, Any], targets: Sequence[str], source: str) -> list[Problem]:
    """Return what any stage has against `content`, each thing once, and the targets that are no stages."""
    pipeline = load_yaml(PIPELINE)
    found = unknown_keys(content, PARAMS_FILE)
    for _, stage in entries(pipeline):
        try:
            models = classes_of(stage, content)
        except PipelineError as error:  # an item that its stage does not know
            found.append(Problem(str(PARAMS_FILE), "unknown key", "what the stage knows", str(error), "Mend its name."))
            continue
        for model in models:
            found += mistakes_in(read_by(model, content), model, PARAMS_FILE)
    if not found:  # what no single entry shows can be asked only of entries that are valid
        found += contradictions(Declared.model_validate(read_by(Declared, content)))
        found += unknown_labels(content["labels"], named_labels(content))
    names = [name for name, _ in entries(pipeline)]
    expected = f"one of {', '.join(names)}"
    found += [
        Problem(f"{source}: targets", "unknown stage", expected, target, "Correct it.")
        for target in targets
        if target.split("@")[0] not in names
    ]
    return list(dict.fromkeys(found))  # in the order of the pipeline
