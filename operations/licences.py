"""Write docs/licences.md: every package of requirements.lock, and the licence that its own metadata states.

    python -m operations.licences

Packages of other platforms (NVIDIA's libraries on a machine without them) are listed as not installed here.
"""

import re
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

LOCK = Path("requirements.lock")
PAGE = Path("docs/licences.md")
HEAD = """# Licences of what is installed

From each package's own metadata, by `python -m operations.licences`. What requirements.txt names is permissive. DVC
brings four that are not, or not only: `pygit2` (GPL-2.0 with an exception for linking), `grandalf` (GPL-2.0 or
EPL-1.0), `asyncssh` (EPL-2.0 or GPL-2.0) and `dulwich` (Apache-2.0 or GPL-2.0). They run beside this project's code
and are no part of it. A wheel may hold more than its metadata says: `av` is BSD-3, and its wheel for Linux bundles an
FFmpeg that calls itself LGPL-3.0 and is linked with `libx264` and `libx265` (GPL-2.0 or later), bundled too. Whoever
hands that wheel on, such as in an image, hands on works under the GPL. This project hands no wheel on; only its tests
encode with x264.

| package | licence |
|---|---|"""
NOT_HERE = "not installed on the machine that wrote this"


def locked(text: str) -> list[tuple[str, str]]:
    """Return package and version of every entry of a lock file; some have one a platform."""
    return re.findall(r"^([A-Za-z0-9_.-]+)==([^\s;\\]+)", text, flags=re.MULTILINE)


def licence_of(package: Distribution) -> str:
    """Return the licence that a package states: its SPDX expression, else its classifiers, else its own words."""
    metadata = package.metadata
    expression = (metadata.get_all("License-Expression") or [""])[0]
    classifiers = [entry.rsplit(" :: ", 1)[-1] for entry in metadata.get_all("Classifier", []) if "License ::" in entry]
    words = (metadata.get_all("License") or ["not stated"])[0]
    stated = expression or "; ".join(classifiers) or words.strip().splitlines()[0]
    return stated.replace("|", "/").strip()


def row(name: str) -> str:
    """Return a package's line of the page."""
    try:
        return f"| {name} | {licence_of(distribution(name))} |"
    except PackageNotFoundError:
        return f"| {name} | {NOT_HERE} |"


def main() -> None:
    """Write the page."""
    packages = sorted({name for name, _ in locked(LOCK.read_text(encoding="utf-8"))})
    PAGE.write_text("\n".join([HEAD, *map(row, packages)]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
