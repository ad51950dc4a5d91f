"""Whether an 'area under the ROC curve' was computed from yes and no, which makes it the balanced accuracy."""

import math
from collections.abc import Iterator

from stages.audit.compared import Compared
from stages.audit.exact import coincidence, exact_metrics, is_rounded
from stages.audit.table import Column, Table


def areas_from_answers(table: Table, chance: float) -> Iterator[Compared]:
    """Yield one comparison a column that prints areas beside counts.

    One area may equal the balanced accuracy by chance, and must where the classes separate perfectly or all answers are
    the same. Found is a column in which every area that could differ does not, when so many coincide by chance (the
    product of `coincidence` over labels, times the number of columns: Bonferroni) less often than `chance`.
    """
    columns = {name: told for name, column in table.columns.items() if (told := _telling(column))}
    for name, told in columns.items():
        chances = [chance_of for _, _, _, chance_of in told]
        by_chance = math.prod(chances) * len(columns)
        equal = all(same for _, _, same, _ in told)
        yield Compared(
            where=f"{name}, ROC AUC of {', '.join(label for label, *_ in told)}",
            what="the areas are the balanced accuracies of the yes and no answers: computed without scores",
            expected=f"areas from scores, which would all coincide so with a chance below {by_chance:.2g}",
            got=", ".join(f"{label} {area}" for label, area, *_ in told) + " = (recall + specificity) / 2",
            holds=not (equal and by_chance < chance),
        )


def _telling(column: Column) -> list[tuple[str, str, bool, float]]:
    """Return label, area, whether it is the balanced accuracy, chance of that: where it could be otherwise."""
    found = []
    for label, of_label in column.labels.items():
        area = of_label.block.metrics.get("roc_auc") if of_label.block else None
        if of_label.block and area is not None:
            by_chance = coincidence(of_label.block.counts, area)
            balanced = exact_metrics(of_label.block.counts)["balanced_accuracy"]
            found += [(label, area, is_rounded(area, balanced), by_chance)] if by_chance < 1 else []
    return found
