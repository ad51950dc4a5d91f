"""What stands on both sides of each protocol, counted on the pictures that are really there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.leakage.cohort import KINDS, Cohort, Fold
from stages.leakage.likeness import NONE, Words, nearest_in_clips
from stages.leakage.params import NearDuplicates
from stages.leakage.same import Digests, same_pictures

SHARE_DIGITS = 4
PER_KIND = ("test", "training", "bits", "kind")


@dataclass(frozen=True)
class Seen:
    """The pictures as the certificate compares them.

    Attributes:
        hashes: (N, words) perceptual hashes of the originals.
        original: digests of the preprocessed originals: what the test side reads.
        trained: variant -> digests of its preprocessed pictures: what the training side reads.
        blank: (N,) frames without a picture.
    """

    hashes: Words
    original: Digests
    trained: Mapping[str, Digests]
    blank: NDArray[np.bool_]


@dataclass(frozen=True)
class Compared:
    """The test frames of one protocol beside its training frames, over all its folds.

    Attributes:
        test_frames: how many there are, blank ones included.
        crossing: patients on two sides of a fold, sorted.
        near: one row a test frame and kind of training frame: test, training (rows), bits (that differ), kind.
        same: pairs of equal pictures, as `same_pictures` returns them.
        twins: clips, patients, frames, share: clips of two patients that look like one.
    """

    test_frames: int
    crossing: list[str]
    near: pd.DataFrame
    same: pd.DataFrame
    twins: list[dict[str, Any]]


def compare(cohort: Cohort, folds: Sequence[Fold], seen: Seen, params: NearDuplicates) -> Compared:
    """Return what the test and training sides of one protocol's folds share."""
    near, same = [], []
    crossing: set[str] = set()
    twins: dict[str, dict[str, Any]] = {}
    for fold in folds:
        test, training = (fold.sides[side][~seen.blank[fold.sides[side]]] for side in ("test", "train"))
        same.append(same_pictures(cohort, seen.original, seen.trained, test, training))
        crossing |= patients_on_two_sides(cohort, fold)
        of_kinds, of_fold = near_of_fold(cohort, test, training, seen.hashes, params)
        near.append(of_kinds)
        twins |= {twin["clips"]: twin for twin in of_fold}
    return Compared(
        test_frames=sum(len(fold.sides["test"]) for fold in folds),
        crossing=sorted(crossing),
        near=pd.concat(near, ignore_index=True),
        same=pd.concat(same, ignore_index=True),
        twins=[twins[clips] for clips in sorted(twins)],
    )


def patients_on_two_sides(cohort: Cohort, fold: Fold) -> set[str]:
    """Return the patients with frames on two sides of a fold."""
    patients = cohort.column("patient")
    sides = [set(patients[rows]) for rows in fold.sides.values()]
    return {str(patient) for patient in set().union(*sides) if sum(patient in side for side in sides) > 1}


def near_of_fold(
    cohort: Cohort, test: NDArray[np.int64], training: NDArray[np.int64], hashes: Words, params: NearDuplicates
) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """Return the nearest training frame of each kind for each test frame, and the clips that are twins.

    Returns:
        test, training, bits, kind, without the kinds of which there is no training frame; and the twins.
    """
    clip_of, names = pd.factorize(cohort.column("clip_id"), sort=True)
    patient_of = cohort.frames.groupby("clip_id")["patient"].first().loc[names].to_numpy(object)
    near, which = nearest_in_clips(hashes, test, training, clip_of, len(names))
    mine = clip_of[test]
    same_clip = mine[:, None] == np.arange(len(names))
    same_patient = patient_of[mine][:, None] == patient_of[None, :]
    masks = (same_clip, same_patient & ~same_clip, ~same_patient)
    parts = [_nearest(test, near, which, mask, kind) for kind, mask in zip(KINDS, masks, strict=True)]
    within = (near <= params.within_bits) & ~same_patient
    twins = []
    for clip in np.unique(mine):
        share = within[mine == clip].mean(axis=0)
        for other in np.flatnonzero(share >= params.twin_share):
            pair = [str(names[clip]), str(names[other])]
            patients = [str(patient_of[clip]), str(patient_of[other])]
            frames = int(within[mine == clip, other].sum())
            shown = round(float(share[other]), SHARE_DIGITS)
            twins.append({"clips": " ".join(pair), "patients": " ".join(patients), "frames": frames, "share": shown})
    return pd.concat(parts, ignore_index=True), twins


def _nearest(
    test: NDArray[np.int64],
    near: NDArray[np.uint16],
    which: NDArray[np.int64],
    mask: NDArray[np.bool_],
    kind: str,
) -> pd.DataFrame:
    masked = np.where(mask, near, NONE)
    best = masked.argmin(axis=1)[:, None]
    bits = np.take_along_axis(masked, best, axis=1)[:, 0]
    rows = np.take_along_axis(which, best, axis=1)[:, 0]
    found = pd.DataFrame({"test": test, "training": rows, "bits": bits.astype(int), "kind": kind}, columns=PER_KIND)
    return found[bits != NONE]
