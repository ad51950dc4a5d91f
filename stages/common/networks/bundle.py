"""A trained model in one safetensors file with all it takes to use it, and nothing that is chosen later.

The single metadata key `bundle` holds sorted JSON: with more keys safetensors writes them in an order of its own, and
the same training would give other bytes. No thresholds: evaluate chooses those from validation rows.
"""

import json
from pathlib import Path

from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from stages.common.core.errors import PipelineError
from stages.common.core.files import replacing
from stages.common.core.params import Strict
from stages.common.networks.models import Channels, skeleton
from stages.common.preprocessing import Preprocess

KEY = "bundle"
REMEDY = "Train it again: `dvc repro train`."
SEVERAL = 3  # tensors that a message names


class Bundle(Strict):
    """What stands beside the tensors."""

    architecture: str  # torchvision's name
    labels: list[str]  # order of the outputs
    size: int  # px, side of the square input
    mean: Channels  # of grey values scaled to 0..1, subtracted
    std: Channels  # divides
    preprocess: Preprocess


def write_bundle(path: Path, network: nn.Module, bundle: Bundle) -> None:
    """Write tensors and description; the same model gives the same bytes."""
    tensors: dict[str, Tensor] = {
        name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()
    }
    text = json.dumps(bundle.model_dump(), sort_keys=True)
    with replacing(path) as partial:
        partial.write_bytes(save(tensors, metadata={KEY: text}))


def description_in(path: Path) -> Bundle | None:
    """Return what a file says of its network beside the tensors; None where it says nothing.

    Raises:
        SafetensorError, OSError: it is no safetensors file.
        ValueError: it says something else than a bundle does, in words for a message.
    """
    with safe_open(path, framework="pt") as file:
        said = (file.metadata() or {}).get(KEY)
    return None if said is None else _parsed(said)


def _parsed(said: str) -> Bundle:
    try:
        return Bundle.model_validate_json(said, strict=True)
    except ValidationError as error:
        details = [(".".join(map(str, detail["loc"])) or KEY, detail["msg"]) for detail in error.errors()]
        raise ValueError("; ".join(f"{key}: {message}" for key, message in details)) from error


def no_bundle(where: Path | str, error: Exception) -> PipelineError:
    """Return the message of a file that was to be a bundle and is none."""
    return PipelineError(f"{where}: expected a bundle written by stages.train, got: {error}. {REMEDY}")


def read_bundle(path: Path) -> tuple[nn.Module, Bundle]:
    """Return the network in evaluation mode and its description.

    Raises:
        PipelineError: the file is absent, damaged, no bundle of this project, or holds another network's tensors.
    """
    try:
        bundle = description_in(path) or _parsed("")  # without a description: one that says nothing
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except (SafetensorError, OSError, ValueError) as error:
        raise no_bundle(path, error) from error
    network = skeleton(bundle.architecture, len(bundle.labels), bundle.size)  # the file's tensors become its own
    _refuse_other_tensors(path, bundle, network.state_dict(), tensors)
    network.load_state_dict(tensors, assign=True)
    return network.eval(), bundle


def _refuse_other_tensors(path: Path, bundle: Bundle, own: dict[str, Tensor], tensors: dict[str, Tensor]) -> None:
    wanted, there = ({name: _form(value) for name, value in state.items()} for state in (own, tensors))
    wrong = [
        f"{name}: {there.get(name, 'none')}, not {form}" for name, form in wanted.items() if there.get(name) != form
    ]
    wrong += [f"{name}: not of this network" for name in there if name not in wanted]
    if wrong:
        shown = "; ".join(wrong[:SEVERAL]) + (f" and {len(wrong) - SEVERAL} more" if len(wrong) > SEVERAL else "")
        raise PipelineError(
            f"{path}: expected the {len(wanted)} tensors of {bundle.architecture} with {len(bundle.labels)} outputs, "
            f"got other shapes or names: {shown}. {REMEDY}"
        )


def _form(value: Tensor) -> str:
    return f"{str(value.dtype).removeprefix('torch.')} {list(value.shape)}"
