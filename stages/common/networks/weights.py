"""Fill a network from ImageNet, from a file, or from a folder with a file an architecture; the head stays new.

Weights are read as safetensors or with torch's weights-only reader: nothing is ever unpickled.
"""

import io
import re
import struct
import zipfile
from pathlib import Path
from pickle import UnpicklingError  # what torch's weights-only reader raises when a file holds more than tensors
from urllib.error import URLError

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor, nn

from stages.common.core.errors import PipelineError
from stages.common.networks.bundle import description_in
from stages.common.networks.models import head_name
from stages.common.networks.vision import imagenet_entry, torchvision
from stages.common.networks.weights_file import IMAGENET, RANDOM, checked, file_of

VisionTransformer = torchvision.models.VisionTransformer
interpolate_embeddings = torchvision.models.vision_transformer.interpolate_embeddings

SEVERAL = 3  # tensors that a message names
MESSAGE = 300  # characters of a reader's own words
State = dict[str, Tensor]
# What torch, its weights-only reader, zipfile and the parser of JSON raise on damaged files (found by flipping bytes)
DAMAGE = (
    SafetensorError, UnpicklingError, RuntimeError, ValueError, EOFError, OSError, LookupError, AssertionError,
    AttributeError, TypeError, ArithmeticError, MemoryError, struct.error, zipfile.BadZipFile,
)  # fmt: skip


def load_weights(network: nn.Module, architecture: str, weights: str, sha256: str | None) -> str:
    """Fill `network` from `weights` and return one line that says what was and was not covered.

    Args:
        network: built by `build`; its head keeps its random weights: a file's outputs may mean other labels.
        architecture: torchvision's name, for `imagenet`.
        weights: `random`, `imagenet`, a .safetensors / .pth file (a whole network or only a backbone), or a folder that
            holds such a file a network, named after it, and their hashes in SHA256SUMS.
        sha256: expected hash of the file, of a folder's SHA256SUMS; mandatory, so that other content is another
            experiment.

    Raises:
        PipelineError: no such file, another hash, a bundle of another architecture, or nothing in it that fits.
    """
    if weights == RANDOM:
        return f"{architecture}: random weights"
    state = _imagenet(architecture) if weights == IMAGENET else _local(Path(weights), architecture, sha256)
    own, head = network.state_dict(), head_name(network) + "."
    state = _fitted_positions(network, state)
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
    entry = imagenet_entry(architecture)
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


def _fitted_positions(network: nn.Module, state: State) -> State:
    """Return the state with a vision transformer's position embedding stretched to the size it was built for."""
    name = "encoder.pos_embedding"
    if not isinstance(network, VisionTransformer) or name not in state:
        return state
    if network.state_dict()[name].shape == state[name].shape:
        return state
    stretched: State = interpolate_embeddings(network.image_size, network.patch_size, dict(state))
    return stretched


def _local(path: Path, architecture: str, sha256: str | None) -> State:
    file, digest = file_of(path, architecture, sha256)
    return _read_state(file, architecture, digest)


def _read_state(path: Path, architecture: str, sha256: str | None) -> State:
    content = checked(path, sha256)
    try:
        state: State = load(content) if path.suffix == ".safetensors" else _unpacked(content)
        said = description_in(path) if path.suffix == ".safetensors" else None
    except DAMAGE as error:
        reason = " ".join(str(error).split())[:MESSAGE] or type(error).__name__
        raise PipelineError(
            f"{path.name}: expected tensors as .safetensors or a weights-only .pth, got: {reason}"
        ) from error
    _refuse_another(path, architecture, said.architecture if said else architecture)
    _refuse_infinite(path, state)
    return state


def _unpacked(content: bytes) -> State:
    state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise ValueError("something else than names with a tensor each")
    if not all(isinstance(name, str) and value.layout == torch.strided for name, value in state.items()):
        raise ValueError("names that are no text, or tensors that are not stored whole")
    return dict(state)


def _refuse_infinite(path: Path, state: State) -> None:
    wrong = [name for name, value in state.items() if not torch.isfinite(value.float()).all()]
    if wrong:
        raise PipelineError(
            f"{path.name}: expected finite numbers, got NaN or infinity in {', '.join(wrong[:SEVERAL])}"
            f"{f' and {len(wrong) - SEVERAL} more' if len(wrong) > SEVERAL else ''}. Take another file: the training "
            "that wrote this one diverged, or the file is damaged."
        )


def _refuse_another(path: Path, architecture: str, said: str) -> None:
    """Stop at a bundle that says it is another network: ResNet34 has all of ResNet18's names, and would seem to fit."""
    if said != architecture:
        raise PipelineError(
            f"params.yaml: train.weights: expected weights of {architecture}, got {path.name}, a bundle of {said}. "
            f"Name a folder with a file for each of `architectures`, or leave only {said} among them."
        )
