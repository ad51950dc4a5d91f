"""Check the study's published table, and our own tables, for what arithmetic alone refutes.

    python -m stages.audit                  the stage
    python -m stages.audit my_table.yaml    any table written down like stages/audit/published.yaml

Reads   stages/audit/published.yaml        the study's table and what its text says of it
        metrics/models/<protocol>/<model>.json, metrics/selected.json, metrics/plots/confusion.csv    our own tables
        data/label_merge/labels.csv, data/split/<protocol>.csv    how many labels there are to answer for
Writes  metrics/audit.json, metrics/audit.md

A finding in a table of our own stops the stage: then evaluate is wrong, and nothing should be read off it. audit.json:

    published, own.<protocol>:
      source, columns, same_test_set (the sentence that claims it, or null)
      checks:   [{check, rule, compared (how many numbers or sentences), findings (how many are wrong),
                 suspicious (how many could be chance), why (null, or why nothing was compared)}]
      findings: [{number, check, where, what, expected, got}]    numbered from 1; one_test_set comes first
      suspicious: the same of what could be chance; it stops nothing
    summary: {published_findings, own_findings (always 0), own_suspicious, own_compared}
"""

import sys
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from stages.audit.own import own_table
from stages.audit.page import audited, whole_page
from stages.audit.table import read_table
from stages.common.core.errors import PipelineError, Problem, raise_all, run
from stages.common.core.files import write_json, write_text
from stages.common.core.params import Strict, read_params
from stages.common.evaluation.baselines import BASELINES
from stages.common.labels import LabelName
from stages.common.protocols import FoldKey, Nothing, Protocol, declared, models_of

PUBLISHED = Path(__file__).parent / "published.yaml"
OUT = Path("metrics")


class Audit(Strict):
    """The section `audit`."""

    chance: Annotated[float, Field(gt=0, lt=1)]  # areas that are balanced accuracies are a finding below


class Params(Strict):
    """What this stage reads of params.yaml."""

    labels: Annotated[dict[LabelName, Any], Field(min_length=1)]  # the keys are the label columns
    architectures: Annotated[dict[str, Any], Field(min_length=1)]  # the keys are models
    baselines: dict[str, Any]
    sequences: dict[str, Any]
    protocols: dict[Protocol, Nothing]
    folds: dict[FoldKey, Nothing]
    audit: Audit


def audit_own(params: Params) -> dict[str, Any]:
    """Return protocol -> the audit of our table."""
    trees = [name for name, entry in params.baselines.items() if dict(entry).get("classifier") == "tree"]
    found = {}
    for protocol, folds in declared(params.protocols, params.folds).items():
        models = [*BASELINES, *models_of(protocol, params.architectures, params.baselines, params.sequences)]
        table = own_table(protocol, folds, models, list(params.labels), trees)
        found[protocol] = audited(table, params.audit.chance)
    return found


def refuse_own_findings(own: dict[str, Any]) -> None:
    """Stop where a table of our own cannot be right."""
    problems = [
        Problem(
            f"protocol {protocol}, {found['where']}",
            found["what"],
            found["expected"],
            found["got"],
            "Run `dvc repro --force evaluate`; if it stays, report it as a mistake in evaluate.",
        )
        for protocol, of in own.items()
        for found in of["findings"]
    ]
    raise_all(problems, "our own tables contradict themselves")


def check_file(path: Path, chance: float) -> None:
    """Print what is wrong with a table in a file; exit status 1 when anything is for certain."""
    found = audited(read_table(path), chance)
    compared = sum(check["compared"] for check in found["checks"])
    for level in ("findings", "suspicious"):
        for of in found[level]:
            place = f"{level}, {of['number']}. {of['check']}: {of['where']}"
            print(f"{place}: {of['what']}: expected {of['expected']}, got {of['got']}")
    print(f"{path}: {compared} comparisons, {len(found['findings'])} findings, {len(found['suspicious'])} suspicious")
    sys.exit(1 if found["findings"] else 0)


def main() -> None:
    """Audit the published table and our own."""
    params = read_params(Params)
    published = audited(read_table(PUBLISHED), params.audit.chance)
    own = audit_own(params)
    refuse_own_findings(own)
    summary = {
        "published_findings": len(published["findings"]),
        "own_findings": sum(len(of["findings"]) for of in own.values()),
        "own_suspicious": sum(len(of["suspicious"]) for of in own.values()),
        "own_compared": sum(check["compared"] for of in own.values() for check in of["checks"]),
    }
    content = {"published": published, "own": own, "summary": summary}
    write_json(OUT / "audit.json", content, sort_keys=False)
    write_text(OUT / "audit.md", whole_page(published, own))


def command() -> None:
    """Run the stage, or check the one table named on the command line."""
    if len(sys.argv) == 1:
        main()
    elif len(sys.argv) == 2:
        check_file(Path(sys.argv[1]), read_params(Params).audit.chance)
    else:
        raise PipelineError("usage: python -m stages.audit [TABLE.yaml]")


if __name__ == "__main__":
    run(command)
