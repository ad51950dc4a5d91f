"""The published table checked for what arithmetic alone refutes, and ours beside it."""

from typing import Any

from stages.report.inputs import Data


def section(data: Data) -> dict[str, Any]:
    """Return the findings in the study's table, what could be chance in any, and what ours withstood."""
    found = data.results["audit"]
    tables = {"published": found["published"], **found["own"]}
    suspicious = [(name, of) for name, table in tables.items() for of in table["suspicious"]]
    return {
        "published": found["published"],
        "own": found["own"],
        "suspicious": suspicious,
        "summary": found["summary"],
    }
