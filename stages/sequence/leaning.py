"""What a network's probabilities lean on: what it says where a picture tells it nothing.

Plain cross-entropy makes that the label's prevalence on the training side. `train.imbalance` moves it: weights and
sampling change the odds, and the focal loss is least at another answer than the share it is asked about.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_expit

from stages.common.labels import Imbalance
from stages.common.truth import combination_shares

FURTHEST = 15.0  # logit: predictions tables hold no probability nearer to 0 or 1


def uninformed(truth: NDArray[np.floating], imbalance: Imbalance) -> NDArray[np.float64]:
    """Return (L,) the constant probability that costs least under the loss and the sampling of the training.

    Args:
        truth: (n, L) 1, 0 or NaN, of the training side.
        imbalance: as the network was trained.
    """
    drawn = combination_shares(truth) * len(truth) if imbalance.balanced_sampling else np.ones(len(truth))
    yes, no = (((truth == value) * drawn[:, None]).sum(axis=0) for value in (1, 0))
    share = (yes + 1) / (yes + no + 2)  # Laplace's rule: never 0 or 1
    weight = np.where((yes > 0) & (no > 0), (1 - share) / share, 1.0) if imbalance.pos_weight else np.ones(len(share))
    positive = share * weight / (share * weight + 1 - share) if imbalance.pos_weight else share
    if not imbalance.focal_gamma:
        return positive
    return np.array([_least(one, imbalance.focal_gamma) for one in positive])


def _least(share: float, gamma: float) -> float:
    """Return the probability at which the focal loss (Lin et al. 2017, equation 4) of such a share is least."""

    def loss(answer: float) -> float:
        yes, no = log_expit(answer), log_expit(-answer)
        return float(-share * np.exp(gamma * no) * yes - (1 - share) * np.exp(gamma * yes) * no)

    return float(expit(minimize_scalar(loss, bounds=(-FURTHEST, FURTHEST), method="bounded").x))
