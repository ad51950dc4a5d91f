"""A table of classification results as data: what a report prints, digit for digit, and what it says of it.

The form of published.yaml, and of our own tables before they are checked. Every part but the pooled counts is optional:
a check that finds nothing to compare says so.
"""

from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationError, field_validator, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError

from stages.common.core.errors import PipelineError
from stages.common.core.params import Strict

Count = Annotated[int, Field(ge=0)]
Printed = Annotated[str, Field(pattern=r"^-?\d+(\.\d+)?$")]  # as text: `0.9720` was rounded to four decimals


def _share(printed: str) -> str:
    if (value := Decimal(printed)) > 1:
        raise ValueError(f"as a share of 1: {value.scaleb(-2)}" if value <= 100 else "a share of 1")
    return printed


Share = Annotated[Printed, AfterValidator(_share)]  # in per cent it would follow from no counts
Metric = Literal["accuracy", "precision", "recall", "specificity", "f1", "balanced_accuracy", "roc_auc", "macro_f1"]


class Counts(Strict):
    """A confusion of yes and no."""

    TN: Count
    FP: Count
    FN: Count
    TP: Count

    @property
    def positives(self) -> int:
        """How many of the decisions are truly yes: the test set's, whoever answers."""
        return self.TP + self.FN

    @property
    def negatives(self) -> int:
        """How many are truly no."""
        return self.TN + self.FP


class Block(Strict):
    """What is printed of one label alone."""

    counts: Counts
    metrics: dict[Metric, Share] = Field(default_factory=dict)


class OfLabel(Strict):
    """The rows `FP <label>` and `FN <label>`, and the label's own block where there is one."""

    FP: Count
    FN: Count
    block: Block | None = None


class Column(Strict):
    """One model: micro averages and counts pooled over all labels, then label by label."""

    counts: Counts
    metrics: dict[Metric, Share] = Field(default_factory=dict)
    labels: dict[str, OfLabel] = Field(default_factory=dict)
    misclassified: Count | None = None  # frames with at least one wrong label


class Claim(Strict):
    """A sentence that calls one column the largest or smallest in a row, or in the sum of several rows."""

    quote: str
    rows: Annotated[list[str], Field(min_length=1)]
    extreme: Literal["largest", "smallest"]
    column: str
    value: Printed | None = None  # the number that the sentence gives
    reading: str | None = None  # another way to read it, by which it may hold: then it is suspicious, and no finding


class Total(Strict):
    """A total that stands beside its parts."""

    quote: str
    total: Count
    parts: dict[str, Count]


class Table(Strict):
    """One table; all its columns are said to come from one test set."""

    source: str
    same_test_set: str | None = None  # the sentence that says so
    frames: Count | None = None  # test frames
    decisions: dict[str, Count] = Field(default_factory=dict)  # label -> test frames of which the label is known
    positives: dict[str, Count] = Field(default_factory=dict)  # label -> of those truly yes, counted in the labels
    columns: Annotated[dict[str, Column], Field(min_length=1)]
    rows: dict[str, dict[str, Printed]] = Field(default_factory=dict)  # further rows that claims speak of
    claims: list[Claim] = Field(default_factory=list)
    totals: list[Total] = Field(default_factory=list)

    @field_validator("columns")
    @classmethod
    def _same_labels(cls, columns: dict[str, Column]) -> dict[str, Column]:
        if len({frozenset(column.labels) for column in columns.values()}) > 1:
            raise ValueError("the same labels in every column")
        return columns

    @model_validator(mode="after")
    def _claims_speak_of_the_table(self) -> "Table":
        for claim in self.claims:
            for row in claim.rows:
                if claim.column not in row_of(self, row):
                    raise ValueError(f"a row and column that the table has, got {row!r} of {claim.column!r} in a claim")
        return self


def row_of(table: Table, row: str) -> dict[str, Fraction]:
    """Return column -> the number printed in `row`, without the columns that print none.

    Args:
        table: any table.
        row: a metric, one of TN, FP, FN, TP, `FP <label>`, `FN <label>`, `misclassified`, or a further row.
    """
    if row in table.rows:
        return {column: Fraction(value) for column, value in table.rows[row].items()}
    found = {name: _cell(column, row) for name, column in table.columns.items()}
    return {name: Fraction(value) for name, value in found.items() if value is not None}


def _cell(column: Column, row: str) -> str | int | None:
    _, _, label = row.partition(" ")
    cells: dict[str, str | int | None] = {
        **{str(name): value for name, value in column.metrics.items()},
        **column.counts.model_dump(),
        "misclassified": column.misclassified,
    }
    if label:
        of_label = column.labels.get(label)
        cells = {} if of_label is None else {f"FP {label}": of_label.FP, f"FN {label}": of_label.FN}
    return cells.get(row)


def read_table(path: Path) -> Table:
    """Return a table written down as YAML.

    Raises:
        PipelineError: the file cannot be read, or one message with every key that is wrong.
    """
    try:
        content = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
        return Table.model_validate(content)
    except (MarkedYAMLError, UnicodeDecodeError, OSError) as error:
        raise PipelineError(f"{path} cannot be read as YAML: {error}.") from error
    except ValidationError as error:
        listed = [
            f"  - {'.'.join(map(str, detail['loc'])) or 'table'}: {detail['msg']}, got {str(detail['input'])[:50]!r}"
            for detail in error.errors()
        ]
        shape = "stages/audit/published.yaml shows the form."
        raise PipelineError("\n".join([f"{path} is no table to check:", *listed, shape])) from error
