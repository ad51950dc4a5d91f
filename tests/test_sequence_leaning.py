"""What a network's probabilities lean on, against the constant answer that gradient descent finds under its loss."""

from itertools import product

import numpy as np
import pytest
import torch

from stages.common.labels import Imbalance
from stages.sequence.leaning import uninformed
from stages.sequence.smoothing import Chain, evidence, filtered
from stages.train.loss import combination_weights, masked_loss, positive_weights

EVERY = [
    Imbalance(pos_weight=weigh, focal_gamma=gamma, balanced_sampling=even)
    for weigh, gamma, even in product((False, True), (0.0, 0.5, 2.0), (False, True))
]


def labels(count: int) -> torch.Tensor:
    """Return (count, 3) labels of unequal shares, some of them unknown."""
    rng = np.random.default_rng(0)
    truth = (rng.uniform(size=(count, 3)) < [0.1, 0.7, 0.4]).astype(np.float32)
    truth[rng.uniform(size=truth.shape) < 0.1] = np.nan
    return torch.from_numpy(truth)


def least(truth: torch.Tensor, imbalance: Imbalance) -> list[float]:
    """Return the constant answer that costs least, found by torch on the pictures as they would be drawn."""
    shares = combination_weights(truth) if imbalance.balanced_sampling else None
    weights = positive_weights(truth, shares) if imbalance.pos_weight else None
    rows = torch.arange(len(truth))
    if shares is not None:
        rows = torch.multinomial(shares, 400_000, replacement=True, generator=torch.Generator().manual_seed(0))
    constant = torch.zeros(3, requires_grad=True)
    descent = torch.optim.LBFGS([constant], max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        descent.zero_grad()
        loss = masked_loss(constant.expand(len(rows), 3), truth[rows], weights, imbalance.focal_gamma)
        loss.backward()
        return loss

    descent.step(closure)
    return torch.sigmoid(constant.detach()).tolist()


@pytest.mark.parametrize("imbalance", EVERY, ids=str)
def test_it_is_the_constant_answer_that_costs_least(imbalance: Imbalance) -> None:
    truth = labels(4000)
    assert uninformed(truth.numpy(), imbalance).tolist() == pytest.approx(least(truth, imbalance), abs=0.01)


@pytest.mark.parametrize("imbalance", EVERY, ids=str)
def test_a_network_that_knows_nothing_leaves_the_chain_where_it_was(imbalance: Imbalance) -> None:
    truth = labels(500).numpy()
    share = np.nanmean(truth, axis=0)
    chain, leaning = Chain(share, 1 - share, share), uninformed(truth, imbalance)
    found = filtered(evidence(np.tile(leaning, (60, 1)), leaning, 1.0), np.arange(60) / 30, chain)
    np.testing.assert_allclose(found, np.tile(share, (60, 1)))


def test_a_label_never_seen_is_not_certain() -> None:
    truth = np.tile([[0.0, 1.0, np.nan]], (8, 1))
    for imbalance in EVERY:
        assert ((uninformed(truth, imbalance) > 0) & (uninformed(truth, imbalance) < 1)).all()
