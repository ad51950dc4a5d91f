"""The cheap rivals: a median over seconds, and a hidden Markov model in continuous time.

Each label is a chain of its own with two states, absent and present, which change at constant rates a second
(a continuous-time Markov chain; Cox and Miller 1965, section 4.5). Over d seconds the probability of `present` decays
towards its long-run share:

    p(t + d) = share + (p(t) - share) exp(-(up + down) d),   share = up / (up + down)

so that frames may lie as unevenly in time as they like.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from stages.common.core.tables import DIGITS
from stages.sequence.stretches import Stretch, Times

Values = NDArray[np.float64]
CLIP = 10.0**-DIGITS  # predictions tables hold no probability nearer to 0 or 1 than this
CERTAIN = 1e-12  # no belief is so firm that later frames could not overturn it
EPSILON_S = 1e-5  # times are kept to the microsecond
# What is seen before any frame: half a change in one second of either state. Rates stay finite and above zero
FEW_CHANGES, FEW_S = 0.5, 1.0


def median(probabilities: Values, times_s: Times, window_s: float, causal: bool) -> Values:
    """Return (T, L): each frame's median over the `window_s` seconds that end with it, or have it in their middle."""
    back = window_s if causal else window_s / 2
    low = np.searchsorted(times_s, times_s - back - EPSILON_S)
    ends = np.arange(1, len(times_s) + 1)
    high = ends if causal else np.searchsorted(times_s, times_s + back + EPSILON_S, side="right")
    return np.stack([np.median(probabilities[a:b], axis=0) for a, b in zip(low, high, strict=True)])


@dataclass(frozen=True)
class Chain:
    """What the training side says of each label's course.

    Attributes:
        up, down: (L,) changes a second to present, and to absent.
        prevalence: (L,) share of frames with the label: where a stretch begins.
    """

    up: Values
    down: Values
    prevalence: Values

    @property
    def share(self) -> Values:
        """(L,) long-run share of present."""
        return self.up / (self.up + self.down)

    def kept(self, seconds: float) -> Values:
        """Return (L,) how much of what was known is left after so many seconds."""
        return np.exp(-(self.up + self.down) * seconds)


def chain_of(stretches: Sequence[Stretch], truth: NDArray[np.float32]) -> Chain:
    """Return the chain of the stretches' labels: changes over seconds, both seen between neighbours known alike.

    Args:
        stretches: of the training side.
        truth: (N, L) 1, 0 or NaN; a step from or to an unknown label says nothing.
    """
    changes = np.full((2, truth.shape[1]), FEW_CHANGES)  # from absent, from present
    spent = np.full((2, truth.shape[1]), FEW_S)
    for stretch in stretches:
        before, after = truth[stretch.rows[:-1]], truth[stretch.rows[1:]]
        steps = np.diff(stretch.times_s)[:, None]
        for state in (0, 1):
            changes[state] += ((before == state) & (after == 1 - state)).sum(axis=0)
            spent[state] += (((before == state) & ~np.isnan(after)) * steps).sum(axis=0)
    rows = np.concatenate([stretch.rows for stretch in stretches])
    yes, known = (truth[rows] == 1).sum(axis=0), (~np.isnan(truth[rows])).sum(axis=0)
    up, down = changes / spent
    return Chain(up, down, (yes + 1) / (known + 2))  # Laplace's rule: never 0 or 1


def evidence(probabilities: Values, leaning: Values, temperature: float) -> Values:
    """Return log P(picture | present) / P(picture | absent): tempered logits less what they lean on.

    Args:
        probabilities: (T, L) of a network.
        leaning: (L,) what it says where a picture tells it nothing (`stages.sequence.leaning`).
        temperature: at 1 a frame counts as the network counted it; above, for less than a whole witness, because
            neighbours err alike; far above, only the prevalence is left.
    """
    told: Values = (logit(np.clip(probabilities, CLIP, 1 - CLIP)) - logit(leaning)) / temperature
    return told


def filtered(told: Values, times_s: Times, chain: Chain) -> Values:
    """Return (T, ..., L) P(present | this frame and all before), the forward algorithm (Rabiner 1989).

    Args:
        told: (T, ..., L) what `evidence` returns.
        times_s: (T,) of one stretch.
        chain: of the training side.
    """
    found = np.empty_like(told)
    expected = np.broadcast_to(chain.prevalence, told.shape[1:])
    for place, step in enumerate(np.diff(times_s, prepend=times_s[0])):
        if place:
            expected = chain.share + (found[place - 1] - chain.share) * chain.kept(step)
        found[place] = expit(logit(np.clip(expected, CERTAIN, 1 - CERTAIN)) + told[place])
    return found


def smoothed(told: Values, times_s: Times, chain: Chain) -> Values:
    """Return (T, L) P(present | all frames of the stretch), forward-backward (Rabiner 1989)."""
    later = np.zeros_like(told)  # log P(later pictures | present) / P(... | absent)
    for place in range(len(told) - 2, -1, -1):
        kept = chain.kept(times_s[place + 1] - times_s[place])
        ahead = np.exp(np.clip(told[place + 1] + later[place + 1], -500.0, 500.0))  # no overflow
        present, absent = chain.share + (1 - chain.share) * kept, chain.share * (1 - kept)  # chance of present next
        later[place] = np.log(present * ahead + (1 - present)) - np.log(absent * ahead + (1 - absent))
    before = np.clip(filtered(told, times_s, chain), CERTAIN, 1 - CERTAIN)
    return np.asarray(expit(logit(before) + later))
