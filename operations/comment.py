"""What changed against another commit, as Markdown for a pull request, and DVC's plots as pictures beside it.

    python -m operations.comment origin/main --pictures plots --link ../blob/plots-7/ > comment.md

Reads   the workspace after `dvc repro` or `dvc exp run`: params.yaml, metrics/evidence.json, and DVC's own
        `metrics diff`, `params diff` and `plots show`
Writes  the comment to standard output; below --pictures a PNG a plot

Numbers, parameters and charts alone: no picture of a patient is read here, whatever the cohort, and parameters that
may name sheets, clips or patients are left out. Figures of another cohort or run than dvc.lock's are refused.
"""

import argparse
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiments.run_dvc import dvc
from operations.clone import clone
from operations.locked import refuse_apart, refuse_other_cohort, refuse_unlocked
from operations.plots import draw_plots, make_folder
from stages.common.core.errors import PipelineError, run
from stages.common.core.params import Strict, read_params

EVIDENCE = Path("metrics/evidence.json")
SUMMARY = "metrics/summary.json"  # the one metric that is short enough for a comment
PHANTOM = "phantom"
SHOWN = ("patients with GO dangerous", "patients with GO futile", "macro F1")  # and two rates of every label
RATES = ("sensitivity", "specificity")
# what holds a person's own words, which may name a patient: names of sheets and clips, reasons, places of files
NAMES = re.compile(
    r"(label_merge\.(aliases|column_aliases|confirmed_headings|definitions|first_number_of|ignored_sheets)"
    r"|leakage\.known_pairs|label_review\.answers)(?![\w-])"
)
WEIGHTS, KINDS_OF_WEIGHTS = "train.weights", (None, "random", "imagenet")  # and no place of a file
NO_DIFFERENCE = "No difference."
HEAD = ("| Path | Param | Old | New |", "| --- | --- | --- | --- |")
HEAD_LINES = 2  # of a Markdown table: DVC prints them without a row below, too
POOLED = (
    "Of the test frames together, as the study's table has it: neighbours are no independent cases, so no interval is "
    "given here. Below macro F1 is the mean over patients, with their range."
)


class Params(Strict):
    """What the comment reads of params.yaml."""

    cohort: str
    labels: dict[str, Any]


def cell(found: Mapping[str, Any] | None) -> str:
    """Return a figure with its interval over patients, or their range, or why it has neither; a dash for no value."""
    if not found or found.get("value") is None:
        return "-"
    for word, low, high in (("", "low", "high"), ("range ", "lowest", "highest")):
        if found.get(low) is not None and found.get(high) is not None:
            return f"{found['value']:.3f} ({word}{found[low]:.3f} to {found[high]:.3f})"
    return f"{found['value']:.3f}" + (f" (no interval: {found['why']})" if found.get("why") else "")


def comparison(evidence: Mapping[str, Any], labels: list[str]) -> str:
    """Return the headline protocol's figures with intervals over patients, a row a model."""
    protocol = evidence["protocols"][evidence["headline"]]
    metrics = [*SHOWN, *(f"{label} {rate}" for label in labels for rate in RATES)]
    rows = [
        f"| {model} | " + " | ".join(cell(found.get(metric)) for metric in metrics) + " |"
        for model, found in protocol["models"].items()
    ]
    head = [f"| model | {' | '.join(metrics)} |", "| --- |" + " ---: |" * len(metrics)]
    said = (
        f"Protocol `{evidence['headline']}`, {protocol['patients']} test patients, thresholds of `evaluate`. In "
        f"brackets {100 * evidence['confidence']:g} % intervals over patients; a range is of the patients' own values, "
        "and no interval."
    )
    return "\n".join([said, "", *head, *rows])


def differences(table: str) -> str:
    """Return one of DVC's Markdown tables of differences, or in words that it has no row."""
    return table if len(table.splitlines()) > HEAD_LINES else NO_DIFFERENCE


def parameters(changed: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    """Return a table of parameters, without those that may name sheets, clips and patients.

    Args:
        changed: file -> key -> old and new value, as `dvc params diff --json` has them. DVC's Markdown would not do:
            what runs over several lines takes several rows there, of which the first alone has the key.
    """
    found = [(file, key, values) for file, keys in changed.items() for key, values in sorted(keys.items())]
    rows = [
        "| " + " | ".join(map(code, (file, key, values.get("old"), values.get("new")))) + " |"
        for file, key, values in found
        if not names_somebody(key, values)
    ]
    parts = ["\n".join([*HEAD, *rows])] if rows else []
    if left_out := len(found) - len(rows):
        count, verb = ("1 entry", "is") if left_out == 1 else (f"{left_out} entries", "are")
        parts += [f"{count} that may name sheets, clips or patients {verb} left out: see params.yaml."]
    return "\n\n".join(parts or [NO_DIFFERENCE])


def names_somebody(key: str, values: Mapping[str, Any]) -> bool:
    """Return whether a parameter is a person's own words, of which nobody knows whom they name."""
    if key == WEIGHTS:
        return not all(values.get(side) in KINDS_OF_WEIGHTS for side in ("old", "new"))
    return NAMES.match(key) is not None


def code(value: object) -> str:
    """Return a value as code in a cell of a Markdown table: it renders nothing and calls nobody; a dash for none."""
    if value is None:
        return "-"
    text = " ".join(str(value).split()) or '""'
    # a bar ends the cell unless a backslash stands before it: one of the value's own must not be taken for that one
    text = re.sub(r"(?<=\\)\|", " |", text).replace("|", "\\|")
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    room = " " if "`" in text else ""
    return f"{fence}{room}{text}{room}{fence}"


def judged(cohort: str, labels: list[str]) -> str:
    """Return the comparison that metrics/evidence.json makes.

    Raises:
        PipelineError: there is none, it is of another form, cohort or run than dvc.lock's.
    """
    try:
        said = comparison(json.loads(EVIDENCE.read_text(encoding="utf-8")), labels)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        got = "no such file" if isinstance(error, FileNotFoundError) else f"{type(error).__name__}: {error}"
        raise PipelineError(f"{EVIDENCE}: expected what `dvc repro report` writes, got {got}. Run it first.") from error
    with clone() as repo:
        refuse_unlocked(repo, EVIDENCE, "report")
        refuse_other_cohort(repo, EVIDENCE, cohort, "report")
        refuse_unlocked(repo, Path(SUMMARY), "report")
        refuse_apart(repo, EVIDENCE, Path(SUMMARY), "report")
    return said


def comment(base: str, pictures: Path | None, link: str) -> str:
    """Return the whole comment.

    Args:
        base: the commit compared with.
        pictures: folder for the plots; None for none.
        link: what stands before a picture's name in its link.

    Raises:
        PipelineError: params.yaml names no cohort or no labels, the folder cannot be made, or as `judged`.
    """
    if pictures is not None:
        make_folder(pictures)
    params = read_params(Params)
    evidence = judged(params.cohort, list(params.labels))
    parts = [f"## Against {code(base)}, cohort {code(params.cohort)}"]
    if params.cohort == PHANTOM:
        parts.append("_Numbers on a phantom are numbers on a phantom, and say nothing about infants._")
    parts += ["### Macro F1", differences(dvc("metrics", "diff", "--md", base, "--targets", SUMMARY)), POOLED]
    parts += ["### Parameters", parameters(json.loads(dvc("params", "diff", "--json", base)))]
    parts += ["### What the patients allow to say", evidence]
    if pictures is not None:
        parts += ["### Plots", *(f"![{file.stem}]({link}{file.name})" for file in draw_plots(pictures))]
    return "\n\n".join(parts)


def main() -> None:
    """Print the comment."""
    parser = argparse.ArgumentParser(prog="python -m operations.comment", description=__doc__.splitlines()[0])
    parser.add_argument("base", help="the commit compared with, such as origin/main")
    parser.add_argument("--pictures", type=Path, help="folder for the plots; default: no plots")
    parser.add_argument("--link", default="", help="what stands before a picture's name in its link")
    asked = parser.parse_args()
    print(comment(asked.base, asked.pictures, asked.link))


if __name__ == "__main__":
    run(main)
