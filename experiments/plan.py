"""What a profile makes of params.yaml, checked whole before anything runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import Field

from experiments.mistakes import mistakes
from experiments.overrides import Content, changed, checked_overrides, shown
from stages.common.core.errors import PipelineError, raise_all
from stages.common.core.params import PARAMS_FILE, Strict, mistakes_in
from stages.common.core.yaml_file import load_yaml

PROFILES = Path("profiles")
File = TypeVar("File", bound=Strict)


class Profile(Strict):
    """A file of profiles/."""

    targets: list[str] = Field(min_length=1)  # stages of dvc.yaml that are asked for
    params: dict[str, Any]  # dotted key of params.yaml -> its value; a mapping replaces what stands there


@dataclass(frozen=True)
class Plan:
    """What a profile makes of params.yaml.

    Attributes:
        before, after: the content of params.yaml.
        overrides: what `-S` is given for it.
        targets: what DVC is asked for.
    """

    before: Content
    after: Content
    overrides: Sequence[str]
    targets: Sequence[str]

    def command(self, *options: str) -> list[str]:
        """Return the words of `dvc exp run`, after `dvc`."""
        given = [word for override in self.overrides for word in ("-S", override)]
        return ["exp", "run", *options, *given, *self.targets]

    def elsewhere(self, *options: str) -> list[str]:
        """Return `command` for an experiment that runs in a folder of its own.

        The folder has what Git and DVC know; local weights are neither's, and are copied there.
        """
        weights = Path(str(self.after["train"]["weights"]))
        local = weights.exists() and not weights.is_absolute()
        return self.command(*options, *(["--copy-paths", str(weights)] if local else []))


def read_profile(name: str) -> Profile:
    """Return profiles/<name>.yaml.

    Raises:
        PipelineError: there is none of that name, or it has mistakes.
    """
    path = PROFILES / f"{name}.yaml"
    if not path.is_file():
        there = ", ".join(sorted(file.stem for file in PROFILES.glob("*.yaml") if "params" in load_yaml(file)))
        raise PipelineError(f"{path}: expected a profile, got no file. There are: {there or 'none'}.")
    return read_file(path, Profile)


def read_file(path: Path, model: type[File]) -> File:
    """Return a file of profiles/, validated as strictly as params.yaml is.

    Raises:
        PipelineError: with all its mistakes.
    """
    content = load_yaml(path)
    raise_all(mistakes_in(content, model, path), f"{path} has mistakes")
    return model.model_validate(content)


def plan(profile: Profile, source: str, more: Mapping[str, Any], more_source: str) -> Plan:
    """Return what `profile`, and after it `more`, make of params.yaml; messages say from which source a key came.

    Raises:
        PipelineError: with every unknown key, unknown target and value that a stage would refuse.
    """
    before = load_yaml(PARAMS_FILE)
    middle, problems = changed(before, profile.params, source)
    after, others = changed(middle, more, more_source)
    problems += others + mistakes(after, profile.targets, source)
    raise_all(problems, f"{more_source if more else source} cannot be run")
    return Plan(before, after, checked_overrides(before, after), profile.targets)


def changes_text(before: Content, after: Content) -> str:
    """Return a line for each value that differs, and for each mapping that has other keys."""
    return "\n".join(f"  {line}" for line in _changes(before, after)) or "  nothing"


def _changes(before: Mapping[str, Any], after: Mapping[str, Any], above: str = "") -> list[str]:
    lines = []
    for key in (key for key in after if key in before and before[key] != after[key]):
        old, new, name = before[key], after[key], f"{above}{key}"
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            lines += [] if old.keys() == new.keys() else [f"{name}: {_names(old)} -> {_names(new)}"]
            lines += _changes(old, new, f"{name}.")
        else:
            lines.append(f"{name}: {shown(old)} -> {shown(new)}")
    return lines


def _names(mapping: Mapping[str, Any]) -> str:
    return ", ".join(map(str, mapping)) or "none"
