"""Read params.yaml as DVC does, strictly: every mistake at once, in one form, with the remedy.

A stage names the top-level keys it reads as the fields of one `Strict` model and calls
`read_params(Params)`. Sections hold no defaults, so that a key that dvc.yaml forgot to declare
is missing in the hermetic test and cannot hide behind a default equal to the shipped value.
"""

from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, create_model
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent, Event, ScalarEvent
from ruamel.yaml.nodes import ScalarNode, SequenceNode

from stages.common.core.errors import PipelineError, Problem, raise_all

PARAMS_FILE = Path("params.yaml")
LONGEST = 200  # characters of a value in a message
LARGEST = 5_000_000  # characters of a YAML file with every alias written out; params.yaml has 25 000
DEEPEST = 50  # levels of a YAML file; params.yaml has five, and LibYAML ends the whole process somewhere beyond 10 000

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


def load_yaml(path: Path) -> dict[str, Any]:
    """Return a YAML file's mapping, read as DVC reads it.

    Raises:
        PipelineError: it is absent, no YAML or no mapping, too deep or large, or holds what is no value of its kind.
    """
    # ruamel reads YAML 1.2 as DVC does: PyYAML would read 1e-3 as a string and `on` as True
    try:
        text = path.read_text(encoding="utf-8")
        _refuse_bombs(text, path)
        content = YAML(typ="safe").load(text)
    except (YAMLError, UnicodeDecodeError, OSError) as error:
        raise PipelineError(
            f"{path} cannot be read as YAML: {error}. Mend the line named, or restore the file."
        ) from error
    except (ValueError, LookupError, RecursionError) as error:  # ruamel's of `2024-13-45`, `!!int foo`, `!!bool foo`
        raise_all(_no_values(text, path), f"{path} cannot be read as YAML")
        raise PipelineError(f"{path} cannot be read as YAML: {error}. Restore the file.") from error
    if not isinstance(content, dict):
        raise PipelineError(f"{path}: expected a mapping of keys to values, got {type(content).__name__}.")
    return content


def _refuse_bombs(text: str, path: Path) -> None:
    """Raise where a file is too deep, a value holds itself, or aliases of aliases make it too large.

    Nothing is built here. Whoever walks over a whole value, as a message or a check does, walks over every alias anew.
    """
    size = 0  # characters, with every alias written out
    sizes: dict[str | None, int] = {}
    opened: list[tuple[str | None, int]] = []
    for event in YAML(typ="safe").parse(text):
        if isinstance(event, CollectionEndEvent):
            anchor, begin = opened.pop()
            sizes[anchor] = size - begin
        elif isinstance(event, CollectionStartEvent):
            opened.append((event.anchor, size))
            size += 1
        elif isinstance(event, ScalarEvent):
            sizes[event.anchor] = 1 + len(event.value)
            size += sizes[event.anchor]
        elif isinstance(event, AliasEvent):
            size += sizes.get(event.anchor, 0)
        if mistake := _bomb(event, size, [anchor for anchor, _ in opened]):
            where = f"{path}, line {event.start_mark.line + 1}"
            raise PipelineError(f"{where}: expected {mistake}. Mend it, or restore the file.")


def _bomb(event: Event, size: int, opened: list[str | None]) -> str | None:
    """Return what was expected and what stands there, where an event is the one too many."""
    if len(opened) > DEEPEST:
        return f"at most {DEEPEST} levels, got more"
    if size > LARGEST:
        return f"at most {LARGEST} characters with every alias written out, got more"
    if isinstance(event, AliasEvent) and event.anchor in opened:
        return f"no value that holds itself, got *{event.anchor} within &{event.anchor}"
    return None


def _no_values(text: str, path: Path) -> list[Problem]:
    """Return the scalars that are not what their form or their tag says, each with its line."""
    problems, seen = [], set()
    waiting: list[Any] = [YAML(typ="safe").compose(text)]
    constructor = YAML(typ="safe").constructor
    while waiting:
        node = waiting.pop()
        if isinstance(node, ScalarNode):
            problems += _no_value(node, constructor, path)
        elif node is not None and id(node) not in seen:  # an alias leads to a node that stands elsewhere, too
            seen.add(id(node))
            parts = node.value if isinstance(node, SequenceNode) else [part for pair in node.value for part in pair]
            waiting += reversed(parts)
    return problems


def _no_value(node: ScalarNode, constructor: SafeConstructor, path: Path) -> list[Problem]:
    try:
        constructor.construct_object(node)
    except (YAMLError, ValueError, LookupError) as error:
        where, kind = f"{path}, line {node.start_mark.line + 1}", node.tag.rpartition(":")[2]
        remedy = (
            f"Correct it, or put it in quotes if it is a text ({type(error).__name__}: {' '.join(str(error).split())})."
        )
        return [Problem(where, "wrong value", f"a value of the kind {kind}", short(node.value), remedy)]
    return []


def short(value: object) -> str:
    """Return a value as a message shows it: what Python refuses to write out, and what is long, is cut."""
    try:
        said = repr(value)
    except (ValueError, RecursionError):  # an integer of more than 4300 digits; aliases of aliases
        return f"a {type(value).__name__} too long to write out"
    return said if len(said) <= LONGEST else f"{said[:LONGEST]} ... ({len(said)} characters)"


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
