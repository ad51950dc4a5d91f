"""Take rows out of a CSV, line by line as it stands: what stays keeps every byte, however it is quoted."""

import csv
import io
from collections.abc import Callable, Sequence

from stages.common.sheets.csv_file import delimiter_of

MARK = "\ufeff"  # Excel's 'CSV UTF-8' begins with it; it belongs to no cell


def delimiter(text: str) -> str:
    """Return the delimiter of a CSV's heading, above which empty lines may stand."""
    return delimiter_of(next((line for line in text.splitlines() if line.strip()), ""))


def without_rows(
    text: str, column: str, names: Sequence[str], normal: Callable[[str], str], spaced: bool = False
) -> str:
    """Return a CSV's text without the rows that have one of `names` in `column`.

    Args:
        text: the whole file; its line ends as they are.
        column: heading of the column.
        names: what its cells say in rows that go.
        normal: what counts of a heading; it makes two spellings equal.
        spaced: whether blanks after a delimiter are no part of a cell, so that a quote may follow them.

    Raises:
        ValueError: no heading is `column`.
    """
    mark, body = (MARK, text[1:]) if text.startswith(MARK) else ("", text)
    lines = io.StringIO(body, newline="").readlines()
    reader = csv.reader(iter(lines), delimiter=delimiter(body), skipinitialspace=spaced)
    heading = next(cells for cells in reader if any(cell.strip() for cell in cells))  # empty lines may stand above it
    place = [normal(title) for title in heading].index(normal(column))
    kept, begin = lines[: reader.line_num], reader.line_num
    for cells in reader:  # a quoted cell may run over several lines: they stay or go together
        if len(cells) <= place or cells[place].strip() not in names:
            kept += lines[begin : reader.line_num]
        begin = reader.line_num
    return mark + "".join(kept)
