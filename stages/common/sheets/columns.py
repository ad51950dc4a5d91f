"""Tell which column of a sheet holds which label, and what that column means there."""

from dataclasses import dataclass

from stages.common.core.errors import Problem
from stages.common.sheets.doubts import doubtful, mentions, missing, unclear, undefined
from stages.common.sheets.findings import Finding
from stages.common.sheets.meaning import is_slip, narrows, shares_a_word, signed
from stages.common.sheets.names import close, listed, normal
from stages.common.sheets.rows import Sheet
from stages.common.sheets.said import entry
from stages.common.sheets.settings import LabelParams


@dataclass(frozen=True)
class Column:
    """One column of a sheet: its place, counted from 0, and its heading as written."""

    place: int
    heading: str


@dataclass(frozen=True)
class Columns:
    """Where a sheet holds what.

    Attributes:
        filename: entries that end in the frame's number; None where it is not found.
        labels: label -> its column. A derived label stands here in place of the label it is made of.
    """

    filename: Column | None
    labels: dict[str, Column]


def match_columns(sheet: Sheet, params: LabelParams) -> tuple[Columns | None, list[Finding]]:
    """Return where `sheet` holds its labels, and what hinders; None for an empty sheet.

    With findings, the columns are those found or proposed: to look for other problems in, not to take labels from.
    """
    if not sheet.rows:
        heading = ", ".join([params.label_merge.filename_column, *(label.column for label in params.labels.values())])
        problem = Problem(sheet.where, "empty sheet", f"the heading {heading}", "nothing", "Fill it, or remove it.")
        return None, [Finding("column", problem)]
    columns = _columns(sheet)
    titles = {label: label_column.column for label, label_column in params.labels.items()}
    findings = []
    for derived in params.label_merge.without:
        findings += _define(sheet, columns, titles, derived, params)
    filename, wrong = _find(sheet, columns, params.label_merge.filename_column, params)
    findings += wrong
    labels = {}
    for label, title in titles.items():
        labels[label], wrong = _find(sheet, columns, title, params)
        findings += wrong
    found = {label: column for label, column in labels.items() if column is not None}
    return Columns(filename, found), findings


def _columns(sheet: Sheet) -> list[Column]:
    heading = sheet.rows[0]
    return [
        Column(place, str(text).strip())
        for place in range(len(heading.cells))
        if (text := heading.cell(place)) is not None
    ]


def _define(
    sheet: Sheet, columns: list[Column], titles: dict[str, str], derived: str, params: LabelParams
) -> list[Finding]:
    """Settle in `titles` which column is 'A' or 'A without B': another definition is not another spelling."""
    rule = params.label_merge.without[derived]
    plain, other = params.labels[rule.label].column, rule.column
    meaning = entry(params.label_merge.definitions, sheet)
    if not _candidates(columns, other, params):
        if (mixed := _mixed(columns, derived, params)) is not None:
            del titles[rule.label]
            titles[derived] = mixed.heading
            return [unclear(sheet, mixed.heading, derived, params)]
        if meaning == derived:
            titles[derived] = titles.pop(rule.label)
        return []
    del titles[rule.label]
    if _candidates(columns, plain, params):
        got, remedy = f"'{plain}' and '{other}'", "Keep the column that the expert filled in."
        return [
            Finding(
                "definition", Problem(sheet.where, "two definitions in one sheet", "one of the columns", got, remedy)
            )
        ]
    if meaning is None:
        titles[derived] = other
        return [undefined(sheet, other, rule.label, derived)]
    titles[meaning] = other
    return []


def _mixed(columns: list[Column], derived: str, params: LabelParams) -> Column | None:
    """Return the column that seems to be 'A' but for something, where there is no plain 'A': `FLUID w/o cord`."""
    rule = params.label_merge.without[derived]
    plain = params.labels[rule.label].column
    if _candidates(columns, plain, params):
        return None
    alike = (normal(plain), normal(rule.label))
    for column in _free(columns, params):
        form = normal(column.heading)
        if mentions(form, rule.without, params) and (any(a in form for a in alike) or close(plain, [form])):
            return column
        if narrows(column.heading, plain) or narrows(column.heading, rule.label):
            return column
    return None


def _candidates(columns: list[Column], title: str, params: LabelParams) -> list[Column]:
    """Return the columns that can be `title`, by an alias or by their own heading.

    An identical heading does not win over one spelt otherwise: nobody can tell which of the two was filled in.
    """
    aliases = {normal(key): value for key, value in params.label_merge.column_aliases.items()}
    return [column for column in columns if normal(_meant(column.heading, aliases)) == normal(title)]


def _meant(heading: str, aliases: dict[str, str]) -> str:
    """Return what a heading stands for; nothing expected where only a sign tells it from another: `!CORD`."""
    return aliases.get(normal(heading), "" if signed(heading) else heading)


def _find(sheet: Sheet, columns: list[Column], title: str, params: LabelParams) -> tuple[Column | None, list[Finding]]:
    found = _candidates(columns, title, params)
    if len(found) == 1:
        return found[0], []
    where = f"{sheet.where}, row {sheet.rows[0].number}"
    if found:
        got = f"{len(found)}: {listed(column.heading for column in found)}"
        problem = Problem(where, f"several columns '{title}'", "one", got, "Remove or rename all but one.")
        return None, [Finding("column", problem)]
    likely, got = _likely(columns, title, params), listed(column.heading for column in columns)
    if likely is None or is_slip(likely.heading, title) or _is_filename(title, params):
        return likely, [missing(where, title, got, None if likely is None else likely.heading)]
    # not looked into: were it the opposite, its cells would seem to contradict others
    return None, [doubtful(where, title, got, likely.heading)]


def _likely(columns: list[Column], title: str, params: LabelParams) -> Column | None:
    """Return the column whose heading resembles `title` most, of those that are and mention nothing else."""
    others = [label for label, column in params.labels.items() if normal(column.column) != normal(title)]
    free = {
        column.heading: column
        for column in _free(columns, params)
        if not any(mentions(normal(column.heading), label, params) for label in others)
    }
    slips = [heading for heading in free if is_slip(heading, title)]
    sharing = [heading for heading in free if shares_a_word(heading, title) and not _is_filename(title, params)]
    return next((free[heading] for heading in [*slips, *close(title, list(free)), *sharing]), None)


def _is_filename(title: str, params: LabelParams) -> bool:
    return normal(title) == normal(params.label_merge.filename_column)


def _free(columns: list[Column], params: LabelParams) -> list[Column]:
    """Return the columns that are none of those expected."""
    section = params.label_merge
    known = [section.filename_column, *(label.column for label in params.labels.values())]
    known += [rule.column for rule in section.without.values()]
    return [column for column in columns if not any(_candidates([column], name, params) for name in known)]
