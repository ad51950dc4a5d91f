"""What stands on both sides of each protocol, counted on the pictures that are really there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.common.errors import Problem
from stages.common.protocols import PATIENT_DISJOINT
from stages.leakage.cohort import KINDS, Cohort, Fold
from stages.leakage.likeness import NONE, Words, nearest_in_clips
from stages.leakage.params import Leakage, NearDuplicates
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


def as_json(cohort: Cohort, protocol: str, compared: Compared, params: Leakage) -> dict[str, Any]:
    """Return one protocol's part of the certificate, with what it finds in words."""
    findings = findings_of(cohort, compared, params)
    within = compared.near[compared.near["bits"] <= params.near_duplicates.within_bits]
    return {
        "promises_patient_disjoint": protocol in PATIENT_DISJOINT,
        "holds": not findings,
        "findings": findings,
        "test_frames": compared.test_frames,
        "patients_on_two_sides": compared.crossing,
        "near_duplicates": _counts(within, compared.test_frames),
        "nearest_bits": _smallest(compared.near),
        "near_examples": _examples(cohort, within, params.near_duplicates.examples, "bits"),
        "same_pictures": _counts(compared.same, compared.test_frames),
        "same_examples": _examples(cohort, compared.same, params.near_duplicates.examples, "variant"),
        "twin_clips": [
            twin | {"known": params.known_pairs.get(_known(twin["clips"], params))} for twin in compared.twins
        ],
    }


def _known(clips: str, params: Leakage) -> str:
    one, other = clips.split()
    return clips if clips in params.known_pairs else f"{other} {one}"


def _counts(pairs: pd.DataFrame, test_frames: int) -> dict[str, dict[str, Any]]:
    """Return for each kind the number and share of test frames that have such a training frame."""
    counts = {kind: int(pairs.loc[pairs["kind"] == kind, "test"].nunique()) for kind in KINDS}
    return {kind: {"frames": n, "share": round(n / test_frames, SHARE_DIGITS)} for kind, n in counts.items()}


def _smallest(near: pd.DataFrame) -> dict[str, int | None]:
    smallest = near.groupby("kind")["bits"].min()
    return {kind: int(smallest[kind]) if kind in smallest.index else None for kind in KINDS}


def _examples(cohort: Cohort, pairs: pd.DataFrame, count: int, detail: str) -> list[dict[str, Any]]:
    """Return the worst pairs, patients apart first; one for each two clips, or one clip would fill the list."""
    named = pairs.assign(
        order=[-KINDS.index(kind) for kind in pairs["kind"]],
        test_clip=cohort.column("clip_id")[pairs["test"]],
        training_clip=cohort.column("clip_id")[pairs["training"]],
    )
    worst = named.sort_values(["order", detail, "test", "training"], kind="stable")
    worst = worst.drop_duplicates(["test_clip", "training_clip"]).groupby("order", sort=False).head(count)
    frame = cohort.column("frame_id")
    return [
        {"test": frame[row.test], "training": frame[row.training], "kind": row.kind, detail: getattr(row, detail)}
        for row in worst.itertuples()
    ]


def findings_of(cohort: Cohort, compared: Compared, params: Leakage) -> list[str]:
    """Return in words what keeps the protocol from holding; what a person has explained is none."""
    found = []
    if compared.crossing:
        found.append(f"{len(compared.crossing)} patients stand on two sides: {', '.join(compared.crossing)}")
    for (one, other), part in _by_clips(cohort, compared.same):
        if not params.knows(one, other):
            found.append(f"{part['test'].nunique()} test frames of {one} are pictures of {other} in training")
    for twin in compared.twins:
        if not params.knows(*twin["clips"].split()):
            one, other = twin["clips"].split()
            found.append(
                f"{twin['frames']} test frames of {one} are near-duplicates of {other}, another patient's clip"
            )
    return found


def _by_clips(cohort: Cohort, same: pd.DataFrame) -> list[tuple[tuple[str, str], pd.DataFrame]]:
    clip = cohort.column("clip_id")
    named = same.assign(one=clip[same["test"]], other=clip[same["training"]])
    return [((str(one), str(other)), part) for (one, other), part in named.groupby(["one", "other"])]


def problems_of(cohort: Cohort, protocol: str, compared: Compared, params: Leakage) -> list[Problem]:
    """Return what must stop the pipeline: under a patient-disjoint protocol, patients or pictures on both sides."""
    if protocol not in PATIENT_DISJOINT:
        return []
    problems = [
        Problem(f"protocol {protocol}", "patients on two sides", "none", ", ".join(compared.crossing), "Split again.")
        for _ in compared.crossing[:1]
    ]
    if params.same_picture_of_two_patients == "stop":
        apart = compared.same[compared.same["kind"] == KINDS[2]]
        problems += [_same_picture(cohort, protocol, pair, part, params) for pair, part in _by_clips(cohort, apart)
                     if not params.knows(*pair)]  # fmt: skip
    if params.twin_clips_of_two_patients == "stop":
        problems += [
            Problem(
                f"protocol {protocol}, clips {twin['clips']}, patients {twin['patients']}",
                "nearly the same pictures of two patients, in test and in training",
                f"less than {params.near_duplicates.twin_share:g} of the frames",
                f"{twin['share']:g}",
                _remedy(twin["clips"]),
            )
            for twin in compared.twins
            if not params.knows(*twin["clips"].split())
        ]
    return problems


def _same_picture(
    cohort: Cohort, protocol: str, clips: tuple[str, str], part: pd.DataFrame, params: Leakage
) -> Problem:
    frame, patient = cohort.column("frame_id"), cohort.column("patient")
    pairs = [f"{frame[row.test]} = {frame[row.training]} ({row.variant})" for row in part.itertuples()]
    shown = ", ".join(pairs[: max(1, params.near_duplicates.examples)])
    of = f"{patient[part['test'].iloc[0]]} and {patient[part['training'].iloc[0]]}"
    return Problem(
        f"protocol {protocol}, clips {' '.join(clips)}, patients {of}",
        "the same picture of two patients, in test and in training",
        "none",
        f"{part['test'].nunique()} test frames: {shown}",
        _remedy(" ".join(clips)),
    )


def _remedy(clips: str) -> str:
    return (
        "The same clip under two patients? Mend clips.csv of the cohort; where both are right, say why in params.yaml: "
        f"leakage.known_pairs: {{{clips}: ...}}."
    )
