"""Changes of params.yaml as the `-S` that `dvc exp run` understands.

DVC hands `-S` to Hydra, whose grammar has no quoted key: `folds={"0": {}}` is an error and `folds={0: {}}` makes a
number of the key, which DVC's matrix drops. `++folds.0={}` makes a string of it. A mapping given to `-S` is merged into
the one that stands there, so what shall go is removed key by key: `~architectures.vgg16`.
"""

import copy
import difflib
import io
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dvc.exceptions import InvalidArgumentError
from dvc.utils.hydra import apply_overrides
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from stages.common.core.errors import PipelineError, Problem
from stages.common.core.params import PARAMS_FILE
from stages.common.core.yaml_file import load_yaml

Content = dict[str, Any]
KEY = re.compile(r"[A-Za-z_0-9-]+")  # what Hydra takes between two dots
WORD = re.compile(r"(?!(?:null|true|false|inf|nan)$)[a-z][a-z0-9_]*")  # text that needs no quotes


def changed(content: Content, changes: Mapping[str, Any], source: str) -> tuple[Content, list[Problem]]:
    """Return params.yaml's content with dotted keys replaced, and a problem for each key that is not in it.

    Args:
        content: of params.yaml; stays as it is.
        changes: dotted key -> value. A mapping replaces what stood there. `folds` may be a number: keys "0", "1", ...
        source: who asks, for the messages.
    """
    after, problems = copy.deepcopy(content), []
    for key, value in changes.items():
        *parents, last = key.split(".")
        place: Any = after
        for parent in parents:
            place = place.get(parent) if isinstance(place, dict) else None
        if isinstance(place, dict) and last in place:
            place[last] = _folds(value) if key == "folds" else copy.deepcopy(value)
        else:
            problems.append(_unknown(key, after, source))
    return after, problems


def _folds(value: Any) -> Any:
    number = isinstance(value, int) and not isinstance(value, bool)
    return {str(fold): {} for fold in range(value)} if number else copy.deepcopy(value)


def _unknown(key: str, content: Content, source: str) -> Problem:
    near = difflib.get_close_matches(key, [dotted for dotted, _ in leaves(content)], n=1)
    remedy = f"Is {near[0]} meant?" if near else "Correct or remove it."
    return Problem(f"{source}: {key}", "unknown key", "a key of params.yaml", "none such", remedy)


def leaves(content: Mapping[Any, Any], above: str = "") -> list[tuple[str, Any]]:
    """Return (dotted key, value) of everything in a nested mapping, sections included."""
    found = []
    for key, value in content.items():
        found.append((f"{above}{key}", value))
        found += leaves(value, f"{above}{key}.") if isinstance(value, Mapping) else []
    return found


def overrides_of(before: Mapping[str, Any], after: Mapping[str, Any], above: str = "") -> list[str]:
    """Return the `-S` values that turn `before` into `after`.

    Raises:
        PipelineError: a key that must change cannot be written in Hydra's grammar.
    """
    found = [f"~{_path(above, key)}" for key in before if key not in after]
    for key, value in after.items():
        if key not in before:
            found += _added(_path(above, key), value)
        elif before[key] != value:
            found += _set(_path(above, key), before[key], value)
    return found


def _added(path: str, value: Any) -> list[str]:
    if isinstance(value, Mapping) and value:  # key by key: each then stays text
        return overrides_of({}, value, f"{path}.")
    return [f"++{path}={_literal(value)}"]


def _set(path: str, old: Any, new: Any) -> list[str]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return overrides_of(old, new, f"{path}.")
    if old is not None and (isinstance(old, (Mapping, list)) or isinstance(new, Mapping)):
        return [f"~{path}", *_added(path, new)]  # Hydra merges containers, and refuses one of another kind
    return [f"{path}={_literal(new)}"]


def _path(above: str, key: Any) -> str:
    if not KEY.fullmatch(str(key)):
        raise PipelineError(f"params.yaml: {above}{key}: `dvc exp run -S` cannot name this key. Change it in the file.")
    return f"{above}{key}"


def _literal(value: Any) -> str:
    """Return a value in Hydra's grammar."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str) and "${" in value:
        raise PipelineError(f"`dvc exp run -S` would look up what {value!r} names. Change params.yaml itself.")
    if isinstance(value, str) and WORD.fullmatch(value):
        return value
    if isinstance(value, str):
        # Hydra reads a backslash as itself unless it stands before a quote
        return "'" + re.sub(r"(\\*)('|\Z)", lambda found: found[1] * 2 + ("\\'" if found[2] else ""), value) + "'"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_path('', key)}: {_literal(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_literal(item) for item in value) + "]"
    return repr(value)


def checked_overrides(before: Content, after: Content) -> list[str]:
    """Return `overrides_of`, once DVC's own code has turned a copy of `before` into exactly `after` with them.

    Raises:
        PipelineError: DVC refuses them, or makes something else of them.
    """
    overrides = overrides_of(before, after)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / PARAMS_FILE
        with path.open("w", encoding="utf-8") as file:
            YAML().dump(before, file)
        try:
            apply_overrides(path, overrides)
        except InvalidArgumentError as error:
            raise PipelineError(f"`dvc exp run` refuses -S {overrides}: {error.__cause__}") from error
        made = load_yaml(path)
    if made != after:
        wrong = sorted({key for key, value in leaves(after) if (key, value) not in leaves(made)})
        raise PipelineError(f"`dvc exp run -S` cannot set {', '.join(wrong)} so. Change params.yaml itself.")
    return overrides


def parse_assignment(text: str) -> tuple[str, Any]:
    """Return (dotted key, value) of `key=value`, the value read as YAML.

    Raises:
        PipelineError: there is no `=`, or no YAML after it.
    """
    key, equals, value = text.partition("=")
    try:
        parsed = YAML(typ="safe", pure=True).load(value)
    # The others are ruamel's: of `2024-13-45`, `!!bool foo`, `{? [[1]] : 2}`
    except (YAMLError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise PipelineError(f"-S {text}: the value cannot be read as YAML: {error}.") from error
    if not equals:
        raise PipelineError(f"-S {text}: expected key=value, e.g. -S folds=8.")
    return key.strip(), parsed


def shown(value: Any) -> str:
    """Return a value on one line, as YAML writes it."""
    yaml, stream = YAML(typ="safe", pure=True), io.StringIO()
    yaml.default_flow_style, yaml.width = True, 10_000
    yaml.dump(value, stream)
    return stream.getvalue().removesuffix("...\n").strip()
