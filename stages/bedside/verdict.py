"""The bedside verdict of one model: infants first, then clips and seconds."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from stages.bedside.clips import written
from stages.bedside.tested import NO_TIMES, SCATTERED, part_tested, total, untimed
from stages.common.evaluation.intervals import CONFIDENCE
from stages.common.evaluation.scores import rounded

Content = dict[str, Any]
NO_RISK = "no tested infant has frames over which a GO would be so"
NO_SUCH = "there is no such GO in any tested clip"
NEVER = "no clip reaches one"


def exact_interval(events: int, of: int) -> list[float] | None:
    """Return the 95 % Clopper-Pearson interval of a share of infants, None of nobody; 0 of 8 reach up to .369."""
    if not of:
        return None
    found = binomtest(events, of).proportion_ci(confidence_level=CONFIDENCE, method="exact")
    return [round(float(found.low), 4), round(float(found.high), 4)]


def spread(values: pd.Series | list[float]) -> Content | None:
    """Return min, median and max of the values that there are, None of none."""
    found = np.asarray(pd.Series(values, dtype=float).dropna())
    if not len(found):
        return None
    return {name: round(float(of(found)), 4) for name, of in (("min", np.min), ("median", np.median), ("max", np.max))}


def mean_and_range(values: pd.Series | list[float]) -> Content | None:
    """Return mean, min, median and max over the infants that have a value, and their number; None where none has."""
    found = np.asarray(pd.Series(values, dtype=float).dropna())
    if not len(found):
        return None
    return {"mean": round(float(found.mean()), 4), **(spread(values) or {}), "infants": len(found)}


def why_not(clips: pd.DataFrame) -> str | None:
    """Return why nothing that lasts can be told, None where it can."""
    if not clips["whole"].any():
        return SCATTERED
    return None if written(clips)["timed_s"].notna().any() else NO_TIMES


def verdict(clips: pd.DataFrame, patients: pd.DataFrame) -> Content:
    """Return a model's verdict; the keys stand in the stage's docstring.

    Args:
        clips: what `clip_table` returned.
        patients: what `patient_table` made of it.
    """
    return {
        "tested": part_tested(clips),
        "dangerous": false_gos(clips, patients, "dangerous"),
        "futile": false_gos(clips, patients, "futile"),
        "go": _gos(clips),
        "sustained_go": _sustained(clips),
        "flicker_per_s": _flicker(clips, patients),
        "boundaries": _boundaries(clips),
        "agreement": _agreement(clips),
    }


def false_gos(clips: pd.DataFrame, patients: pd.DataFrame, kind: str) -> Content:
    """Return how many infants, clips and seconds have a false GO of one kind.

    An infant is at risk where the expert sees what the GO would be false over: the others cannot have one.
    """
    seen = patients["stop_frames" if kind == "dangerous" else "no_view_frames"] > 0
    infants, at_risk = int((patients[f"{kind}_frames"] > 0).sum()), int(seen.sum())
    longest = written(clips)[f"{kind}_longest_s"]
    found = longest[longest > 0]
    lasting = why_not(clips)
    whys = (lasting, None if lasting or len(found) else NO_SUCH, None if at_risk else NO_RISK)
    return {
        "infants": infants,
        "of_infants": len(patients),
        "interval_95": exact_interval(infants, len(patients)),
        "infants_at_risk": at_risk,
        "interval_95_at_risk": exact_interval(infants, at_risk),
        "clips": int((clips[f"{kind}_frames"] > 0).sum()),
        "of_clips": len(clips),
        "frames": int(clips[f"{kind}_frames"].sum()),
        "seconds": total(clips[f"{kind}_s"]),
        "longest_run_s": None if longest.isna().all() else round(float(longest.max()), 4),
        "longest_run_clip": str(clips.loc[found.idxmax(), "clip_id"]) if len(found) else None,
        "why": "; ".join(filter(None, whys)) or None,
    }


def _gos(clips: pd.DataFrame) -> Content:
    return {
        "right_frames": int(clips["right_frames"].sum()),
        "right_s": total(clips["right_s"]),
        "missed_frames": int(clips["missed_frames"].sum()),
        "missed_s": total(clips["missed_s"]),
        "expert_frames": int(clips["go_frames"].sum()),
        "unknown_frames": int(clips["unknown_frames"].sum()),
        "undecided_frames": int(clips["undecided_frames"].sum()),
        "why": untimed(clips),
    }


def _sustained(clips: pd.DataFrame) -> Content:
    told = written(clips)
    there = told[told["expert_sustained_go_s"].notna()]
    reached = int(there["sustained_go_s"].notna().sum())
    none = "the expert has no GO that lasts so long in any tested clip"
    return {
        "clips_with_one": len(there),
        "reached": reached,
        "never": sorted(there.loc[there["sustained_go_s"].isna(), "clip_id"]),
        "seconds": spread(there["sustained_go_s"]),
        "expert_seconds": spread(there["expert_sustained_go_s"]),
        "delay_s": spread(there["sustained_go_s"] - there["expert_sustained_go_s"]),
        "why": why_not(clips) or (none if not len(there) else None if reached else NEVER),
    }


def _flicker(clips: pd.DataFrame, patients: pd.DataFrame) -> Content:
    own, expert = mean_and_range(patients["flicker_per_s"]), mean_and_range(patients["expert_flicker_per_s"])
    blank: Mapping[str, Any] = {"mean": None, "min": None, "median": None, "max": None, "infants": 0}
    return {**(own or blank), "expert_mean": expert["mean"] if expert else None, "why": why_not(clips)}


def _agreement(clips: pd.DataFrame) -> Content:
    whys = sorted(set(clips.loc[clips["kappa"].isna(), "kappa_why"]))
    return {
        "raw": spread(clips["agreement"]),
        "kappa": spread(clips["kappa"]),
        "kappa_undefined_clips": int(clips["kappa"].isna().sum()),
        "why": "; ".join(whys) if clips["kappa"].isna().all() else None,
    }


def _boundaries(clips: pd.DataFrame) -> Content:
    counts = {"expert": "boundaries", "model": "model_boundaries", "matched": "boundaries_matched"}
    whole = clips[clips["whole"]]
    if not len(whole):
        return {**dict.fromkeys(counts), "median_frames": None, "why": SCATTERED}
    far = [distance for distances in whole["boundary_frames"] for distance in distances]
    return {
        **{name: int(whole[column].sum()) for name, column in counts.items()},
        "median_frames": rounded(float(np.median(far))) if far else None,
        "why": None if far else "no change of the expert's decision has a like one of the model's near it in its clip",
    }
