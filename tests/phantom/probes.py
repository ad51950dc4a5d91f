"""Is the phantom neither trivial nor misleading? Measured on patient-disjoint phantom infants; not a pytest test.

    python -m tests.phantom.probes [--params params.yaml] [--patients 30] [--frames 180] [--px 80] [--epochs 12]

Usable frames only, for cord and for fluid. Prints one line a probe with its bound: what brightness, the overlays, the
frame's number and the nearest neighbour know; what a ResNet18 from random weights learns; whether its 'cord' follows
the cord (the same frames rendered again without it) and ignores the gain.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from sklearn.model_selection import GroupKFold, GroupShuffleSplit, StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from stages.common.core.params import PARAMS_FILE, read_params
from stages.common.core.progress import in_parallel
from stages.phantom.overlay import draw_overlay
from stages.phantom.params import Layout, Params, Phantom
from stages.phantom.plan import ClipPlan, plan_cohort
from stages.phantom.render import render_sector
from stages.phantom.scanner import make_scanner
from tests.phantom.resnet_probe import TASKS, train_and_test

FULL_RATE_FRAMES = 180  # 6 s; --frames of them are rendered: fewer put neighbours further apart than the study's
FOLDS = 5
DRAWS, UNSEEN = 20, 1 / 3  # of infants to learn from and to ask about
SEEN, SEEN_FRAMES, OTHERS = 150, 14, 1000  # infants that the network learns from, frames of each, their seed less ours
COHORTS = 10  # of --patients infants each, whose overlays are asked


@dataclass(frozen=True)
class Frames:
    """Usable frames of all infants; row-aligned arrays."""

    pictures: NDArray[np.uint8]  # (N, px, px), the sector
    histograms: NDArray[np.float64]  # (N, 33), mean and 32 bins of the sector
    positions: NDArray[np.float64]  # (N,), place in the clip, 0..1
    groups: NDArray[np.int_]  # (N,), number of the infant
    clips: list[ClipPlan]
    frames: NDArray[np.int_]  # (N,), position in the full-rate sweep
    labels: dict[str, NDArray[np.int_]]


def shrink(sector: NDArray[np.uint8], px: int) -> NDArray[np.uint8]:
    return cv2.resize(sector, (px, px), interpolation=cv2.INTER_AREA)


def render_small(job: tuple[ClipPlan, int], phantom: Phantom, px: int, cord: bool = True, gain: float = 1.0,
                 pixel_gain: float = 1.0) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:  # fmt: skip
    """Render one frame; return it shrunk, and its brightness and histogram."""
    cv2.setNumThreads(1)
    plan, frame = job
    patient = plan.patient if cord else replace(plan.patient, cord_rx_mm=0.0)
    sector = render_sector(plan, make_scanner(plan, phantom), frame, patient, gain)
    sector = cv2.convertScaleAbs(sector, alpha=pixel_gain)
    bins = np.histogram(sector, 32, (0, 160))[0] / sector.size
    return shrink(sector, px), np.array([sector.mean(), *bins])


def collect(params: Params, px: int) -> Frames:
    """Render every usable frame of the cohort."""
    plans = plan_cohort(params)
    jobs = [(i, plan, int(f)) for i, plan in enumerate(plans) for f in plan.kept if not plan.labels.bad_quality[f]]
    work = partial(render_small, phantom=params.phantom, px=px)
    pairs = in_parallel(work, [job[1:] for job in jobs], "render", "frame", threads=False)
    pictures, histograms = zip(*(result for _, result in pairs), strict=True)
    labels = {task: np.array([getattr(plan.labels, task)[f] for _, plan, f in jobs], int) for task in TASKS}
    groups = np.array([i for i, _, _ in jobs])
    frames = np.array([f for _, _, f in jobs])
    return Frames(np.stack(pictures), np.stack(histograms), frames / FULL_RATE_FRAMES,
                  groups, plans, frames, labels)  # fmt: skip


def disjoint_scores(features: NDArray[np.float64], y: NDArray[np.int_], groups: NDArray[np.int_],
                    make: Callable[[], object]) -> float:  # fmt: skip
    """Mean AUC over draws that keep each infant on one side, a third of them unseen.

    Pooled, the draws' offsets would mix. Many draws, since one partition into folds of six infants moved the
    areas of features that say nothing by .15.
    """
    scores = []
    for train, test in GroupShuffleSplit(DRAWS, test_size=UNSEEN, random_state=0).split(features, y, groups):
        if 0 < y[test].mean() < 1:
            model = make().fit(features[train], y[train])
            scores.append(roc_auc_score(y[test], model.predict_proba(features[test])[:, 1]))
    return float(np.mean(scores))


def neighbour_accuracy(frames: Frames, y: NDArray[np.int_], by_infant: bool) -> float:
    """Balanced accuracy of the nearest 32-px neighbour, between infants or between frames."""
    features = np.stack([shrink(picture, 32) for picture in frames.pictures]).reshape(len(y), -1).astype(np.float32)
    folds = GroupKFold(FOLDS) if by_infant else StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    called = np.zeros_like(y)
    for train, test in folds.split(features, y, frames.groups if by_infant else None):
        called[test] = KNeighborsClassifier(1).fit(features[train], y[train]).predict(features[test])
    return float(balanced_accuracy_score(y, called))


def picture_free_probes(frames: Frames, task: str) -> list[tuple[str, str, float]]:
    """Rows (probe, bound, measured) that need no trained network."""
    y, groups = frames.labels[task], frames.groups
    linear = _linear()
    trees = partial(HistGradientBoostingClassifier, max_iter=60, random_state=0)
    index_auc = roc_auc_score(y, frames.positions)
    return [
        ("brightness AUC", "<= .80", disjoint_scores(frames.histograms[:, :1], y, groups, linear)),
        ("histogram AUC, linear", "<= .80", disjoint_scores(frames.histograms, y, groups, linear)),
        ("histogram AUC, trees", "<= .80", disjoint_scores(frames.histograms, y, groups, trees)),
        ("frame index AUC", "<= .65", float(max(index_auc, 1 - index_auc))),
        ("32-px neighbour, infants apart", "<= .75", neighbour_accuracy(frames, y, by_infant=True)),
        ("32-px neighbour, frame split", ">= .95", neighbour_accuracy(frames, y, by_infant=False)),
    ]


def overlay_probe(params: Params) -> list[tuple[str, str, str, float]]:
    """Overlay-only AUC, mean over cohorts of other seeds: one leaves it a spread of .1. No frame is rendered."""
    scores = [_overlay_scores(params.model_copy(update={"seed": params.seed + number})) for number in range(COHORTS)]
    return [
        (task, f"overlay-only AUC, {COHORTS} such cohorts", ".40-.60", float(np.mean([of[task] for of in scores])))
        for task in TASKS
    ]


def _overlay_scores(params: Params) -> dict[str, float]:
    plans = plan_cohort(params)
    overlays = [shrink(draw_overlay(make_scanner(plan, params.phantom).view).max(axis=2), 16).ravel() for plan in plans]
    rows = [(i, int(f)) for i, plan in enumerate(plans) for f in plan.kept if not plan.labels.bad_quality[f]]
    groups = np.array([i for i, _ in rows])
    features = np.stack(overlays)[groups].astype(float)
    truth = {task: np.array([getattr(plans[i].labels, task)[f] for i, f in rows], int) for task in TASKS}
    return {task: disjoint_scores(features, y, groups, _linear()) for task, y in truth.items()}


def _linear() -> Callable[[], object]:
    return partial(make_pipeline, StandardScaler(), LogisticRegression(max_iter=2000, C=0.1))


def thinned(frames: Frames) -> Frames:
    """Every fourth frame: neighbours tell little more of a network, and cost it the same."""
    columns = ("pictures", "histograms", "positions", "groups", "frames")
    labels = {task: y[::4] for task, y in frames.labels.items()}
    return replace(frames, **{name: getattr(frames, name)[::4] for name in columns}, labels=labels)


def with_layout(params: Params, patients: int, frames: int) -> Params:
    layout = Layout(patients=patients, clips_per_patient=1, frames_per_clip=FULL_RATE_FRAMES)
    changes = {"layout": layout, "scale": frames / FULL_RATE_FRAMES}
    return params.model_copy(update={"phantom": params.phantom.model_copy(update=changes)})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--params", type=Path, default=PARAMS_FILE)
    for name, value in (("patients", 30), ("frames", 180), ("px", 80), ("epochs", 12)):
        parser.add_argument(f"--{name}", type=int, default=value)
    arguments = parser.parse_args()
    params = with_layout(read_params(Params, arguments.params), arguments.patients, arguments.frames)
    frames = collect(params, arguments.px)
    print(f"{len(frames.groups)} usable frames; cord {frames.labels['cord'].mean():.3f}, "
          f"fluid {frames.labels['fluid'].mean():.3f}", flush=True)  # fmt: skip
    rows = [(task, *row) for task in TASKS for row in picture_free_probes(frames, task)]
    _show(rows)
    _show(overlay_probe(params))
    if arguments.epochs:
        render = partial(render_small, phantom=params.phantom, px=arguments.px)
        others = params.model_copy(update={"seed": params.seed + OTHERS})
        seen = collect(with_layout(others, SEEN, SEEN_FRAMES), arguments.px)
        _show(train_and_test(seen, thinned(frames), arguments.epochs, render))


def _show(rows: list[tuple[str, str, str, float]]) -> None:
    for task, probe, bound, value in rows:
        print(f"{task:6s} {probe:48s} {bound:>8s} {value:7.3f}", flush=True)


if __name__ == "__main__":
    main()
