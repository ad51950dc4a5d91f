"""The labels as params.yaml declares them: another organ's labels stand in the same place."""

from pydantic import Field

from stages.common.params import Strict


class Label(Strict):
    """An entry of `labels`; its key names the label everywhere downstream, its order is the networks' output order."""

    column: str = Field(min_length=1)  # its column in the expert's sheets, compared without case, spaces, punctuation
