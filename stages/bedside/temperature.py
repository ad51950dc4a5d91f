"""One temperature a model: its logits are divided by it, so that its probabilities mean what they say.

Guo et al. 2017, On Calibration of Modern Neural Networks. One number over all labels: a few infants bear no more.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import logit

from stages.bedside.settings import Temperature
from stages.common.core.tables import DIGITS
from stages.common.evaluation.scores import Truth

CLIP = 10.0**-DIGITS  # predictions tables hold no probability nearer to 0 or 1 than this
TEMPERATURE_DIGITS = 4  # kept: the optimiser's last digits differ between machines
NEAR = 1.001  # a temperature within this factor of a bound stands at it


def logits(probabilities: Truth) -> Truth:
    """Return log(p / (1 - p)) of probabilities clipped to [1e-6, 1 - 1e-6]."""
    clipped: Truth = logit(np.clip(probabilities, CLIP, 1 - CLIP))
    return clipped


def fit_temperature(
    values: Truth, truth: Truth, patients: NDArray[np.object_], bounds: Temperature
) -> tuple[float, str | None]:
    """Return the temperature with the smallest negative log likelihood, and why it is no estimate where it is none.

    The loss is convex in 1 / temperature, so a bounded search over its logarithm finds the one minimum.

    Args:
        values: (rows, labels) logits.
        truth: (rows, labels) of 1, 0 and NaN, which are left out.
        patients: (rows,); each patient's known cells weigh the same together.
        bounds: the temperatures searched.
    """
    known = ~np.isnan(truth)
    if not any({0.0, 1.0} <= set(np.unique(column[~np.isnan(column)])) for column in truth.T):
        return 1.0, "no label has positives and negatives in the choosing rows: probabilities stay as they are"
    signed = np.where(truth == 1, values, -values)[known]  # positive where the model leans to the right side
    _, place = np.unique(np.broadcast_to(patients[:, None], truth.shape)[known].astype(str), return_inverse=True)
    weights = 1.0 / np.bincount(place)[place]

    def loss(log_temperature: float) -> float:
        return float(weights @ np.logaddexp(0.0, -signed * np.exp(-log_temperature)))

    limits = (float(np.log(bounds.min)), float(np.log(bounds.max)))
    found = minimize_scalar(loss, bounds=limits, method="bounded", options={"xatol": 1e-7})
    temperature = round(float(np.exp(found.x)), TEMPERATURE_DIGITS)
    at_bound = temperature <= bounds.min * NEAR or temperature >= bounds.max / NEAR
    return temperature, "at the bound of bedside.operating_point.temperature" if at_bound else None
