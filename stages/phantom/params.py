"""What a user may change about the phantom; section `phantom:` of params.yaml."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

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

    @model_validator(mode="after")
    def _possible(self) -> Prevalence:
        if self.cord_and_fluid > min(self.cord, self.fluid):
            raise ValueError(f"cord_and_fluid at most cord ({self.cord:g}) and fluid ({self.fluid:g})")
        shares = self.cord + self.fluid - self.cord_and_fluid + self.bad_quality  # bad quality excludes the other two
        if shares > 1 + 1e-9:
            raise ValueError(f"cord + fluid - cord_and_fluid + bad_quality at most 1, not {shares:g}")
        return self


class Range(Strict):
    """Limits of a uniform draw."""

    min: float
    max: float

    @model_validator(mode="after")
    def _ordered(self) -> Range:
        if self.min > self.max:
            raise ValueError(f"min at most max ({self.max:g})")
        return self


def _within(low: float, high: float) -> AfterValidator:
    def check(drawn: Range) -> Range:
        if drawn.min < low or drawn.max > high:
            raise ValueError(f"min and max from {low:g} to {high:g}")
        return drawn

    return AfterValidator(check)


class Phantom(Strict):
    layout: Literal["study"] | Layout = Field(description="'study': its 13 clips in 8 patients; or a layout")
    scale: float = Field(gt=0, le=1, description="share of each clip's frames to render; 1.0 is the study")
    messy_labels: bool = Field(description="give the workbook the flaws of the study's workbook")
    frame_rate_hz: int = Field(ge=5, le=60, description="frames per second of a full-rate clip")
    width_px: int = Field(ge=96, le=1280, multiple_of=2, description="video width")
    height_px: int = Field(ge=80, le=1024, multiple_of=2, description="video height")
    depth_cm: Annotated[Range, _within(0.5, 40)] = Field(
        description="depth settings drawn per clip, in steps of half a centimetre"
    )
    dynamic_range_db: float = Field(ge=30, le=120, description="decibels from black to white")
    gain_db: Annotated[Range, _within(-60, 60)] = Field(
        description="receiver gain drawn per clip around the middle of the tissue's grey"
    )
    collection_share: float = Field(ge=0, le=1, description="share of infants with an epidural collection")
    mimic_share: float = Field(ge=0, le=1, description="share of infants whose roots clump so as to mimic a cord")
    sweep_candidates: int = Field(
        ge=1, le=500, description="sweeps drawn per clip; those that together meet the prevalences are kept"
    )
    prevalence: Prevalence


class Params(Strict):
    seed: int = Field(ge=0, description="seed of every draw")
    phantom: Phantom
