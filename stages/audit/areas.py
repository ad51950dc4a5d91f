"""Whether an 'area under the ROC curve' was computed from yes and no, which makes it the balanced accuracy."""

import math
from collections.abc import Iterator, Mapping

from stages.audit.compared import Compared
from stages.audit.exact import coincidence, exact_metrics, is_rounded
from stages.audit.table import Block, Column, Table

Cell = tuple[str, str, bool, float]  # name, area, whether it is the balanced accuracy, the chance of that


def areas_from_answers(table: Table, chance: float) -> Iterator[Compared]:
    """Yield one comparison a group of areas beside counts: a column's labels, and its pooled area.

    An area must equal the balanced accuracy where the classes separate perfectly or all answers are the same: those are
    left out. Any other may by chance. All that do so in a group are reported together, with the product of their
    `coincidence` (labels taken as independent), times the sets of as many labels that could have been these, times the
    sizes of a set, times the groups in the table (Bonferroni). A finding where that is below `chance`; so all findings
    in a table that is right together are less likely than `chance`. Suspicious otherwise: one label alone always is.
    The labels of all columns are a group of their own, and so are their pooled areas: one column may be too short to
    tell what twenty do.
    A pooled area is taken as that of all answers in one heap, not as a mean over labels.
    """
    of_columns = {name: _groups(column) for name, column in table.columns.items()}
    groups = [(name, cells) for name, parts in of_columns.items() for cells in parts if cells]
    groups += [("all columns", cells) for cells in _over_columns(of_columns)]
    for name, cells in groups:
        equal = [cell for cell in cells if cell[2]]
        looks = math.comb(len(cells), len(equal)) * len(cells) * len(groups)
        by_chance = min(1.0, math.prod(cell[3] for cell in equal) * looks)
        found = by_chance < chance
        yield Compared(
            where=f"{name}, ROC AUC of {', '.join(cell[0] for cell in equal or cells)}",
            what="the areas are the balanced accuracies of the yes and no answers: "
            + ("computed without scores" if found else "computed without scores, or by chance"),
            expected=f"areas from scores, which would all coincide so with a chance below {by_chance:.2g}",
            got=", ".join(f"{label} {area}" for label, area, *_ in equal) + " = (recall + specificity) / 2",
            holds=not equal,
            level="finding" if found else "suspicious",
        )


def _over_columns(of_columns: Mapping[str, list[list[Cell]]]) -> Iterator[list[Cell]]:
    """Yield all columns' cells, labels then pooled, where more than one column has the area of its answers."""
    for kind in zip(*of_columns.values(), strict=True):
        if sum(any(cell[2] for cell in cells) for cells in kind) > 1:
            named = zip(of_columns, kind, strict=True)
            yield [(f"{column} {cell[0]}", *cell[1:]) for column, cells in named for cell in cells]


def _groups(column: Column) -> list[list[Cell]]:
    """Return the cells of the labels, and that of all labels pooled, where they could differ from the answers'."""
    pooled = Block(counts=column.counts, metrics=column.metrics)
    labels = [cell for label, of in column.labels.items() if of.block for cell in _telling(label, of.block)]
    return [labels, _telling("all labels", pooled)]


def _telling(name: str, block: Block) -> list[Cell]:
    area = block.metrics.get("roc_auc")
    if area is None:
        return []
    by_chance = coincidence(block.counts, area)
    balanced = exact_metrics(block.counts)["balanced_accuracy"]
    return [(name, area, is_rounded(area, balanced), by_chance)] if by_chance < 1 else []
