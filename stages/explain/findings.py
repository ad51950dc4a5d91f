"""What one network's heatmaps say, as rows for the report."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from stages.common.core.tables import DIGITS
from stages.explain.asked import Asked, Pair
from stages.explain.choice import Shown, wrong
from stages.explain.heat import Heat, best_inside, share_inside
from stages.explain.masks import Mask, Masks
from stages.explain.params import Params

OUT = Path("data/explain")
SHARES = ("heat_inside_mask", "uniform_inside_mask", "best_inside_mask")
NO_STRUCTURE = "explain.masks names no structure for this label"
NO_MAP = (
    "no heatmap: this network has no late convolutional map, and one of its first layers would show the picture's "
    "edges, not where the network looked"
)
NO_HEAT = "nothing in the picture speaks for the label: the heatmap is zero everywhere"


@dataclass(frozen=True)
class Findings:
    """One network's heatmaps beside what was asked of it.

    Attributes:
        asked: which answers.
        target: the module whose feature map was explained, and the side of that map; None where there is none.
        heat: row and column of a label -> (S, S) heat; empty without a map.
        masks: where structures truly lie.
        params: names of labels and structures.
    """

    asked: Asked
    target: tuple[str, int] | None
    heat: Mapping[Pair, Heat]
    masks: Masks
    params: Params

    def mask(self, row: int, column: int) -> Mask | None:
        """Return where the structure that a label names lies in a frame; None where no mask tells."""
        frame, structure = self.asked.rows.frames.iloc[row], self._structure(column)
        return None if structure is None else self.masks.get((frame["clip_id"], int(frame["frame_index"]), structure))

    def model(self) -> dict[str, Any]:
        """Return this network's line of `models`."""
        errors = wrong(self.asked.rows, self.asked.answers)
        layer, map_px = self.target or (None, None)
        return {
            **self._whose(),
            "layer": layer,
            "map_px": map_px,
            "why": None if self.target else NO_MAP,
            "misclassified_frames": int(errors.any(axis=1).sum()),
            "wrong_answers": int(errors.sum()),
            "shown": len(self.asked.shown),
        }

    def entries(self) -> list[dict[str, Any]]:
        """Return this network's entries of the gallery."""
        return [self._entry(shown) for shown in self.asked.shown]

    def summary(self) -> list[dict[str, Any]]:
        """Return a line a label: the share of heat inside the true structure, each patient counting once."""
        return [self._measured(column, label) for column, label in enumerate(self.params.labels)]

    def _entry(self, shown: Shown) -> dict[str, Any]:
        row, column, labels = shown.row, shown.column, list(self.params.labels)
        frame, answers = self.asked.rows.frames.iloc[row], self.asked.answers
        truths = [None if np.isnan(value) else int(value) for value in self.asked.rows.truth[row]]
        said = [int(value) for value in answers.said[row]]
        scores = [round(float(value), DIGITS) for value in self.asked.scores[row]]
        return {
            **self._whose(),
            **{key: frame[key] for key in ("frame_id", "clip_id", "patient")},
            "frame_index": int(frame["frame_index"]),
            "label": labels[column],
            "outcome": shown.outcome,
            "truth": truths[column],
            "answer": said[column],
            "probability": scores[column],
            "threshold": round(float(answers.thresholds[frame["fold"]][labels[column]]), DIGITS),
            "truths": dict(zip(labels, truths, strict=True)),
            "answers": dict(zip(labels, said, strict=True)),
            "probabilities": dict(zip(labels, scores, strict=True)),
            "picture": self._place(frame["frame_id"], labels[column]).as_posix() if self.target else None,
            "blank": bool(self.target) and not self.heat[row, column].any(),
            "structure": self._structure(column),
            **self._inside(row, column),
        }

    def _whose(self) -> dict[str, str]:
        return {"protocol": self.asked.training.protocol, "model": self.asked.training.model}

    def _place(self, frame_id: str, label: str) -> Path:
        return OUT / self.asked.training.protocol / self.asked.training.model / f"{frame_id}_{label}.png"

    def _structure(self, column: int) -> str | None:
        return self.params.explain.masks.get(list(self.params.labels)[column])

    def _inside(self, row: int, column: int) -> dict[str, Any]:
        mask, structure = self.mask(row, column), self._structure(column)
        if self.target is None:
            return _untold(NO_MAP)
        if structure is None:
            return _untold(NO_STRUCTURE)
        if mask is None:
            return _untold("the cohort has no mask of this clip")
        if mask.uniform == 0:
            return _untold(f"no {structure} in the true mask of this frame")
        share = share_inside(self.heat[row, column], mask.inside)
        if share is None:
            return _untold(NO_HEAT)
        shares = (share, mask.uniform, best_inside(mask.inside, self.target[1]))
        return {**{key: round(value, DIGITS) for key, value in zip(SHARES, shares, strict=True)}, "why": None}

    def _measured(self, column: int, label: str) -> dict[str, Any]:
        found = pd.DataFrame([
            {"patient": self.asked.rows.frames["patient"].iloc[row], **self._inside(row, column)}
            for row, of_label in self.asked.measured
            if of_label == column
        ], columns=["patient", *SHARES, "why"])  # fmt: skip
        known = found[found["heat_inside_mask"].notna()]
        means = known.astype(dict.fromkeys(SHARES, float)).groupby("patient")[list(SHARES)].mean().mean()
        return {
            **self._whose(),
            "label": label,
            "structure": self._structure(column),
            "frames": len(known),
            "frames_without": len(found) - len(known),
            "patients": int(known["patient"].nunique()),
            **{key: round(float(means[key]), DIGITS) if len(known) else None for key in SHARES},
            "why": None if len(known) else self._why_unmeasured(column, found),
        }

    def _why_unmeasured(self, column: int, found: pd.DataFrame) -> str:
        if self.target is None or self._structure(column) is None:
            return NO_STRUCTURE if self.target else NO_MAP
        return str(found["why"].iloc[0]) if len(found) else "no test frame of this label is measured"


def _untold(why: str) -> dict[str, Any]:
    return {**dict.fromkeys(SHARES), "why": why}


def plot_rows(summary: list[dict[str, Any]]) -> Iterator[tuple[str, str, str, float]]:
    """Yield protocol, series, model and value of each measured share, beside the uniform and the best one."""
    for line in summary:
        if line["why"] is None:
            for name, key in zip(("Grad-CAM", "uniform", "best"), SHARES, strict=True):
                yield line["protocol"], f"{name} {line['label']}", line["model"], line[key]
