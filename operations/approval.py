"""What approved.json says, checked: people merge it by hand, and whoever reads it gets a model of it."""

import re
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from operations.run_git import git
from stages.common.core.errors import PipelineError
from stages.common.core.params import Strict

APPROVED = Path("approved.json")
NAME = r"[^/.][^/]*"
BUNDLE = re.compile(rf"data/train/({NAME})/0/{NAME}/({NAME})\.safetensors$")  # protocol, fold, seed, model
REMEDY = f"Resolve the conflict (`git log -p {APPROVED}` has each version), or approve again."


class Approved(Strict):
    """What approved.json says.

    Attributes:
        protocol: that the model was trained under.
        model: its row of the table.
        path: its bundle in the workspace.
        sha256: of the bundle's bytes, hexadecimal.
        rev: the commit whose dvc.lock names the bundle.
        why: who chose it: the doctor's rule for every infant, or a person although the rule said otherwise.
    """

    protocol: str
    model: str
    path: str
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    rev: Annotated[str, Field(pattern=r"^[0-9a-f]{40}([0-9a-f]{24})?$")]  # SHA-1, or SHA-256 where Git was set up so
    why: str

    @model_validator(mode="after")
    def _one_model(self) -> "Approved":
        found = BUNDLE.match(self.path)
        if found is None or found.groups() != (self.protocol, self.model):
            raise ValueError(
                f"path: expected data/train/{self.protocol}/0/<seed>/{self.model}.safetensors, got {self.path!r}"
            )
        return self


def read_approved() -> Approved:
    """Return what approved.json says.

    Raises:
        PipelineError: there is none, or it is damaged; with everything that is wrong.
    """
    if not APPROVED.is_file():
        raise PipelineError(f"{APPROVED}: expected it in the clone, got none. Nothing is approved; or `git pull`.")
    try:
        return Approved.model_validate_json(APPROVED.read_bytes())
    except ValidationError as error:
        lines = [f"  - {'.'.join(map(str, each['loc'])) or 'the file'}: {each['msg']}" for each in error.errors()]
        raise PipelineError("\n".join([f"{APPROVED}: expected what `approve` wrote, got:", *lines, REMEDY])) from error


def approved_of(cohort: str) -> str | None:
    """Return what approved.json names, in words, unless it is sure to be of another cohort; None where nothing is."""
    if not APPROVED.is_file():
        return None
    try:
        approved = read_approved()
    except PipelineError:
        return f"{APPROVED}, which is damaged: nobody can tell which model it names"
    try:
        its = YAML(typ="safe", pure=True).load(git("show", f"{approved.rev}:./params.yaml"))["cohort"]
    except (PipelineError, YAMLError, KeyError, TypeError):  # no commit of this clone's
        its = cohort
    named = f"{APPROVED}: {approved.protocol}/{approved.model} of commit {approved.rev[:10]}"
    return f"{named}, SHA-256 {approved.sha256}" if its == cohort else None
