"""What a split is worth, counted from the finished table and not from the intention behind it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from stages.common.core.errors import Problem, raise_all
from stages.common.core.tables import SIDES
from stages.common.protocols import ENOUGH
from stages.split.patient_search import Deviation

DIGITS = 4


def prove(frames: pd.DataFrame, labels: Sequence[str], deviation: Deviation) -> dict[str, Any]:
    """Return the counts of one fold.

    Args:
        frames: one row a frame and side: frame_id, clip_id, patient, frame_index, side, and the labels as 1, 0, NaN.
        labels: the label columns.
        deviation: how far the fold is from its targets.
    """
    sides = {side: frames[frames["side"] == side] for side in SIDES}
    return {
        "sides": {side: _side(rows, labels) for side, rows in sides.items()},
        "deviation": {
            "frames": round(deviation.frames, DIGITS),
            "labels": round(deviation.labels, DIGITS),
            "missing_classes": deviation.missing,
        },
        "patients_on_two_sides": int((frames.groupby("patient")["side"].nunique() > 1).sum()),
        "test_frames_with_a_derived_picture_in_training": _derived_in_training(frames),
        "test_frames_with_a_neighbour_in_training": _neighbours_in_training(frames),
        "not_estimable": {side: [name for name in labels if not estimable(rows, name)] for side, rows in sides.items()},
    }


def _side(rows: pd.DataFrame, labels: Sequence[str]) -> dict[str, Any]:
    shares = rows[list(labels)].mean().round(DIGITS)  # NaN is left out: the share among the frames whose label is known
    return {
        "frames": len(rows),
        "clips": int(rows["clip_id"].nunique()),
        "patients": int(rows["patient"].nunique()),
        "label_shares": {label: None if np.isnan(share) else float(share) for label, share in shares.items()},
        "unknown_labels": {label: int(rows[label].isna().sum()) for label in labels},
        "patients_with_and_without": {label: list(patients_with_and_without(rows, label)) for label in labels},
    }


def patients_with_and_without(rows: pd.DataFrame, label: str) -> tuple[int, int]:
    """Return how many patients have a positive frame, and how many a negative one; many have both."""
    return tuple(int(rows.loc[rows[label] == value, "patient"].nunique()) for value in (1, 0))  # type: ignore[return-value]


def estimable(rows: pd.DataFrame, label: str) -> bool:
    """Return whether a side has the patients for a sensitivity and a specificity over patients."""
    return min(patients_with_and_without(rows, label)) >= ENOUGH


def _derived_in_training(frames: pd.DataFrame) -> int:
    """Return test frames that the table puts into training too, counted from its rows: no picture is opened here.

    Training reads each variant's array at the rows of the training frames, so with one side a frame, which the table
    holds by its form, this is 0. That row i of an array is made from frame i is not shown here: stage `leakage` does,
    which makes each picture once more from its own frame.
    """
    training = frames.loc[frames["side"] == "train", "frame_id"]
    return int(frames.loc[frames["side"] == "test", "frame_id"].isin(training).sum())


def _neighbours_in_training(frames: pd.DataFrame) -> int:
    """Return test frames whose previous or next kept frame of the same clip is in training."""
    ordered = frames.sort_values(["clip_id", "frame_index"], kind="stable")
    side = ordered.groupby("clip_id", sort=False)["side"]
    beside = (side.shift(1) == "train") | (side.shift(-1) == "train")
    return int((beside & (ordered["side"] == "test")).sum())


def refuse_leaks(proofs: dict[str, dict[str, dict[str, Any]]], patient_disjoint: Sequence[str]) -> None:
    """Stop when a test frame has a derived picture in training, or a patient of a patient-disjoint protocol two sides.

    Args:
        proofs: protocol -> fold -> what `prove` counted.
        patient_disjoint: protocols that promise every patient one side.

    Raises:
        PipelineError: naming each protocol and fold with the count.
    """
    problems = []
    for protocol, folds in proofs.items():
        watched = ["test_frames_with_a_derived_picture_in_training"]
        watched += ["patients_on_two_sides"] if protocol in patient_disjoint else []
        problems += [
            Problem(
                f"protocol {protocol}, fold {fold}",
                name.replace("_", " "),
                "0",
                str(proof[name]),
                "Do not train on it.",
            )
            for fold, proof in folds.items()
            for name in watched
            if proof[name]
        ]
    raise_all(problems, "the split leaks")


def describe(protocol: str, fold: str, proof: dict[str, Any]) -> str:
    """Return the lines that a person reads while the stage runs."""
    sides, apart = proof["sides"], proof["deviation"]
    sizes = ", ".join(
        f"{side} {count['frames']} frames of {count['patients']} patients" for side, count in sides.items()
    )
    lines = [f"{protocol}, fold {fold}: {sizes}; deviation: frames {apart['frames']}, labels {apart['labels']}"]
    for side, labels in proof["not_estimable"].items():
        counts = sides[side]["patients_with_and_without"]
        few = ", ".join(f"{label} ({counts[label][0]} positive, {counts[label][1]} negative)" for label in labels)
        lines += [f"  {side}: not estimable: {few}; {ENOUGH} patients of each are needed"] if labels else []
    return "\n".join(lines)
