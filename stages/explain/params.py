"""What explain reads of params.yaml."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from stages.common.clips.cine import CutParams
from stages.common.clips.folder import CohortName
from stages.common.core.errors import raise_all
from stages.common.core.params import Strict
from stages.common.evaluation.reading import Declared
from stages.common.evaluation.thresholds import Threshold
from stages.common.labels import unknown_labels
from stages.common.preprocessing import Preprocess

Device = Literal["cpu", "cuda", "mps"]


class Explain(Strict):
    """The section `explain`."""

    per_model: int = Field(ge=0)  # wrong answers shown of a model under a protocol, at most
    per_clip: int = Field(ge=1)  # of them one clip's in one group (label, missed or false alarm), at most
    right_per_label: int = Field(ge=0)  # rightly found positives shown of each label, for contrast
    measured_per_label: int = Field(ge=0)  # positive test frames of each label whose heat is measured, at most
    picture_px: int = Field(ge=32, le=1024)  # side of a panel
    smallest_map_px: int = Field(ge=1)  # side of the coarsest feature map that is taken for a heatmap
    structures: dict[str, Annotated[int, Field(ge=1, le=255)]]  # grey value in masks/<clip>.mkv
    masks: dict[str, str]  # label -> structure
    tolerance: dict[Device, Annotated[float, Field(gt=0, le=1)]]  # of recomputed probabilities, by train.device

    @model_validator(mode="after")
    def _named(self) -> "Explain":
        unknown = sorted(set(self.masks.values()) - set(self.structures))
        if unknown:
            known = ", ".join(self.structures) or "none"
            raise ValueError(f"masks that name keys of structures ({known}); unknown: {', '.join(unknown)}")
        return self


class Trained(BaseModel):
    """What matters here of section `train`, which the stage train checks whole."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")

    device: Device
    threads: int = Field(ge=1, le=256)


class Answering(BaseModel):
    """What matters here of section `evaluate`: another rule leaves the pictures as they are."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")

    threshold: Threshold


class Params(CutParams, Declared):
    """What this stage reads of params.yaml."""

    cohort: CohortName
    preprocess: Preprocess  # what the bundles must have been trained with
    train: Trained
    evaluate: Answering
    explain: Explain


def refuse_unknown_names(params: Params) -> None:
    """Stop when a mask is named for a label that there is not."""
    raise_all(unknown_labels(params.labels, {"explain.masks": params.explain.masks}), "params.yaml has mistakes")
