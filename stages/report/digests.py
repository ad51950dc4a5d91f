"""What exactly the page was made from: a digest of every input, computed here.

Never read from dvc.lock: a stage whose output depends on the lock changes the lock, and would rerun for ever.
"""

import hashlib
from pathlib import Path

from stages.report.inputs import HEATMAPS, OTHERS, result_files, table_files

SHOWN = 12  # hexadecimal digits; enough to tell files apart by eye


def inputs() -> list[Path]:
    """Return the files, and the folder of heatmaps, whose digests the page prints: what dvc.yaml declares as data."""
    return [*OTHERS, *result_files().values(), *table_files().values(), HEATMAPS]


def digest(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal; of a folder that of its files' names and digests, sorted."""
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file())
        lines = [f"{file.relative_to(path).as_posix()} {digest(file)}\n" for file in files]
        return hashlib.sha256("".join(lines).encode()).hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digests(folder: Path = Path()) -> list[tuple[str, str]]:
    """Return (file, first digits of its SHA-256), sorted by file."""
    return [(path.as_posix(), digest(folder / path)[:SHOWN]) for path in sorted(inputs())]
