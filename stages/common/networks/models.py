"""torchvision's classification networks by name, with a head of ours, and what stands before that head."""

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from stages.common.core.errors import PipelineError
from stages.common.networks.vision import torchvision

SIZE_PX = 224  # torchvision's own
Channels = float | tuple[float, float, float]  # one number for the three equal channels, or one each
_TOO_SMALL = (RuntimeError, ValueError, AssertionError)
TRIED_PX = (64, 75, 96, 128, 160, 192, SIZE_PX, 299)  # sizes that a message may propose; Inception takes none below 75
FLOPS_A_MULTIPLY_ADD = 2


def build(architecture: str, classes: int, size_px: int = SIZE_PX) -> nn.Module:
    """Return torchvision's network with random weights and a last layer of `classes` outputs.

    Input (B, 3, S, S) float32, output (B, classes) logits. `size_px` is S; only transformers are built for one size.

    Raises:
        PipelineError: torchvision has no classification network of that name, or none for that size.
    """
    known = torchvision.models.list_models(module=torchvision.models)
    if architecture not in known:
        raise PipelineError(
            f"params.yaml: architectures: expected names of torchvision ({', '.join(known)}), got {architecture!r}."
        )
    try:
        network: nn.Module = torchvision.models.get_model(
            architecture, weights=None, num_classes=classes, **_of_its_own(architecture, size_px)
        )
    except (AssertionError, ValueError) as error:
        raise PipelineError(
            f"params.yaml: size_px: expected a size that {architecture} can divide, got {size_px} px ({error}). "
            f"Set size_px to {SIZE_PX}, or drop the architecture."
        ) from error
    if isinstance(network, torchvision.models.SqueezeNet):
        network.classifier[2] = nn.Identity()  # a rectifier behind the layer that answers: it could never say no
    if not any(isinstance(module, _NORMS) for module in network.modules()):
        _initialise_for_rectifiers(network)
    return network


def skeleton(architecture: str, classes: int, size_px: int) -> nn.Module:
    """Return the network for tensors that will take the place of its own: nothing is drawn, where that can be had."""
    try:
        with torch.device("meta"):
            return build(architecture, classes, size_px)
    except NotImplementedError:  # RegNets compute their widths with tensors, which a device without data cannot
        return build(architecture, classes, size_px)


_NORMS = (nn.modules.batchnorm._BatchNorm, nn.LayerNorm, nn.GroupNorm)


def _of_its_own(architecture: str, size_px: int) -> dict[str, object]:
    """Return what a family's builder must be told: its input's size and scale, to give one answer in training too."""
    families: dict[str, dict[str, object]] = {
        "vit_": {"image_size": size_px},
        "maxvit": {"input_size": (size_px, size_px)},
        # torchvision's turn inputs normalised with ImageNet's mean of each channel, which `imagenet` gives them
        # (networks/learnt.py), back to the .5 that their weights were learnt with. From random weights any scale serves
        "googlenet": {"aux_logits": False, "init_weights": True, "transform_input": True},
        "inception_v3": {"aux_logits": False, "init_weights": True, "transform_input": True},
    }
    return next((own for family, own in families.items() if architecture.startswith(family)), {})


def _initialise_for_rectifiers(network: nn.Module) -> None:
    """Draw the layers below the head as He et al. (2015, equation 10) do.

    Without batch norm the signal of torch's default draw fades from layer to layer, and AlexNet from random weights
    spends its first epochs on constant answers.
    """
    head = network.get_submodule(head_name(network))
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear) and module is not head:
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def network_input(grey: Tensor, mean: Channels, std: Channels) -> Tensor:
    """Return (B, 3, S, S) float32 network input from (B, S, S) uint8: no copy is made of channels that are equal.

    Args:
        grey: what `preprocess` made of the frames.
        mean, std: of grey values scaled to 0..1.
    """
    scaled = grey.float().div_(255.0)
    if isinstance(mean, tuple) or isinstance(std, tuple):
        means, stds = (scaled.new_tensor(value).view(-1, 1, 1) for value in (mean, std))
        return ((scaled.unsqueeze(1) - means) / stds).expand(-1, 3, -1, -1)
    return scaled.sub_(mean).div_(std).unsqueeze(1).expand(-1, 3, -1, -1)


def head_name(network: nn.Module) -> str:
    """Return the dotted name of the layer that answers, which is always new: the last linear one.

    SqueezeNet has none: its last convolution answers, and a mean over the picture follows.
    """
    for kind in (nn.Linear, nn.Conv2d):
        names = [name for name, module in network.named_modules() if isinstance(module, kind)]
        if names:
            return names[-1]
    raise ValueError(f"{type(network).__name__} has no layer that could answer")


class Penultimate:
    """While open, keeps what the head was last given: (B, D), the mean over positions where it is given a map."""

    def __init__(self, network: nn.Module) -> None:
        self.seen = torch.empty(0)
        self._hook = network.get_submodule(head_name(network)).register_forward_pre_hook(self._keep)

    def _keep(self, _: nn.Module, given: tuple[Tensor, ...]) -> None:
        self.seen = given[0].flatten(2).mean(2) if given[0].ndim > 2 else given[0]

    def __enter__(self) -> "Penultimate":
        return self

    def __exit__(self, *_: object) -> None:
        self._hook.remove()


def giga_operations(network: nn.Module, size_px: int) -> float:
    """Return 10^9 multiply-adds of one picture of `size_px`, counted while it passes."""
    device = next(network.parameters()).device
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network.eval()(torch.zeros(1, 3, size_px, size_px, device=device))
    return float(counter.get_total_flops()) / FLOPS_A_MULTIPLY_ADD / 1e9


def refuse_small_pictures(network: nn.Module, architecture: str, size: int) -> None:
    """Try one blank picture: deep networks halve it until nothing is left.

    Raises:
        PipelineError: pictures of `size` px are too small for the network.
    """
    try:
        _answer_blank(network, size)
    except _TOO_SMALL as error:
        enough = next((tried for tried in TRIED_PX if tried > size and _takes(network, tried)), SIZE_PX)
        raise PipelineError(
            f"params.yaml: size_px: expected pictures large enough for {architecture}, got {size} px ({error}). "
            f"Set size_px to {enough}, or drop the architecture."
        ) from error


def _takes(network: nn.Module, size: int) -> bool:
    try:
        _answer_blank(network, size)
    except _TOO_SMALL:
        return False
    return True


def _answer_blank(network: nn.Module, size: int) -> None:
    with torch.inference_mode():
        network.eval()(torch.zeros(1, 3, size, size))
