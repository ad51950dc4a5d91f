"""What must hold in any table of classification results; what does not hold is a finding.

Each check yields one `Compared` for everything it looked at, so that 'nothing found' also says how much was compared.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

from stages.audit.areas import areas_from_answers
from stages.audit.compared import Compared
from stages.audit.exact import exact_metrics, is_rounded, ratio
from stages.audit.sentences import claimed_extremes, totals
from stages.audit.table import Column, Counts, Metric, Table

Check = Callable[[Table], Iterator[Compared]]


def one_test_set(table: Table) -> Iterator[Compared]:
    """Positives (TP + FN) and negatives (TN + FP) belong to the test set, so every column must have the same."""
    said = f", though the text says: '{table.same_test_set}'" if table.same_test_set else ""
    for label, counts in _tallies(table).items():
        if len(counts) > 1:
            pairs = {column: (of.positives, of.negatives) for column, of in counts.items()}
            got = ", ".join(f"{yes} + {no} in {column}" for column, (yes, no) in pairs.items())
            yield Compared(
                where=f"TP + FN and TN + FP of {label}",
                what=f"the columns do not come from one test set{said}",
                expected="the same positives + negatives in every column",
                got=got,
                holds=len(set(pairs.values())) == 1,
            )


def _tallies(table: Table) -> dict[str, dict[str, Counts]]:
    """Return `all labels` and each label with blocks -> column -> counts."""
    found = {"all labels": {name: column.counts for name, column in table.columns.items()}}
    for name, column in table.columns.items():
        for label, of_label in column.labels.items():
            if of_label.block:
                found.setdefault(label, {})[name] = of_label.block.counts
    return found


def number_of_decisions(table: Table) -> Iterator[Compared]:
    """TN + FP + FN + TP is the number of known labels: frames x labels where none is unknown."""
    for label, counts in _tallies(table).items():
        expected = _expected(table, table.decisions, label)
        yes = _expected(table, table.positives, label)
        for column, of in counts.items():
            total = of.positives + of.negatives
            if expected is not None:
                where, what = f"{column}, {label}", "TN + FP + FN + TP is not the number of decisions"
                yield Compared(where, what, str(expected), str(total), total == expected)
            if yes is not None:
                where, what = f"{column}, {label}", "TP + FN is not the number of positives that the labels have"
                yield Compared(where, what, str(yes), str(of.positives), of.positives == yes)


def within_frames(table: Table) -> Iterator[Compared]:
    """A frame has one answer a label at most: no label has more than there are frames, nor all of them together."""
    for label, counts in _tallies(table).items() if table.frames is not None else ():
        for column, of in counts.items():
            labels = len(table.columns[column].labels) if label == "all labels" else 1
            most, total = (table.frames or 0) * labels, of.positives + of.negatives
            if labels:
                what = "more answers than frames" + (f" x {labels} labels" if labels > 1 else "")
                yield Compared(f"{column}, {label}", what, f"at most {most}", str(total), total <= most)


def _expected(table: Table, by_label: Mapping[str, int], label: str) -> int | None:
    if label != "all labels":
        return by_label.get(label)
    labels = next(iter(table.columns.values())).labels or by_label
    return sum(by_label[name] for name in labels) if by_label and set(labels) <= set(by_label) else None


def rounded_metrics(table: Table) -> Iterator[Compared]:
    """Every printed metric is what its counts give, to the digits printed."""
    for name, column in table.columns.items():
        yield from _metrics(name, column.metrics, exact_metrics(column.counts) | {"macro_f1": _macro_f1(column)})
        for label, of_label in column.labels.items():
            if of_label.block:
                yield from _metrics(f"{name}, {label}", of_label.block.metrics, exact_metrics(of_label.block.counts))


def _metrics(where: str, printed: Mapping[Metric, str], exact: Mapping[str, Fraction | None]) -> Iterator[Compared]:
    for metric, value in printed.items():
        if metric in exact:
            right = exact[metric]
            expected = "no value (0 / 0)" if right is None else f"{float(right):.6f}"
            what = "does not follow from the counts"
            yield Compared(f"{where}, {metric}", what, expected, value, is_rounded(value, right))


def _macro_f1(column: Column) -> Fraction | None:
    """Return the mean F1 over the labels that have positives; None without a block for each label."""
    blocks = [of_label.block for of_label in column.labels.values()]
    counts = [block.counts for block in blocks if block and block.counts.positives]
    f1 = [ratio(2 * of.TP, 2 * of.TP + of.FP + of.FN) or Fraction(0) for of in counts]
    return sum(f1, Fraction(0)) / len(f1) if f1 and None not in blocks else None


def label_sums(table: Table) -> Iterator[Compared]:
    """The counts of the labels add up to the pooled count."""
    for name, column in table.columns.items():
        rows = {kind: [getattr(of, kind) for of in column.labels.values()] for kind in ("FP", "FN")}
        blocks = [of.block.counts for of in column.labels.values() if of.block]
        if len(blocks) == len(column.labels):
            rows |= {kind: [getattr(of, kind) for of in blocks] for kind in ("TN", "TP")}
        for kind, parts in rows.items():
            if parts:
                pooled = getattr(column.counts, kind)
                got = f"{' + '.join(map(str, parts))} = {sum(parts)}"
                what = "the labels do not add up to the pooled count"
                yield Compared(f"{name}, {kind}", what, str(pooled), got, sum(parts) == pooled)


def label_blocks(table: Table) -> Iterator[Compared]:
    """A label's own block repeats the errors of the table's rows."""
    for name, column in table.columns.items():
        for label, of_label in column.labels.items():
            for kind in ("FP", "FN") if of_label.block else ():
                row, block = getattr(of_label, kind), getattr(of_label.block.counts, kind)  # type: ignore[union-attr]
                what = "the label's block and the table's row differ"
                yield Compared(f"{name}, {kind} {label}", what, str(row), str(block), row == block)


def misclassified_frames(table: Table) -> Iterator[Compared]:
    """A frame has at most one error a label: as many frames as the worst label's errors, at most one frame an error."""
    for name, column in table.columns.items():
        if column.misclassified is not None:
            errors = column.counts.FP + column.counts.FN
            of_labels = [of.FP + of.FN for of in column.labels.values()]
            least, most = max(of_labels, default=min(errors, 1)), min(errors, table.frames or errors)
            expected, got = f"from {least} to {most}", str(column.misclassified)
            what = f"misclassified frames do not fit {errors} wrong answers"
            holds = least <= column.misclassified <= most
            yield Compared(f"{name}, misclassified frames", what, expected, got, holds)


@dataclass(frozen=True)
class Kind:
    """A check, what it looks at, and why there may be nothing to look at."""

    check: Check
    rule: str
    otherwise: str


def kinds(chance: float) -> dict[str, Kind]:
    """Return every check by name, in the order in which findings are numbered.

    Args:
        chance: areas are called balanced accuracies where so many coincide by chance less often than this.
    """
    return {
        "one_test_set": Kind(one_test_set, "TP + FN and TN + FP are equal in every column", "one column alone"),
        "decisions": Kind(
            number_of_decisions, "TN + FP + FN + TP is the number of known labels", "the number of frames is not said"
        ),
        "frames": Kind(
            within_frames,
            "no label has more answers than there are frames",
            "the number of frames, or the labels, are not said",
        ),
        "label_sums": Kind(label_sums, "the labels' counts add up to the pooled ones", "no count of a single label"),
        "label_blocks": Kind(label_blocks, "a label's block repeats the table's rows", "no label has a block"),
        "rounding": Kind(rounded_metrics, "metrics follow from the counts, rounded as printed", "no metric is printed"),
        "area_from_answers": Kind(
            lambda table: areas_from_answers(table, chance),
            "no 'ROC AUC' is only the balanced accuracy of the yes and no answers",
            "no label's area is printed beside its counts, where it could differ from the balanced accuracy",
        ),
        "misclassified": Kind(
            misclassified_frames, "misclassified frames fit the errors of the labels", "they are not printed"
        ),
        "extremes": Kind(claimed_extremes, "what a sentence calls largest or smallest is", "no sentence says so"),
        "totals": Kind(totals, "parts add up to their total", "no total is printed beside its parts"),
    }
