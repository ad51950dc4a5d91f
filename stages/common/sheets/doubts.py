"""What is said of a column that is absent, or that may mean something else than what it resembles."""

from stages.common.core.errors import Problem
from stages.common.sheets.findings import Finding
from stages.common.sheets.names import as_yaml, normal
from stages.common.sheets.rows import Sheet
from stages.common.sheets.settings import LabelParams


def mentions(form: str, label: str, params: LabelParams) -> bool:
    """Return whether a heading's normal form holds a label or its column's heading."""
    return normal(params.labels[label].column) in form or normal(label) in form


def unclear(sheet: Sheet, heading: str, derived: str, params: LabelParams) -> Finding:
    """Return that `heading` seems to be 'A' but for something, which only the expert can tell."""
    rule, title = params.label_merge.without[derived], as_yaml(sheet.title)
    remedy = (
        "Ask the expert what 1 means in this sheet, then set in params.yaml "
        f"label_merge.column_aliases: {{{as_yaml(heading)}: {as_yaml(rule.column)}}} and "
        f"label_merge.definitions: {{{title}: {derived}}} or {{{title}: {rule.label}}}. "
        "Should it mean the opposite, invert and rename the column in the sheet instead."
    )
    says = f"mentions {rule.without}" if mentions(normal(heading), rule.without, params) else "leaves something out"
    what = f"column '{heading}' {says}, so it may be another definition than '{rule.label}'"
    expected = f"a column '{params.labels[rule.label].column}' or '{rule.column}'"
    return Finding("definition", Problem(sheet.where, what, expected, f"'{heading}'", remedy))


def undefined(sheet: Sheet, column: str, label: str, derived: str) -> Finding:
    """Return that a sheet holds the column 'A without B', and nobody has said what 1 means in it."""
    title = as_yaml(sheet.title)
    remedy = (
        "Ask the expert what 1 means in this sheet, then set in params.yaml "
        f"label_merge.definitions: {{{title}: {derived}}} or {{{title}: {label}}}."
    )
    what = f"column '{column}' is another definition than '{label}'"
    problem = Problem(sheet.where, what, f"to be told whether it means {derived} or {label}", "neither", remedy)
    return Finding("definition", problem, proposal=("definitions", sheet.title, derived))


def missing(where: str, title: str, got: str, likely: str | None) -> Finding:
    """Return that no column is headed `title`; `likely` is another spelling of it, if there is one."""
    remedy = "Write the headings into the first row of the sheet."
    if likely is not None:
        alias = f"{{{as_yaml(likely)}: {as_yaml(title)}}}"
        remedy = f"Correct the heading, or set in params.yaml label_merge.column_aliases: {alias}."
    return Finding("column", Problem(where, f"no column '{title}'", f"a heading '{title}'", got, remedy))


def doubtful(where: str, title: str, got: str, likely: str) -> Finding:
    """Return that no column is headed `title`, and that `likely` is no mere spelling of it."""
    remedy = (
        f"'{likely}' may mean the opposite of '{title}', or something else: ask the expert what 1 means in it. "
        f"Then rename the column in the sheet, or invert it and rename it, so that 1 means '{title}'."
    )
    return Finding("column", Problem(where, f"no column '{title}'", f"a heading '{title}'", got, remedy))
