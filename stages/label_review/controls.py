"""Random stretches, matched in label and length, so that nothing on the list tells a doubt from a control."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from stages.label_review.stretches import Stretch, Timeline


def draw_controls(timeline: Timeline, suspects: Sequence[Stretch], rng: np.random.Generator) -> list[Stretch]:
    """Return a control for each suspect where one fits: the same label and length, elsewhere, given value constant.

    Where no stretch of that length is left, half the length is tried, and so on down to one frame. What is doubted but
    did not come onto the list may be drawn: a control stands for all frames that are not asked about.

    Args:
        timeline: all frames.
        suspects: the stretches on the list.
        rng: draws in the order of `suspects`.
    """
    taken: dict[str, NDArray[np.bool_]] = {}
    for of in suspects:
        block(taken.setdefault(of.label, np.zeros(len(timeline.frames), dtype=bool)), [of])
    controls: list[Stretch] = []
    for of in suspects:
        length = len(of)
        while length:
            starts = free_starts(timeline, of.label, taken[of.label], length)
            if len(starts):
                start = int(rng.choice(starts))
                controls.append(Stretch(of.label, start, start + length))
                block(taken[of.label], controls[-1:])
                break
            length //= 2
    return controls


def block(taken: NDArray[np.bool_], stretches: Iterable[Stretch]) -> None:
    """Mark the frames of `stretches`."""
    for of in stretches:
        taken[of.start : of.stop] = True


def free_starts(timeline: Timeline, label: str, taken: NDArray[np.bool_], length: int) -> NDArray[np.intp]:
    """Return where stretches of `length` frames can begin: in one run, none taken, asked at both ends."""
    count = len(timeline.frames) - length + 1
    if count <= 0:
        return np.zeros(0, dtype=np.intp)
    run, asked = np.cumsum(timeline.breaks(label)), timeline.asked()
    known = timeline.frames[label].notna().to_numpy()
    busy = np.r_[0, np.cumsum(taken | ~known)]
    starts = np.arange(count)
    ends = starts + length
    free = (run[starts] == run[ends - 1]) & (busy[ends] == busy[starts]) & asked[starts] & asked[ends - 1]
    return starts[free]
