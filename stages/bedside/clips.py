"""What the decisions cost in each clip: the rows from which infants and models are summed."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import cohen_kappa_score

from stages.bedside.clock import boundaries, first_sustained, longest_run, matched
from stages.bedside.decided import Decided
from stages.common.evaluation.decision import GO, NO_VIEW, STOP, UNKNOWN
from stages.common.evaluation.scores import Figure

Row = dict[str, object]
KINDS = ("dangerous", "futile", "right", "missed", "undecided")  # of GO; over frames that the expert leaves open
SUMMED = ("frames", "seconds", "span_s", "timed_s", "unknown_frames", *(f"{kind}_frames" for kind in KINDS),
          *(f"{kind}_s" for kind in KINDS), "stop_frames", "no_view_frames", "go_frames",
          "changes", "expert_changes", "boundaries", "model_boundaries", "boundaries_matched")  # fmt: skip
LONGEST = ("dangerous_longest_s", "futile_longest_s")


def kinds(expert: NDArray[np.int64], said: NDArray[np.int64]) -> dict[str, NDArray[np.bool_]]:
    """Return, by what a GO costs, the frames: over a stop dangerous, without a target futile, right, and missed.

    Undecided is a GO where unknown labels leave the expert's decision open: it may be any of these.
    """
    known, go = expert != UNKNOWN, said == GO
    return {
        "dangerous": go & (expert == STOP),
        "futile": go & (expert == NO_VIEW),
        "right": go & (expert == GO),
        "missed": known & ~go & (expert == GO),
        "undecided": ~known & go,
    }


def clip_table(of: Decided, sustained_s: float, window: float) -> pd.DataFrame:
    """Return a row a clip: clip_id, patient, then what `_clip_row` says.

    Args:
        of: a model's decisions.
        sustained_s: seconds that a GO must hold.
        window: frames of the recorded clip that like changes of two decisions may lie apart.
    """
    rows = [_clip_row(of, clip_id, rows, sustained_s, window) for clip_id, rows in of.clips().items()]
    return pd.DataFrame(rows)


def _clip_row(of: Decided, clip_id: str, rows: slice, sustained_s: float, window: float) -> Row:
    frames, expert, said = of.frames.iloc[rows], of.expert[rows], of.decision[rows]
    seconds = of.seconds[rows]
    whole = len(frames) == int(frames["clip_frames"].iloc[0])
    row: Row = {"clip_id": clip_id, "patient": frames["patient"].iloc[0], "whole": whole}
    row["span_s"] = float(frames["span_s"].to_numpy(float).sum())
    row |= _counted(expert, said, seconds)
    row |= _agreement(expert, said)
    if whole:  # what lasts or follows is only seen where no frame of the clip is missing
        row |= _followed(expert, said, frames["frame_index"].to_numpy(), window)
        if not np.isnan(seconds).any():
            row |= _lasting(expert, said, frames["time_s"].to_numpy(float), seconds, sustained_s)
    return row


def _counted(expert: NDArray[np.int64], said: NDArray[np.int64], seconds: NDArray[np.float64]) -> Row:
    """Return frames and seconds of each kind; seconds are NaN in clips without times."""
    flags = kinds(expert, said)
    row: Row = {"frames": len(expert), "seconds": float(seconds.sum())}
    row |= {f"{name}_frames": int(flag.sum()) for name, flag in flags.items()}
    row |= {f"{name}_s": float(seconds @ flag) for name, flag in flags.items()}
    states = {"stop": STOP, "no_view": NO_VIEW, "go": GO, "unknown": UNKNOWN}
    return row | {f"{name}_frames": int((expert == state).sum()) for name, state in states.items()}


def _followed(expert: NDArray[np.int64], said: NDArray[np.int64], indices: NDArray[np.int64], window: float) -> Row:
    """Return changes, and how far like changes of both are apart; what the expert leaves open is passed over."""
    known = expert != UNKNOWN
    real, told = boundaries(expert[known], indices[known]), boundaries(said[known], indices[known])
    far = matched(*real, *told, window)
    return {
        "changes": len(boundaries(said, indices)[0]),
        "expert_changes": len(real[0]),
        "boundaries": len(real[0]),
        "model_boundaries": len(told[0]),
        "boundaries_matched": len(far),
        "boundary_median_frames": float(np.median(far)) if far else np.nan,
        "boundary_frames": far,
    }


def _lasting(
    expert: NDArray[np.int64],
    said: NDArray[np.int64],
    times: NDArray[np.float64],
    seconds: NDArray[np.float64],
    sustained_s: float,
) -> Row:
    """Return the longest runs, and when the model and the expert have first held a right GO for `sustained_s`."""
    flags = kinds(expert, said)
    own = first_sustained(expert == GO, times, seconds, sustained_s)
    reached = first_sustained(flags["right"], times, seconds, sustained_s)
    return {
        "timed_s": float(seconds.sum()),
        "dangerous_longest_s": longest_run(flags["dangerous"], seconds),
        "futile_longest_s": longest_run(flags["futile"], seconds),
        "expert_sustained_go_s": np.nan if own is None else own,
        "sustained_go_s": np.nan if reached is None else reached,
        "never_reached": own is not None and reached is None,
    }


def _agreement(expert: NDArray[np.int64], said: NDArray[np.int64]) -> Row:
    """Return the share of equal decisions and Cohen's kappa over the frames that the expert decided."""
    known = expert != UNKNOWN
    expert, said = expert[known], said[known]
    if not len(expert):
        return {"agreement": np.nan, "kappa": np.nan, "kappa_why": "the expert decides no frame"}
    raw: Figure = float((expert == said).mean())
    if len(np.unique(np.concatenate([expert, said]))) == 1:
        return {"agreement": raw, "kappa": np.nan, "kappa_why": "both give one and the same decision throughout"}
    kappa = float(cohen_kappa_score(expert, said, labels=[GO, STOP, NO_VIEW]))
    return {"agreement": raw, "kappa": kappa, "kappa_why": ""}


COLUMNS = ("clip_id", "patient", "whole", *SUMMED, *LONGEST, "expert_sustained_go_s", "sustained_go_s",
           "never_reached", "boundary_median_frames", "agreement", "kappa", "kappa_why")  # fmt: skip


def written(clips: pd.DataFrame) -> pd.DataFrame:
    """Return what bedside_clips.csv shows of `clip_table`: always the same columns, blank where not estimable."""
    return clips.reindex(columns=list(COLUMNS))


def patient_table(clips: pd.DataFrame) -> pd.DataFrame:
    """Return a row an infant: sums over its clips, longest runs, and changes a second; NaN where nothing is told."""
    by = written(clips).groupby("patient")
    numbers = by[list(SUMMED)].sum(min_count=1)
    table = numbers.join(by[list(LONGEST)].max()).join(by.size().rename("clips"))
    lasting = table["timed_s"].where(table["timed_s"] > 0)
    table["flicker_per_s"] = _changes(clips, "changes") / lasting
    table["expert_flicker_per_s"] = _changes(clips, "expert_changes") / lasting
    return table.reset_index()


def _changes(clips: pd.DataFrame, name: str) -> pd.Series:
    """Return each infant's changes in the clips that are whole and have times."""
    told = written(clips)
    return told[told["timed_s"].notna()].groupby("patient")[name].sum()
