"""Fit one system to the training side of a fold, and let it answer for every frame of the other two sides."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.common.core.progress import bar
from stages.sequence.inputs import scaling_of
from stages.sequence.losses import log_loss, seeded
from stages.sequence.networks import Kind, build
from stages.sequence.params import Chooser, Section, Smoothing, shape_of
from stages.sequence.smoothing import Values, chain_of, evidence, filtered, median, smoothed
from stages.sequence.stretches import Rows, Stretch
from stages.sequence.training import Data, answers, fit


@dataclass(frozen=True)
class Fold:
    """What a system may see of one fold.

    Attributes:
        name: `<protocol>/<fold>`.
        truth: (N, L) 1, 0 or NaN; rows of the test side are NaN, so that nothing can look at them.
        sides: side -> rows.
        stretches: side -> stretches.
        leaning: (L,) what the network says where a picture tells it nothing.
    """

    name: str
    truth: NDArray[np.float32]
    sides: dict[str, Rows]
    stretches: dict[str, list[Stretch]]
    leaning: Values

    @property
    def held_out(self) -> list[Stretch]:
        """Stretches of validation and test."""
        return [*self.stretches["validation"], *self.stretches["test"]]


@dataclass(frozen=True)
class Answered:
    """What a system says, and how it came to it.

    Attributes:
        said: (N, L) probabilities, NaN on the training side.
        chosen: what validation chose, for the sidecar.
        operations: multiply-adds a frame, beside the network's.
    """

    said: Values
    chosen: dict[str, Any]
    operations: int


def network_answers(
    kind: Kind, features: NDArray[np.floating], fold: Fold, section: Section, by: Chooser, seed: int
) -> Answered:
    """Train a GRU, an LSTM or a transformer on the training side's features.

    Args:
        kind: which.
        features: (N, D) of a network that learnt from this fold's training side alone.
        fold: the sides.
        section: `sequence`.
        by: what settles which epoch's weights stay.
        seed: of weights, dropout, noise and order.
    """
    own = seeded(seed, kind, fold.name)
    scaling = scaling_of(features, fold.sides["train"], section.components, own)
    data = Data(scaling(features), fold.truth, fold.stretches)
    network = build(kind, shape_of(section, data.inputs.shape[1], fold.truth.shape[1]))
    line = fit(network, data, section, by, own, f"{kind} {fold.name}")
    operations = sum(value.numel() for value in network.parameters() if value.ndim == 2)
    turning = 0 if scaling.components is None else scaling.components.size
    return Answered(answers(network, data, fold.held_out, section.batch), {"epoch": line.epoch}, operations + turning)


def median_answers(probabilities: Values, fold: Fold, section: Section, by: Chooser) -> Answered:
    """Smooth the network's probabilities by their running median.

    Args:
        probabilities: (N, L) of the network; NaN on the training side, of which nothing is asked.
        fold: the sides.
        section: `sequence`.
        by: what settles the window.
    """
    causal = section.causal

    def smooth(window_s: float, stretch: Stretch) -> Values:
        return median(probabilities[stretch.rows], stretch.times_s, window_s, causal)

    chosen = _chosen(section.median_s, by, smooth, fold)
    return Answered(_of_all(partial(smooth, chosen), fold), {"median_s": chosen}, 0)


def markov_answers(probabilities: Values, fold: Fold, section: Section, by: Chooser) -> Answered:
    """Filter the network's probabilities by a chain that the training side's labels make.

    A network is too sure, and its neighbouring frames err alike, which a chain would take for independent witnesses:
    so each frame's evidence is divided by a temperature. Validation chooses it by the loss of the *filtered* answers.
    """
    chain = chain_of(fold.stretches["train"], fold.truth)
    run = filtered if section.causal else smoothed

    def follow(temperature: float, stretch: Stretch) -> Values:
        return run(evidence(probabilities[stretch.rows], fold.leaning, temperature), stretch.times_s, chain)

    chosen = _chosen(section.temperature, by, follow, fold)
    return Answered(_of_all(partial(follow, chosen), fold), {"temperature": chosen}, 0)


def _chosen(of: Smoothing, by: Chooser, answer: Callable[[float, Stretch], Values], fold: Fold) -> float:
    """Return the fixed value, or the one whose answers cost least on validation; of equals the least."""
    if by == "fixed":
        return of.fixed
    values = sorted(of.tried)
    stretches = fold.stretches["validation"]
    truth = np.concatenate([fold.truth[stretch.rows] for stretch in stretches])
    losses = [
        float(log_loss(np.concatenate([answer(value, stretch) for stretch in stretches]), truth))
        for value in bar(values, f"smoothing {fold.name}", unit="value")
    ]
    return values[int(np.argmin(losses))]


def _of_all(answer: Callable[[Stretch], Values], fold: Fold) -> Values:
    """Return (N, L) what is answered on validation and test, NaN elsewhere."""
    said = np.full(fold.truth.shape, np.nan)
    for stretch in fold.held_out:
        said[stretch.rows] = answer(stretch)
    return said
