"""Every figure of the verdict on clips of a few frames, counted by hand. Letters: see bedside_clips."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import beta
from sklearn.metrics import cohen_kappa_score

from stages.bedside.abstention import abstention, vetoes, without
from stages.bedside.clips import clip_table, patient_table, written
from stages.bedside.decided import NAMES, decisions_table
from stages.bedside.tested import NO_TIMES, SCATTERED, continuous_why, part_tested
from stages.bedside.verdict import NEVER, NO_RISK, NO_SUCH, exact_interval, mean_and_range, spread, verdict
from stages.common.evaluation.decision import Decision
from tests.bedside_clips import DECISION, judged

A, B, C = ("P001", "C001"), ("P001", "C002"), ("P002", "C003")
WINDOW = 15
TRUTH = {A: "SSSNNGGGGG", B: "GGGGGGGGGG", C: "BBBBGGNN??"}
SAID = {A: "SGGNGGGGGG", B: "NNNNNNNNNN", C: "GBBGGNNNGG"}


def verdict_of(truth: dict, said: dict, step_s: float | None = 0.1, sustained_s: float = 0.5) -> dict:
    clips = clip_table(judged(truth, said, step_s), sustained_s, WINDOW)
    return verdict(clips, patient_table(clips))


def test_infants_come_first_then_clips_seconds_and_the_longest_run() -> None:
    found = verdict_of(TRUTH, SAID)
    dangerous, futile = found["dangerous"], found["futile"]
    assert (dangerous["infants"], dangerous["of_infants"], dangerous["infants_at_risk"]) == (1, 2, 1)
    assert (dangerous["clips"], dangerous["of_clips"], dangerous["frames"]) == (1, 3, 2)
    assert dangerous["seconds"] == pytest.approx(0.2)
    assert (dangerous["longest_run_s"], dangerous["longest_run_clip"]) == (pytest.approx(0.2), "C001")
    assert (futile["infants"], futile["infants_at_risk"], futile["clips"], futile["frames"]) == (2, 2, 2, 3)
    assert (futile["seconds"], futile["longest_run_s"]) == (pytest.approx(0.3), pytest.approx(0.1))
    assert found["go"] == {
        "right_frames": 6, "right_s": pytest.approx(0.6), "missed_frames": 11, "missed_s": pytest.approx(1.1),
        "expert_frames": 17, "unknown_frames": 2, "undecided_frames": 2, "why": None,
    }  # fmt: skip


def test_the_time_to_a_sustained_right_go_and_the_clips_that_never_reach_one() -> None:
    found = verdict_of(TRUTH, SAID)["sustained_go"]
    assert (found["clips_with_one"], found["reached"], found["never"]) == (2, 1, ["C002"])
    assert found["seconds"] == {"min": 1.0, "median": 1.0, "max": 1.0}  # A: frames 5 to 9
    assert found["expert_seconds"] == {"min": 0.5, "median": 0.75, "max": 1.0}
    assert found["delay_s"] == {"min": 0.0, "median": 0.0, "max": 0.0}
    assert "lasts so long" in verdict_of(TRUTH, SAID, sustained_s=5.0)["sustained_go"]["why"]


def test_a_wrong_frame_begins_the_sustained_go_anew() -> None:
    found = verdict_of({A: "G" * 10}, {A: "GGGNGGGGGG"})["sustained_go"]
    assert found["seconds"]["min"] == pytest.approx(0.9)
    assert found["delay_s"]["min"] == pytest.approx(0.4)


def test_no_figure_is_absent_without_a_reason() -> None:
    never = verdict_of({A: "G" * 10}, {A: "N" * 10})
    assert (never["sustained_go"]["clips_with_one"], never["sustained_go"]["reached"]) == (1, 0)
    assert (never["sustained_go"]["seconds"], never["sustained_go"]["why"]) == (None, NEVER)
    assert never["dangerous"]["why"] == f"{NO_SUCH}; {NO_RISK}"
    assert "one and the same decision" in verdict_of({A: "GG"}, {A: "GG"})["agreement"]["why"]
    assert verdict_of(TRUTH, SAID)["agreement"]["why"] is None


def test_flicker_is_a_mean_over_infants_of_changes_a_second() -> None:
    found = verdict_of(TRUTH, SAID)["flicker_per_s"]
    # P001: SG, GN, NG in 2 s; P002: GB, BG, GN, NG in 1 s. The expert: 2 in 2 s, 2 in 1 s (unknown passed over)
    assert (found["mean"], found["min"], found["max"], found["infants"]) == (2.75, 1.5, 4.0, 2)
    assert found["expert_mean"] == 1.5


def test_boundary_error_in_frames_and_the_boundaries_without_any_near() -> None:
    found = verdict_of({A: "SSSSSGGGGG", B: "NNNNNGGGGG"}, {A: "SSSGGGGGGG", B: "N" * 10})["boundaries"]
    assert found == {"expert": 2, "model": 1, "matched": 1, "median_frames": 2.0, "why": None}
    alone = verdict_of({A: "SSGG"}, {A: "SSSS"})["boundaries"]
    assert (alone["median_frames"], alone["matched"]) == (None, 0)
    assert "like one of the model's" in alone["why"]


def test_a_change_to_something_else_or_far_away_is_no_counterpart() -> None:
    other = verdict_of({A: "GGGGGSSSSS"}, {A: "NNNNNGGGGG"})["boundaries"]
    assert (other["expert"], other["model"], other["matched"]) == (1, 1, 0)
    far = verdict_of({A: "G" + "S" * 39}, {A: "G" * 17 + "S" * 23})["boundaries"]
    assert (far["expert"], far["model"], far["matched"]) == (1, 1, 0)  # 16 frames apart
    flickers = verdict_of({A: "SSSSSSGGGG"}, {A: "SGSGSGGGGG"})["boundaries"]
    assert (flickers["expert"], flickers["model"], flickers["matched"]) == (1, 5, 1)
    assert flickers["median_frames"] == 1.0


def test_changes_where_the_expert_left_it_open_are_nobody_s_boundaries() -> None:
    found = verdict_of({A: "SS????GG"}, {A: "SGSGSGGG"})["boundaries"]
    assert (found["expert"], found["model"], found["matched"]) == (1, 1, 1)
    assert found["median_frames"] == 3.0  # from .5 to 3.5


def test_agreement_a_clip_is_scikit_learn_s_kappa_and_undefined_where_nothing_varies() -> None:
    clips = clip_table(judged(TRUTH, SAID), 0.5, WINDOW).set_index("clip_id")
    no = {"G": 0, "S": 1, "N": 2, "B": 2}
    expert, said = [no[letter] for letter in TRUTH[A]], [no[letter] for letter in SAID[A]]
    assert clips.loc["C001", "kappa"] == pytest.approx(cohen_kappa_score(expert, said))
    assert clips.loc["C001", "agreement"] == pytest.approx(0.7)
    assert clips.loc["C003", "agreement"] == pytest.approx(5 / 8)  # unknown frames are left out
    assert clips.loc["C002", "kappa"] == 0  # never agrees: not undefined
    same = clip_table(judged({A: "GG"}, {A: "GG"}), 0.5, WINDOW)
    assert same["kappa"].isna().all()
    assert same["kappa_why"].tolist() == ["both give one and the same decision throughout"]
    assert clip_table(judged({A: "??"}, {A: "GG"}), 0.5, WINDOW)["kappa_why"].tolist() == [
        "the expert decides no frame"
    ]


def test_the_clip_table_s_sums_are_the_infants() -> None:
    clips = clip_table(judged(TRUTH, SAID), 0.5, WINDOW)
    patients = patient_table(clips).set_index("patient")
    assert patients.loc["P001", "dangerous_s"] == pytest.approx(0.2)
    assert patients["frames"].tolist() == [20, 10]
    assert list(written(clips).columns)[:2] == ["clip_id", "patient"]


def test_zero_events_come_with_the_exact_bound_over_infants() -> None:
    assert exact_interval(0, 8) == [0.0, pytest.approx(1 - 0.025 ** (1 / 8), abs=1e-4)]
    assert exact_interval(0, 8)[1] == pytest.approx(0.37, abs=0.005)  # the issue's own example
    low, high = exact_interval(2, 8)
    assert (low, high) == (
        pytest.approx(beta.ppf(0.025, 2, 7), abs=1e-4),
        pytest.approx(beta.ppf(0.975, 3, 6), abs=1e-4),
    )
    assert exact_interval(0, 0) is None


def test_without_times_frames_are_counted_and_seconds_are_not_estimable() -> None:
    found = verdict_of(TRUTH, SAID, step_s=None)
    assert found["tested"]["clips_without_times"] == 3
    assert found["dangerous"]["infants"] == 1
    assert [found["dangerous"][key] for key in ("seconds", "longest_run_s", "why")] == [None, None, NO_TIMES]
    assert found["sustained_go"]["why"] == found["flicker_per_s"]["why"] == NO_TIMES
    assert found["boundaries"]["expert"] == 4  # frames need no clock


def test_scattered_frames_have_seconds_but_nothing_that_lasts() -> None:
    of = judged(TRUTH, SAID)
    of.frames["clip_frames"] = 99
    clips = clip_table(of, 0.5, WINDOW)
    found = verdict(clips, patient_table(clips))
    assert found["dangerous"]["seconds"] == pytest.approx(0.2)
    assert found["dangerous"]["longest_run_s"] is None
    whys = [found[key]["why"] for key in ("dangerous", "futile", "sustained_go", "flicker_per_s", "boundaries")]
    assert whys == [SCATTERED] * 5


@pytest.mark.parametrize("kept", [10, 40])
def test_a_thinned_clip_says_how_much_of_it_was_looked_at(kept: int) -> None:
    step = 372 / 30 / (kept - 1)  # of a clip of 373 frames at 30 Hz, GO on every one over a cord
    clips = clip_table(judged({A: "S" * kept}, {A: "G" * kept}, step, longest_frame_s=0.2), 0.5, WINDOW)
    found, said = verdict(clips, patient_table(clips)), continuous_why(clips) or ""
    tested = found["tested"]
    assert (tested["seconds"], tested["span_seconds"]) == (pytest.approx(0.2 * kept), pytest.approx(12.4, abs=0.001))
    assert tested["thinned_clips"] == 1
    assert found["dangerous"]["longest_run_s"] <= tested["seconds"]
    assert said.startswith(f"{0.2 * kept:.1f} of 12.4 s looked at (frames kept far apart in 1 of 1 tested clips)")
    assert "lower bounds" in said
    assert "flicker is per looked-at second" in said


@pytest.mark.parametrize(("gap_s", "thinned"), [(0.6, False), (0.7, True)])
def test_a_clip_is_thinned_where_more_than_a_twentieth_was_not_looked_at(gap_s: float, thinned: bool) -> None:
    of = judged({A: "S" * 101}, {A: "G" * 101})
    rows = of.frames.assign(duration_s=0.1, span_s=[*[0.1] * 100, gap_s])  # 10.1 s of 10.6 or 10.7
    clips = clip_table(replace(of, frames=rows), 0.5, WINDOW)
    assert part_tested(clips)["thinned_clips"] == int(thinned)
    assert (continuous_why(clips) is not None) == thinned


def test_an_unthinned_clip_says_nothing_of_it() -> None:
    clips = clip_table(judged(TRUTH, SAID), 0.5, WINDOW)
    assert continuous_why(clips) is None
    assert part_tested(clips)["span_seconds"] == part_tested(clips)["seconds"] == pytest.approx(3.0)


def test_what_the_veto_of_bad_quality_saves_and_loses() -> None:
    # V: the model sees fluid and bad quality; the veto saves 2 futile and 1 dangerous GO, and loses 3 right ones
    of = judged({A: "BBGGGS", C: "SNGGGG"}, {A: "VVVVGV", C: "GGVGGG"})
    found = abstention(of, DECISION)
    assert found["labels"] == vetoes(DECISION) == ["bad_quality"]
    assert found["vetoed_frames"] == 6
    assert found["dangerous_saved"] == {"infants": 1, "frames": 1, "seconds": pytest.approx(0.1)}
    assert found["futile_saved"] == {"infants": 1, "frames": 2, "seconds": pytest.approx(0.2)}
    assert found["right_lost"] == {"infants": 2, "frames": 3, "seconds": pytest.approx(0.3)}
    assert (found["dangerous_infants_with"], found["dangerous_infants_without"]) == (1, 2)


def test_a_decision_without_a_veto_has_nothing_to_abstain_from() -> None:
    of = judged({A: "GS"}, {A: "GG"})
    plain = Decision(go={"fluid": 1, "cord": 0}, stop={"cord": 1})
    nothing = dict.fromkeys(abstention(of, DECISION), None)  # the same keys as with a veto
    assert abstention(of, plain) == nothing | {"labels": [], "why": "no label vetoes a GO"}
    only = Decision(go={"bad_quality": 0}, stop={"cord": 1})
    assert without(only, vetoes(only)) is None
    assert "need nothing" in abstention(of, only)["why"]


def test_the_decisions_table_says_everything_of_a_frame() -> None:
    table = decisions_table(judged(TRUTH, SAID))
    assert table["truth"].tolist()[:6] == ["stop", "stop", "stop", "no view", "no view", "GO"]
    assert table["truth"].tolist()[-1] == NAMES[-1] == "unknown"
    assert table["cord_truth"].isna().sum() == 2
    assert table["fluid_probability"].isna().all()  # a baseline has none
    assert table.loc[0, ["bad_quality_said", "cord_said", "fluid_said"]].tolist() == [0, 1, 1]
    assert set(table["answered_by"]) == {"any"}


def test_summaries_of_nothing_are_nothing() -> None:
    assert spread([np.nan]) is None
    assert mean_and_range([]) is None
    assert spread([1.0, 3.0, 2.0, np.nan]) == {"min": 1.0, "median": 2.0, "max": 3.0}
    assert mean_and_range([1.0, 2.0, np.nan]) == {"mean": 1.5, "min": 1.0, "median": 1.5, "max": 2.0, "infants": 2}
