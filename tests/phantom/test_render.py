"""The picture: physics that must hold, on small frames."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from stages.phantom.anatomy import cord_radius_mm, window_half_mm
from stages.phantom.canal import canal_at, roots_at
from stages.phantom.plan import ClipPlan, plan_cohort
from stages.phantom.render import render_sector
from stages.phantom.scanner import make_scanner
from stages.phantom.truth import draw_mask
from stages.phantom.view import Pose, View
from tests.phantom.conftest import make_params

PARAMS = make_params(width_px=256, height_px=208, sweep_candidates=20)


@pytest.fixture(scope="module")
def plans() -> list[ClipPlan]:
    return plan_cohort(PARAMS)


def usable(plans: list[ClipPlan], label: str) -> tuple[ClipPlan, int]:
    """The frame that shows most of the label's structure."""
    share = {"cord": "cord_share", "fluid": "fluid_share"}[label]
    best = max(plans, key=lambda plan: np.max(getattr(plan.visibility, share) * getattr(plan.labels, label)))
    return best, int(np.argmax(getattr(best.visibility, share) * getattr(best.labels, label)))


def test_fluid_is_darker_than_what_lies_in_front_and_behind(plans: list[ClipPlan]) -> None:
    plan, frame = usable(plans, "fluid")
    scanner = make_scanner(plan, PARAMS.phantom)
    picture = render_sector(plan, scanner, frame, plan.patient).astype(float)
    mask = draw_mask(plan, scanner.view, frame)[scanner.view.sector]
    rows, columns = np.nonzero(mask == 1)
    middle = slice(int(np.quantile(columns, 0.35)), int(np.quantile(columns, 0.65)))
    behind = picture[rows.max() + 3 : rows.max() + 15, middle].mean()
    assert np.quantile(picture[mask == 1], 0.3) < 0.6 * behind


def test_without_its_cord_only_the_canal_changes(plans: list[ClipPlan]) -> None:
    plan, frame = usable(plans, "cord")
    scanner = make_scanner(plan, PARAMS.phantom)
    with_cord = render_sector(plan, scanner, frame, plan.patient).astype(int)
    without = render_sector(plan, scanner, frame, replace(plan.patient, cord_rx_mm=0.0)).astype(int)
    changed = np.abs(with_cord - without)
    mask = draw_mask(plan, scanner.view, frame)[scanner.view.sector]
    assert changed[mask == 2].mean() > 2
    above = int(np.nonzero((mask == 1) | (mask == 2))[0].min()) // 2
    assert changed[:above].max() <= 1  # haze is the only thing that reaches there


def test_gain_brightens(plans: list[ClipPlan]) -> None:
    plan, frame = usable(plans, "fluid")
    scanner = make_scanner(plan, PARAMS.phantom)
    low, high = (render_sector(plan, scanner, frame, plan.patient, gain).mean() for gain in (0.8, 1.2))
    assert high > low * 1.05


def test_neighbouring_frames_look_alike_and_distant_ones_do_not(plans: list[ClipPlan]) -> None:
    plan = next(plan for plan in plans if plan.clip == "AM12")
    scanner = make_scanner(plan, PARAMS.phantom)
    moved = np.abs(plan.sweep.z_mm - plan.sweep.z_mm[100])
    pictures = [render_sector(plan, scanner, f, plan.patient).astype(float) for f in (100, 101, int(moved.argmax()))]
    near, far = (np.corrcoef(pictures[0].ravel(), other.ravel())[0, 1] for other in pictures[1:])
    assert far < near - 0.05
    assert near > 0.9


def test_cord_tapers_to_nothing_at_the_conus(plans: list[ClipPlan]) -> None:
    patient = plans[0].patient
    radius = cord_radius_mm(patient, np.linspace(-14, 3, 60))
    assert (np.diff(radius) <= 1e-9).all()
    assert radius[0] > 2.5
    assert radius[-1] == 0


def test_the_window_opens_at_each_interspace(plans: list[ClipPlan]) -> None:
    patient = plans[0].patient
    at = patient.level_phase_mm + patient.level_mm * np.array([0.0, 0.5, 1.0])
    opened, closed, again = window_half_mm(patient, at)
    assert opened == pytest.approx(again)
    assert opened > 5.5 > 2.3 > closed


def test_roots_stay_in_the_sac_and_out_of_the_cord(plans: list[ClipPlan]) -> None:
    patient, gravity = plans[0].patient, (0.0, 1.0)
    for z in (-20.0, 5.0, 15.0):
        canal, roots = canal_at(patient, np.float64(z), gravity), roots_at(patient, z, gravity, 0.3)
        in_sac = np.hypot((roots.x - canal.sac_x) / canal.sac_rx, (roots.y - canal.sac_y) / canal.sac_ry)
        assert in_sac.max() < 1
        if canal.cord_rx > 0:
            in_cord = np.hypot((roots.x - canal.cord_x) / canal.cord_rx, (roots.y - canal.cord_y) / canal.cord_ry)
            assert np.quantile(in_cord, 0.2) > 0.9


def test_pose_maps_the_middle_of_the_picture_to_the_offset() -> None:
    view = View(256, 208, 30.0)
    affine = Pose(2.0, 0.2, 1.0, 12.0).to_tissue(view)
    column, row = (view.columns - 1) / 2, 12.0 * view.px_per_mm
    assert affine @ [column, row, 1] == pytest.approx([2.0, 12.0])
