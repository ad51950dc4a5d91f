"""Shortcut probes: small classifiers that see everything but what a model should look at.

A probe that ranks frames within a patient shows that the label can be had without anatomy; whether a model takes that
way the probe cannot say, so the models it casts doubt on are named beside it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from stages.common.core.progress import bar
from stages.common.evaluation.scores import rounded
from stages.leakage.cohort import Cohort, Fold
from stages.leakage.params import Probes
from stages.leakage.pictures import Counts, Looks, brightness
from stages.leakage.standing import Standing

ABOUT = {
    "overlays": "what stands still in the clip, moving pixels black: one picture a clip",
    "sector_blanked": "each frame with the moving sector black",
    "brightness": "nine statistics of the frame's grey levels, as recorded",
    "brightness_preprocessed": "the same of the pictures that the networks see",
    "clip_mean": "the mean picture of the clip, given to all its frames",
    "frame_index": "the frame's number and its relative place in the clip",
}
SAME_ALL_CLIP = ("overlays", "clip_mean")  # they rank clips, so an infant with one clip says nothing of them
PICTURES = ("overlays", "sector_blanked", "clip_mean")  # the others are a few numbers a frame
TREES, LEAVES, LEAF = 50, 8, 10  # of the boosted trees, fixed: a probe is not tuned
DIGITS = 6  # of a score: equal rows stay equal, however a matrix product is cut
PRIOR = (
    10.0  # frames that weigh as much as the penalty: a clip's frames are no independent cases, however many there are
)
Values = NDArray[np.float64] | NDArray[np.float32]
PatientAucs = dict[str, float]


@dataclass(frozen=True)
class Found:
    """A patient-wise AUC.

    Attributes:
        patients: patient -> AUC.
        why: why there is no mean over them; None where there is one.
    """

    patients: PatientAucs
    why: str | None

    @property
    def mean(self) -> float | None:
        """Mean over patients; None where it is not estimable."""
        return None if self.why else float(np.mean(list(self.patients.values())))

    def as_json(self) -> dict[str, object]:
        """Return the figures as leakage.json shows them."""
        values = list(self.patients.values())
        return {
            "auc": rounded(self.mean),
            "patients": len(values),
            "names": list(self.patients),
            "lowest": rounded(min(values)) if values else None,
            "highest": rounded(max(values)) if values else None,
            "why": self.why,
        }


def judged(patients: PatientAucs, least: int, untrained: int = 0, clips: bool = False) -> Found:
    """Return the AUCs of patients as a mean over them, or with why there is none.

    Args:
        patients: patient -> AUC.
        least: patients that a mean over patients needs.
        untrained: folds without a classifier, because their training side has one class only.
        clips: whether clips are ranked and not frames, so that a patient needs two of them.
    """
    if len(patients) >= least:
        return Found(patients, None)
    who = "test patients with two clips and frames" if clips else "test patients with frames"
    why = f"{who} both with and without the label: {len(patients)}, and {least} are needed"
    return Found(patients, why + (f"; folds whose training side has one class: {untrained}" if untrained else ""))


def inputs(cohort: Cohort, looks: Looks, preprocessed: Counts, left: Standing) -> dict[str, Values]:
    """Return probe -> (N, features).

    Args:
        cohort: all frames.
        looks: what was kept of the originals.
        preprocessed: (N, 256) grey levels of the pictures that the networks see.
        left: the pictures without their sector.
    """
    means = np.empty_like(looks.small)
    places = np.zeros((len(means), 2))
    index = cohort.frames["frame_index"].to_numpy(float)
    for _, rows in cohort.clips():
        means[rows] = looks.small[rows].mean(axis=0)
        places[rows] = np.column_stack([index[rows], index[rows] / max(1.0, index[rows].max())])
    return {
        "overlays": left.overlays,
        "sector_blanked": left.outside,
        "brightness": brightness(looks.levels),
        "brightness_preprocessed": brightness(preprocessed),
        "clip_mean": means,
        "frame_index": places,
    }


def patient_aucs(truth: Values, scores: Values, patients: NDArray[np.object_]) -> PatientAucs:
    """Return the area under the ROC curve in each patient that has both classes; truth 1, 0 and NaN (left out)."""
    found = {}
    for patient in sorted(set(patients)):
        mine = (patients == patient) & ~np.isnan(truth)
        if len(np.unique(truth[mine])) == 2:
            found[str(patient)] = float(roc_auc_score(truth[mine], scores[mine]))
    return found


def with_several_clips(patients: NDArray[np.object_], clips: NDArray[np.object_]) -> NDArray[np.bool_]:
    """Return (N,) whether a frame's patient has more than one clip among these."""
    return (pd.Series(clips).groupby(patients).transform("nunique") > 1).to_numpy()


def probe_folds(
    cohort: Cohort, folds: Sequence[Fold], features: Mapping[str, Values], labels: int, params: Probes
) -> dict[tuple[str, int, str], Found]:
    """Return (protocol, label's number, probe) -> patient-wise AUC over the test patients of all folds.

    A patient is judged within one fold by one classifier: scores of two folds are never pooled. What is the same in
    all frames of a clip is judged in patients with several clips: within one clip its area is .5 by construction.
    """
    keys = [
        (protocol, label, probe)
        for protocol in dict.fromkeys(fold.protocol for fold in folds)
        for label in range(labels)
        for probe in features
    ]
    found: dict[tuple[str, int, str], PatientAucs] = {key: {} for key in keys}
    untrained = dict.fromkeys(keys, 0)
    tasks = [(fold, probe) for fold in folds for probe in features]
    for fold, probe in bar(tasks, "probe for shortcuts", unit="probe"):
        train, test = fold.sides["train"], fold.sides["test"]
        ours = features[probe]
        if probe in SAME_ALL_CLIP:
            test = test[with_several_clips(cohort.column("patient")[test], cohort.column("clip_id")[test])]
        if not len(test):
            continue
        patients = cohort.column("patient")[test]
        seen, asked = reduced(ours[train], ours[test], params) if probe in PICTURES else (ours[train], ours[test])
        for label in range(labels):
            key = fold.protocol, label, probe
            scores = _scores(seen, cohort.truth[train, label], asked, trees=probe not in PICTURES)
            if scores is None:
                untrained[key] += 1
            else:
                found[key] |= patient_aucs(cohort.truth[test, label], scores, patients)
    return {
        key: judged(found[key], params.least_patients, untrained[key], clips=key[2] in SAME_ALL_CLIP) for key in keys
    }


def reduced(train: Values, test: Values, params: Probes) -> tuple[Values, Values]:
    """Return pictures as the principal components of the training side, standardised pixel by pixel before."""
    varies = np.ptp(train, axis=0) > 0
    if not varies.any():
        return np.zeros((len(train), 1)), np.zeros((len(test), 1))
    count = min(params.components, int(varies.sum()), len(train))
    steps = make_pipeline(StandardScaler(), PCA(count, svd_solver="covariance_eigh"))
    seen, asked = steps.fit_transform(train[:, varies]), steps.transform(test[:, varies])
    scale = seen[:, 0].std()  # one for all: to blow up each small component would blow up noise
    return seen / scale, asked / scale


def _scores(train: Values, truth: Values, test: Values, trees: bool) -> Values | None:
    """Return (test,) scores of a classifier trained on the rows whose truth is known; None with fewer than two classes.

    Trees where few numbers say it, because the way from a frame's number to its label is no straight line; a logistic
    regression on components of pictures.
    """
    known = ~np.isnan(truth)
    if len(np.unique(truth[known])) < 2:
        return None
    model = (
        HistGradientBoostingClassifier(
            max_iter=TREES, max_leaf_nodes=LEAVES, min_samples_leaf=LEAF, early_stopping=False, random_state=0
        )
        if trees
        else LogisticRegression(C=PRIOR / known.sum(), max_iter=1000)
    )
    scores = model.fit(train[known], truth[known]).decision_function(test)  # a probability could saturate
    return np.asarray(scores, np.float64).round(DIGITS)
