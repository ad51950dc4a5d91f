"""The section `bedside` of params.yaml."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from stages.common.core.params import Strict

Share = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(gt=0)]


class Temperature(Strict):
    """Bounds of the temperature by which logits are divided: 1 changes nothing, above 1 softens."""

    min: float = Field(gt=0)
    max: float = Field(gt=0)

    @model_validator(mode="after")
    def _ordered(self) -> "Temperature":
        if not self.min < self.max:
            raise ValueError(f"min below max ({self.max:g})")
        return self


class Cap(Strict):
    """The most that a rate of one label may be, as the mean over the patients that choose."""

    false_positive_rate: Share


class OperatingPoint(Strict):
    """How each model's temperature and thresholds are chosen, from rows that are not tested by them."""

    temperature: Temperature
    maximise: dict[str, Literal["sensitivity"]]  # label -> what is as high as its cap allows
    caps: dict[str, Cap]  # labels capped and not maximised get the best balanced accuracy under their cap
    fallback: Share  # calibrated probability that means yes where the choosing rows lack cases

    @model_validator(mode="after")
    def _maximised_is_capped(self) -> "OperatingPoint":
        free = [label for label in self.maximise if label not in self.caps]
        if free:  # else 'always yes' has the highest sensitivity
            raise ValueError(f"a cap for each label of maximise; none for {', '.join(free)}")
        return self


class Bedside(Strict):
    """The section `bedside`."""

    operating_point: OperatingPoint
    sustained_s: Seconds  # a decision that holds this long is sustained
    longest_frame_s: Seconds  # a frame stands for the time to the next kept frame, at most this
    boundary_frames: Annotated[float, Field(ge=0)]  # of the recorded clip, that like changes may lie apart
    reliability_bins: Annotated[int, Field(ge=2, le=100)]  # of equal width
