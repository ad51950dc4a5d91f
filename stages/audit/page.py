"""What was found, as JSON and as a page."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from stages.audit.checks import kinds
from stages.audit.table import Table


def audited(table: Table, chance: float) -> dict[str, Any]:
    """Return one table's checks and findings, as audit.json shows them.

    Args:
        table: any table.
        chance: see `kinds`.
    """
    checks, findings = [], []
    for name, kind in kinds(chance).items():
        compared = list(kind.check(table))
        wrong = [one for one in compared if not one.holds]
        checks.append(
            {
                "check": name,
                "rule": kind.rule,
                "compared": len(compared),
                "findings": len(wrong),
                "why": None if compared else kind.otherwise,
            }
        )
        findings += [
            {"check": name, "where": of.where, "what": of.what, "expected": of.expected, "got": of.got} for of in wrong
        ]
    return {
        "source": table.source,
        "columns": list(table.columns),
        "same_test_set": table.same_test_set,
        "checks": checks,
        "findings": [{"number": number, **found} for number, found in enumerate(findings, start=1)],
    }


def whole_page(published: Mapping[str, Any], own: Mapping[str, Mapping[str, Any]]) -> str:
    """Return audit.md."""
    parts = [
        "# The published table, audited",
        f"Source: {published['source']}. A finding is what cannot be as printed, by arithmetic alone; what the "
        "labels or the pictures were is not asked.",
        *_findings(published["findings"]),
        "## The same checks on our own tables",
        _overview({"published": published} | dict(own)),
        "A finding in a table of our own stops the pipeline. Numbers are comparisons made; `-` where there is "
        "nothing to compare.",
    ]
    return "\n\n".join(parts) + "\n"


def _findings(findings: Sequence[Mapping[str, Any]]) -> list[str]:
    return [
        f"{of['number']}. **{of['what']}** ({of['check']})\n   - where: {of['where']}\n"
        f"   - expected: {of['expected']}\n   - got: {of['got']}"
        for of in findings
    ] or ["Nothing was found."]


def _overview(tables: Mapping[str, Mapping[str, Any]]) -> str:
    cells = {
        name: {check["rule"]: _cell(check["compared"], check["findings"]) for check in of["checks"]}
        for name, of in tables.items()
    }
    return pd.DataFrame(cells).to_markdown()


def _cell(compared: int, findings: int) -> str:
    return "-" if not compared else f"{compared}, **{findings} wrong**" if findings else str(compared)
