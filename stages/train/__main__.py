"""Train one network under one split and write what it says of every validation and test frame.

    python -m stages.train frame 0 resnet18
    torchrun --nproc-per-node=4 -m stages.train frame 0 resnet18    on four GPUs, or processes (stages/train/group.py)

Reads   data/preprocess/<variant>.npy, data/extract_frames/frames.csv, data/label_merge/labels.csv,
        data/split/<protocol>.csv
Writes  data/predictions/<protocol>/<fold>/<seed>/<model>.csv   frame_id, split, one probability a label
        data/predictions/<protocol>/<fold>/<seed>/<model>.json  the params it was trained with, and how it went
        data/curves/<protocol>/<fold>/<seed>/<model>/           history.csv, and DVCLive's curves
        data/train/<protocol>/<fold>/<seed>/<model>.safetensors the bundle
        data/features/<model>/<protocol>/<fold>/<seed>.npy      what the head is given for every frame's original:
                                                                (N, D) float16, rows of frames.csv
        data/logits/<model>/<protocol>/<fold>/<seed>.npy        and what the head makes of it: (N, L) float32

Derived pictures inherit their frame's side; validation and test read the originals only. `train.kept_epoch` says for
each protocol whether the best epoch on validation is kept, or the last, fixed beforehand; test rows choose nothing.
`lr` is the rate of the new head and each backbone has a scale of its own: at lr 0.01 with Adam a plain fine-tune of
AlexNet or VGG16 collapses into constant answers. Folds of leave one patient out write no bundle, because one set of
bundles is 0.9 GB; further seeds, which show optimisation noise, write neither features nor logits. A training that was
killed goes on after the last epoch that was written down (stages/train/checkpoint.py), and ends with the same bytes.
"""

import argparse
import copy
import math
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from dvclive import Live
from torch import nn

from stages.common.core.errors import PipelineError, run
from stages.common.core.files import write_json
from stages.common.core.params import read_params
from stages.common.core.tables import write_table
from stages.common.dataset import digests, read_frames, read_sides, read_truth
from stages.common.networks.bundle import Bundle, write_bundle
from stages.common.networks.learnt import differences, learnt_from, normalised_as
from stages.common.networks.models import build, giga_operations, head_name, refuse_small_pictures
from stages.common.networks.weights import load_weights
from stages.common.variants import VARIANT_NAMES
from stages.train.answers import insides
from stages.train.checkpoint import Keeper, key_of
from stages.train.device import device_of, set_deterministic
from stages.train.group import ALONE, Group, grouped
from stages.train.loop import train_epochs
from stages.train.outputs import Place, describe, sidecar, write_insides, write_predictions
from stages.train.params import Architecture, Kept, KeptEpoch, Train, params_of, recipe_of
from stages.train.pictures import gather
from stages.train.recipe import Epoch, Pictures, Recipe

HELD_OUT = ("validation", "test")


def fit(
    network: nn.Module,
    train: Pictures,
    validation: Pictures,
    recipe: Recipe,
    curves: Path,
    kept: Kept,
    keeper: Keeper,
    group: Group = ALONE,
) -> list[Epoch]:
    """Train, log every epoch, and leave the network with the weights of the epoch that `kept_line` returns."""
    history, best = list(keeper.history), keeper.best
    with Live(dir=str(curves), dvcyaml=None, save_dvc_exp=False, report=None) as live:
        for epoch in history:
            _log(live, epoch)
        for epoch in train_epochs(network, head_name(network), train, validation, recipe, keeper, group):
            history.append(epoch)
            if kept == "best" and kept_line(history, kept) is epoch:
                best = copy.deepcopy(network.state_dict())
            _log(live, epoch)
            keeper.save(history, best)
    line = kept_line(history, kept)
    if not math.isfinite(line.validation_loss):
        raise PipelineError(
            f"the {kept} epoch: expected a finite validation loss, got {line}. Lower lr or train.clip_norm."
        )
    if kept == "best":
        network.load_state_dict(best)
    return history


def follow(
    network: nn.Module, train: Pictures, validation: Pictures, recipe: Recipe, keeper: Keeper, group: Group
) -> None:
    """Take part in what the group's first process fits, and keep nothing."""
    for _ in train_epochs(network, head_name(network), train, validation, recipe, keeper, group):
        pass


def _log(live: Live, epoch: Epoch) -> None:
    live.log_metric("train/loss", epoch.train_loss)
    live.log_metric("validation/loss", epoch.validation_loss)
    live.next_step()


def kept_line(history: Sequence[Epoch], kept: Kept) -> Epoch:
    """Return the epoch whose weights stay: the last, or the best, which is chosen by validation alone.

    Best is the lowest finite loss, but among the epochs with the fewest constant answers: on one infant's frames the
    lowest loss may belong to the first epoch, which says the same of every frame and is of no use.
    """
    if kept == "last":
        return history[-1]
    finite = [line for line in history if math.isfinite(line.validation_loss)]
    return min(finite or history, key=lambda line: (line.constant_labels, line.validation_loss))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m stages.train", description="Train one network under one split.")
    parser.add_argument("protocol", choices=list(KeptEpoch.model_fields), help="the name of a table in data/split")
    parser.add_argument("fold", type=int, help="0 for the protocols frame and patient")
    parser.add_argument("architecture", help="a key of `architectures` in params.yaml")
    parser.add_argument("--seed", type=int, help="of this training; default: `seed` of params.yaml")
    parser.add_argument("--without", nargs="*", default=[], choices=["bundle", "features"], help="what is not written")
    return parser.parse_args()


def _new_network(own: Bundle, params: Train, device: torch.device) -> tuple[nn.Module, Bundle]:
    """Return the network and its description, which normalises the pictures as the given weights want them."""
    name, given = own.architecture, (own.architecture, params.weights, params.weights_sha256)
    network = build(name, len(own.labels), own.size)
    refuse_small_pictures(network, name, own.size)
    learnt = learnt_from(*given)
    print(load_weights(network, *given) + differences(own, learnt), file=sys.stderr)
    if device.type == "cuda":  # tensor cores want the channels last
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network.to(device), normalised_as(own, learnt)


def _warn(name: str, constant: list[str], line: Epoch) -> None:
    if constant:
        print(f"COLLAPSED: {name} gives one constant answer on validation for {', '.join(constant)}", file=sys.stderr)
    if line.validation_loss > line.coin_loss:
        worse = f"validation loss {line.validation_loss:.3g}, worse than a coin's {line.coin_loss:.3f}: lower lr"
        print(f"warning: {name}: {worse}", file=sys.stderr)


def main() -> None:
    """Train, predict, write; several processes train together, and the first alone writes."""
    with grouped() as group:
        _train(_arguments(), group)


def _train(asked: argparse.Namespace, group: Group) -> None:
    params: Any = read_params(params_of(asked.architecture))
    architecture: Architecture = getattr(params.architectures, asked.architecture)
    seed = params.seed if asked.seed is None else asked.seed
    place = Place(Path(asked.protocol, str(asked.fold), str(seed)), asked.architecture)
    device = group.device(device_of(params.train.device))
    set_deterministic(device, group.threads(params.train.threads), seed)
    labels, frames = list(params.labels), read_frames()
    truth, rows = read_truth(labels, frames), read_sides(asked.protocol, asked.fold, frames)
    variants = [name for name in VARIANT_NAMES if params.train.variants.get(name)]
    train = gather(rows["train"], truth, variants, device)
    ids = frames["frame_id"]
    held = {side: (ids.iloc[rows[side]], gather(rows[side], truth, ["original"], device)) for side in HELD_OUT}

    size = train.grey.shape[-1]
    network, bundle = _new_network(describe(asked.architecture, size, params), params.train, device)
    recipe = replace(recipe_of(params, architecture, seed), mean=bundle.mean, std=bundle.std)
    kept: Kept = getattr(params.train.kept_epoch, asked.protocol)
    seen = {"size": size, **digests(asked.protocol, variants)}
    rests_on = {"params": params.model_dump(), "seen": seen, "seed": seed, "place": str(place.of(""))}
    rests_on |= {"processes": group.size}  # whose rounding differs
    keeper = Keeper("-".join([*place.fold.parts, place.name]), key_of(rests_on))
    if group.rank > 0:
        follow(network, train, held["validation"][1], recipe, keeper, group)
        return
    history = fit(network, train, held["validation"][1], recipe, place.of("curves"), kept, keeper, group)
    line = kept_line(history, kept)
    _warn(asked.architecture, write_predictions(place, network, held, labels, recipe), line)
    write_table(place.of("curves") / "history.csv", pd.DataFrame([asdict(epoch) for epoch in history]))
    said = {"params": sidecar(params, architecture, seed, seen), "chosen_epoch": line.epoch}
    said["giga_operations"] = round(giga_operations(network, size), 4)
    if group.size > 1:
        said["processes"] = group.size
    write_json(place.of("predictions", ".json"), said)
    if "features" not in asked.without:
        every = gather(np.arange(len(frames)), truth, ["original"], device)
        write_insides(place, *insides(network, every.grey, recipe))
    if "bundle" not in asked.without:
        write_bundle(place.of("train", ".safetensors"), network, bundle)
    keeper.close()


if __name__ == "__main__":
    run(main)
