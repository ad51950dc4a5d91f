"""The planner: the study's clips, frame counts and prevalences, without drawing a picture."""

from __future__ import annotations

import numpy as np
import pytest

from stages.phantom.params import Layout
from stages.phantom.plan import MIN_FRAMES, ClipPlan, plan_cohort, thin
from tests.phantom.conftest import make_params

STUDY_FRAMES = {
    "LPILOT SITTING2": 373, "LPILOT LAT2": 373, "US00000L": 67, "LPILOT LAT1": 288, "LPILOT LAT3": 221,
    "LPSON0001POSTFNLCONUS": 108, "LPSON0001POSTFSTCONUS": 108, "01.09.3hrs-0025097": 180, "01.09.47hrs-0025098": 180,
    "AM12": 373, "BM12": 373, "XM12": 371, "YM12": 373,
}  # fmt: skip


@pytest.fixture(scope="module")
def plans() -> list[ClipPlan]:
    return plan_cohort(make_params())


def pooled(plans: list[ClipPlan], name: str) -> np.ndarray:
    return np.concatenate([getattr(plan.labels, name) for plan in plans])


def test_full_scale_has_the_studys_clips_and_frames(plans: list[ClipPlan]) -> None:
    assert {plan.clip: plan.frames for plan in plans} == STUDY_FRAMES
    assert sum(STUDY_FRAMES.values()) == 3388


def test_thirteen_clips_come_from_eight_infants(plans: list[ClipPlan]) -> None:
    infants = {plan.clip: plan.patient.name for plan in plans}
    assert len(set(infants.values())) == 8
    assert len({infants[clip] for clip in infants if clip.startswith("LPILOT")}) == 1
    assert infants["01.09.3hrs-0025097"] == infants["01.09.47hrs-0025098"]
    assert infants["AM12"] != infants["BM12"]


@pytest.mark.parametrize("seed", [3, 11, 42])
def test_prevalences_are_within_three_points_of_the_studys(seed: int) -> None:
    plans = plan_cohort(make_params(seed=seed))
    cord, fluid, bad = (pooled(plans, name) for name in ("cord", "fluid", "bad_quality"))
    assert cord.mean() == pytest.approx(133 / 678, abs=0.03)
    assert fluid.mean() == pytest.approx(498 / 678, abs=0.03)
    assert bad.mean() == pytest.approx(112 / 678, abs=0.03)
    assert (cord & fluid).mean() == pytest.approx(65 / 678, abs=0.03)
    assert (~(cord | fluid | bad)).any(), "some usable frames carry no label"


@pytest.mark.parametrize("seed", range(1, 9))
def test_enough_infants_show_a_cord_for_every_side_of_a_split(seed: int) -> None:
    plans = plan_cohort(make_params(seed=seed))
    shown = {plan.patient.name for plan in plans if plan.labels.cord.any()}
    assert len(shown) >= 5, "two to test on, two to validate on, and one to learn from"
    assert pooled(plans, "cord").mean() == pytest.approx(133 / 678, abs=0.03)


def test_bad_quality_excludes_the_others(plans: list[ClipPlan]) -> None:
    bad = pooled(plans, "bad_quality")
    assert not (bad & (pooled(plans, "cord") | pooled(plans, "fluid"))).any()


def test_labels_change_within_clips(plans: list[ClipPlan]) -> None:
    states = [plan.labels.cord * 1 + plan.labels.fluid * 2 + plan.labels.bad_quality * 4 for plan in plans]
    changes = [np.count_nonzero(np.diff(state)) for state in states]
    assert np.mean(changes) >= 3


def test_clips_of_one_infant_share_the_anatomy_and_differ_in_the_sweep(plans: list[ClipPlan]) -> None:
    first, second = (plan for plan in plans if plan.patient.name == "P004")
    assert first.patient == second.patient
    assert not np.array_equal(first.sweep.z_mm, second.sweep.z_mm)


def test_a_sweep_does_not_depend_on_the_other_clips() -> None:
    one, many = (
        plan_cohort(make_params(layout=Layout(patients=n, clips_per_patient=1, frames_per_clip=60), sweep_candidates=1))
        for n in (1, 4)
    )
    assert np.array_equal(one[0].sweep.z_mm, many[0].sweep.z_mm)
    assert one[0].patient == many[0].patient


def test_thinning_keeps_the_whole_way() -> None:
    kept = thin(300, 0.03)
    assert len(kept) == 9
    assert kept[0] < 300 / 9
    assert kept[-1] > 300 - 300 / 9
    assert np.ptp(np.diff(kept)) <= 1
    assert len(thin(67, 0.001)) == MIN_FRAMES
    assert np.array_equal(thin(67, 1.0), np.arange(67))


@pytest.mark.parametrize(("patients", "clips"), [(1, 1), (5, 3)])
def test_any_number_of_infants_and_clips(patients: int, clips: int) -> None:
    layout = Layout(patients=patients, clips_per_patient=clips, frames_per_clip=30)
    plans = plan_cohort(make_params(layout=layout, sweep_candidates=2))
    assert len(plans) == patients * clips
    assert len({plan.patient.name for plan in plans}) == patients
    assert {plan.frames for plan in plans} == {30}
