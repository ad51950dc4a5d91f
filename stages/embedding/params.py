"""The section `embedding`."""

from typing import Annotated, Any

from pydantic import Field

from stages.common.core.params import Strict
from stages.common.labels import Label, LabelName
from stages.common.protocols import FoldKey, Nothing, Protocol


class Embedding(Strict):
    """The section `embedding`."""

    architecture: str  # a key of `architectures`; where it was dropped, the first that is declared
    protocol: Protocol  # whose training side the network learnt; where it was dropped, the first that is declared
    max_frames: int = Field(ge=10)  # evenly spaced over all frames: time and memory grow with the square
    components: int = Field(ge=2)  # principal components that t-SNE starts from
    perplexity: float = Field(ge=2)  # of t-SNE: how many neighbours a frame counts, about


class Params(Strict):
    """What this stage reads of params.yaml."""

    seed: int = Field(ge=0)
    labels: dict[LabelName, Label]
    architectures: Annotated[dict[str, Any], Field(min_length=1)]
    protocols: dict[Protocol, Nothing]
    folds: dict[FoldKey, Nothing]
    embedding: Embedding
