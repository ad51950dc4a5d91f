"""Run DVC as this interpreter's, and say what it says when it fails."""

import subprocess
import sys

from stages.common.core.errors import PipelineError


def dvc(*arguments: str) -> str:
    """Return what `dvc ...` prints. Never ask it for `-q`: it would keep its errors to itself, too.

    Raises:
        PipelineError: DVC fails; with its own words.
    """
    done = subprocess.run([sys.executable, "-m", "dvc", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        raise PipelineError(f"`dvc {' '.join(arguments)}` failed: {' '.join(errors) or done.stderr.strip()}")
    return done.stdout.strip()
