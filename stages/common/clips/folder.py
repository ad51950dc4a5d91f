"""What a cohort's folder may be called: it becomes part of paths and pages, and names the cohort's remote.

DVC reads the names of remotes in lower case: of `Mine` and `mine`, one would be pushed where the other may go.
"""

import re
from typing import Annotated

from pydantic import AfterValidator


def folder_name(name: str) -> str:
    """Return a cohort's folder name; raises ValueError, with what is expected, where it is no plain one."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9_.-]*", name):
        raise ValueError(
            "a folder name of small letters a to z, digits, '_', '-' and '.': no capital, no space, no accent, no slash"
        )
    return name


CohortName = Annotated[str, AfterValidator(folder_name)]
