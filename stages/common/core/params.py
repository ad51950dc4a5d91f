"""Read params.yaml as DVC does, strictly: every mistake at once, in one form, with the remedy.

A stage names the top-level keys it reads as the fields of one `Strict` model and calls
`read_params(Params)`. Sections hold no defaults, so that a key that dvc.yaml forgot to declare
is missing in the hermetic test and cannot hide behind a default equal to the shipped value.
"""

from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, create_model
from pydantic_core import ErrorDetails

from stages.common.core.errors import Problem, raise_all, short
from stages.common.core.yaml_file import load_yaml

PARAMS_FILE = Path("params.yaml")

# Everything that may stand at the top of params.yaml: a mistyped section name is then an unknown key.
TOP_LEVEL = frozenset(
    {"seed", "seeds", "cohort", "lr", "epochs", "size_px", "architectures", "baselines", "sequences", "protocols",
     "folds", "labels", "phantom", "extract_frames", "label_merge", "augment", "preprocess", "split", "train",
     "texture", "classify", "sequence", "embedding", "evaluate", "evidence", "bedside", "leakage", "audit",
     "explain", "label_review", "report"}
)  # fmt: skip


class Strict(BaseModel):
    """Base of all parameter classes: unknown keys refused, no silent conversion, no NaN or infinity, immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


Model = TypeVar("Model", bound=Strict)


def read_params(model: type[Model], path: Path = PARAMS_FILE) -> Model:
    """Return the top-level keys of params.yaml that `model` names, validated.

    Args:
        model: a `Strict` class whose fields are top-level keys of params.yaml.
        path: the file; DVC writes `-S` overrides into it before a stage starts.

    Raises:
        PipelineError: one message with every unknown key, wrong type and value out of range.
    """
    content = load_yaml(path)
    values = read_by(model, content)
    raise_all(unknown_keys(content, path) + mistakes_in(values, model, path), f"{path} has mistakes")
    return model.model_validate(values)


def read_by(model: type[Strict], content: dict[str, Any]) -> dict[str, Any]:
    """Return the part of params.yaml's content that `model` reads."""
    return {key: content[key] for key in model.model_fields if key in content}


def mistakes_in(values: dict[str, Any], model: type[Strict], path: Path) -> list[Problem]:
    """Return all that `model` has against values read from `path`."""
    try:
        model.model_validate(values)
    except ValidationError as error:
        return [_as_problem(detail, path) for detail in error.errors()]
    return []


def one_entry(key: str, model: type[Strict]) -> type[BaseModel]:
    """Return the class of a section of which a stage reads the entry `key` alone, as one item of a fan-out does.

    The other entries are neither declared nor looked at: each is checked by the item that reads it.
    """
    fields: dict[str, Any] = {key: (model, ...)}
    return create_model("Section", __config__=ConfigDict(frozen=True, extra="ignore"), **fields)


def unknown_keys(content: dict[str, Any], path: Path) -> list[Problem]:
    """Return a problem for each top-level key that params.yaml does not have."""
    allowed = ", ".join(sorted(TOP_LEVEL))
    return [
        Problem(f"{path}: {key}", "unknown key", f"one of {allowed}", short(key), "Correct or remove it.")
        for key in content
        if key not in TOP_LEVEL
    ]


def _as_problem(detail: ErrorDetails, path: Path) -> Problem:
    key = ".".join(str(part) for part in detail["loc"])
    kind = detail["type"]
    if kind == "extra_forbidden":
        return Problem(
            f"{path}: {key}",
            "unknown key",
            "a documented parameter",
            short(detail["input"]),
            "Remove it or mend its spelling.",
        )
    if kind == "missing":
        return Problem(
            f"{path}: {key}", "missing key", "a value", "none", "Add it; params.yaml in Git shows the shipped value."
        )
    expected = detail["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    return Problem(f"{path}: {key}", "wrong value", expected, short(detail["input"]), "Correct the value.")
