"""The loop, the loss, the rates and the collapse alarm, against torch's own functions and closed formulas."""

import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

from stages.common.networks.models import build, head_name
from stages.common.networks.vision import torchvision
from stages.train import __main__ as train_main
from stages.train.answers import constant_labels, insides, normalised, predict
from stages.train.loop import learning_of, optimizer_of, rate_at, step, train_epochs
from stages.train.loss import batches, combination_weights, masked_loss, positive_weights
from stages.train.outputs import Place, write_insides
from stages.train.recipe import Epoch, Pictures, Recipe

FIVE = ("alexnet", "vgg16", "resnet18", "resnet34", "densenet121")
RECIPE = Recipe(
    lr=0.01, backbone_scale=0.1, epochs=3, batch_size=8, warmup=0.1, clip_norm=1.0, mean=0.485, std=0.229, seed=1
)


class Small(nn.Module):
    """A network that learns in milliseconds: pool to 4x4, one linear head."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(4)
        self.head = nn.Linear(48, 2)

    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        return self.head(self.pool(picture).flatten(1))


def half_lit(count: int) -> Pictures:
    """Left half bright = first label, top half bright = second."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, (count, 2))
    grey = rng.integers(0, 60, (count, 16, 16))
    grey[:, :, :8] += 120 * truth[:, :1, None]
    grey[:, :8, :] += 70 * truth[:, 1:, None]
    return Pictures(torch.tensor(grey, dtype=torch.uint8), torch.tensor(truth, dtype=torch.float32))


def test_masked_loss_is_torchs_over_the_known_labels() -> None:
    logits, truth = torch.randn(6, 3), torch.randint(0, 2, (6, 3)).float()
    assert torch.allclose(masked_loss(logits, truth), binary_cross_entropy_with_logits(logits, truth))
    truth[0, 0] = truth[3, 2] = math.nan
    known = ~truth.isnan()
    assert torch.allclose(masked_loss(logits, truth), binary_cross_entropy_with_logits(logits[known], truth[known]))


def test_an_unknown_label_has_no_gradient() -> None:
    logits = torch.zeros(1, 2, requires_grad=True)
    masked_loss(logits, torch.tensor([[1.0, math.nan]])).backward()
    assert logits.grad is not None
    assert logits.grad[0, 1] == 0
    assert logits.grad[0, 0] == pytest.approx(-0.5)


def test_a_batch_without_any_known_label_gives_zero_and_no_nan() -> None:
    assert masked_loss(torch.zeros(2, 2), torch.full((2, 2), math.nan)) == 0


def test_normalised_is_imagenets_formula_in_three_equal_channels() -> None:
    grey = torch.arange(16, dtype=torch.uint8).reshape(1, 4, 4)
    ready = normalised(grey, RECIPE)
    assert ready.shape == (1, 3, 4, 4)
    assert torch.allclose(ready[0, 2], (grey[0] / 255 - 0.485) / 0.229)


def test_rates_rise_over_the_warm_up_then_fall_to_zero() -> None:
    rates = [rate_at(step, 100, 0.1) for step in range(100)]
    assert rates[:10] == pytest.approx(np.arange(1, 11) / 10)
    assert rates[10] == 1
    assert rates[55] == pytest.approx(0.5)
    assert all(later < earlier for earlier, later in pairwise(rates[10:]))
    assert 0 < rates[-1] < 0.001


@pytest.mark.parametrize("count", [1, 2, 33, 64, 65])
def test_batches_hold_every_row_once_and_are_never_lonely(count: int) -> None:
    parts = batches(count, 32, torch.Generator().manual_seed(0))
    assert sorted(torch.cat(parts).tolist()) == list(range(count))
    assert max(map(len, parts)) <= 32
    assert count == 1 or min(map(len, parts)) > 1


@pytest.mark.parametrize("name", FIVE)
def test_each_architecture_has_a_new_head_and_two_rates(name: str) -> None:
    network = build(name, 3)
    head = dict(network.named_modules())[head_name(network)]
    assert isinstance(head, nn.Linear)
    assert head.out_features == 3
    optimizer = optimizer_of(network, head_name(network), RECIPE)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.01, 0.001])
    assert {id(value) for value in optimizer.param_groups[0]["params"]} == {id(value) for value in head.parameters()}
    grouped = sum(len(group["params"]) for group in optimizer.param_groups)
    assert grouped == len(list(network.parameters()))


@pytest.mark.parametrize("name", ["alexnet", "resnet18", "densenet121"])
def test_a_step_moves_head_and_backbone(name: str) -> None:
    torch.manual_seed(0)
    network = build(name, 2)
    before = {key: value.clone() for key, value in network.named_parameters()}
    data = Pictures(torch.randint(0, 256, (4, 64, 64), dtype=torch.uint8), torch.eye(4)[:, :2])
    list(train_epochs(network, head_name(network), data, data, RECIPE))
    moved = {key for key, value in network.named_parameters() if not torch.equal(value, before[key])}
    assert {key for key in moved if key.startswith(head_name(network))}
    assert {key for key in moved if not key.startswith(head_name(network))}


def test_the_loop_learns_what_can_be_learnt() -> None:
    torch.manual_seed(0)
    recipe = Recipe(**{**vars(RECIPE), "epochs": 20, "lr": 0.05})
    train, held = half_lit(200), half_lit(80)
    network = Small()
    history = list(train_epochs(network, "head", train, held, recipe))
    assert history[-1].train_loss < 0.3 * history[0].train_loss
    answers = predict(network, held.grey, recipe) > 0
    assert (answers == held.truth.bool()).float().mean() > 0.95


def test_the_same_seed_gives_the_same_weights() -> None:
    states = []
    for _ in range(2):
        torch.manual_seed(5)
        network = Small()
        list(train_epochs(network, "head", half_lit(50), half_lit(20), RECIPE))
        states.append(network.state_dict())
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


def test_predict_keeps_rows_and_ignores_batching() -> None:
    network, data = Small(), half_lit(37)
    whole = network(normalised(data.grey, RECIPE))
    assert torch.allclose(predict(network, data.grey, RECIPE), whole, atol=1e-6)


def test_constant_answers_are_found_where_the_truth_varies() -> None:
    truth = torch.tensor([[0.0, 0.0, 1.0], [1.0, 0.0, math.nan], [1.0, 0.0, 0.0]])
    logits = torch.tensor([[-1.0, -1.0, 2.0], [-2.0, -1.0, 2.0], [-1.0, -3.0, -2.0]])
    # the first is constant and wrong to be; the second is constant as the truth is; the third varies
    assert constant_labels(logits, truth) == [0]


def test_a_clipped_step_is_torchs_clip_grad_norm_and_adam() -> None:
    for norm in (1e-3, 1e3):  # far below and far above the gradient's own
        recipe = replace(RECIPE, clip_norm=norm)
        torch.manual_seed(0)
        ours, theirs = Small(), Small()
        theirs.load_state_dict(ours.state_dict())
        plain = torch.optim.Adam(theirs.parameters(), lr=recipe.lr, eps=1e-3)  # an eps that makes the scale matter
        pictures = half_lit(8)
        learning = learning_of(ours, "head", pictures, recipe)
        learning.optimizer.param_groups[0]["eps"] = 1e-3
        for _ in range(3):
            step(learning, pictures.grey, pictures.truth)
            plain.zero_grad()
            masked_loss(theirs(normalised(pictures.grey, recipe)), pictures.truth).backward()
            nn.utils.clip_grad_norm_(theirs.parameters(), norm)
            plain.step()
        for own, other in zip(ours.parameters(), theirs.parameters(), strict=True):
            assert torch.allclose(own, other, rtol=1e-4, atol=1e-6)
        assert not torch.allclose(next(ours.parameters()), next(Small().parameters()))


def test_weighted_loss_is_torchs_and_focal_loss_is_torchvisions() -> None:
    torch.manual_seed(0)
    logits, truth = 3 * torch.randn(40, 3), torch.randint(0, 2, (40, 3)).float()
    weights = torch.tensor([0.5, 1.0, 7.0])
    assert torch.allclose(
        masked_loss(logits, truth, weights), binary_cross_entropy_with_logits(logits, truth, pos_weight=weights)
    )
    theirs = torchvision.ops.sigmoid_focal_loss(logits, truth, alpha=-1, gamma=2.0, reduction="mean")
    assert torch.allclose(masked_loss(logits, truth, gamma=2.0), theirs)


def test_positive_weights_are_negatives_a_positive_of_the_known() -> None:
    truth = torch.tensor([[1.0, math.nan, 1.0], [0.0, 0.0, 1.0], [0.0, 1.0, math.nan], [0.0, 1.0, 1.0]])
    assert positive_weights(truth).tolist() == [3.0, 0.5, 1.0]  # the third has no negative


def test_what_sampling_evens_out_is_not_weighed_again() -> None:
    truth = torch.tensor([[1.0, 0.0]] * 3 + [[0.0, 1.0]] * 60 + [[0.0, 0.0]] * 40 + [[1.0, math.nan]])
    shares = combination_weights(truth)  # four combinations: half of what is drawn has the first label
    assert positive_weights(truth, shares).tolist() == pytest.approx([1.0, 2.0])
    assert positive_weights(truth).tolist() == pytest.approx([25.0, 43 / 60])


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
def test_the_gradient_of_a_sure_answer_is_finite_and_an_unknown_label_has_none(gamma: float) -> None:
    logits = torch.tensor([[120.0, -120.0], [-120.0, 120.0], [90.0, -500.0]], requires_grad=True)
    truth = torch.tensor([[1.0, 1.0], [0.0, 0.0], [math.nan, math.nan]])
    masked_loss(logits, truth, gamma=gamma).backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()
    assert (logits.grad[2] == 0).all()


def test_balanced_sampling_draws_each_combination_equally_often() -> None:
    truth = torch.tensor([[1.0, 0.0]] * 90 + [[0.0, 1.0]] * 9 + [[math.nan, 1.0]])
    shares = combination_weights(truth)
    assert shares.sum() == pytest.approx(1)
    assert [float(shares[part].sum()) for part in (slice(0, 90), slice(90, 99), slice(99, 100))] == pytest.approx(
        [1 / 3] * 3
    )
    drawn = torch.cat(batches(3000, 32, torch.Generator().manual_seed(0), shares.repeat_interleave(30)))
    of = drawn // 30
    assert [int(((of >= low) & (of < high)).sum()) for low, high in ((0, 90), (90, 99), (99, 100))] == pytest.approx(
        [1000] * 3, abs=4 * math.sqrt(3000 * 2 / 9)
    )


def test_a_frozen_backbone_keeps_weights_and_running_means_and_the_head_learns() -> None:
    torch.manual_seed(0)
    network, recipe = build("resnet18", 2), replace(RECIPE, freeze=True)
    head = head_name(network)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    data = Pictures(torch.randint(0, 256, (8, 64, 64), dtype=torch.uint8), torch.eye(8)[:, :2])
    list(train_epochs(network, head, data, data, recipe))
    moved = {key for key, value in network.state_dict().items() if not torch.equal(value, before[key])}
    assert moved == {f"{head}.weight", f"{head}.bias"}


def test_features_are_what_the_head_turns_into_the_answers() -> None:
    torch.manual_seed(0)
    network, grey = build("resnet18", 2).eval(), torch.randint(0, 256, (5, 64, 64), dtype=torch.uint8)
    found, logits = insides(network, grey, RECIPE)
    assert found.shape == (5, 512)
    assert found.dtype == torch.float16
    assert torch.equal(logits, predict(network, grey, RECIPE))
    assert torch.allclose(network.fc(found.float()), logits, atol=1e-2)


def test_features_and_logits_are_written_below_the_networks_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    features, logits = torch.rand(5, 4).half(), torch.rand(5, 2)
    place = Place(Path("patient/0/1"), "small")
    assert [str(place.features), str(place.logits)] == [
        "data/features/small/patient/0/1.npy",
        "data/logits/small/patient/0/1.npy",
    ]
    write_insides(place, features, logits)
    assert np.array_equal(np.load(place.features), features.numpy())
    assert np.array_equal(np.load(place.logits), logits.numpy())


@pytest.mark.parametrize("weighing", [{}, {"pos_weight": True}, {"focal_gamma": 2.0}], ids=str)
def test_a_coin_costs_what_saying_one_half_costs_under_the_same_weights(weighing: dict[str, Any]) -> None:
    torch.manual_seed(0)
    truth = torch.tensor([[1.0, 0.0], [1.0, 1.0], [1.0, torch.nan], [0.0, 0.0]])
    data = Pictures(torch.randint(0, 256, (4, 8, 8), dtype=torch.uint8), truth)
    network = Small()
    for value in network.parameters():
        value.data.zero_()  # and a rate of zero: it says one half of everything, and stays so
    (line,) = train_epochs(network, "head", data, data, replace(RECIPE, lr=1e-30, epochs=1, **weighing))
    assert line.coin_loss == pytest.approx(line.validation_loss, rel=1e-5)
    assert line.coin_loss == pytest.approx(math.log(2)) or weighing


def test_a_loss_above_a_coins_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    train_main._warn("resnet18", [], Epoch(1, 0.5, 0.8, 0, 0.7))
    assert "resnet18: validation loss 0.8, worse than a coin's 0.700: lower lr" in capsys.readouterr().err
    train_main._warn("resnet18", [], Epoch(1, 0.5, 0.8, 0, 0.9))
    assert not capsys.readouterr().err
