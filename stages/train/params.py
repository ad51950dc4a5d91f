"""What training reads of params.yaml, and the recipe it makes of it."""

from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, create_model, field_validator

from stages.common.core.params import Strict, one_entry
from stages.common.labels import Imbalance, Label, LabelName
from stages.common.networks.weights_file import IMAGENET, RANDOM
from stages.common.preprocessing import Preprocess
from stages.common.variants import VARIANT_NAMES
from stages.train.recipe import Recipe

Kept = Literal["best", "last"]


class KeptEpoch(Strict):
    """Which epoch's weights stay, a protocol each: `best` on validation (`kept_line`), or `last`, fixed beforehand."""

    frame: Kept
    patient: Kept
    leave_one_patient_out: Kept


class Train(Strict):
    """Section `train`: what all networks share."""

    weights: str  # random, imagenet, a file, or a folder with a file a network
    weights_sha256: str | None  # of the file, or of the folder's SHA256SUMS; null for random and imagenet
    freeze: bool  # only the head learns
    backbone_scale: float = Field(ge=0, le=10)  # of an architecture that names none
    imbalance: Imbalance
    kept_epoch: KeptEpoch
    batch_size: int = Field(ge=2, le=4096)
    warmup: float = Field(ge=0, le=1)  # share of all steps over which the rates rise
    clip_norm: float = Field(gt=0)
    mean: float  # of grey values scaled to 0..1
    std: float = Field(gt=0)
    device: Literal["cpu", "cuda", "mps"]
    threads: int = Field(ge=1, le=256)  # CPU threads; another number gives other bytes
    variants: dict[str, bool]  # which of the eight the training side holds

    @field_validator("weights_sha256")
    @classmethod
    def _of_a_file(cls, value: str | None, info: ValidationInfo) -> str | None:
        weights = info.data.get("weights")
        if value is not None and weights in (RANDOM, IMAGENET):
            raise ValueError(f"null where weights is {weights}, which is no file of yours: no hash is looked at")
        return value

    @field_validator("variants")
    @classmethod
    def _known(cls, value: dict[str, bool]) -> dict[str, bool]:
        unknown = sorted(set(value) - set(VARIANT_NAMES))
        if unknown or not any(value.values()):
            raise ValueError(
                f"at least one true among {', '.join(VARIANT_NAMES)}; unknown: {', '.join(unknown) or 'none'}"
            )
        return value


class Architecture(Strict):
    """An entry of `architectures`."""

    # rate of the backbone as a multiple of lr; an entry may be its name alone, then train.backbone_scale counts
    backbone_scale: Annotated[float, Field(ge=0, le=10)] | None = None


class Shared(Strict):
    """What every network reads of params.yaml."""

    seed: int = Field(ge=0)
    lr: float = Field(gt=0, le=10)
    epochs: int = Field(ge=1)
    labels: dict[LabelName, Label]
    preprocess: Preprocess
    train: Train


def params_of(architecture: str) -> type[Shared]:
    """Return the class of what this run reads: the shared keys and its own entry of `architectures`, no other's."""
    section: Any = one_entry(architecture, Architecture)
    return create_model("Params", __base__=Shared, architectures=(section, ...))


def recipe_of(params: Any, architecture: Architecture, seed: int) -> Recipe:
    """Return the recipe that params.yaml describes, with the training's own seed."""
    train = params.train
    shared = {key: getattr(train, key) for key in ("batch_size", "warmup", "clip_norm", "mean", "std", "freeze")}
    scale = train.backbone_scale if architecture.backbone_scale is None else architecture.backbone_scale
    return Recipe(params.lr, scale, params.epochs, seed=seed, **shared, **train.imbalance.model_dump())
