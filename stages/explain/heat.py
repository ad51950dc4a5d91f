"""Grad-CAM (Selvaraju et al. 2017, equations 1 and 2) for any convolutional classifier, and where its heat lies.

Our own few lines, because captum 0.9 hands on a copy of the map and so explains DenseNet's before its rectifier, which
works in place: what the rectifier takes away would then count as evidence. Elsewhere both give the same heat.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import interpolate

from stages.common.core.errors import PipelineError

BATCH = 8  # pictures differentiated at a time: DenseNet121 at 224 px keeps about 0.1 GB of feature maps a picture
Heat = NDArray[np.float64]


@dataclass(frozen=True)
class Traced:
    """What one forward pass through a network shows.

    Attributes:
        sides: name of a module -> side in px of its square (B, C, H, H) map, in the order in which modules finish.
        after: the same name -> how many of the layers with weights had run by then.
        calls: how often each module ran.
        layers: how many layers with weights ran.
        last_convolution: how many had run after the last convolution.
    """

    sides: dict[str, int]
    after: dict[str, int]
    calls: Counter[str]
    layers: int
    last_convolution: int

    def is_late(self, name: str) -> bool:
        """Return whether a map is evidence of where the network looked, rather than of its first layers.

        Convolutions run into the network's last half, so that its maps are what it works with; or the map is the very
        last one, and late itself. A transformer whose one convolution cuts the picture into patches has no such map.
        """
        last = name == next(reversed(self.sides))
        return 2 * self.last_convolution >= self.layers or (last and 2 * self.after[name] >= self.layers)


def traced(network: nn.Module, size: int) -> Traced:
    """Run an empty picture through a network and note what every module gives, in the order of the forward pass.

    Left out are adaptive pools, which for small pictures repeat one value over the map (AlexNet's at 64 px makes 6x6 of
    1x1).
    """
    found = Traced({}, {}, Counter(), 0, 0)
    weighted = convolution = 0

    def note(name: str, module: nn.Module, output: object) -> None:
        nonlocal weighted, convolution
        found.calls[name] += 1
        weighted += any(True for _ in module.parameters(recurse=False))
        convolution = weighted if isinstance(module, nn.Conv2d) else convolution
        pools = (nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)
        square = isinstance(output, Tensor) and output.ndim == 4 and output.shape[2] == output.shape[3]
        if square and not isinstance(module, pools):
            found.sides[name], found.after[name] = output.shape[3], weighted  # type: ignore[attr-defined]

    hooks = [
        module.register_forward_hook(lambda module, _input, output, name=name: note(name, module, output))
        for name, module in network.named_modules()
        if name
    ]
    with torch.inference_mode():
        network.eval()(torch.zeros(1, 3, size, size))
    for hook in hooks:
        hook.remove()
    return replace(found, layers=weighted, last_convolution=convolution)


def target_map(network: nn.Module, size: int, smallest_px: int) -> tuple[str, int] | None:
    """Return the dotted name and the side in px of the feature map that is explained; None where no map is late.

    It is the last output of a module, in the order of the forward pass, that is a square (B, C, H, H) map with H of at
    least `smallest_px`. Of equal outputs the outermost module's is taken. Left out are modules that run more than once.
    The last one outright, as in the paper, is 7x7 at 224 px but 2x2 at 64 px: too coarse to point at anything.

    Raises:
        PipelineError: no map of the network is that large.
    """
    found = traced(network, size)
    large = [name for name, side in found.sides.items() if side >= smallest_px and found.calls[name] == 1]
    if not large:
        raise PipelineError(
            f"params.yaml: explain.smallest_map_px: expected at most {max(found.sides.values(), default=0)}, the side "
            f"of the largest feature map of this {type(network).__name__} at {size} px, got {smallest_px}. Lower it."
        )
    return (large[-1], found.sides[large[-1]]) if found.is_late(large[-1]) else None


def grad_cam(network: nn.Module, layer: str, pictures: Tensor, outputs: Sequence[int]) -> Heat:
    """Return (B, S, S) heat at or above 0: what in each picture speaks for one of the network's outputs.

    The gradient of the logit, averaged over the map, weighs the map's channels (equation 1); their sum without its
    negative part (equation 2) is enlarged to the picture bilinearly. All zero where nothing speaks for the output.

    Args:
        network: in evaluation mode; (B, 3, S, S) -> (B, labels) logits.
        layer: dotted name of the module whose output is the feature map.
        pictures: (B, 3, S, S) float32 network input.
        outputs: (B,) column of the logit that is explained.
    """
    side, parts = pictures.shape[3], [np.zeros((0, *pictures.shape[2:]))]
    for start in range(0, len(outputs), BATCH):
        part = slice(start, start + BATCH)
        maps, gradient = _map_and_gradient(network, layer, pictures[part], torch.tensor(outputs[part]))
        weights = gradient.mean(dim=(2, 3), keepdim=True)  # (B, C, 1, 1), equation 1
        coarse = (weights * maps).sum(dim=1, keepdim=True).clamp(min=0)  # (B, 1, H, H), equation 2
        parts.append(_enlarged(coarse, side))
    return np.concatenate(parts)


def _map_and_gradient(network: nn.Module, layer: str, pictures: Tensor, outputs: Tensor) -> tuple[Tensor, Tensor]:
    """Return (B, C, H, H) feature maps as the next layer reads them, and the gradient of one logit a picture there."""
    kept: list[Tensor] = []
    hook = network.get_submodule(layer).register_forward_hook(lambda _module, _input, output: kept.append(output))
    logits = network(pictures)
    hook.remove()
    # no copy was kept: what later layers did to the map in place is in it, and in its history
    (gradient,) = torch.autograd.grad(logits.gather(1, outputs[:, None]).sum(), kept[0])
    return kept[0].detach(), gradient


def _enlarged(coarse: Tensor, side: int) -> Heat:
    """Return (B, side, side) of (B, 1, H, H), bilinearly."""
    fine = interpolate(coarse, size=(side, side), mode="bilinear", align_corners=False)
    return np.asarray(fine[:, 0].numpy(), np.float64)


def share_inside(heat: Heat, mask: Heat) -> float | None:
    """Return the share of the heat that lies inside a mask, None where there is no heat.

    Args:
        heat: (S, S), at or above 0.
        mask: (S, S), 0 to 1: how much of each pixel the structure covers.
    """
    total = heat.sum()
    return float((heat * mask).sum() / total) if total > 0 else None


def best_inside(mask: Heat, map_px: int) -> float:
    """Return the largest `share_inside` that any map of `map_px` a side could reach once enlarged.

    A coarse map cannot put all its heat into a small structure. Every heatmap is a weighted mean of its enlarged cells,
    so the best puts all into the one cell with the largest share inside.
    """
    cells = torch.eye(map_px * map_px).reshape(-1, 1, map_px, map_px)
    return max(share_inside(cell, mask) or 0.0 for cell in _enlarged(cells, mask.shape[0]))
