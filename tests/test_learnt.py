"""A network sees our pictures as the weights it was given want them, and its bundle says how that was."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

from stages.common.core.errors import PipelineError
from stages.common.networks.bundle import Bundle, description_in, write_bundle
from stages.common.networks.learnt import differences, learnt_from
from stages.common.networks.models import build, network_input
from stages.common.networks.vision import imagenet_entry
from stages.train import __main__ as train
from tests.group_run import Small
from tests.split_cohort import LABELS
from tests.test_group import build as build_workspace
from tests.test_models import EVERY, sha256
from tests.test_preprocess import params as preprocess_params
from tests.workspace import ROOT, read_params_file, set_params

GREY = torch.randint(0, 256, (2, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def described(**changes: Any) -> Bundle:
    content = {"architecture": "resnet18", "labels": ["cord"], "size": 64, "mean": 0.485, "std": 0.229}
    return Bundle.model_validate(content | {"preprocess": preprocess_params("equalize")} | changes)


@pytest.mark.parametrize("name", EVERY)
def test_imagenet_s_weights_see_what_their_own_transforms_make_of_a_grey_picture(name: str) -> None:
    own = imagenet_entry(name).transforms(crop_size=32, resize_size=32)
    torch.testing.assert_close(
        network_input(GREY, **learnt_from(name, "imagenet", None)), own(GREY[:, None].expand(-1, 3, -1, -1))
    )


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_what_scales_its_input_again_sees_mean_and_deviation_one_half(name: str) -> None:
    with torch.device("meta"):
        network = build(name, 3)
    seen = network._transform_input(network_input(GREY, **learnt_from(name, "imagenet", None)))
    torch.testing.assert_close(seen, (GREY[:, None].expand(-1, 3, -1, -1) / 255 - 0.5) / 0.5)


def test_random_weights_and_files_that_say_nothing_want_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_file({"conv1.weight": torch.ones(64, 3, 7, 7)}, path)
    torch.save({"conv1.weight": torch.ones(64, 3, 7, 7)}, tmp_path / "a.pth")
    for weights in ("random", str(path), str(tmp_path / "a.pth"), str(tmp_path / "none.pth")):
        assert learnt_from("resnet18", weights, None) == {}
    assert differences(described(), {}) == ""


def test_a_training_from_imagenet_and_one_from_its_bundle_see_the_channels_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root, kept = build_workspace(tmp_path / "project"), tmp_path / "resnet18.safetensors"
    monkeypatch.chdir(root)
    monkeypatch.setattr(train, "build", lambda _, labels, __: Small(labels, bare=True))  # trains in a second
    monkeypatch.setattr(train, "load_weights", lambda *_: "weights")  # which are another network's
    monkeypatch.setattr(sys, "argv", ["stages.train", "patient", "0", "resnet18"])
    for weights in ("imagenet", str(kept)):
        set_params(root, {"epochs": 1, "train.weights": weights})
        train.main()
        assert "; learnt with mean (0.485, 0.456, 0.406) (params.yaml: 0.485), std" in capsys.readouterr().err
        (root / "data/train/patient/0/1/resnet18.safetensors").replace(kept)
        bundle, network = description_in(kept), Small(len(LABELS), bare=True)
        assert bundle is not None
        assert (bundle.mean, bundle.std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
        network.load_state_dict(load_file(kept))
        table = pd.read_csv(root / "data/predictions/patient/0/1/resnet18.csv")
        rows = pd.read_csv(root / "data/extract_frames/frames.csv")["frame_id"].isin(table["frame_id"])
        grey = torch.from_numpy(np.load(root / "data/preprocess/original.npy")[rows])
        with torch.inference_mode():
            said = torch.sigmoid(network(network_input(grey, bundle.mean, bundle.std)))
        np.testing.assert_allclose(said, table[list(LABELS)], atol=1e-5)


def test_what_a_bundle_was_learnt_with_is_said_and_its_normalisation_taken_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, own = tmp_path / "a.safetensors", described()
    params = train.Train.model_validate(read_params_file(ROOT / "params.yaml")["train"])
    for theirs, said in (
        (described(size=96, mean=0.1, std=0.9, preprocess=preprocess_params("clahe")),
         "; learnt with mean 0.1 (params.yaml: 0.485), std 0.9 (params.yaml: 0.229), size 96 (params.yaml: 64), "
         "preprocess clahe clip_limit=2.0 tiles=4 (params.yaml: equalize blur_px=1): mean and std hold here too, "),
        (own.model_copy(update={"labels": ["fluid"]}), "not used: fc.bias, fc.weight\n"),
    ):  # fmt: skip
        write_bundle(path, build("resnet18", 1), theirs)
        given = params.model_copy(update={"weights": str(path), "weights_sha256": sha256(path)})
        _, bundle = train._new_network(own, given, torch.device("cpu"))
        assert said in capsys.readouterr().err
        assert bundle == own.model_copy(update={"mean": theirs.mean, "std": theirs.std})


def test_a_description_that_is_none_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_file({"conv1.weight": torch.ones(64, 3, 7, 7)}, path, metadata={"bundle": '{"architecture": "resnet18"}'})
    with pytest.raises(PipelineError, match=r"a\.safetensors: expected a bundle .* mean: Field required; std"):
        learnt_from("resnet18", str(path), None)
