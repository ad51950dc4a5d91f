"""Times within a clip, counted by hand and by loops."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.bedside.clock import boundaries, durations, first_sustained, longest_run, matched, read_clock, runs, timed
from stages.common.core.errors import PipelineError
from stages.common.core.tables import write_table


def frames_of(*clips: list[float]) -> pd.DataFrame:
    rows = [
        (f"C{clip:03d}_{index:05d}", f"C{clip:03d}", "P001", index, time)
        for clip, times in enumerate(clips, 1)
        for index, time in enumerate(times)
    ]
    return pd.DataFrame(rows, columns=["frame_id", "clip_id", "patient", "frame_index", "time_s"])


def test_a_frame_stands_until_the_next_one_and_the_last_for_the_median_step() -> None:
    found = durations(frames_of([0.0, 0.1, 0.2, 0.4]), longest_frame_s=1.0)
    assert found["duration_s"].tolist() == pytest.approx([0.1, 0.1, 0.2, 0.1])
    assert found["clip_frames"].tolist() == [4] * 4


def test_a_thinned_clip_stands_no_longer_than_the_cap() -> None:
    found = durations(frames_of([0.0, 1.24, 2.48]), longest_frame_s=0.2)
    assert found["duration_s"].tolist() == pytest.approx([0.2, 0.2, 0.2])


def test_the_only_frame_of_a_clip_stands_for_the_cohort_s_step_and_else_for_the_cap() -> None:
    assert durations(frames_of([0.0, 0.1], [0.0]), 1.0)["duration_s"].tolist() == pytest.approx([0.1, 0.1, 0.1])
    assert durations(frames_of([0.0]), 0.2)["duration_s"].tolist() == pytest.approx([0.2])


def test_the_span_of_a_clip_is_its_first_to_last_time_however_it_was_thinned() -> None:
    times = list(np.round(np.arange(373) / 30, 3))  # 12.43 s
    whole, thin = durations(frames_of(times), 0.2), durations(frames_of(times[::93]), 0.2)
    assert whole["span_s"].tolist() == whole["duration_s"].tolist()
    assert whole["span_s"].sum() == pytest.approx(373 / 30, abs=0.01)
    assert (len(thin), thin["duration_s"].sum()) == (5, pytest.approx(1.0))
    assert thin["span_s"].sum() == pytest.approx(372 / 30, abs=0.01)  # nothing is known after the last kept frame


def test_a_clip_without_times_has_no_durations_and_spoils_no_other() -> None:
    found = durations(frames_of([np.nan, np.nan], [0.0, 0.1]), 1.0)
    assert found["duration_s"].isna().tolist() == [True, True, False, False]


def test_a_frame_that_is_not_in_frames_csv_is_named(tmp_path: Path) -> None:
    write_table(tmp_path / "frames.csv", frames_of([0.0, 0.1]))
    clock = read_clock(1.0, tmp_path / "frames.csv")
    assert len(timed(clock[["frame_id"]], clock)) == 2
    with pytest.raises(PipelineError, match=r"frame C009_00000 of data/split is missing.*dvc repro"):
        timed(pd.DataFrame({"frame_id": ["C009_00000"]}), clock)


@given(st.lists(st.tuples(st.booleans(), st.sampled_from([0.1, 0.25, 0.4])), max_size=30))
def test_runs_agree_with_a_loop(frames: list[tuple[bool, float]]) -> None:
    found, length = [], None
    for place, (flag, seconds) in enumerate(frames):
        if flag:
            length = [place, 0.0] if length is None else length
            length[1] += seconds
        elif length is not None:
            found.append(length)
            length = None
    found += [length] if length is not None else []
    flags, seconds = np.array([flag for flag, _ in frames], bool), np.array([each for _, each in frames], float)
    starts, lengths = runs(flags, seconds)
    assert starts.tolist() == [start for start, _ in found]
    assert lengths.tolist() == pytest.approx([each for _, each in found])
    assert longest_run(flags, seconds) == pytest.approx(max((each for _, each in found), default=0.0))


def test_the_first_run_that_is_long_enough_counts_from_the_clip_s_start() -> None:
    times, seconds = np.arange(12) * 0.1 + 5.0, np.full(12, 0.1)  # a container's clock need not start at 0
    flags = np.array([1, 1, 0, 1, 1, 1, 1, 1, 1, 0, 1, 1], bool)
    assert first_sustained(flags, times, seconds, 0.2) == pytest.approx(0.2)  # frames 0 and 1 have stood at 0.2 s
    assert first_sustained(flags, times, seconds, 0.5) == pytest.approx(0.8)  # frames 3 to 7
    assert first_sustained(flags, times, seconds, 0.55) == pytest.approx(0.85)  # halfway through frame 8
    assert first_sustained(flags, times, seconds, 0.7) is None


def test_fifteen_frames_at_thirty_a_second_are_half_a_second_in_whole_milliseconds_too() -> None:
    frames = durations(frames_of(list(np.round(np.arange(17) / 30, 3))), 1.0)
    times, seconds = frames["time_s"].to_numpy(), frames["duration_s"].to_numpy()
    last = np.arange(17) >= 2
    assert longest_run(last, seconds) == pytest.approx(0.499)  # the last frame stands for the median step, 0.033
    assert first_sustained(last, times, seconds, 0.5) == pytest.approx(times[-1] + 0.033)
    assert first_sustained(np.arange(17) >= 3, times, seconds, 0.5) is None  # fourteen


def test_in_a_thinned_clip_the_time_that_was_not_looked_at_does_not_sustain_but_passes() -> None:
    times, seconds = np.array([0.0, 1.24, 2.48]), np.full(3, 0.2)
    assert first_sustained(np.ones(3, bool), times, seconds, 0.5) == pytest.approx(2.48 + 0.1)


def test_boundaries_lie_between_frames() -> None:
    decisions, indices = np.array([0, 0, 1, 1, 2]), np.array([0, 3, 6, 9, 12])  # every third frame was kept
    places, turns = boundaries(decisions, indices)
    assert places.tolist() == [4.5, 10.5]
    assert turns.tolist() == [[0, 1], [1, 2]]
    assert boundaries(np.zeros(3, int), np.arange(3))[1].shape == (0, 2)


CHANGES = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 1)), max_size=6, unique_by=lambda change: change[0])


@given(CHANGES, CHANGES, st.integers(0, 10))
def test_matches_agree_with_taking_the_nearest_pair_again_and_again(own: list, other: list, window: int) -> None:
    """Each of two kinds of change is matched apart; a pair is as near as any that is left when it is taken."""
    own, other = sorted(own), sorted(other)

    def parts(changes: list) -> tuple[np.ndarray, np.ndarray]:
        kinds = np.array([[kind, 1 - kind] for _, kind in changes], int).reshape(-1, 2)
        return np.array([place for place, _ in changes], float), kinds

    left, right, expected = list(own), list(other), []
    while True:
        pairs = [(abs(a[0] - b[0]), a, b) for a in left for b in right if a[1] == b[1] and abs(a[0] - b[0]) <= window]
        if not pairs:
            break
        far, a, b = min(pairs)
        left.remove(a)
        right.remove(b)
        expected.append(far)
    assert matched(*parts(own), *parts(other), window) == expected
