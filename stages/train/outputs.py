"""Where the outputs of one training lie, what they say of it, and the two of them that are tables of numbers."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from stages.common.core.files import replacing
from stages.common.core.tables import write_table
from stages.common.dataset import DATA
from stages.common.networks.bundle import Bundle
from stages.train.answers import constant_labels, predict
from stages.train.params import Architecture, Shared
from stages.train.recipe import Pictures, Recipe


@dataclass(frozen=True)
class Place:
    """Where the outputs of one training lie."""

    fold: Path  # <protocol>/<fold>/<seed>
    name: str  # the architecture

    def of(self, kind: str, suffix: str = "") -> Path:
        """Return data/<kind>/<protocol>/<fold>/<seed>/<model><suffix>."""
        return DATA / kind / self.fold / f"{self.name}{suffix}"

    @property
    def features(self) -> Path:
        """Return where the features lie: below the network's name, because who uses them reads one network's."""
        return DATA / "features" / self.name / f"{self.fold}.npy"

    @property
    def logits(self) -> Path:
        """Return where the logits of all frames lie: below the network's name, for the same reason."""
        return DATA / "logits" / self.name / f"{self.fold}.npy"


def predictions(frame_ids: pd.Series, side: str, logits: Tensor, labels: list[str]) -> pd.DataFrame:
    """Return one row a frame: frame_id, split, one probability a label."""
    table = pd.DataFrame(torch.sigmoid(logits).cpu().numpy(), columns=labels)
    table.insert(0, "frame_id", frame_ids.to_numpy())
    table.insert(1, "split", side)
    return table


def write_predictions(
    place: Place, network: nn.Module, held: dict[str, tuple[pd.Series, Pictures]], labels: list[str], recipe: Recipe
) -> list[str]:
    """Write what the network says of the held-out sides; return the labels it answers constantly on validation.

    Args:
        held: side -> frame ids and pictures, `validation` among them.
    """
    logits = {side: predict(network, pictures.grey, recipe) for side, (_, pictures) in held.items()}
    said = [predictions(ids, side, logits[side], labels) for side, (ids, _) in held.items()]
    write_table(place.of("predictions", ".csv"), pd.concat(said).sort_values("frame_id"))
    return [labels[column] for column in constant_labels(logits["validation"], held["validation"][1].truth)]


def sidecar(params: Shared, architecture: Architecture, seed: int, seen: dict[str, Any]) -> dict[str, Any]:
    """Return what evaluate compares over all models, and refuses to mix."""
    shared = params.model_dump(include={"lr", "epochs", "labels", "preprocess", "train"})
    return {**shared, **seen, "seed": seed, "architecture": architecture.model_dump()}


def describe(name: str, size: int, params: Shared) -> Bundle:
    """Return what a bundle says of its network, as params.yaml has it."""
    mean, std = params.train.mean, params.train.std
    return Bundle(
        architecture=name, labels=list(params.labels), size=size, mean=mean, std=std, preprocess=params.preprocess
    )


def write_insides(place: Place, features: Tensor, logits: Tensor) -> None:
    """Write (N, D) float16 features and (N, L) float32 logits, a row a frame, those that it learnt from too."""
    for path, values in {place.features: features, place.logits: logits}.items():
        with replacing(path) as partial, partial.open("wb") as file:
            np.save(file, values.numpy())
