"""Transfer against scratch: queue the study's progression as experiments, read their table, pretrain on phantoms.

    python -m experiments.transfer queue --weights imagenet              scratch, augmented, head only, all layers
    dvc queue start -j 1
    python -m experiments.transfer table
    python -m experiments.transfer pretrain --patients 30 --seed 7       weights from simulated infants, where there are
    python -m experiments.transfer queue --weights weights/phantom-30-7  none of ImageNet

Reads   params.yaml, dvc.yaml, profiles/transfer.yaml (`Compared`) and its profile; `table` what DVC knows of the
        experiments, and from its cache their predictions
Runs    dvc exp run --queue -n transfer-<name>; `pretrain` dvc repro in a clone that is removed at its end
Writes  `pretrain`: weights/<name>/<architecture>.safetensors, SHA256SUMS, params.yaml (what they were trained with)

Other weights are other experiments: queue several, and one table has them all.
"""

import argparse
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from experiments.compared import Compared, Entry, Kind, add_queue, add_table, queue, table
from experiments.finished import Experiment, exp_show, experiments_in
from experiments.overrides import Content
from experiments.plan import plan, read_file, read_profile
from experiments.pretrain import Size, pretrain, sha256_of
from stages.common.core.errors import PipelineError, run
from stages.common.core.params import PARAMS_FILE
from stages.common.core.yaml_file import load_yaml
from stages.common.networks.weights_file import IMAGENET, LIST, RANDOM

TRANSFER = Kind("transfer")
GIVEN = "given"  # in profiles/transfer.yaml: what --weights names
BUNDLES = Path("data/train")
DIGITS = 7  # of a hash, as Git shows one
WEIGHTS, SHA256 = "train.weights", "train.weights_sha256"
CAUTION = (
    "Weights from phantoms have seen no infant; what they gain is measured here on whatever cohort the profile names. "
    "Where that is a phantom too, the gain says how alike two phantoms are."
)


def label_of(weights: str, digest: str | None) -> str:
    """Return what the experiments of some weights are called after: the file's or folder's name and their hash.

    In small letters. The hash tells weights of one name apart: pretrained anew, they are other experiments.
    """
    path = Path(weights)
    name = path.stem if path.is_file() else path.name
    return re.sub(r"[^a-z0-9]+", "-", f"{name} {digest[:DIGITS] if digest else ''}".lower()).strip("-")


def digest_of(weights: str) -> str | None:
    """Return what `train.weights_sha256` must say of some weights; None for ImageNet, whose loader knows its hashes.

    Raises:
        PipelineError: no such file, or a folder without a list of hashes.
    """
    path = Path(weights)
    if weights == IMAGENET:
        return None
    if weights == RANDOM or not (path / LIST if path.is_dir() else path).is_file():
        raise PipelineError(
            f"--weights {weights}: expected {IMAGENET}, a file, or a folder with {LIST} (`sha256sum * > {LIST}` writes "
            "one), got none of them."
        )
    return sha256_of(path / LIST if path.is_dir() else path)


def refuse_same_infants(weights: str, content: Content) -> None:
    """Stop where the weights know the very infants of the phantom: they follow from its seed and their names alone.

    Args:
        weights: as given; a folder that `pretrain` wrote, or a file in one, has beside it what it was trained with.
        content: of params.yaml under the experiments' profile.

    Raises:
        PipelineError: both cohorts are phantoms of one seed, or the weights are this project's own bundles.
    """
    if Path(weights).resolve().is_relative_to(BUNDLES.resolve()):
        raise PipelineError(
            f"--weights {weights}: expected weights of other infants than those they are measured on, got a network "
            f"below {BUNDLES}: it learnt from the cohort in the workspace. `pretrain` makes others."
        )
    folder = path if (path := Path(weights)).is_dir() else path.parent
    if not (folder / LIST).is_file() or not (folder / PARAMS_FILE).is_file():
        return
    seen, tested = ([of.get(key) for key in ("cohort", "seed")] for of in (load_yaml(folder / PARAMS_FILE), content))
    if seen == tested and seen[0] == "phantom":
        raise PipelineError(
            f"--weights {weights}: expected weights of other infants than those they are measured on, got in "
            f"{folder / PARAMS_FILE} cohort phantom with seed {seen[1]}, as in {PARAMS_FILE}. Pretrain with "
            "another --seed."
        )


def with_weights(transfer: Compared, weights: Iterable[tuple[str, str, str | None]]) -> Compared:
    """Return the comparison with `given` experiments repeated for each (label, weights, SHA-256)."""
    given = {name for name, entry in transfer.experiments.items() if GIVEN in entry.params.values()}
    found: dict[str, Entry] = {name: entry for name, entry in transfer.experiments.items() if name not in given}
    for label, value, digest in weights:
        put = {WEIGHTS: value, SHA256: digest}
        for name in (name for name in transfer.experiments if name in given):
            entry = transfer.experiments[name]
            params = {key: put[key] if item == GIVEN else item for key, item in entry.params.items()}
            against = f"{entry.against}-{label}" if entry.against in given else entry.against
            found[f"{name}-{label}"] = Entry(against=against, params=params)
    return transfer.model_copy(update={"experiments": found})


def weights_in(transfer: Compared, there: Mapping[str, Experiment]) -> list[tuple[str, str, str | None]]:
    """Return label, weights and SHA-256 of what experiments were run with, each once."""
    given = [name for name, entry in transfer.experiments.items() if GIVEN in entry.params.values()]
    found = {}
    for name, experiment in there.items():
        for rung in (rung for rung in given if name.startswith(f"{rung}-")):
            train = experiment.params["train"]
            found[name.removeprefix(f"{rung}-")] = (train["weights"], train["weights_sha256"])
    return [(label, *values) for label, values in found.items()]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m experiments.transfer", description="Transfer against scratch.")
    commands = parser.add_subparsers(dest="command", required=True)
    queueing = add_queue(commands)
    queueing.add_argument("--weights", required=True, help=f"{IMAGENET}, a file, or a folder with {LIST}")
    add_table(commands)
    making = commands.add_parser("pretrain", help="train the networks on a larger phantom of another seed")
    making.add_argument("--patients", type=int, default=30, help="simulated infants")
    making.add_argument("--clips", type=int, default=1, help="of each infant")
    making.add_argument("--frames", type=int, default=40, help="of each clip")
    making.add_argument("--seed", type=int, required=True, help="another than params.yaml's: other infants")
    making.add_argument("--profile", default="laptop", help="what the training begins from")
    making.add_argument("-S", dest="more", action="append", default=[], metavar="KEY=VALUE", help="one more change")
    making.add_argument("--name", help="of the folder below weights/; phantom-<patients>-<seed> if not given")
    making.add_argument("--dry", action="store_true", help="say what would be changed, and stop")
    return parser.parse_args()


def main() -> None:
    """Queue, read, or pretrain."""
    asked = _arguments()
    if asked.command == "pretrain":
        name = asked.name or f"phantom-{asked.patients}-{asked.seed}"
        pretrain(
            name, Size(asked.patients, asked.clips, asked.frames), asked.seed, asked.profile, asked.more, asked.dry
        )
        return
    transfer = read_file(TRANSFER.file, Compared)
    if asked.command == "queue":
        digest = digest_of(asked.weights)
        refuse_same_infants(asked.weights, plan(read_profile(transfer.profile), transfer.profile, {}, "").after)
        one = (label_of(asked.weights, digest), asked.weights, digest)
        queue(TRANSFER, with_weights(transfer, [one]), asked.only, asked.dry)
    else:
        there = experiments_in(exp_show(asked.rev), TRANSFER.prefix)
        table(TRANSFER, with_weights(transfer, weights_in(transfer, there)), there, asked.csv, CAUTION)


if __name__ == "__main__":
    run(main)
