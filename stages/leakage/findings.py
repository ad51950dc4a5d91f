"""The certificate in words and figures: what it finds, and what must stop the pipeline."""

from typing import Any

import pandas as pd

from stages.common.core.errors import Problem
from stages.common.protocols import PATIENT_DISJOINT
from stages.leakage.certificate import SHARE_DIGITS, Compared
from stages.leakage.cohort import KINDS, Cohort
from stages.leakage.params import Leakage


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
        found.append(f"patients on two sides: {', '.join(compared.crossing)}")
    for (one, other), part in _by_clips(cohort, compared.same):
        if not params.knows(one, other):
            found.append(f"test frames of {one} that are pictures of {other} in training: {part['test'].nunique()}")
    for twin in compared.twins:
        if not params.knows(*twin["clips"].split()):
            one, other = twin["clips"].split()
            found.append(
                f"test frames of {one} that nearly are pictures of {other}, another patient's clip: {twin['frames']}"
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
