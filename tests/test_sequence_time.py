"""Stretches, masks, gaps and windows: what a model over time may see, and that nothing else reaches its answers."""

from collections.abc import Callable
from typing import Literal

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from stages.common.core.errors import PipelineError
from stages.sequence.batches import pad
from stages.sequence.losses import masked_loss
from stages.sequence.networks import BLOCK, Kind, build, rotated, speeds
from stages.sequence.params import shape_of
from stages.sequence.smoothing import Chain, evidence, filtered, median, smoothed
from stages.sequence.stretches import Stretch, alone, buckets, cut, refuse_shared_clips, seconds
from tests.sequence_data import frames_of, section, stretches_of, uneven

KINDS: tuple[Kind, ...] = ("gru", "lstm", "transformer")
CHAIN = Chain(np.array([0.5, 1.0]), np.array([0.25, 2.0]), np.array([0.6, 0.3]))
Smoother = Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]]
SMOOTHERS: dict[str, dict[Literal["causal", "both"], Smoother]] = {
    "median": {
        "causal": lambda said, times: median(said, times, 1.0, causal=True),
        "both": lambda said, times: median(said, times, 1.0, causal=False),
    },
    "hmm": {
        "causal": lambda said, times: filtered(evidence(said, CHAIN.prevalence, 2.0), times, CHAIN),
        "both": lambda said, times: smoothed(evidence(said, CHAIN.prevalence, 2.0), times, CHAIN),
    },
}


def network(kind: Kind, **changes: object) -> nn.Module:
    torch.manual_seed(0)
    return build(kind, shape_of(section(**changes), 5, 2)).eval()


def ask(model: nn.Module, stretch: Stretch, features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (T, 2) logits of one stretch."""
    batch = pad([stretch], features, np.zeros((len(features), 2), np.float32))
    with torch.no_grad():
        found: NDArray[np.float32] = model(batch.features, batch.times_s, batch.real)[0].numpy()
    return found


def test_a_stretch_ends_with_its_clip_and_at_a_gap() -> None:
    frames = frames_of([[0, 0.5, 1.0, 2.5, 3.0], [0, 0.5]])
    found = cut(frames, np.arange(7)[::-1].copy(), frames["time_s"].to_numpy(), 1.0)
    assert [stretch.rows.tolist() for stretch in found] == [[0, 1, 2], [3, 4], [5, 6]]
    assert [stretch.times_s.tolist() for stretch in found] == [[0, 0.5, 1], [0, 0.5], [0, 0.5]]
    assert alone(cut(frames, np.arange(7), frames["time_s"].to_numpy(), 0.1)) == 7


def test_a_clip_without_times_is_timed_by_the_assumed_rate() -> None:
    frames = frames_of([[0, 0.5, 1.0], [0, 1.0, 2.0]])
    frames.loc[4, "time_s"] = np.nan
    assert seconds(frames, 4.0).tolist() == [0, 0.5, 1.0, 0, 0.25, 0.5]


def test_a_clip_on_two_sides_is_named() -> None:
    frames = frames_of([[0, 1], [0, 1]])
    refuse_shared_clips(frames, {"train": np.array([0, 1]), "test": np.array([2, 3])}, "here")
    with pytest.raises(PipelineError, match=r"here: a clip on several sides: .*got C001\."):
        refuse_shared_clips(frames, {"train": np.array([0, 1, 2]), "test": np.array([3])}, "here")


def test_buckets_hold_every_stretch_once_and_pad_little() -> None:
    stretches = stretches_of([[0.1 * i for i in range(count)] for count in (9, 2, 7, 3, 8)])
    groups = buckets(stretches, 2)
    assert [[len(stretch.rows) for stretch in group] for group in groups] == [[2, 3], [7, 8], [9]]


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_a_padded_batch_answers_as_single_stretches(kind: Kind, causal: bool) -> None:
    rng = np.random.default_rng(0)
    stretches = stretches_of([uneven(rng, count) for count in (3, 40, 1, 17)])
    features = rng.normal(size=(61, 5)).astype(np.float32)
    model = network(kind, causal=causal)
    batch = pad(stretches, features, np.zeros((61, 2), np.float32))
    with torch.no_grad():
        together = model(batch.features, batch.times_s, batch.real)
    for row, stretch in enumerate(stretches):
        single = ask(model, stretch, features)
        np.testing.assert_allclose(together[row, : len(stretch.rows)], single, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_the_future_changes_no_earlier_answer(kind: Kind) -> None:
    rng = np.random.default_rng(1)
    (stretch,) = stretches_of([uneven(rng, 30)])
    features = rng.normal(size=(30, 5)).astype(np.float32)
    other = features.copy()
    other[20:] = rng.normal(size=(10, 5))
    model, both = network(kind), network(kind, causal=False)
    first, second = ask(model, stretch, features), ask(model, stretch, other)
    np.testing.assert_allclose(first[:20], second[:20], atol=1e-6)
    assert np.abs(first[20:] - second[20:]).max() > 1e-3
    assert np.abs(ask(both, stretch, features)[:20] - ask(both, stretch, other)[:20]).max() > 1e-3


@pytest.mark.parametrize("kind", KINDS)
def test_a_stretch_cut_short_gives_the_same_answers_as_far_as_it_goes(kind: Kind) -> None:
    rng = np.random.default_rng(2)
    (stretch,) = stretches_of([uneven(rng, 30)])
    features = rng.normal(size=(30, 5)).astype(np.float32)
    model, short = network(kind), Stretch(stretch.rows[:20], stretch.times_s[:20])
    np.testing.assert_allclose(ask(model, stretch, features)[:20], ask(model, short, features), atol=1e-5)


@pytest.mark.parametrize("name", list(SMOOTHERS))
def test_the_future_changes_no_earlier_answer_of_a_causal_smoother(name: str) -> None:
    rng = np.random.default_rng(3)
    times, said = np.array(uneven(rng, 30)), rng.uniform(0.05, 0.95, (30, 2))
    other = said.copy()
    other[20:] = rng.uniform(0.05, 0.95, (10, 2))
    smooth = SMOOTHERS[name]
    assert np.array_equal(smooth["causal"](said, times)[:20], smooth["causal"](other, times)[:20])
    assert not np.array_equal(smooth["both"](said, times)[:20], smooth["both"](other, times)[:20])


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("causal", [True, False])
def test_a_transformer_sees_its_window_and_not_one_frame_further(causal: bool, layers: int) -> None:
    times = [0.25 * place for place in range(30)]
    (stretch,) = stretches_of([times])
    features = np.random.default_rng(4).normal(size=(30, 5)).astype(np.float32)
    model = network("transformer", causal=causal, layers=layers, window_s=1.5)
    changed = features.copy()
    changed[12] += 3.0
    moved = np.abs(ask(model, stretch, features) - ask(model, stretch, changed)).max(axis=1) > 1e-6
    ahead = 0 if causal else 6
    assert np.flatnonzero(moved).tolist() == list(range(12 - ahead, 12 + 6 + 1))  # 1.5 s are six frames


@pytest.mark.parametrize("causal", [True, False])
def test_attention_by_blocks_is_attention_at_once(causal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    stretches = stretches_of([uneven(rng, 2 * BLOCK + 9), uneven(rng, BLOCK)])
    features = rng.normal(size=(3 * BLOCK + 9, 5)).astype(np.float32)
    batch = pad(stretches, features, np.zeros((len(features), 2), np.float32))
    model = network("transformer", causal=causal, window_s=30.0)
    with torch.no_grad():
        blocks = model(batch.features, batch.times_s, batch.real)
        monkeypatch.setattr("stages.sequence.networks.BLOCK", 10_000)
        whole = model(batch.features, batch.times_s, batch.real)
    torch.testing.assert_close(blocks[batch.real], whole[batch.real], atol=1e-5, rtol=1e-4)


def test_rotated_products_depend_on_differences_in_time_alone() -> None:
    torch.manual_seed(6)
    first, second = torch.randn(1, 1, 1, 8), torch.randn(1, 1, 1, 8)
    turning = speeds(4, 2.0)

    def product(one_s: float, other_s: float) -> float:
        times = (torch.tensor([[value]], dtype=torch.float64) for value in (one_s, other_s))
        turned = [rotated(part, at, turning) for part, at in zip((first, second), times, strict=True)]
        return float((turned[0] * turned[1]).sum())

    assert product(1.0, 1.7) == pytest.approx(product(601.3, 602.0), abs=1e-4)
    assert product(1.0, 1.7) != pytest.approx(product(1.0, 1.9), abs=1e-2)


@pytest.mark.parametrize("kind", KINDS)
def test_the_time_between_frames_counts(kind: Kind) -> None:
    features = np.random.default_rng(7).normal(size=(4, 5)).astype(np.float32)
    near, far = (stretches_of([[step * place for place in range(4)]])[0] for step in (0.1, 0.5))
    model = network(kind)
    assert np.abs(ask(model, near, features)[-1] - ask(model, far, features)[-1]).max() > 1e-4


def test_unknown_labels_and_padding_weigh_nothing() -> None:
    stretches = stretches_of([[0, 0.1, 0.2], [0]])
    truth = np.array([[1, 0], [np.nan, 1], [0, np.nan], [1, 1]], np.float32)
    batch = pad(stretches, np.ones((4, 5), np.float32), truth)
    logits = torch.randn(2, 3, 2, generator=torch.Generator().manual_seed(0), requires_grad=True)
    loss = masked_loss(logits, batch.truth)
    loss.backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert torch.equal(logits.grad == 0, batch.truth.isnan())
    known = [(0, 0, 0), (0, 0, 1), (0, 1, 1), (0, 2, 0), (1, 0, 0), (1, 0, 1)]
    costs = [np.logaddexp(0, -logits[at].item() if batch.truth[at] else logits[at].item()) for at in known]
    assert loss.item() == pytest.approx(np.mean(costs), rel=1e-5)
    assert float(masked_loss(logits, torch.full((2, 3, 2), torch.nan))) == 0.0
