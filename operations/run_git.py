"""Run Git in the clone."""

import subprocess

from stages.common.core.errors import PipelineError


def git(*arguments: str, given: str = "") -> str:
    """Return what `git ...` prints.

    Args:
        arguments: of the command.
        given: what it reads from its standard input.

    Raises:
        PipelineError: Git fails; with its own words.
    """
    # names of files need not be UTF-8: as Python has them in paths
    done = subprocess.run(
        ["git", *arguments], input=given, capture_output=True, text=True, errors="surrogateescape", check=False
    )
    if done.returncode:
        raise PipelineError(f"`git {' '.join(arguments)}` failed: {' '.join(done.stderr.split())}")
    return done.stdout.strip()
