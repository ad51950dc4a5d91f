"""Hostile clips and weights: reading them ends in success or in a message, never in a traceback or a hang.

Every case is drawn from its number, so a failure names what repeats it. Together they are more than a thousand; sheets,
tables and params.yaml have a file each, in which hypothesis draws as many again.
"""

import hashlib
from pathlib import Path

import pytest
import torch
from safetensors.torch import save
from torch import nn

from stages.common.clips.cine import CineParams, survey
from stages.common.core.errors import PipelineError
from stages.common.networks.bundle import KEY as BUNDLE_KEY
from stages.common.networks.bundle import Bundle, read_bundle, write_bundle
from stages.common.networks.models import build
from stages.common.networks.weights import load_weights
from stages.common.preprocessing import Preprocess
from tests.clip_factory import VIDEOS, speckle, write_dicom, write_video
from tests.damage import CASES, TIMEOUT_S, survive, survive_all
from tests.workspace import ROOT, read_params_file

SHIPPED = read_params_file(ROOT / "params.yaml")
CINE = CineParams.model_validate(SHIPPED["extract_frames"] | {"max_pixels": 200_000, "max_clip_frames": 100})

pytestmark = pytest.mark.timeout(TIMEOUT_S)


# ---- clips


@pytest.mark.parametrize("name", ["grey.mkv", "h264.mp4", "motion jpeg.mov", "raw.avi", "programme.mpeg"])
def test_damaged_clips(tmp_path: Path, name: str) -> None:
    codec, pixel_format, options = VIDEOS[name]
    path = write_video(tmp_path / name, speckle(6, 48, 64), codec, pixel_format, options)
    survive_all(path, lambda: survey(path, None, None, CINE, covered=True))


@pytest.mark.parametrize("syntax", ["little", "rle", "jpeg", "jpeg2000"])
def test_damaged_dicoms(tmp_path: Path, syntax: str) -> None:
    path = write_dicom(tmp_path / "a.dcm", speckle(3, 48, 64), syntax)
    survive_all(path, lambda: survey(path, None, None, CINE, covered=True))


# ---- weights


@pytest.fixture(scope="module")
def network() -> nn.Module:
    return build("resnet18", 3)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_damaged_weights(tmp_path: Path, network: nn.Module, suffix: str) -> None:
    state = {name: value for name, value in network.state_dict().items() if name.startswith(("conv1", "bn1"))}
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(save(state)) if suffix == ".safetensors" else torch.save(state, path)

    def load() -> None:
        load_weights(network, "resnet18", str(path), hashlib.sha256(path.read_bytes()).hexdigest())

    survive_all(path, load)


def test_damaged_weights_of_the_older_form(tmp_path: Path, network: nn.Module) -> None:
    """Torch's form before its zip archives: mostly pickle, so nearly every byte is an instruction."""
    state = {name: value for name, value in network.state_dict().items() if name.startswith(("bn1", "layer1.0.bn"))}
    path = tmp_path / "weights.pth"
    torch.save(state, path, _use_new_zipfile_serialization=False)

    def load() -> None:
        load_weights(network, "resnet18", str(path), hashlib.sha256(path.read_bytes()).hexdigest())

    survive_all(path, load, cases=5 * CASES)


METADATA = ["[]", "1", "null", '"x"', "{", "", '{"architecture": 1}', '{"architecture": []}', "[" * 100_000, "\x00"]


@pytest.mark.parametrize("said", METADATA, ids=range(len(METADATA)))
def test_damaged_metadata_of_weights(tmp_path: Path, network: nn.Module, said: str) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(save({"conv1.weight": torch.ones(64, 3, 7, 7)}, metadata={BUNDLE_KEY: said}))

    def load() -> None:
        load_weights(network, "resnet18", str(path), hashlib.sha256(path.read_bytes()).hexdigest())

    assert survive(load, said[:20]).startswith("weights.safetensors: expected tensors as .safetensors")


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(tmp_path: Path, network: nn.Module, suffix: str, value: float) -> None:
    state, path = {"conv1.weight": torch.full((64, 3, 7, 7), value)}, tmp_path / f"weights{suffix}"
    path.write_bytes(save(state)) if suffix == ".safetensors" else torch.save(state, path)
    with pytest.raises(PipelineError, match=r"expected finite numbers, got NaN or infinity in conv1\.weight"):
        load_weights(network, "resnet18", str(path), hashlib.sha256(path.read_bytes()).hexdigest())


def test_damaged_bundles(tmp_path: Path) -> None:
    described = Bundle(
        architecture="squeezenet1_1", labels=["cord"], size=64, mean=0.5, std=0.2,
        preprocess=Preprocess.model_validate(SHIPPED["preprocess"]),
    )  # fmt: skip
    path = tmp_path / "model.safetensors"
    write_bundle(path, build("squeezenet1_1", 1), described)
    survive_all(path, lambda: read_bundle(path), cases=30)
