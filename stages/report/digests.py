"""What exactly the page was made from: a digest of every input, computed here.

Never read from dvc.lock: a stage whose output depends on the lock changes the lock, and would rerun for ever.
"""

import hashlib
from pathlib import Path

from stages.report.inputs import OTHERS, result_files, table_files

SHOWN = 12  # hexadecimal digits; enough to tell files apart by eye


def inputs() -> list[Path]:
    """Return the files whose digests the page prints."""
    return [*OTHERS, *result_files().values(), *table_files().values()]


def digest(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digests(folder: Path = Path()) -> list[tuple[str, str]]:
    """Return (file, first digits of its SHA-256), sorted by file."""
    return [(path.as_posix(), digest(folder / path)[:SHOWN]) for path in sorted(inputs())]
