"""A trained network that is proven to be the one whose answers the tables hold."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from stages.common.core.errors import PipelineError, Problem, raise_all
from stages.common.evaluation.predictions import Training
from stages.common.networks.bundle import read_bundle
from stages.common.networks.models import Channels, network_input
from stages.explain.heat import Heat, grad_cam, target_map
from stages.explain.params import Params

Grey = NDArray[np.uint8]
BATCH = 16  # pictures predicted at a time


@dataclass(frozen=True)
class Network:
    """A network ready to be asked.

    Attributes:
        module: in evaluation mode; (B, 3, S, S) -> (B, labels) logits.
        mean, std: of grey values scaled to 0..1.
        target: dotted name of the module whose feature map is explained, and the side of that map; None where the
            network has none that tells where it looked.
    """

    module: nn.Module
    mean: Channels
    std: Channels
    target: tuple[str, int] | None

    def _input(self, grey: Grey) -> Tensor:
        return network_input(torch.from_numpy(np.ascontiguousarray(grey)), self.mean, self.std)

    def probabilities(self, grey: Grey, labels: int) -> NDArray[np.float64]:
        """Return (N, labels) probabilities of (N, S, S) uint8 pictures."""
        batches = [grey[start : start + BATCH] for start in range(0, len(grey), BATCH)]
        with torch.inference_mode():
            parts = [torch.sigmoid(self.module(self._input(batch))).numpy() for batch in batches]
        return np.concatenate([np.zeros((0, labels)), *parts])

    def heat(self, grey: Grey, outputs: Sequence[int]) -> Heat | None:
        """Return (N, S, S): `grad_cam` of (N, S, S) uint8 pictures, one output each; None without a map to explain."""
        return None if self.target is None else grad_cam(self.module, self.target[0], self._input(grey), outputs)


def set_deterministic(threads: int) -> None:
    """Fix the CPU threads and refuse every operation whose result varies between runs."""
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)


def load(training: Training, path: Path, params: Params) -> Network:
    """Return a declared model's network.

    Raises:
        PipelineError: the bundle is damaged, or describes something else than params.yaml declares.
    """
    module, bundle = read_bundle(path)
    declared = {
        "architecture": (training.model, bundle.architecture),
        "labels": (list(params.labels), bundle.labels),
        "size_px": (params.size_px, bundle.size),
        "preprocess": (params.preprocess.model_dump(), bundle.preprocess.model_dump()),
    }
    remedy = "Train it again: `dvc repro train`."
    problems = [
        Problem(str(path), f"other {key} than params.yaml", str(expected), str(got), remedy)
        for key, (expected, got) in declared.items()
        if expected != got
    ]
    raise_all(problems, "the bundle is another model's")
    target = target_map(module, params.size_px, params.explain.smallest_map_px)
    return Network(module, bundle.mean, bundle.std, target)


def refuse_other_answers(
    training: Training,
    frame_ids: Sequence[str],
    labels: Sequence[str],
    table: NDArray[np.float64],
    recomputed: NDArray[np.float64],
    tolerance: float,
) -> None:
    """Stop when a bundle does not give the probabilities that the predictions table holds.

    Args:
        training: whose.
        frame_ids: (N,) of the rows.
        labels: (L,) of the columns.
        table: (N, L) from the predictions.
        recomputed: (N, L) from the bundle.
        tolerance: the largest difference allowed.
    """
    far = np.argwhere(~(np.abs(table - recomputed) <= tolerance))
    if len(far):
        row, column = far[0]
        raise PipelineError(
            f"{training}: the bundle is not the model of the predictions table: frame {frame_ids[row]}, label "
            f"{labels[column]}: expected a probability of {table[row, column]:.6f} within {tolerance:g}, got "
            f"{recomputed[row, column]:.6f}; {len(far)} of {table.size} differ. Run `dvc repro explain`, which trains "
            "again what was changed; if it trained on another machine, see explain.tolerance in params.yaml."
        )
