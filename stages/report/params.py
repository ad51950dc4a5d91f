"""What the report reads of params.yaml."""

from typing import Any

from pydantic import Field

from stages.common.core.params import Strict


class Report(Strict):
    """The section `report`."""

    patient_pixels: bool  # may pictures of patients stand on the page? The phantom's always do
    gallery_pictures: int = Field(ge=0)  # with heatmaps, one a label that a frame is shown for; the rest in words


class Params(Strict):
    """The sections that the page quotes; each is checked by the stage that owns it."""

    seed: int
    cohort: str
    size_px: int
    lr: float
    epochs: int
    labels: dict[str, Any]
    architectures: dict[str, Any]
    baselines: dict[str, Any]
    sequences: dict[str, Any]
    protocols: dict[str, Any]
    folds: dict[str, Any]
    extract_frames: dict[str, Any]
    label_merge: dict[str, Any]
    preprocess: dict[str, Any]
    split: dict[str, Any]
    train: dict[str, Any]
    evaluate: dict[str, Any]
    report: Report
