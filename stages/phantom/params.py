"""What a user may change about the phantom; section `phantom:` of params.yaml."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from stages.common.core.params import Strict


class Layout(Strict):
    """A cohort of any size, in place of the study's 13 clips."""

    patients: int = Field(ge=1, description="infants")
    clips_per_patient: int = Field(ge=1, description="clips of each infant")
    frames_per_clip: int = Field(ge=4, description="frames of each clip at scale 1.0")


class Prevalence(Strict):
    """Shares of all frames that the sweep planner aims at (STUDY.md, test set of the report)."""

    cord: float = Field(ge=0, le=1, description="share of frames labelled cord; study: 133/678")
    fluid: float = Field(ge=0, le=1, description="share labelled fluid; study: 498/678")
    bad_quality: float = Field(ge=0, le=1, description="share labelled bad quality; study: 112/678")
    cord_and_fluid: float = Field(ge=0, le=1, description="share labelled both; study: at least 65/678")


class Range(Strict):
    """Limits of a uniform draw."""

    min: float
    max: float

    @model_validator(mode="after")
    def _ordered(self) -> Range:
        if self.min > self.max:
            raise ValueError(f"min at most max ({self.max:g})")
        return self


class Phantom(Strict):
    layout: Literal["study"] | Layout = Field(description="'study': its 13 clips in 8 patients; or a layout")
    scale: float = Field(gt=0, le=1, description="share of each clip's frames to render; 1.0 is the study")
    messy_labels: bool = Field(description="give the workbook the flaws of the study's workbook")
    frame_rate_hz: int = Field(ge=5, le=60, description="frames per second of a full-rate clip")
    width_px: int = Field(ge=96, le=1280, multiple_of=2, description="video width")
    height_px: int = Field(ge=80, le=1024, multiple_of=2, description="video height")
    depth_cm: Range = Field(description="depth settings drawn per clip, in steps of half a centimetre")
    dynamic_range_db: float = Field(ge=30, le=120, description="decibels from black to white")
    gain_db: Range = Field(description="receiver gain drawn per clip around the middle of the tissue's grey")
    collection_share: float = Field(ge=0, le=1, description="share of infants with an epidural collection")
    mimic_share: float = Field(ge=0, le=1, description="share of infants whose roots clump so as to mimic a cord")
    sweep_candidates: int = Field(
        ge=1, le=500, description="sweeps drawn per clip; those that together meet the prevalences are kept"
    )
    prevalence: Prevalence


class Params(Strict):
    seed: int = Field(ge=0, description="seed of every draw")
    phantom: Phantom
