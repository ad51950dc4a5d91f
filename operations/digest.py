"""A file's hash, read without holding the file."""

import hashlib
from pathlib import Path


def digest(path: Path, name: str) -> str:
    """Return a file's hash, hexadecimal; MD5 is the name that DVC gives its content.

    Args:
        path: the file.
        name: `md5` or `sha256`.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.new(name, usedforsecurity=name != "md5")).hexdigest()
