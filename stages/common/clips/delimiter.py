"""What stands between the cells of a CSV: spreadsheet programs of other languages put semicolons there, or tabs."""

import io

DELIMITERS = ",;\t"


def delimiter_of(text: str) -> str:
    """Return the delimiter that the heading has most of, a comma where it has none; empty lines may stand above."""
    heading = next((line for line in io.StringIO(text, newline=None) if line.strip()), "")
    return max(DELIMITERS, key=heading.count)
