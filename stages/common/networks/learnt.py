"""The pictures that given weights were learnt from, and how the network must therefore see ours."""

from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from stages.common.networks.bundle import Bundle, description_in, no_bundle
from stages.common.networks.vision import imagenet_entry
from stages.common.networks.weights_file import IMAGENET, RANDOM, file_of
from stages.common.preprocessing import Preprocess

NORMALISATION = ("mean", "std")  # a network takes over its weights' own; pictures are cut and prepared for all alike


def learnt_from(architecture: str, weights: str, sha256: str | None) -> dict[str, Any]:
    """Return what weights say of their pictures, as a `Bundle` does: what they do not say is not there.

    ImageNet's say mean and std of each channel, as torchvision's `transforms()` of them do; a bundle says everything.

    Raises:
        PipelineError: a folder without a file of that network, or a bundle that is none.
    """
    if weights == RANDOM:
        return {}
    if weights == IMAGENET:
        wanted = imagenet_entry(architecture).transforms()
        return {key: tuple(getattr(wanted, key)) for key in NORMALISATION}
    said = _description(file_of(Path(weights), architecture, sha256)[0])
    return {key: getattr(said, key) for key in (*NORMALISATION, "size", "preprocess")} if said else {}


def _description(path: Path) -> Bundle | None:
    try:
        return description_in(path)
    except (SafetensorError, OSError):  # the tensors' own reader says what is wrong
        return None
    except ValueError as error:
        raise no_bundle(path.name, error) from error


def normalised_as(own: Bundle, learnt: dict[str, Any]) -> Bundle:
    """Return the description of a network whose input is normalised as its weights want it."""
    return own.model_copy(update={key: learnt[key] for key in NORMALISATION if key in learnt})


def differences(own: Bundle, learnt: dict[str, Any]) -> str:
    """Return the end of a line: what weights were learnt with and params.yaml says otherwise; nothing where they agree.

    Args:
        own: what params.yaml says.
        learnt: of `learnt_from`.
    """
    both = {key: (_shown(value), _shown(getattr(own, key))) for key, value in learnt.items()}
    said = [f"{key} {theirs} (params.yaml: {ours})" for key, (theirs, ours) in both.items() if theirs != ours]
    return f"; learnt with {', '.join(said)}: mean and std hold here too, nothing else does" if said else ""


def _shown(value: object) -> str:
    """Return a value as text; of preprocessing the method that is used, and its numbers."""
    return f"{value.method} {getattr(value, value.method, '')}".strip() if isinstance(value, Preprocess) else str(value)
