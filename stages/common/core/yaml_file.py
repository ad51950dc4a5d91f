"""Read a YAML file as DVC reads it: what is none, is too deep, or is larger than it looks, is one message."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent, Event, ScalarEvent
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from stages.common.core.errors import PipelineError, Problem, raise_all, short

LARGEST = 5_000_000  # characters of a YAML file with every alias written out; params.yaml has 25 000
DEEPEST = 50  # levels of a YAML file; params.yaml has five, and LibYAML ends the whole process somewhere beyond 10 000


def load_yaml(path: Path) -> dict[str, Any]:
    """Return a YAML file's mapping, read as DVC reads it.

    Raises:
        PipelineError: it is absent, no YAML or no mapping, too deep or large, or holds what is no value of its kind or
            a list or a mapping as a key.
    """
    # ruamel reads YAML 1.2 as DVC does: PyYAML would read 1e-3 as a string and `on` as True
    try:
        text = path.read_text(encoding="utf-8")
        _refuse_bombs(text, path)
        raise_all(_no_keys(text, path), f"{path} cannot be read as YAML")
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


def _nodes(text: str) -> Iterator[Node]:
    """Yield every node of a file once, in reading order."""
    seen = set()
    waiting: list[Any] = [YAML(typ="safe").compose(text)]
    while waiting:
        node = waiting.pop()
        if node is None or id(node) in seen:  # an alias leads to a node that stands elsewhere, too
            continue
        seen.add(id(node))
        yield node
        if not isinstance(node, ScalarNode):
            parts = node.value if isinstance(node, SequenceNode) else [part for pair in node.value for part in pair]
            waiting += reversed(parts)


def _no_keys(text: str, path: Path) -> list[Problem]:
    """Return the keys that are lists or mappings, each with its line: Python looks up neither, nor does any stage."""
    keys = [key for node in _nodes(text) if isinstance(node, MappingNode) for key, _ in node.value]
    wrong = [key for key in keys if not isinstance(key, ScalarNode)]
    return [_no_key(key, path) for key in sorted(wrong, key=lambda key: key.start_mark.line)]


def _no_key(key: Node, path: Path) -> Problem:
    where, got = f"{path}, line {key.start_mark.line + 1}", "a list" if isinstance(key, SequenceNode) else "a mapping"
    return Problem(where, "wrong key", "a text, a number or a date", got, "Write one word before the colon.")


def _no_values(text: str, path: Path) -> list[Problem]:
    """Return the scalars that are not what their form or their tag says, each with its line."""
    constructor = YAML(typ="safe").constructor
    scalars = [node for node in _nodes(text) if isinstance(node, ScalarNode)]
    return [problem for node in scalars for problem in _no_value(node, constructor, path)]


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
