"""Say which frames are for training, validation and test, and prove what that split is worth.

Reads   data/label_merge/labels.csv    labels 1, 0 or blank of every frame
Writes  data/split/<protocol>.csv      frame_id, fold, side: one file a protocol, so that dropping one retrains no other
        metrics/split.json             the counts of every protocol and fold

Protocols: `frame` is the study's 70/10/20 of frames; it leaves neighbours 1/30 s apart on both sides and is kept to
show what that hides. `patient` keeps all frames of a patient on one side. `leave_one_patient_out` tests every patient
once; it is on when `folds` has keys. Validation is patient-disjoint in the last two as well. Pictures derived by
augmentation have no rows here: they follow their frame. So split.json counts frames and opens no picture; that each
picture was made from the frame it is filed under is what `leakage` proves.
"""

import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.common.allocation import stratified_sides
from stages.common.core.errors import PipelineError, raise_all, run
from stages.common.core.files import replacing, write_json
from stages.common.core.params import read_params
from stages.common.core.tables import SIDES, SPLIT_COLUMNS, write_table
from stages.common.protocols import LEAVE_ONE_OUT, PATIENT_DISJOINT, without_bundles
from stages.common.truth import read_labels
from stages.split.params import Params
from stages.split.patient_folds import assign_folds
from stages.split.patient_search import (
    Deviation,
    Rng,
    Search,
    best_assignment,
    deviation_of,
    patient_counts,
)
from stages.split.proof import describe, prove, refuse_leaks

LABELS = Path("data/label_merge/labels.csv")
OUT = Path("data/split")
Sides = NDArray[np.str_]  # (frames,) of train, validation and test
PROOF = Path("metrics/split.json")


def generator(seed: int, *names: str) -> np.random.Generator:
    """Return a generator of its own for each purpose: adding a protocol or fold leaves the others as they are."""
    return np.random.default_rng([seed, *(zlib.crc32(name.encode()) for name in names)])


def frame_sides(frames: pd.DataFrame, labels: Sequence[str], shares: Sequence[int], rng: Rng) -> Sides:
    """Return each frame's side, stratified over label combinations within one frame.

    Raises:
        PipelineError: too few frames to fill three sides.
    """
    sides = stratified_sides(frames[list(labels)].to_numpy(float), shares, rng)
    if set(sides) != set(SIDES):
        few = f"protocol frame: {len(frames)} frames are too few for {shares} per cent"
        raise PipelineError(f"{few}. Add clips, or change split.shares in params.yaml.")
    return sides


def patient_sides(
    frames: pd.DataFrame, labels: Sequence[str], sides: dict[str, int], search: Search, rng: Rng
) -> Sides:
    """Return each frame's side, whole patients only.

    Args:
        frames: the frames to share out.
        labels: the label columns.
        sides: side -> whole weight, all of the sides to fill.
        search: the effort.
        rng: decides between equals.
    """
    index, names = pd.factorize(frames["patient"], sort=True)
    counts = patient_counts(frames[list(labels)].to_numpy(float), index, len(names))
    assignment = best_assignment(counts, list(sides.values()), search, rng)
    return np.asarray(list(sides))[assignment[index]]


def fold_sides(frames: pd.DataFrame, fold: str, patient_folds: dict[str, str], params: Params) -> Sides:
    """Return each frame's side in one fold: its patients test, of the others some validate and the rest train.

    Raises:
        PipelineError: the fold tests so many patients that fewer than two are left.
    """
    sides = np.full(len(frames), "test", dtype="<U10")
    inner = (frames["patient"].map(patient_folds) != fold).to_numpy()
    left = frames.loc[inner, "patient"].nunique()
    if left < 2:
        told = f"fold {fold} leaves {left} of {len(patient_folds)} patients; training and validation need one each"
        raise PipelineError(f"params.yaml: folds: {told}. Declare more folds.")
    shares = {"train": params.split.shares.train, "validation": params.split.shares.validation}
    rng = generator(params.seed, LEAVE_ONE_OUT, fold)
    sides[inner] = patient_sides(frames[inner], list(params.labels), shares, params.split.search, rng)
    return sides


def splits(frames: pd.DataFrame, params: Params) -> Iterator[tuple[str, str, Sides]]:
    """Yield (protocol, fold, side of each frame) for all that params.yaml declares.

    Raises:
        PipelineError: too few patients or frames.
    """
    labels, shares = list(params.labels), params.split.shares.model_dump()
    patients = frames["patient"].nunique()
    if patients < len(SIDES) and ("patient" in params.protocols or params.folds):
        raise PipelineError(
            f"{LABELS}: the cohort has {patients} patient{'s' * (patients != 1)}, and a patient-disjoint split needs "
            f"{len(SIDES)}: one each to train, validate and test. Add patients, or keep only protocol `frame` and set "
            "`folds: {}`."
        )
    if "frame" in params.protocols:
        yield "frame", "0", frame_sides(frames, labels, list(shares.values()), generator(params.seed, "frame"))
    if "patient" in params.protocols:
        rng = generator(params.seed, "patient")
        yield "patient", "0", patient_sides(frames, labels, shares, params.split.search, rng)
    if params.folds:
        rng = generator(params.seed, LEAVE_ONE_OUT)
        patient_folds = assign_folds(frames, labels, list(params.folds), params.split.search, rng)
        for fold in params.folds:
            yield LEAVE_ONE_OUT, fold, fold_sides(frames, fold, patient_folds, params)


def deviation_from_targets(rows: pd.DataFrame, protocol: str, params: Params) -> Deviation:
    """Return how far a fold is from its targets; test patients given by a fold have none, so only the others count."""
    shares = params.split.shares.model_dump()
    if protocol == LEAVE_ONE_OUT:
        del shares["test"]
    rows = rows[rows["side"].isin(shares)]
    numbers = pd.Categorical(rows["side"], categories=list(shares)).codes.astype(np.intp)
    sums = patient_counts(rows[list(params.labels)].to_numpy(float), numbers, len(shares))
    return deviation_of(np.arange(len(shares), dtype=np.int8), sums, list(shares.values()))


def proofs_of(tables: dict[str, pd.DataFrame], frames: pd.DataFrame, params: Params) -> dict[str, dict[str, Any]]:
    """Return protocol -> fold -> counts, from the tables as they will be written."""
    proofs: dict[str, dict[str, Any]] = {}
    for protocol, table in tables.items():
        for fold, part in table.groupby("fold", sort=False):
            rows = part.merge(frames, on="frame_id", how="left", validate="many_to_one")
            proof = prove(rows, list(params.labels), deviation_from_targets(rows, protocol, params))
            proofs.setdefault(protocol, {})[str(fold)] = proof
    return proofs


def main() -> None:
    """Write the splits, afresh, and what they are worth."""
    params = read_params(Params)
    if not params.protocols and not params.folds:
        raise PipelineError(
            "params.yaml: no split protocol is declared: add `frame: {}` to protocols or keys to folds."
        )
    raise_all(without_bundles(params.protocols, params.folds), "params.yaml has mistakes")
    frames = read_labels(LABELS, list(params.labels))
    parts: dict[str, list[pd.DataFrame]] = {}
    for protocol, fold, sides in splits(frames, params):
        part = pd.DataFrame({"frame_id": frames["frame_id"], "fold": fold, "side": sides}, columns=list(SPLIT_COLUMNS))
        parts.setdefault(protocol, []).append(part)
    tables = {protocol: pd.concat(several) for protocol, several in parts.items()}
    proofs = proofs_of(tables, frames, params)
    print(
        "\n".join(
            describe(protocol, fold, proof) for protocol, folds in proofs.items() for fold, proof in folds.items()
        )
    )
    refuse_leaks(proofs, PATIENT_DISJOINT)
    with replacing(OUT) as folder:  # a fresh folder: a protocol no longer declared leaves no file behind
        for protocol, table in tables.items():
            write_table(folder / f"{protocol}.csv", table)
    write_json(PROOF, proofs)


if __name__ == "__main__":
    run(main)
