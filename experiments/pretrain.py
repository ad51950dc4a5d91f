"""Weights from simulated infants: train the networks on a larger phantom of another seed, and keep the bundles."""

import hashlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dvc.utils.hydra import apply_overrides

from experiments.overrides import parse_assignment
from experiments.plan import Plan, Profile, changes_text, plan, read_profile
from experiments.profile import run_dvc, say_estimate
from experiments.search_dvc import changed_files
from stages.common.core.errors import PipelineError
from stages.common.core.files import replacing, write_text
from stages.common.core.params import PARAMS_FILE
from stages.common.core.yaml_file import load_yaml
from stages.common.networks.weights_file import LIST, RANDOM

ROOT = Path("weights")
PROTOCOL = "patient"  # the epoch that is kept is chosen by infants that were not trained on
CLONES = Path(".dvc/tmp")  # ignored by Git, and on the same disk


@dataclass(frozen=True)
class Size:
    """Of a phantom cohort."""

    patients: int
    clips_per_patient: int
    frames_per_clip: int


def changes_of(size: Size, seed: int) -> dict[str, Any]:
    """Return what a pretraining changes of params.yaml: the cohort, and that nothing but `patient` is trained."""
    return {
        "seed": seed, "seeds": {}, "cohort": "phantom", "phantom.layout": asdict(size), "phantom.scale": 1.0,
        "protocols": {PROTOCOL: {}}, "folds": {}, "baselines": {}, "sequences": {},
        "train.weights": RANDOM, "train.weights_sha256": None, "train.freeze": False,
    }  # fmt: skip


def planned_of(base: Profile, size: Size, seed: int, more: Mapping[str, Any]) -> Plan:
    """Return what is trained.

    Raises:
        PipelineError: with every mistake; or the seed is that of the phantom to be transferred to.
    """
    params = base.params | changes_of(size, seed)
    models = {**load_yaml(PARAMS_FILE), **params, **more}["architectures"]
    targets = [f"train@{PROTOCOL}-{model}" for model in models]
    planned = plan(Profile(targets=targets, params=params), "the pretraining", more, "-S")
    if (found := planned.after["seed"]) == planned.before["seed"]:
        raise PipelineError(
            f"{'--seed ' if found == seed else '-S seed='}{found}: expected another than seed of {PARAMS_FILE}, got "
            "the same: the infants trained on would be those of the cohort that the weights are for."
        )
    return planned


def sha256_of(path: Path) -> str:
    """Return a file's SHA-256 in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_sums(folder: Path) -> None:
    """Write the hashes of the bundles in `folder` as sha256sum does: `sha256sum -c SHA256SUMS` checks them."""
    files = sorted(folder.glob("*.safetensors"))
    write_text(folder / LIST, "".join(f"{sha256_of(file)}  {file.name}\n" for file in files))


def keep(source: Path, models: Sequence[str], target: Path, params: Path) -> None:
    """Copy the bundles of `models` and what they were trained with, with their hashes; the folder appears whole."""
    with replacing(target) as partial:
        partial.mkdir()
        for model in models:
            shutil.copy2(source / f"{model}.safetensors", partial)
        shutil.copy2(params, partial / PARAMS_FILE)
        write_sums(partial)


def pretrain(name: str, size: Size, seed: int, profile: str, more: Sequence[str], dry: bool) -> None:
    """Train in a clone of the last commit, which is removed at its end, and keep the bundles in weights/<name>.

    Raises:
        PipelineError: mistakes, files changed since the last commit, weights of that name, or a training that failed.
    """
    planned = planned_of(read_profile(profile), size, seed, dict(map(parse_assignment, more)))
    print(f"pretraining {name} changes of params.yaml:\n{changes_text(planned.before, planned.after)}", flush=True)
    if dry:
        return
    _refuse(name)
    say_estimate(planned.after)
    CLONES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="pretrain-", dir=CLONES) as folder:
        clone = Path(folder) / "project"
        subprocess.run(["git", "clone", "-q", "--shared", ".", str(clone)], check=True)
        apply_overrides(clone / PARAMS_FILE, list(planned.overrides))
        if status := run_dvc(["repro", "--no-commit", *planned.targets], clone):
            sys.exit(status)
        bundles = clone / f"data/train/{PROTOCOL}/0/{planned.after['seed']}"
        keep(bundles, list(planned.after["architectures"]), ROOT / name, clone / PARAMS_FILE)
    print(f"`python -m experiments.transfer queue --weights {ROOT / name}` queues what they are worth")
    print(f"train.weights: {ROOT / name}, train.weights_sha256: {sha256_of(ROOT / name / LIST)}")


def _refuse(name: str) -> None:
    if (ROOT / name).exists():
        raise PipelineError(f"{ROOT / name}: expected no such folder yet, got one. Remove it, or give another --name.")
    if changed := changed_files():
        raise PipelineError(
            f"{', '.join(changed)}: changed since the last commit, which is what is cloned. Commit the changes, or "
            "take them back with `git checkout .`."
        )
