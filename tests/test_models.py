"""Weights from files and bundles: what fits is used, what does not is said, nothing is unpickled."""

import hashlib
import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from stages.common.core.errors import PipelineError
from stages.common.networks.bundle import Bundle, read_bundle, write_bundle
from stages.common.networks.models import (
    Penultimate,
    build,
    giga_operations,
    head_name,
    refuse_small_pictures,
    skeleton,
)
from stages.common.networks.vision import torchvision
from stages.common.networks.weights import _modern_names, load_weights
from stages.train.loop import train_epochs
from stages.train.recipe import Pictures
from tests.test_preprocess import params as preprocess_params
from tests.test_training import RECIPE


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def bundle() -> Bundle:
    return Bundle(
        architecture="resnet18", labels=["cord", "fluid"], size=64, mean=0.4, std=0.2,
        preprocess=preprocess_params("clahe"),
    )  # fmt: skip


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_a_backbone_file_fills_the_backbone_and_says_what_is_random(tmp_path: Path, suffix: str) -> None:
    donor = build("resnet18", 1000).state_dict()
    path = tmp_path / f"backbone{suffix}"
    (save_file if suffix == ".safetensors" else torch.save)(donor, path)
    network = build("resnet18", 3)
    head = network.fc.weight.clone()
    note = load_weights(network, "resnet18", str(path), sha256(path))
    assert torch.equal(network.conv1.weight, donor["conv1.weight"])
    assert torch.equal(network.fc.weight, head)
    assert "120 of 122 tensors" in note
    assert "random: fc" in note
    assert "not used: fc.bias, fc.weight" in note


def test_the_head_is_new_even_when_the_file_has_one_that_fits(tmp_path: Path) -> None:
    donor = build("resnet18", 3)
    path = tmp_path / "whole.safetensors"
    save_file(donor.state_dict(), path)
    network = build("resnet18", 3)
    note = load_weights(network, "resnet18", str(path), sha256(path))
    assert not torch.equal(network.fc.weight, donor.fc.weight)
    assert torch.equal(network.conv1.weight, donor.conv1.weight)
    assert "random: fc;" in note


@pytest.mark.parametrize(("name", "size"), [("alexnet", 32), ("densenet121", 16)])
def test_pictures_too_small_for_a_network_are_one_message(name: str, size: int) -> None:
    with pytest.raises(PipelineError, match=f"size_px: expected pictures large enough for {name}, got {size} px"):
        refuse_small_pictures(build(name, 3), name, size)


def test_half_precision_weights_become_single(tmp_path: Path) -> None:
    path = tmp_path / "half.safetensors"
    save_file({"conv1.weight": torch.ones(64, 3, 7, 7, dtype=torch.float16)}, path)
    network = build("resnet18", 3)
    load_weights(network, "resnet18", str(path), sha256(path))
    assert network.conv1.weight.dtype == torch.float32
    assert network.conv1.weight.min() == 1


def test_the_real_vgg16_backbone_loads_where_it_is() -> None:
    path = Path(__file__).parents[2] / "shared/weights/vgg16_imagenet_features.fp16.safetensors"
    if not path.is_file():
        pytest.skip("the VGG16 weights file is not on this machine")
    note = load_weights(build("vgg16", 3), "vgg16", str(path), sha256(path))
    assert "26 of 32 tensors" in note
    assert "random: classifier.0, classifier.3, classifier.6" in note


def test_another_hash_is_refused_and_the_right_one_named(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_file({"conv1.weight": torch.ones(64, 3, 7, 7)}, path)
    with pytest.raises(PipelineError, match=f"SHA-256 of w.safetensors, which is {sha256(path)}, got None"):
        load_weights(build("resnet18", 3), "resnet18", str(path), None)


def test_a_file_that_fits_nothing_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_file({"elsewhere.weight": torch.ones(2)}, path)
    with pytest.raises(PipelineError, match="none that fits"):
        load_weights(build("resnet18", 3), "resnet18", str(path), sha256(path))


def test_a_missing_file_is_named() -> None:
    with pytest.raises(
        PipelineError, match=r"expected random, imagenet, a file or a folder with SHA256SUMS, got 'nowhere.pth'"
    ):
        load_weights(build("resnet18", 3), "resnet18", "nowhere.pth", None)


class Trap:
    """Its unpickling would leave a mark."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path.touch, (self.mark,))  # type: ignore[return-value]


@pytest.mark.parametrize("writer", ["torch", "pickle"])
def test_pickled_objects_are_refused_and_never_run(tmp_path: Path, writer: str) -> None:
    path, mark = tmp_path / "trap.pth", tmp_path / "ran"
    if writer == "torch":
        torch.save({"conv1.weight": Trap(mark)}, path)
    else:
        path.write_bytes(pickle.dumps(Trap(mark)))
    with pytest.raises(PipelineError, match=r"trap\.pth: expected tensors"):
        load_weights(build("resnet18", 3), "resnet18", str(path), sha256(path))
    assert not mark.exists()


@pytest.mark.parametrize("content", [[torch.zeros(2)], {"conv1.weight": "abc"}, {"state_dict": {}}], ids=str)
def test_a_file_of_something_else_than_tensors_by_name_is_refused(tmp_path: Path, content: object) -> None:
    path = tmp_path / "other.pth"
    torch.save(content, path)
    with pytest.raises(PipelineError, match=r"other\.pth: expected tensors .*, got: something else than names with"):
        load_weights(build("resnet18", 3), "resnet18", str(path), sha256(path))


@pytest.mark.parametrize("content", [b"", b"\x00" * 40, b"PK\x03\x04 no archive"])
@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_a_damaged_file_is_one_message(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"damaged{suffix}"
    path.write_bytes(content)
    with pytest.raises(PipelineError, match="damaged"):
        load_weights(build("resnet18", 3), "resnet18", str(path), sha256(path))


def test_imagenet_without_a_network_says_which_file_goes_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    monkeypatch.setattr("torch.hub.urlopen", _no_network)
    with pytest.raises(PipelineError, match=r"Put the file resnet18-f37072fd.pth into .*checkpoints"):
        load_weights(build("resnet18", 3), "resnet18", "imagenet", None)


def _no_network(*_: object, **__: object) -> None:
    raise OSError("no route")


def test_imagenet_weights_come_from_torchvisions_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # a file of ours under torchvision's name: the real loading path, hash check included, without a network
    state = build("resnet18", 1000).state_dict()
    (tmp_path / "checkpoints").mkdir()
    made = tmp_path / "made.pth"
    torch.save(state, made)
    name = f"resnet18-{sha256(made)[:8]}.pth"
    made.rename(tmp_path / "checkpoints" / name)
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    monkeypatch.setattr("torch.hub.urlopen", _no_network)
    entry = torchvision.models.ResNet18_Weights.IMAGENET1K_V1
    monkeypatch.setattr(
        entry, "_value_", entry.value.__class__(f"http://127.0.0.1/{name}", entry.transforms, entry.meta)
    )
    network = build("resnet18", 3)
    load_weights(network, "resnet18", "imagenet", None)
    assert torch.equal(network.conv1.weight, state["conv1.weight"])


def test_densenets_old_names_are_torchvisions_own_rule() -> None:
    own = build("densenet121", 3).state_dict()
    dotted = [("norm1", "norm.1"), ("norm2", "norm.2"), ("conv1", "conv.1"), ("conv2", "conv.2")]
    old = {}
    for key, value in own.items():
        for now, then in dotted if "denselayer" in key else ():
            key = key.replace(now, then)
        old[key] = value
    assert set(_modern_names(old)) == set(own)


def test_an_unknown_architecture_is_named() -> None:
    with pytest.raises(PipelineError, match=r"expected names of torchvision .*resnet18.*got 'resnet19'"):
        build("resnet19", 3)


def test_a_bundle_gives_back_the_network_and_its_description(tmp_path: Path) -> None:
    network = build("resnet18", 2).eval()
    write_bundle(tmp_path / "a.safetensors", network, bundle())
    loaded, described = read_bundle(tmp_path / "a.safetensors")
    pictures = torch.randn(2, 3, 64, 64)
    assert described == bundle()
    assert torch.equal(loaded(pictures), network(pictures))


def test_the_same_bundle_has_the_same_bytes(tmp_path: Path) -> None:
    network = build("resnet18", 2)
    for name in ("a", "b"):
        write_bundle(tmp_path / name, network, bundle())
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_bundle_carries_no_threshold(tmp_path: Path) -> None:
    write_bundle(tmp_path / "a", build("resnet18", 2), bundle())
    assert "threshold" not in str(read_bundle(tmp_path / "a")[1])


def test_tensors_without_a_description_are_no_bundle(tmp_path: Path) -> None:
    save_file(build("resnet18", 2).state_dict(), tmp_path / "a")
    with pytest.raises(
        PipelineError, match=r"a: expected a bundle written by stages\.train, got: bundle: Invalid JSON"
    ):
        read_bundle(tmp_path / "a")


def test_a_description_with_missing_keys_names_them(tmp_path: Path) -> None:
    text = bundle().model_dump_json(exclude={"mean", "labels"})
    save_file(build("resnet18", 2).state_dict(), tmp_path / "a", metadata={"bundle": text})
    with pytest.raises(PipelineError, match=r"labels: Field required; mean: Field required\. Train it again"):
        read_bundle(tmp_path / "a")


def test_a_bundle_with_another_network_s_tensors_names_some_of_them(tmp_path: Path) -> None:
    write_bundle(tmp_path / "a", build("resnet34", 2), bundle())  # which says that it is a resnet18
    with pytest.raises(
        PipelineError, match=r"expected the 122 tensors of resnet18 .*: layer1\.2\..* and 93 more\. Train"
    ):
        read_bundle(tmp_path / "a")
    write_bundle(tmp_path / "b", build("resnet18", 5), bundle())
    with pytest.raises(PipelineError, match=r"fc\.weight: float32 \[5, 512\], not float32 \[2, 512\]; fc\.bias"):
        read_bundle(tmp_path / "b")


@pytest.mark.parametrize("content", [b"", b"\x00" * 64])
def test_a_damaged_bundle_is_one_message(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(PipelineError, match=r"expected a bundle written by stages\.train"):
        read_bundle(tmp_path / "a")


GIANTS = ("regnet_y_128gf", "vit_h_14")  # 644 and 632 million weights: too slow for a test
EVERY = [name for name in torchvision.models.list_models(module=torchvision.models) if name not in GIANTS]


@pytest.mark.parametrize("name", EVERY)
def test_every_classification_network_of_torchvision_works_by_its_name(name: str) -> None:
    network, picture = skeleton(name, 3, 224).to("meta"), torch.zeros(2, 3, 224, 224, device="meta")
    with torch.device("meta"), Penultimate(network) as kept:
        for training in (True, False):  # googlenet and inception would answer three times in training
            assert network.train(training)(picture).shape == (2, 3)
    head = network.get_submodule(head_name(network))
    assert kept.seen.shape == (2, head.weight.shape[1])


@pytest.mark.parametrize(
    "name", ["convnext_tiny", "efficientnet_b0", "mobilenet_v3_small", "vit_b_16", "squeezenet1_1"]
)
def test_other_networks_learn_from_small_pictures(name: str) -> None:
    torch.manual_seed(0)
    network = build(name, 2, 64)
    refuse_small_pictures(network, name, 64)
    data = Pictures(torch.randint(0, 256, (4, 64, 64), dtype=torch.uint8), torch.eye(4)[:, :2])
    before = {key: value.clone() for key, value in network.named_parameters()}
    list(
        train_epochs(network, head_name(network), data, data, replace(RECIPE, epochs=2))
    )  # ViT begins with a head of zeros
    still = [key for key, value in network.named_parameters() if torch.equal(value, before[key])]
    # a weight that only lets through what was cut off (a dead rectifier's) may stay; most must have moved
    assert len(still) < 0.1 * len(before)


FAMILIES = (
    "alexnet", "convnext_tiny", "densenet121", "efficientnet_b0", "googlenet", "inception_v3", "maxvit_t", "mnasnet0_5",
    "mobilenet_v2", "mobilenet_v3_small", "regnet_y_400mf", "resnet18", "shufflenet_v2_x0_5", "squeezenet1_0",
    "squeezenet1_1", "swin_t", "vgg11", "vit_b_16",
)  # fmt: skip


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_can_say_no(name: str) -> None:
    """Nothing stands behind the layer that answers: what it says is what is said."""
    network = build(name, 3, 224).eval()
    network.get_submodule(head_name(network)).register_forward_hook(lambda _head, _given, said: said - said - 5.0)
    with torch.inference_mode():
        assert network(torch.rand(1, 3, 224, 224)).tolist() == [[-5.0, -5.0, -5.0]]


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_inputs_are_scaled_as_torchvisions_weights_want_them(name: str) -> None:
    with torch.device("meta"):
        assert build(name, 3).transform_input  # torchvision sets it where it loads its own weights


def test_a_size_that_a_transformer_cannot_divide_is_one_message() -> None:
    with pytest.raises(PipelineError, match=r"size_px: expected a size that vit_b_16 can divide, got 70 px"):
        build("vit_b_16", 3, 70)


@pytest.mark.parametrize("name", ["alexnet", "resnet18", "densenet121", "vgg16", "convnext_tiny", "vit_b_16"])
def test_operations_are_what_torchvision_documents(name: str) -> None:
    documented = torchvision.models.get_model_weights(name).DEFAULT.meta["_ops"]
    with torch.device("meta"):
        network = build(name, 1000)
        assert giga_operations(network, 224) == pytest.approx(documented, rel=0.02)


def test_layer_norm_networks_keep_their_own_initialisation() -> None:
    torch.manual_seed(0)
    ours = build("convnext_tiny", 3)
    torch.manual_seed(0)
    theirs = torchvision.models.convnext_tiny(num_classes=3)
    assert all(torch.equal(own, other) for own, other in zip(ours.parameters(), theirs.parameters(), strict=True))


def test_a_transformer_s_positions_are_stretched_to_the_pictures(tmp_path: Path) -> None:
    donor, path = build("vit_b_16", 3, 96), tmp_path / "vit_b_16.safetensors"
    save_file(donor.state_dict(), path)
    network = build("vit_b_16", 3, 64)
    note = load_weights(network, "vit_b_16", str(path), sha256(path))
    assert "random: heads.head;" in note
    assert torch.equal(network.encoder.pos_embedding[:, 0], donor.encoder.pos_embedding[:, 0])  # the class token's


def test_a_bundle_of_another_architecture_is_refused_though_its_tensors_fit(tmp_path: Path) -> None:
    path = tmp_path / "larger.safetensors"
    write_bundle(path, build("resnet34", 3), bundle().model_copy(update={"architecture": "resnet34"}))
    load_weights(build("resnet34", 3), "resnet34", str(path), sha256(path))
    with pytest.raises(PipelineError, match=r"weights of resnet18, got larger\.safetensors, a bundle of resnet34"):
        load_weights(build("resnet18", 3), "resnet18", str(path), sha256(path))


def folder_of_weights(folder: Path, *names: str) -> str:
    """Write a file a network and their list; return the list's hash."""
    for name in names:
        save_file(build(name, 3).state_dict(), folder / f"{name}.safetensors")
    lines = [f"{sha256(folder / f'{name}.safetensors')}  {name}.safetensors\n" for name in names]
    (folder / "SHA256SUMS").write_text("".join(lines))
    return sha256(folder / "SHA256SUMS")


def test_a_folder_holds_a_file_a_network(tmp_path: Path) -> None:
    listed = folder_of_weights(tmp_path, "resnet18", "squeezenet1_1")
    network = build("resnet18", 3)
    assert "120 of 122 tensors" in load_weights(network, "resnet18", str(tmp_path), listed)
    donor = load_file(tmp_path / "resnet18.safetensors")
    assert torch.equal(network.conv1.weight, donor["conv1.weight"])
    with pytest.raises(PipelineError, match=r"expected one file named resnet34\.safetensors or \.pth, got none among"):
        load_weights(build("resnet34", 3), "resnet34", str(tmp_path), listed)


@pytest.mark.parametrize("broken", ["list", "file", "form"])
def test_a_folder_that_changed_is_refused(tmp_path: Path, broken: str) -> None:
    listed = folder_of_weights(tmp_path, "resnet18")
    if broken == "list":
        (tmp_path / "SHA256SUMS").write_text("")
        message = "weights_sha256: expected the SHA-256 of SHA256SUMS"
    elif broken == "file":
        (tmp_path / "resnet18.safetensors").write_bytes(b"other")
        message = r"expected the SHA-256 of resnet18\.safetensors"
    else:
        (tmp_path / "SHA256SUMS").write_text("resnet18.safetensors\n")
        listed, message = sha256(tmp_path / "SHA256SUMS"), "expected lines `hash  file`"
    with pytest.raises(PipelineError, match=message):
        load_weights(build("resnet18", 3), "resnet18", str(tmp_path), listed)


def test_a_regnet_s_bundle_reads_back(tmp_path: Path) -> None:
    network = build("regnet_y_400mf", 2)
    write_bundle(tmp_path / "a", network, bundle().model_copy(update={"architecture": "regnet_y_400mf"}))
    again, _ = read_bundle(tmp_path / "a")
    assert all(torch.equal(own, other) for own, other in zip(network.parameters(), again.parameters(), strict=True))
