"""Which project files a stage's code is, found by reading its imports: what dvc.yaml must declare.

python -m tests.closure stages.train       prints the list to paste under `deps:`
"""

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]


def file_of(module: str, root: Path = ROOT) -> Path | None:
    """Return the project file that `module` is, or None for anything installed."""
    base = root / module.replace(".", "/")
    for candidate in (base.with_suffix(".py"), base / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


def entry_of(module: str, root: Path = ROOT) -> Path:
    """Return the file that `python -m module` runs."""
    package = root / module.replace(".", "/") / "__main__.py"
    return package if package.is_file() else package.parent.with_suffix(".py")


@cache  # a file is imported by many, and nothing changes while a test reads it
def imported(path: Path) -> tuple[str, ...]:
    """Return every dotted name that may be a module: `from a.b import c` gives a, a.b and a.b.c."""
    return tuple(_imported(path))


def _imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:  # importing a module runs the __init__ of every package above it
            parts = name.split(".")
            yield from (".".join(parts[: end + 1]) for end in range(len(parts)))


def closure(path: Path, root: Path = ROOT) -> set[Path]:
    """Return `path` and every project file that it imports, however indirectly."""
    found: set[Path] = set()
    waiting = [path]
    while waiting:
        current = waiting.pop()
        if current not in found:
            found.add(current)
            waiting += [file for name in imported(current) if (file := file_of(name, root))]
    return found


def folded(files: set[Path], root: Path = ROOT) -> set[Path]:
    """Return what dvc.yaml declares for `files`: the folder of each package, once, and the modules that lie loose.

    DVC reads, hashes and locks every declared path for every stage, so a package of ten modules that ten trainings
    share would cost a hundred of them. Loose are the modules in stages/ and stages/common/ themselves: they change
    for reasons of their own.
    """
    loose = {root / "stages", root / "stages/common"}
    packages = {
        next(folder for folder in file.parents if folder.parent in loose) for file in files if file.parent not in loose
    }
    return packages | {file for file in files if file.parent in loose}


if __name__ == "__main__":
    for module in sys.argv[1:]:
        for path in sorted(folded(closure(entry_of(module)))):
            print(f"    - {path.relative_to(ROOT)}")
