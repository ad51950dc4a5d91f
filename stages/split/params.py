"""What split reads of params.yaml."""

from typing import Annotated, Any

from pydantic import Field, model_validator

from stages.common.core.params import Strict
from stages.common.protocols import FoldKey, Nothing, Protocol
from stages.split.patient_search import Search


class Shares(Strict):
    """Whole per cent of the frames on each side."""

    train: Annotated[int, Field(gt=0)]
    validation: Annotated[int, Field(gt=0)]
    test: Annotated[int, Field(gt=0)]

    @model_validator(mode="after")
    def _whole(self) -> "Shares":
        if (total := self.train + self.validation + self.test) != 100:
            raise ValueError(f"per cent that add up to 100, not {total}")
        return self


class Split(Strict):
    """The section `split`."""

    shares: Shares  # the study's 70, 10, 20
    search: Search  # the effort for the patient protocols


class Params(Strict):
    """What this stage reads of params.yaml."""

    seed: Annotated[int, Field(ge=0)]
    labels: Annotated[dict[str, Any], Field(min_length=1)]  # the keys are the label columns
    protocols: dict[Protocol, Nothing]
    folds: dict[FoldKey, Nothing]  # keys "0", "1", ...; empty: no leave-one-patient-out
    split: Split
