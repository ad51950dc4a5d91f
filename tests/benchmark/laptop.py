"""The laptop profile from nothing: wall time, the largest process and the disk that it takes."""

import os
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.workspace import copy_project, dvc


def size_mib(folder: Path) -> float:
    """Return what the files below `folder` hold, in MiB."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 2**20


def measure() -> dict[str, Any]:
    """Run `dvc repro` in a copy of the project and report what it took."""
    with tempfile.TemporaryDirectory() as name:
        folder = copy_project(Path(name) / "laptop")
        start = time.perf_counter()
        dvc(folder, "repro")
        wall = time.perf_counter() - start
        # the kernel's own accounting: the largest resident set among all finished children, in KiB
        peak = children_peak_kib()
        return {
            "wall_min": round(wall / 60, 1),
            "largest_process_gib": round(peak / 2**20, 2),
            "data_mib": round(size_mib(folder / "data")),
            "cache_mib": round(size_mib(folder / ".dvc/cache")),
        }


def children_peak_kib() -> int:
    """Return the peak resident set of the largest child so far, in KiB."""
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return peak if os.uname().sysname == "Linux" else peak // 1024
