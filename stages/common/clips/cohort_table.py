"""Read a cohort's clips.csv, however a spreadsheet program wrote it, into text cells under known headings."""

import io
from pathlib import Path

import pandas as pd

from stages.common.clips.delimiter import delimiter_of
from stages.common.clips.inside import NotOfCohortError, read_table_bytes
from stages.common.core.errors import PipelineError, Problem, raise_all

TABLE = "clips.csv"
REQUIRED = ("clip", "file", "patient")
OPTIONAL = ("position", "depth_cm", "crop")


def read_table(path: Path) -> tuple[pd.DataFrame, list[Problem]]:
    """Return the rows of clips.csv that are not blank, and the columns that have no meaning.

    Args:
        path: the file.

    Returns:
        a column of text a heading, in lower case; the index is a row's number in a spreadsheet.

    Raises:
        PipelineError: the table cannot be read, has no row, or lacks columns.
    """
    table = _read(path)
    raise_all(_missing(table), f"{path} cannot be used")
    return table, _unknown_columns(table)


def _read(path: Path) -> pd.DataFrame:
    try:
        # utf-8-sig: Excel's 'CSV UTF-8' begins with a byte order mark
        text = read_table_bytes(path, path.parent).decode("utf-8-sig")
        table = _parsed(text.lstrip("\r\n"))
    except FileNotFoundError as error:
        raise PipelineError(
            f"{path}: expected a table with the columns {', '.join(REQUIRED)}, got no such file. "
            "Check `cohort` in params.yaml, or run `dvc pull`."
        ) from error
    except NotOfCohortError as error:
        raise PipelineError(f"{path.parent}: {error.problem}") from error
    except (OSError, ValueError) as error:
        raise PipelineError(f"{path} cannot be read as a CSV: {error}. Save it as comma-separated UTF-8.") from error
    if isinstance(table.index, pd.RangeIndex):
        table.index += 2 + len(text.splitlines()) - len(text.lstrip("\r\n").splitlines())  # the header is row 1
        filled = table.map(str.strip).ne("").any(axis=1)
        return table[filled].rename(columns=lambda heading: heading.strip().lower())
    # pandas takes surplus cells for an index: a crop `1,2,3,4` without quotes would shift every column
    raise PipelineError(f"{path}: rows hold more cells than the header. Put a crop in quotes, or write it with spaces.")


def _parsed(text: str) -> pd.DataFrame:
    return pd.read_csv(
        io.StringIO(text),
        sep=delimiter_of(text),
        dtype=str,
        keep_default_na=False,
        skipinitialspace=True,
        skip_blank_lines=False,  # else the rows below one would be called by other numbers than a spreadsheet's
    )


def _missing(table: pd.DataFrame) -> list[Problem]:
    """Return why no row can be read."""
    found = ", ".join(table.columns)
    missing = [name for name in REQUIRED if name not in table.columns]
    problems = [Problem(TABLE, "column missing", name, found, "Add the column.") for name in missing]
    twice = sorted(set(table.columns[table.columns.duplicated()]))
    problems += [Problem(TABLE, "column twice", f"one column {name}", found, "Remove one.") for name in twice]
    if table.empty:
        problems.append(Problem(TABLE, "no clips", "a row a clip", "none", "Add the clips."))
    return problems


def _unknown_columns(table: pd.DataFrame) -> list[Problem]:
    allowed = ", ".join(REQUIRED + OPTIONAL)
    unknown = [name for name in table.columns if name not in REQUIRED + OPTIONAL]
    return [Problem(TABLE, "unknown column", allowed, repr(name), "Remove or rename it.") for name in unknown]
