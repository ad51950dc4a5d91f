"""What a network says of pictures that lie on the device: answers, the features they rest on, and whether they vary."""

from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
from torch import Tensor, nn

from stages.common.networks.models import Penultimate, network_input
from stages.train.recipe import Recipe


def normalised(grey: Tensor, recipe: Recipe) -> Tensor:
    """Return (B, 3, S, S) float32 network input from (B, S, S) uint8: three equal channels, no copy made for them."""
    return network_input(grey, recipe.mean, recipe.std)


def autocast(device: torch.device) -> AbstractContextManager[object]:
    """Return bfloat16 autocast on CUDA, and nothing elsewhere: CPU bytes stay float32."""
    return torch.autocast("cuda", torch.bfloat16) if device.type == "cuda" else nullcontext()


def predict(network: nn.Module, grey: Tensor, recipe: Recipe) -> Tensor:
    """Return (N, L) float32 logits of (N, S, S) uint8 pictures, in their order."""
    network.eval()
    with torch.inference_mode(), autocast(grey.device):
        parts = [network(normalised(part, recipe)).float() for part in torch.split(grey, recipe.batch_size)]
    return torch.cat(parts)


def insides(network: nn.Module, grey: Tensor, recipe: Recipe) -> tuple[Tensor, Tensor]:
    """Return what the head is given for (N, S, S) uint8 pictures and what it makes of it, in their order, on the CPU.

    Returns:
        (N, D) float16 features, of which three digits are enough for neighbours and trees, and (N, L) float32 logits.
    """
    features, logits = [], []
    network.eval()
    with torch.inference_mode(), autocast(grey.device), Penultimate(network) as kept:
        for part in torch.split(grey, recipe.batch_size):
            logits.append(network(normalised(part, recipe)).float().cpu())
            features.append(kept.seen.half().cpu())
    return torch.cat(features), torch.cat(logits)


def constant_labels(logits: Tensor, truth: Tensor) -> list[int]:
    """Return the columns whose answers at probability .5 are all the same although the truth is not.

    Args:
        logits: (N, L).
        truth: (N, L), NaN where unknown.
    """
    answers = (logits >= 0).cpu().numpy()
    known = truth.cpu().numpy()
    return [
        label
        for label in range(answers.shape[1])
        if len(np.unique(answers[:, label])) == 1 and len(np.unique(known[~np.isnan(known[:, label]), label])) == 2
    ]
