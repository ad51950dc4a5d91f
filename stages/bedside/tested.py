"""What was tested, and how much of it was looked at: a thinned clip shows less than it lasted."""

from typing import Any

import pandas as pd

NO_TIMES = "no tested clip states its times"
SCATTERED = "the tested frames of this protocol are scattered over their clips: nothing follows or lasts"
LOOKED_AT = 0.95  # of a clip's time, at least: a clip of which less was looked at is thinned, and is told
THINNED = (
    "{seconds:.1f} of {span:.1f} s looked at (frames kept far apart in {thinned} of {clips} tested clips): seconds and "
    "runs are lower bounds, flicker is per looked-at second, a first sustained GO is told late or never, and what "
    "happened between two kept frames is not known"
)


def total(values: pd.Series) -> float | None:
    """Return the sum of the values that there are, None of none."""
    found = values.dropna()
    return round(float(found.sum()), 4) if len(found) else None


def untimed(clips: pd.DataFrame) -> str | None:
    """Return why there are no seconds, None where there are."""
    return NO_TIMES if clips["seconds"].isna().all() else None


def thinned(clips: pd.DataFrame) -> pd.Series:
    """Return (clips,): whether kept frames stand for less than `LOOKED_AT` of a clip's time; not without times."""
    return clips["seconds"] < LOOKED_AT * clips["span_s"]


def thinned_why(clips: pd.DataFrame) -> str | None:
    """Return what a page must say of seconds where clips are thinned, None where none is."""
    few = int(thinned(clips).sum())
    if not few:
        return None
    seconds, span = clips["seconds"].sum(), clips["span_s"].sum()
    return THINNED.format(seconds=seconds, span=span, thinned=few, clips=len(clips))


def continuous_why(clips: pd.DataFrame) -> str | None:
    """Return why times and spells are not those of whole sweeps, None where they are."""
    whys = (None if clips["whole"].all() else SCATTERED, thinned_why(clips))
    return "; ".join(filter(None, whys)) or None


def part_tested(clips: pd.DataFrame) -> dict[str, Any]:
    """Return what was tested."""
    return {
        "infants": int(clips["patient"].nunique()),
        "clips": len(clips),
        "frames": int(clips["frames"].sum()),
        "seconds": total(clips["seconds"]),
        "span_seconds": total(clips["span_s"]),
        "thinned_clips": int(thinned(clips).sum()),
        "clips_without_times": int(clips["seconds"].isna().sum()),
        "why": untimed(clips),
    }
