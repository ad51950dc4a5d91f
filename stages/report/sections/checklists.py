"""The reporting checklists, filled in as far as a pipeline can."""

from typing import Any

from stages.report.card import facts
from stages.report.checklists import NAMES, filled, read_checklist
from stages.report.inputs import Data


def section(data: Data) -> dict[str, Any]:
    """Return every checklist with its items and how many have each status."""
    known = facts(data)
    return {"checklists": [filled(read_checklist(name), known) for name in NAMES]}
