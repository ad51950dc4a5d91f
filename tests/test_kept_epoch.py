"""Which epoch's weights stay: the lowest validation loss, or the last; bit for bit."""

import math
from pathlib import Path

import pytest
import torch
from torch import nn

from stages.common.core.errors import PipelineError
from stages.common.core.params import read_params
from stages.train import __main__ as train
from stages.train.checkpoint import Keeper
from stages.train.params import KeptEpoch, Shared
from stages.train.recipe import Epoch, Pictures, Recipe
from tests.workspace import ROOT

RECIPE = Recipe(
    lr=0.01, backbone_scale=1.0, epochs=4, batch_size=4, warmup=0.0, clip_norm=1.0, mean=0.5, std=0.2, seed=1
)
COIN = math.log(2)
NOTHING = Pictures(torch.zeros(4, 4, 4, dtype=torch.uint8), torch.zeros(4, 1))


def fitted(
    losses: list[float], kept: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[list[torch.Tensor], torch.Tensor]:
    """Run `fit` over a loop that sets the weights anew each epoch; return all weights, and those that stayed."""
    network, states = nn.Linear(3, 1), []

    def epochs(*_: object) -> object:
        for number, loss in enumerate(losses, start=1):
            with torch.no_grad():
                network.weight.copy_(torch.rand(1, 3, generator=torch.Generator().manual_seed(number)))
            states.append(network.weight.detach().clone())
            yield Epoch(number, 0.5, loss, 0, COIN)

    monkeypatch.setattr(train, "train_epochs", epochs)
    monkeypatch.setattr(train, "head_name", lambda _: "")
    keeper = Keeper("small", "key", folder)
    train.fit(network, NOTHING, NOTHING, RECIPE, folder, kept, keeper)  # type: ignore[arg-type]
    return states, network.weight.detach()


@pytest.mark.parametrize(("kept", "place"), [("best", 1), ("last", 3)])
def test_the_weights_of_the_kept_epoch_stay_bit_for_bit(
    kept: str, place: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    states, stayed = fitted([0.9, 0.2, 0.2, 0.6], kept, tmp_path, monkeypatch)
    assert torch.equal(stayed, states[place])
    assert not any(torch.equal(stayed, state) for number, state in enumerate(states) if number != place)


def test_an_epoch_without_a_finite_loss_is_never_the_best(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    states, stayed = fitted([math.nan, 0.7, math.inf], "best", tmp_path, monkeypatch)
    assert torch.equal(stayed, states[1])


@pytest.mark.parametrize(
    ("losses", "kept"), [([0.3, math.nan], "last"), ([math.nan, math.inf], "best"), ([0.3, math.inf], "last")]
)
def test_a_kept_epoch_without_a_finite_loss_stops(
    losses: list[float], kept: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(PipelineError, match=f"the {kept} epoch: expected a finite validation loss.*Lower lr"):
        fitted(losses, kept, tmp_path, monkeypatch)


def test_the_sidecar_names_the_kept_epoch() -> None:
    history = [Epoch(1, 0.5, 0.4, 0, COIN), Epoch(2, 0.4, 0.3, 0, COIN), Epoch(3, 0.3, 0.35, 0, COIN)]
    assert [train.kept_line(history, kept).epoch for kept in ("best", "last")] == [2, 3]


def test_leave_one_patient_out_fixes_the_epoch_beforehand_as_shipped() -> None:
    kept = read_params(Shared, ROOT / "params.yaml").train.kept_epoch
    assert kept == KeptEpoch(frame="best", patient="best", leave_one_patient_out="last")


def test_a_mistake_says_what_may_stand_there(tmp_path: Path) -> None:
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    path = tmp_path / "params.yaml"
    path.write_text(text.replace("leave_one_patient_out: last", "leave_one_patient_out: third"), encoding="utf-8")
    with pytest.raises(
        PipelineError, match=r"kept_epoch.leave_one_patient_out: wrong value: expected 'best' or 'last'"
    ):
        read_params(Shared, path)


def test_an_epoch_that_says_the_same_of_every_frame_is_kept_only_where_all_do() -> None:
    flat, partly, late = Epoch(1, 1.3, 0.41, 3, COIN), Epoch(2, 0.4, 0.97, 1, COIN), Epoch(3, 0.2, 0.53, 0, COIN)
    assert train.kept_line([flat, partly, late], "best") is late
    assert train.kept_line([flat, partly], "best") is partly
    assert train.kept_line([flat, Epoch(2, 1.0, 0.40, 3, COIN)], "best").epoch == 2
    assert train.kept_line([Epoch(1, 1.0, math.nan, 0, COIN), flat], "best") is flat
    assert train.kept_line([late, flat], "last") is flat
