"""What a cohort's folder may be called: it becomes part of paths and pages."""

import re
from typing import Annotated

from pydantic import AfterValidator


def folder_name(name: str) -> str:
    """Return a cohort's folder name; raises ValueError, with what is expected, where it is no plain one."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
        raise ValueError("a folder name of letters a to z, digits, '_', '-' and '.': no space, no accent, no slash")
    return name


CohortName = Annotated[str, AfterValidator(folder_name)]
