"""What stands between the cells of a CSV: spreadsheet programs of other languages put semicolons there, or tabs."""

import io

DELIMITERS = ",;\t"


def delimiter_of(text: str) -> str:
    """Return the delimiter that a table's first line has most of; a comma where it has none."""
    return max(DELIMITERS, key=io.StringIO(text, newline=None).readline().count)
