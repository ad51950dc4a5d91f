"""Run Git in the clone."""

import subprocess


def git(*arguments: str) -> str:
    """Return what `git ...` prints."""
    return subprocess.run(["git", *arguments], capture_output=True, text=True, check=True).stdout.strip()
