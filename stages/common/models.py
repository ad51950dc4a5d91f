"""The five networks by torchvision's names: built from nothing, from ImageNet, or from a file, with a head of ours.

Weights are read as safetensors or with torch's weights-only reader: nothing is ever unpickled.
"""

import hashlib
import re
from pathlib import Path
from pickle import UnpicklingError  # what torch's weights-only reader raises when a file holds more than tensors
from urllib.error import URLError

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from stages.common.errors import PipelineError
from stages.common.vision import torchvision

RANDOM, IMAGENET = "random", "imagenet"
State = dict[str, Tensor]


def build(architecture: str, classes: int) -> nn.Module:
    """Return torchvision's network with random weights and a last layer of `classes` outputs.

    Input (B, 3, S, S) float32, output (B, classes) logits.

    Raises:
        PipelineError: torchvision has no classification network of that name.
    """
    known = torchvision.models.list_models(module=torchvision.models)
    if architecture not in known:
        raise PipelineError(
            f"params.yaml: architectures: expected names of torchvision ({', '.join(known)}), got {architecture!r}."
        )
    network: nn.Module = torchvision.models.get_model(architecture, weights=None, num_classes=classes)
    if not any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in network.modules()):
        _initialise_for_rectifiers(network)
    return network


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


def network_input(grey: Tensor, mean: float, std: float) -> Tensor:
    """Return (B, 3, S, S) float32 network input from (B, S, S) uint8: three equal channels, no copy made for them.

    Args:
        grey: what `preprocess` made of the frames.
        mean, std: of grey values scaled to 0..1.
    """
    scaled = grey.float().div_(255.0).sub_(mean).div_(std)
    return scaled.unsqueeze(1).expand(-1, 3, -1, -1)


def head_name(network: nn.Module) -> str:
    """Return the dotted name of the last linear layer: the head that is always new."""
    return [name for name, module in network.named_modules() if isinstance(module, nn.Linear)][-1]


def refuse_small_pictures(network: nn.Module, architecture: str, size: int) -> None:
    """Try one blank picture: deep networks halve it until nothing is left.

    Raises:
        PipelineError: pictures of `size` px are too small for the network.
    """
    try:
        with torch.inference_mode():
            network.eval()(torch.zeros(1, 3, size, size))
    except (RuntimeError, ValueError) as error:
        raise PipelineError(
            f"params.yaml: size_px: expected pictures large enough for {architecture}, got {size} px ({error}). "
            "Set size_px to 64 or more, or drop the architecture."
        ) from error


def load_weights(network: nn.Module, architecture: str, weights: str, sha256: str | None) -> str:
    """Fill `network` from `weights` and return one line that says what was and was not covered.

    Args:
        network: built by `build`; its head keeps its random weights: a file's outputs may mean other labels.
        architecture: torchvision's name, for `imagenet`.
        weights: `random`, `imagenet`, or a .safetensors / .pth file (a whole network or only a backbone).
        sha256: expected hash of the file; mandatory with a file, so that other content is another experiment.

    Raises:
        PipelineError: no such file, another hash, or nothing in it that fits.
    """
    if weights == RANDOM:
        return f"{architecture}: random weights"
    state = _imagenet(architecture) if weights == IMAGENET else _read_state(Path(weights), sha256)
    own, head = network.state_dict(), head_name(network) + "."
    fitting = {
        name: value.to(own[name].dtype)
        for name, value in state.items()
        if name in own and own[name].shape == value.shape and not name.startswith(head)
    }
    if not any(name.endswith("weight") for name in fitting):
        raise PipelineError(
            f"{weights}: expected tensors named as torchvision's {architecture} names them, got none that fits."
        )
    network.load_state_dict({**own, **fitting})
    return _coverage(architecture, weights, own, fitting, state)


def _coverage(architecture: str, weights: str, own: State, fitting: State, state: State) -> str:
    random = sorted({name.rsplit(".", 1)[0] for name in own if name not in fitting})
    unused = sorted(set(state) - set(fitting))
    return (
        f"{architecture}: {len(fitting)} of {len(own)} tensors from {weights}; random: {', '.join(random) or 'none'}; "
        f"in the file and not used: {', '.join(unused) or 'none'}"
    )


def _imagenet(architecture: str) -> State:
    entry = torchvision.models.get_model_weights(architecture).IMAGENET1K_V1
    try:
        # torchvision's own loader: it takes the file from its cache or the network, and checks its hash
        state: State = entry.get_state_dict(progress=True, check_hash=True, weights_only=True)
    except (URLError, OSError, RuntimeError) as error:
        folder = Path(torch.hub.get_dir()) / "checkpoints"
        raise PipelineError(
            f"ImageNet weights of {architecture} cannot be had ({error}). Put the file {Path(entry.url).name} "
            f"into {folder}, or set train.weights to a local file or to random."
        ) from error
    return _modern_names(state)


def _modern_names(state: State) -> State:
    # torchvision's DenseNet files of 2017 say `norm.1`; the module says `norm1`
    return {re.sub(r"(denselayer\d+\.(?:norm|conv))\.(\d)", r"\1\2", name): value for name, value in state.items()}


def _read_state(path: Path, sha256: str | None) -> State:
    if not path.is_file():
        raise PipelineError(
            f"params.yaml: train.weights: expected {RANDOM}, {IMAGENET} or a file, got {str(path)!r}: no such file."
        )
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != sha256:
        raise PipelineError(
            f"params.yaml: train.weights_sha256: expected the SHA-256 of {path.name}, which is {found}, got {sha256}. "
            "If this is the file you mean, copy the hash: it makes other content another experiment."
        )
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state: State = torch.load(path, map_location="cpu", weights_only=True)
        return state
    except (SafetensorError, UnpicklingError, RuntimeError, ValueError, EOFError, OSError) as error:
        raise PipelineError(
            f"{path.name}: expected tensors as .safetensors or a weights-only .pth, got: {error}"
        ) from error
