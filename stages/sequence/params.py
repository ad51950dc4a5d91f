"""What this stage reads of params.yaml."""

from typing import Annotated, Any, Literal

from pydantic import Field, create_model, field_validator, model_validator

from stages.common.core.errors import Problem, raise_all
from stages.common.core.params import Strict, one_entry
from stages.common.labels import Imbalance, Label, LabelName
from stages.common.protocols import PATIENT_DISJOINT, FoldKey, Nothing, Protocol, declared
from stages.sequence.networks import Shape

Chooser = Literal["validation", "fixed"]
SMOOTHERS = ("median", "hmm")  # of a network's probabilities
Share = Annotated[float, Field(ge=0, lt=1)]
Seconds = Annotated[float, Field(gt=0, le=3600)]


class ChosenBy(Strict):
    """How epoch, window and temperature are settled, a protocol each: by validation, or fixed beforehand."""

    patient: Chooser
    leave_one_patient_out: Chooser


class Smoothing(Strict):
    """What a smoother may be: `tried` on validation, or `fixed` beforehand."""

    tried: Annotated[list[Annotated[float, Field(gt=0, le=3600)]], Field(min_length=1)]
    fixed: Annotated[float, Field(gt=0, le=3600)]


class Section(Strict):
    """Section `sequence`."""

    causal: bool  # a frame is answered from itself and earlier ones
    window_s: Seconds  # attention reaches so far back, and ahead where not causal
    median_s: Smoothing  # window of the median
    temperature: Smoothing  # of the hidden Markov model: what a frame's evidence is divided by
    gap_s: Seconds  # frames further apart know nothing of each other
    assumed_rate_hz: Annotated[float, Field(gt=0, le=1000)]  # of clips that state neither times nor a rate
    components: Annotated[int, Field(ge=1, le=4096)] | None  # main components of the features that are kept; null: all
    hidden: Annotated[int, Field(ge=2, le=1024)]
    layers: Annotated[int, Field(ge=1, le=8)]
    heads: Annotated[int, Field(ge=1, le=64)]  # of attention
    dropout: Share
    noise: Annotated[float, Field(ge=0, le=10)]  # standard deviation of what is added to inputs in training
    weight_decay: Annotated[float, Field(ge=0, le=10)]
    lr: Annotated[float, Field(gt=0, le=1)]
    epochs: Annotated[int, Field(ge=1, le=10000)]
    batch: Annotated[int, Field(ge=1, le=4096)]  # stretches a step
    clip_norm: Annotated[float, Field(gt=0)]
    chosen_by: ChosenBy
    threads: Annotated[int, Field(ge=1, le=256)]

    @field_validator("hidden")
    @classmethod
    def _even(cls, value: int) -> int:
        if value % 2:
            raise ValueError("an even number: time turns units in pairs")
        return value

    @model_validator(mode="after")
    def _divisible(self) -> "Section":
        if self.hidden % (2 * self.heads):
            raise ValueError(f"hidden a multiple of twice heads ({2 * self.heads}): each head turns pairs of units")
        return self


class Entry(Strict):
    """An entry of `sequences`."""

    model: Literal["gru", "lstm", "transformer", "median", "hmm"]
    features: str  # a key of `architectures`: its features, or for median and hmm its probabilities


class Shared(Strict):
    """What every system reads of params.yaml."""

    seed: int = Field(ge=0)
    labels: Annotated[dict[LabelName, Label], Field(min_length=1)]
    protocols: dict[Protocol, Nothing]
    folds: dict[FoldKey, Nothing]
    sequence: Section


def params_of(system: str) -> type[Shared]:
    """Return the class of what this run reads: the shared keys and its own entry of `sequences`, no other's.

    Of section `train` it reads `imbalance` alone, which tells what the network's probabilities lean on.
    """
    section, train = one_entry(system, Entry), one_entry("imbalance", Imbalance)
    more: dict[str, Any] = {"sequences": (section, ...), "train": (train, ...)}
    return create_model("Params", __base__=Shared, **more)


def disjoint_folds(params: Shared) -> dict[str, list[str]]:
    """Return the declared patient-disjoint protocols and their folds.

    Raises:
        PipelineError: there is none: under `frame` parts of one clip stand on all sides, and no clip is whole.
    """
    folds = declared(params.protocols, params.folds)
    chosen = {protocol: keys for protocol, keys in folds.items() if protocol in PATIENT_DISJOINT}
    got, expected = ", ".join(folds) or "none", "`patient` among protocols, or folds"
    remedy = "Declare one, or empty `sequences`: a model over time needs whole clips on one side."
    raise_all(
        [] if chosen else [Problem("params.yaml: protocols", "no patient-disjoint protocol", expected, got, remedy)],
        "params.yaml has mistakes",
    )
    return chosen


def shape_of(section: Section, inputs: int, labels: int) -> Shape:
    """Return the shape of a network on so many inputs and labels."""
    same = ("hidden", "layers", "heads", "dropout", "causal", "window_s", "gap_s")
    return Shape(inputs, labels, **{name: getattr(section, name) for name in same})
