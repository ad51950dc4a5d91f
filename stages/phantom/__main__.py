"""Stage `phantom`: write the cohort of simulated infants that the laptop profile runs on.

Reads params.yaml (`seed`, `phantom`). Writes data/cohorts/phantom/: clips.csv, clips/<clip>.mkv and labels.xlsx in the
form of every cohort, and what only a simulator knows: masks/<clip>.mkv (0 none, 1 sac, 2 cord, 3 bone), boxes.csv and
truth.csv. The same params give the same bytes, whatever the number of workers.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import cv2
import pandas as pd

from stages.common.core.errors import run
from stages.common.core.files import replacing
from stages.common.core.params import read_params
from stages.common.core.progress import in_parallel
from stages.common.core.tables import write_table
from stages.phantom.overlay import compose, draw_overlay
from stages.phantom.params import Params, Phantom
from stages.phantom.plan import ClipPlan, plan_cohort
from stages.phantom.render import render_sector
from stages.phantom.scanner import make_scanner
from stages.phantom.truth import draw_mask, list_boxes, truth_table
from stages.phantom.video import write_video
from stages.phantom.workbook import clean_sheet, messy_sheets, write_workbook

OUT = Path("data/cohorts/phantom")
BOX_COLUMNS = ["clip", "frame_index", "structure", "x_px", "y_px", "width_px", "height_px"]


def render_clip(plan: ClipPlan, folder: Path, phantom: Phantom) -> list[dict[str, object]]:
    """Write one clip and its masks into `folder`; return the rows of boxes.csv."""
    cv2.setNumThreads(1)  # one worker a core
    scanner = make_scanner(plan, phantom)
    overlay = draw_overlay(scanner.view)
    sectors = (render_sector(plan, scanner, frame, plan.patient) for frame in plan.kept)
    pictures = (compose(sector, overlay, scanner.view) for sector in sectors)
    write_video(folder / "clips" / f"{plan.clip}.mkv", pictures, phantom.frame_rate_hz)
    masks = [draw_mask(plan, scanner.view, frame) for frame in plan.kept]
    write_video(folder / "masks" / f"{plan.clip}.mkv", masks, phantom.frame_rate_hz)
    return [box for index, mask in enumerate(masks) for box in list_boxes(plan.clip, index, mask)]


def write_cohort(params: Params, out: Path) -> None:
    """Plan, render and write the whole cohort under `out`, replacing what is there."""
    plans = plan_cohort(params)
    with replacing(out) as folder:
        (folder / "clips").mkdir(parents=True)
        (folder / "masks").mkdir()
        render = partial(render_clip, folder=folder, phantom=params.phantom)
        done = in_parallel(render, plans, "phantom", "clip", threads=False)
        boxes = [box for _, rows in done for box in rows]
        write_table(folder / "boxes.csv", pd.DataFrame(boxes, columns=BOX_COLUMNS))
        write_table(folder / "truth.csv", pd.concat([truth_table(plan) for plan in plans], ignore_index=True))
        write_table(folder / "clips.csv", _clip_table(plans))
        sheets = [clean_sheet(plan) for plan in plans]
        if params.phantom.messy_labels:
            sheets = messy_sheets(sheets, params.seed)
        write_workbook(folder / "labels.xlsx", sheets)


def _clip_table(plans: list[ClipPlan]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "clip": plan.clip,
            "file": f"clips/{plan.clip}.mkv",
            "patient": plan.patient.name,
            "position": plan.settings.position,
            "depth_cm": plan.settings.depth_mm / 10,
        }
        for plan in plans
    )


def main() -> None:
    write_cohort(read_params(Params), OUT)


if __name__ == "__main__":
    run(main)
