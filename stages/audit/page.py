"""What was found, as JSON and as a page."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from stages.audit.checks import kinds
from stages.audit.compared import Compared, Level
from stages.audit.table import Table


def audited(table: Table, chance: float) -> dict[str, Any]:
    """Return one table's checks and findings, as audit.json shows them.

    Args:
        table: any table.
        chance: see `kinds`.
    """
    checks: list[dict[str, Any]] = []
    wrong: list[tuple[str, Compared]] = []
    for name, kind in kinds(chance).items():
        compared = list(kind.check(table))
        failed = [one for one in compared if not one.holds]
        checks.append(
            {
                "check": name,
                "rule": kind.rule,
                "compared": len(compared),
                "findings": sum(one.level == "finding" for one in failed),
                "suspicious": sum(one.level == "suspicious" for one in failed),
                "why": None if compared else kind.otherwise,
            }
        )
        wrong += [(name, one) for one in failed]
    return {
        "source": table.source,
        "columns": list(table.columns),
        "same_test_set": table.same_test_set,
        "checks": checks,
        "findings": _numbered(wrong, "finding"),
        "suspicious": _numbered(wrong, "suspicious"),
    }


def _numbered(wrong: Sequence[tuple[str, Compared]], level: Level) -> list[dict[str, Any]]:
    of_level = [(name, of) for name, of in wrong if of.level == level]
    return [
        {
            "number": number,
            "check": name,
            "where": of.where,
            "what": of.what,
            "expected": of.expected,
            "got": of.got,
        }
        for number, (name, of) in enumerate(of_level, start=1)
    ]


def whole_page(published: Mapping[str, Any], own: Mapping[str, Mapping[str, Any]]) -> str:
    """Return audit.md."""
    parts = [
        "# The published table, audited",
        f"Source: {published['source']}. A finding is what cannot be as printed, by arithmetic alone; what the "
        "labels or the pictures were is not asked.",
        *(_findings(published["findings"]) or ["Nothing was found."]),
        *_suspicious({"published": published} | dict(own)),
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
    ]


def _suspicious(tables: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return what chance may explain, a heading first; nothing where there is none."""
    listed = [line for name, of in tables.items() if of["suspicious"] for line in (name, *_findings(of["suspicious"]))]
    says = "What could be chance, and stops nothing; the chance stands beside it."
    return ["## Suspicious", says, *listed] if listed else []


def _overview(tables: Mapping[str, Mapping[str, Any]]) -> str:
    cells = {
        name: {check["rule"]: _cell(check["compared"], check["findings"]) for check in of["checks"]}
        for name, of in tables.items()
    }
    return pd.DataFrame(cells).to_markdown()


def _cell(compared: int, findings: int) -> str:
    return "-" if not compared else f"{compared}, **{findings} wrong**" if findings else str(compared)
