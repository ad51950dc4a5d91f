"""Run DVC as this interpreter's, and say what it says when it fails."""

import subprocess
import sys

from stages.common.core.errors import PipelineError


def dvc(*arguments: str) -> str:
    """Return what `dvc ...` prints.

    Raises:
        PipelineError: DVC fails; with its own words.
    """
    done = subprocess.run([sys.executable, "-m", "dvc", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise PipelineError(f"`dvc {' '.join(arguments)}` failed: {done.stderr.strip()}")
    return done.stdout.strip()
