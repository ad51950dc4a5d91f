"""The published table checked for what arithmetic alone refutes, and ours beside it."""

from typing import Any

from stages.report.inputs import Data


def section(data: Data) -> dict[str, Any]:
    """Return the findings in the study's table, and how many comparisons ours withstood."""
    found = data.results["audit"]
    return {"published": found["published"], "own": found["own"], "summary": found["summary"]}
