"""Grad-CAM against closed formulas and a second implementation; shares of heat against their bounds.

The heat of all five architectures at 64 px was also compared with captum 0.9's LayerGradCam: the same.
"""

from collections.abc import Iterator
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, interpolate, relu

from stages.common.core.errors import PipelineError
from stages.common.networks.models import build
from stages.explain.heat import best_inside, grad_cam, share_inside, target_map

# architecture, side of the picture -> the map explained, by hand from torchvision's code and the papers' figures
MAPS = {
    ("alexnet", 64): ("features.4", 7),
    ("vgg16", 64): ("features.29", 4),
    ("resnet18", 64): ("layer3", 4),
    ("resnet34", 64): ("layer3", 4),
    ("densenet121", 64): ("features.transition3.conv", 4),
    ("alexnet", 224): ("features", 6),
    ("vgg16", 224): ("features", 7),
    ("resnet18", 224): ("layer4", 7),
    ("resnet34", 224): ("layer4", 7),
    ("densenet121", 224): ("features", 7),
}
FIVE = ("alexnet", "vgg16", "resnet18", "resnet34", "densenet121")


@cache
def network_of(name: str) -> nn.Module:
    """Return an architecture with random weights, built once: VGG16's take seconds to draw."""
    return build(name, 3).eval()


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Pooled(nn.Module):
    """Convolution, rectifier, global mean, one linear head: the network for which CAM was defined."""

    def __init__(self) -> None:
        super().__init__()
        self.map = nn.Sequential(nn.Conv2d(3, 6, 3, stride=4, padding=1), nn.ReLU())
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(6, 3)

    def forward(self, pictures: Tensor) -> Tensor:
        return self.head(self.pool(self.map(pictures)).flatten(1))


def enlarged(coarse: Tensor, side: int) -> np.ndarray:
    return interpolate(coarse[:, None], size=(side, side), mode="bilinear", align_corners=False)[:, 0].detach().numpy()


def pictures_of(count: int, side: int, seed: int = 0) -> Tensor:
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(seed))


def test_behind_a_global_mean_grad_cam_is_cam_up_to_the_constant() -> None:
    torch.manual_seed(1)
    network, pictures, outputs = Pooled().eval(), pictures_of(20, 32), [column % 3 for column in range(20)]
    maps = network.map(pictures)  # (20, 6, 8, 8)
    cam = torch.einsum("bkhw,bk->bhw", maps, network.head.weight[outputs])  # Zhou et al. 2016, equation 2
    expected = enlarged(relu(cam) / 64, 32)  # d logit / d map = weight / 64 everywhere
    np.testing.assert_allclose(grad_cam(network, "map", pictures, outputs), expected, atol=1e-6)


def second_opinion(network: nn.Module, layer: str, picture: Tensor, output: int) -> np.ndarray:
    """Return the heat by another way: cut the network at the map and make the map a leaf."""
    leaves: list[Tensor] = []

    def cut(_module: nn.Module, _input: object, value: Tensor) -> Tensor:
        leaves.append(value.detach().clone().requires_grad_())
        return leaves[0] * 1.0  # what follows may work in place, which a leaf does not allow

    hook = network.get_submodule(layer).register_forward_hook(cut)
    network(picture)[0, output].backward()
    hook.remove()
    gradient = leaves[0].grad
    assert gradient is not None
    weights = gradient.mean(dim=(2, 3), keepdim=True)  # equation 1
    return enlarged(relu((weights * leaves[0]).sum(dim=1)), picture.shape[3])[0]  # equation 2


@pytest.mark.parametrize("name", FIVE)
def test_every_architecture_at_the_laptop_s_size_agrees_with_a_second_implementation(name: str) -> None:
    network, pictures = network_of(name), pictures_of(2, 64)
    found = target_map(network, 64, 4)
    assert found == MAPS[name, 64]
    layer = MAPS[name, 64][0]
    heat = grad_cam(network, layer, pictures, [0, 2])
    assert heat.shape == (2, 64, 64)
    assert heat.min() >= 0
    for index, output in enumerate((0, 2)):
        expected = second_opinion(network, layer, pictures[index : index + 1], output)
        np.testing.assert_allclose(heat[index], expected, rtol=1e-3, atol=1e-4 * max(expected.max(), 1e-12))


@pytest.mark.parametrize("name", FIVE)
def test_at_the_study_s_size_the_last_map_is_explained(name: str) -> None:
    assert target_map(network_of(name), 224, 4) == MAPS[name, 224]


def test_densenet_s_last_map_is_what_its_pool_reads_although_the_rectifier_works_in_place() -> None:
    network, picture = network_of("densenet121"), pictures_of(1, 128)
    maps = relu(network.features(picture)).detach().requires_grad_()  # (1, 1024, 4, 4), as the pool reads it
    logit = network.classifier(adaptive_avg_pool2d(maps, 1).flatten(1))[0, 1]
    weights = torch.autograd.grad(logit, maps)[0].mean(dim=(2, 3), keepdim=True)
    expected = enlarged(relu((weights * maps).sum(dim=1)), 128)
    assert target_map(network, 128, 4) == ("features", 4)
    np.testing.assert_allclose(grad_cam(network, "features", picture, [1]), expected, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("size", [64, 224])
@pytest.mark.parametrize("name", ["vit_b_16", "swin_t"])
def test_a_transformer_s_patch_convolution_is_no_map_of_where_it_looked(name: str, size: int) -> None:
    found = target_map(build(name, 2, size), size, 4)
    # Swin folds its last tokens back into a map at the very end: at 224 px that one is large enough
    assert found == (("permute", 7) if (name, size) == ("swin_t", 224) else None)


@pytest.mark.parametrize(
    "name", ["googlenet", "mobilenet_v3_small", "mobilenet_v3_large", "efficientnet_b0", "shufflenet_v2_x0_5",
             "convnext_tiny"]
)  # fmt: skip
def test_other_convolutional_networks_of_torchvision_have_a_map_too(name: str) -> None:
    network = build(name, 2).eval()
    found = target_map(network, 64, 4)
    assert found is not None
    layer, side = found
    assert side >= 4
    assert np.isfinite(grad_cam(network, layer, pictures_of(1, 64), [1])).all()


def test_nothing_that_speaks_for_the_output_is_no_heat() -> None:
    network = Pooled().eval()
    with torch.no_grad():
        network.head.weight.fill_(-1)
    heat = grad_cam(network, "map", pictures_of(1, 32), [0])
    assert not heat.any()
    assert share_inside(heat[0], np.ones((32, 32))) is None


def test_a_network_that_looks_for_brightness_is_seen_to_look_there() -> None:
    network = Pooled().eval()
    with torch.no_grad():  # every channel answers to light alone
        network.map[0].weight.fill_(1 / 27)
        network.map[0].bias.fill_(-0.5)
        network.head.weight.fill_(1)
    pictures, mask = torch.zeros(1, 3, 64, 64), np.zeros((64, 64))
    pictures[:, :, 20:40, 36:56] = 1
    mask[20:40, 36:56] = 1
    heat = grad_cam(network, "map", pictures, [0])[0]
    share = share_inside(heat, mask)
    assert share is not None
    assert share > 0.8
    assert share > 8 * mask.mean()


def test_no_picture_is_no_heat() -> None:
    assert grad_cam(Pooled().eval(), "map", pictures_of(0, 32), []).shape == (0, 32, 32)


def test_the_same_pictures_give_the_same_bytes() -> None:
    network, pictures = network_of("resnet18"), pictures_of(3, 64)
    first, second = (grad_cam(network, "layer3", pictures, [0, 1, 0]).tobytes() for _ in range(2))
    assert first == second


def test_a_map_that_no_network_has_is_one_message() -> None:
    with pytest.raises(
        PipelineError, match=r"explain\.smallest_map_px: expected at most 32, .* ResNet at 64 px, got 99"
    ):
        target_map(network_of("resnet18"), 64, 99)


def test_the_share_inside_is_counted_by_hand() -> None:
    heat = np.array([[1.0, 2.0], [3.0, 4.0]])
    assert share_inside(heat, np.array([[0.0, 1.0], [0.0, 0.5]])) == pytest.approx((2 + 2) / 10)


@given(seed=st.integers(0, 10_000), map_px=st.integers(1, 5), power=st.floats(0, 8))
@settings(max_examples=60, deadline=None)
def test_no_map_beats_the_best_share(seed: int, map_px: int, power: float) -> None:
    rng = np.random.default_rng(seed)
    mask = (rng.random((16, 16)) < 0.2).astype(float)
    coarse = torch.tensor(rng.random((1, map_px, map_px)) ** power)
    found = share_inside(enlarged(coarse, 16)[0], mask)
    assert found is not None
    assert found <= best_inside(mask, map_px) + 1e-6


def test_the_best_share_is_reached_by_one_cell() -> None:
    mask = np.zeros((16, 16))
    mask[1:7, 9:14] = 1
    cells = [share_inside(enlarged(cell[None], 16)[0], mask) for cell in torch.eye(16).reshape(16, 4, 4)]
    assert best_inside(mask, 4) == pytest.approx(max(share for share in cells if share is not None))
