"""What the leakage certificate reads of params.yaml."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

from stages.common.core.params import Strict
from stages.common.evaluation.reading import Declared
from stages.common.preprocessing import Preprocess
from stages.common.variants import VARIANT_NAMES

Share = Annotated[float, Field(ge=0, le=1)]
ClipPair = Annotated[str, StringConstraints(pattern=r"^\S+ \S+$")]
Reason = Annotated[str, Field(min_length=1)]


class NearDuplicates(Strict):
    """When two pictures count as nearly the same, by perceptual hash."""

    hash_side: Literal[8, 16]  # the hash has hash_side^2 bits
    within_bits: Annotated[int, Field(ge=0, le=256)]  # of those that may differ
    twin_share: Annotated[float, Field(gt=0, le=1)]  # of a clip's frames with a near-duplicate in one other clip
    examples: Annotated[int, Field(ge=0, le=100)]  # worst pairs listed a protocol


class Sector(Strict):
    """How a clip's moving sector is told from what stands still, on the extracted pictures."""

    sampled_frames: Annotated[int, Field(ge=4, le=256)]  # frames of a clip compared, evenly spaced
    least_frames: Annotated[int, Field(ge=2)]  # a shorter clip cannot tell
    moves_by: Annotated[int, Field(ge=1, le=255)]  # grey levels a pixel must span to move
    smoothing: Annotated[float, Field(gt=0, le=0.2)]  # share of the side: narrower gaps close, narrower movers vanish
    smallest_part: Annotated[float, Field(gt=0, le=1)]  # of the largest moving part's area


class Probes(Strict):
    """What the shortcut probes look at, and when they are flagged."""

    sector: Sector
    side_px: Annotated[int, Field(ge=4, le=128)]  # pictures are looked at this small
    components: Annotated[int, Field(ge=1, le=256)]  # principal components kept of them
    least_patients: Annotated[int, Field(ge=1)]  # with both classes, that a mean over patients needs
    flag_auc: Annotated[float, Field(gt=0.5, le=1)]  # patient-wise AUC from which a probe is flagged
    flag_share: Annotated[float, Field(gt=0, le=1)]  # share of a model's excess over 0.5 from which it is flagged


class Leakage(Strict):
    """Section `leakage`."""

    blank_below: Annotated[float, Field(ge=0)]  # standard deviation of the grey levels; below it a picture is blank
    near_duplicates: NearDuplicates
    same_picture_of_two_patients: Literal["stop", "warn"]  # under a patient-disjoint protocol
    twin_clips_of_two_patients: Literal["stop", "warn"]  # the same, seen by the perceptual hash alone
    known_pairs: dict[ClipPair, Reason]  # `C003 C009` -> why both stand in the cohort
    probes: Probes

    @field_validator("near_duplicates")
    @classmethod
    def _fits(cls, value: NearDuplicates) -> NearDuplicates:
        if value.within_bits >= value.hash_side**2:
            raise ValueError(f"within_bits below hash_side^2 = {value.hash_side**2}")
        return value

    def knows(self, one: str, other: str) -> bool:
        """Return whether a person has explained why these two clips look alike."""
        return f"{one} {other}" in self.known_pairs or f"{other} {one}" in self.known_pairs


class TrainingVariants(BaseModel):
    """Of section `train` the variants alone; the rest is train's business, and not declared here."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)

    variants: dict[str, bool]

    def chosen(self) -> list[str]:
        """Return the variants that the training side holds, in the study's order."""
        return [name for name in VARIANT_NAMES if self.variants.get(name, False)]


class Params(Declared):
    """What this stage reads of params.yaml."""

    train: TrainingVariants
    preprocess: Preprocess
    leakage: Leakage
