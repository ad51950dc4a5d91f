"""Probabilities on the scale of each infant, so that a network that fails in one does not fill the list with it."""

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

LEAST = 2  # known frames of each class without which an infant keeps the networks' own scale
EDGE = 1e-4  # probabilities are held this far from 0 and 1, where the logit ends


def calibrated(
    truth: NDArray[np.float64], probabilities: NDArray[np.float64], patients: NDArray[np.object_]
) -> NDArray[np.float64]:
    """Return probabilities refitted to the labels of each patient (Platt 1999: a logistic curve of the logit).

    Networks of different folds share no scale, and a network that never saw an infant may answer all its frames alike.
    The fit is in-sample: the labels under review, wrong ones among them, set each infant's curve. Two numbers fitted to
    hundreds of labels cannot learn which few are wrong, but where many of an infant's are, or one kind throughout, the
    curve bends towards them and they are believed. A curve that falls says that the network knows nothing of that
    infant: then the share of yes stands for all its frames.

    Args:
        truth: (rows,) of 1, 0 and NaN.
        probabilities: (rows,) of yes.
        patients: (rows,) whose frame it is.
    """
    found = probabilities.astype(float)
    logits = np.log(bounded(found)) - np.log1p(-bounded(found))
    for patient in np.unique(patients):
        rows = patients == patient
        known = rows & ~np.isnan(truth)
        positives = int((truth[known] == 1).sum())
        if min(positives, int(known.sum()) - positives) < LEAST:
            continue
        curve = LogisticRegression().fit(logits[known, None], truth[known].astype(int))
        rises = curve.coef_[0, 0] > 0
        found[rows] = curve.predict_proba(logits[rows, None])[:, 1] if rises else positives / known.sum()
    return found


def bounded(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return probabilities that have a logit."""
    return np.clip(probabilities, EDGE, 1 - EDGE)
