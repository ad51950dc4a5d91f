"""Do phantom frames look like a folder of reference frames? Grey histogram and speckle, as numbers.

    python -m tests.phantom.realism FOLDER_OF_PNGS [--params params.yaml]

FOLDER_OF_PNGS holds frames or screenshots of frames on white; of several panels the leftmost counts. Both kinds of
frame are brought to 224 px, since that is what the models see. Lengths are per mille of the frame's height. Not a
pytest test: no reference frames travel with this project.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.common.core.params import PARAMS_FILE, read_params
from stages.phantom.overlay import compose, draw_overlay
from stages.phantom.params import Layout, Params
from stages.phantom.plan import plan_cohort
from stages.phantom.render import render_sector
from stages.phantom.scanner import make_scanner

SIDE_PX, SCREEN_PX = 224, 385  # what the study's loader made of a frame; what its notebook showed
CENTRE = (slice(0.02, 0.88), slice(0.20, 0.80))  # rows, columns clear of the overlays, shares of the frame
SKIN = 0.12  # share of the frame whose layers are no speckle
PERCENTILES = (5, 25, 50, 75, 90, 99)

Image = NDArray[np.float32]


def find_panel(shot: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Cut the leftmost picture out of a screenshot on white; a picture without white comes back whole."""
    dark = (shot.min(axis=2) < 250).astype(np.uint8)
    _, _, stats, _ = cv2.connectedComponentsWithStats(dark)
    large = [box for box in stats[1:] if box[4] > 0.1 * dark.size]
    x, y, width, height, _ = min(large, key=lambda box: box[0])
    return shot[y : y + height, x : x + width]


def as_seen(frame: NDArray[np.uint8]) -> Image:
    """Grey at 224 px, by way of the notebook's screen."""
    grey = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)
    small = cv2.resize(grey, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_LINEAR)
    screen = cv2.resize(small, (SCREEN_PX, SCREEN_PX), interpolation=cv2.INTER_CUBIC)
    return cv2.resize(screen, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA).astype(np.float32)


def reference_grey(panel: NDArray[np.uint8]) -> Image:
    grey = cv2.cvtColor(panel, cv2.COLOR_BGR2GRAY)
    return cv2.resize(grey, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA).astype(np.float32)


def measure(image: Image) -> dict[str, float]:
    """Percentiles of grey, local contrast, and widths of the speckle's autocorrelation (per mille of the height)."""
    rows, columns = (slice(round(part.start * SIDE_PX), round(part.stop * SIDE_PX)) for part in CENTRE)
    part = image[rows, columns]
    mean = cv2.GaussianBlur(part, (0, 0), 4)
    detail = part - mean
    lit = mean > 12
    lit[: round((SKIN - CENTRE[0].start) * SIDE_PX)] = False
    sd = np.sqrt(cv2.GaussianBlur(detail**2, (0, 0), 4)) + 0.5
    speckle = np.where(lit, np.clip(detail / sd, -3, 3), 0)
    numbers = {f"grey p{p}": float(np.percentile(part, p)) for p in PERCENTILES}
    numbers["contrast"] = float(np.median((sd / np.maximum(mean, 1))[lit])) if lit.any() else 0.0
    numbers["axial width"] = 1000 / SIDE_PX * _width(speckle, lit, 0)
    numbers["lateral width"] = 1000 / SIDE_PX * _width(speckle, lit, 1)
    return numbers


def _width(speckle: Image, lit: NDArray[np.bool_], axis: int) -> float:
    """Lag (px) at which the autocorrelation along `axis` falls to one half."""
    values = [1.0]
    for lag in range(1, 12):
        a, b = np.delete(speckle, range(lag), axis), np.delete(speckle, range(-lag, 0), axis)
        both = np.delete(lit, range(lag), axis) & np.delete(lit, range(-lag, 0), axis)
        values.append(float((a * b)[both].mean() / max((speckle**2)[lit].mean(), 1e-6)))
    return float(np.interp(-0.5, -np.array(values), np.arange(12)))


def phantom_frames(params: Params, patients: int, per_clip: int) -> list[tuple[str, NDArray[np.uint8]]]:
    """Render a few frames of `patients` infants; (labels, BGR frame)."""
    layout = Layout(patients=patients, clips_per_patient=1, frames_per_clip=200)
    phantom = params.phantom.model_copy(update={"layout": layout, "scale": 1.0})
    frames = []
    for plan in plan_cohort(params.model_copy(update={"phantom": phantom})):
        scanner = make_scanner(plan, phantom)
        overlay = draw_overlay(scanner.view)
        for frame in np.linspace(10, 190, per_clip).astype(int):
            ticks = [n for n in ("bad_quality", "cord", "fluid") if getattr(plan.labels, n)[frame]]
            sector = render_sector(plan, scanner, int(frame), plan.patient)
            frames.append((" ".join(ticks), compose(sector, overlay, scanner.view)))
    return frames


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--params", type=Path, default=PARAMS_FILE)
    arguments = parser.parse_args()
    panels = [find_panel(cv2.imread(str(path))) for path in sorted(arguments.folder.glob("*.png"))]
    reference = pd.DataFrame([measure(reference_grey(panel)) for panel in panels])
    frames = phantom_frames(read_params(Params, arguments.params), 24, 3)
    phantom = pd.DataFrame([measure(as_seen(frame)) for _, frame in frames])
    usable = ["bad_quality" not in ticks for ticks, _ in frames]
    low, high = reference.min(), reference.max()
    within = (phantom >= low) & (phantom <= high)
    table = pd.DataFrame({"reference min": low, "reference max": high, "phantom p10": phantom.quantile(0.1),
                          "phantom median": phantom.median(), "phantom p90": phantom.quantile(0.9),
                          "share within": within.mean(), "of the usable": within[usable].mean()})  # fmt: skip
    print(table.round(2).to_string())


if __name__ == "__main__":
    main()
