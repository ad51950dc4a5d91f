"""Compare all models on the same frames, choose one by the doctor's rule, and write what the figures need.

Reads   data/predictions/<protocol>/<fold>/<seed>/<model>.csv, .json   opens no model and no picture
        data/curves/<protocol>/<fold>/<seed>/<model>/history.csv
        data/label_merge/labels.csv, data/split/<protocol>.csv
Writes  metrics/summary.json                    {protocol: {model: macro F1 on test}}
        metrics/models/<protocol>/<model>.json  the study's table, a file a column
        metrics/comparison.csv, comparison.md   the same for people
        metrics/selected.json                   the chosen model, its thresholds, why not the others, and how many
                                                patients stand behind each rate that chose
        metrics/plots/*.csv                     the data behind the figures

Choices (thresholds, the winner) read validation rows; test rows are only reported. Models are those that params.yaml
declares, never those that lie on disk: files of models no longer declared are deleted first, because DVC would hash
them with the folder.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from stages.common.core.errors import Problem, raise_all, run
from stages.common.core.files import replacing, write_json, write_text
from stages.common.core.params import read_params
from stages.common.core.tables import write_table
from stages.common.evaluation.answers import Answers, Rows
from stages.common.evaluation.baselines import BASELINES
from stages.common.evaluation.predictions import Training, refuse_missing
from stages.common.evaluation.reading import (
    CURVES,
    Declared,
    clear_undeclared,
    contradictions,
    files_of,
    read_answers,
    trainings,
)
from stages.common.evaluation.rule import judge, selection
from stages.common.evaluation.section import Evaluate
from stages.common.labels import unknown_labels
from stages.common.protocols import declared
from stages.evaluate import plots
from stages.evaluate.comparison import Figures, figures_of, long_table, refuse_different_tests
from stages.evaluate.page import protocol_markdown, whole_page

OUT = Path("metrics")


class Params(Declared):
    """What this stage reads of params.yaml."""

    cohort: str  # `phantom` is said aloud in the comparison
    evaluate: Evaluate


def refuse_unknown_names(params: Params) -> None:
    """Stop when the decision or the rule names a label that there is not, or a model has a baseline's name."""
    section = params.evaluate
    named: dict[str, Iterable[str]] = {
        "evaluate.decision.go": section.decision.go,
        "evaluate.decision.stop": section.decision.stop,
        "evaluate.rule.minimise": section.rule.minimise,
        "evaluate.rule.subject_to": section.rule.subject_to,
    }
    problems = unknown_labels(params.labels, named)
    problems += contradictions(params)
    if not declared(params.protocols, params.folds):
        where = "params.yaml: protocols and folds"
        problems.append(Problem(where, "nothing to evaluate", "a protocol, e.g. `frame: {}`", "none", "Declare one."))
    raise_all(problems, "params.yaml has mistakes")


def read(params: Params) -> dict[str, tuple[Rows, dict[str, Answers]]]:
    """Return protocol -> its rows and the answers of each model to them, baselines first.

    Raises:
        PipelineError: files are missing, tables do not fit the split, or models were trained with different params.
    """
    clear_undeclared(params)
    tables = list(files_of(params).values())
    refuse_missing([*tables, *(path.with_suffix(".json") for path in tables), *histories(params).values()])
    found = read_answers(params, params.evaluate.threshold)
    return {protocol: (of.rows, dict(of.models)) for protocol, of in found.items()}


def histories(params: Params) -> dict[Training, Path]:
    """Return where each network's losses lie."""
    return {training: training.below(CURVES) / "history.csv" for training in trainings(params.networks_alone())}


def select(protocol: str, rows: Rows, models: Mapping[str, Answers], params: Params) -> dict[str, Any]:
    """Return what selected.json says of one protocol; only validation rows are read."""
    labels = list(params.labels)
    judged = {model: judge(rows, answers, labels, params.evaluate.rule) for model, answers in models.items()}
    baselines = {model: judged.pop(model) for model in BASELINES}
    chosen = selection(judged, baselines, params.evaluate.rule, protocol)
    for model, entry in chosen["models"].items():
        entry["thresholds"] = models[model].thresholds
    return chosen


def write_plots(
    found: Mapping[str, tuple[Rows, dict[str, Answers]]], tables: Mapping[str, Mapping[str, Figures]], params: Params
) -> None:
    """Write this stage's files of metrics/plots, always the same ones; other stages keep theirs beside them."""
    labels, section = list(params.labels), params.evaluate
    each = [(name, rows, models, labels) for name, (rows, models) in found.items()]
    data = {
        "scores": [plots.score_bars(tables)],
        "errors": [plots.error_bars(tables, section.rule)],
        "curves": [plots.training_curves(histories(params))],
        "confusion": [plots.label_confusions(*of) for of in each],
        "decisions": [plots.decision_confusions(*of, section.decision) for of in each],
        "roc": [plots.roc_points(*of) for of in each],
        "precision_recall": [plots.precision_recall_points(*of) for of in each],
    }
    for name, parts in data.items():
        write_table(OUT / "plots" / f"{name}.csv", pd.concat([part for part in parts if len(part)] or parts))


def main() -> None:
    """Compare, choose, write."""
    params = read_params(Params)
    refuse_unknown_names(params)
    labels, decision = list(params.labels), params.evaluate.decision
    found = read(params)
    tables: dict[str, dict[str, Figures]] = {}
    for protocol, (rows, models) in found.items():
        tables[protocol] = {model: figures_of(rows, said, labels, decision, protocol) for model, said in models.items()}
        refuse_different_tests(protocol, tables[protocol])
    selected = {protocol: select(protocol, rows, models, params) for protocol, (rows, models) in found.items()}
    pages = [
        protocol_markdown(protocol, rows, models, tables[protocol], selected[protocol], labels, params.evaluate)
        for protocol, (rows, models) in found.items()
    ]
    with replacing(OUT / "models") as folder:
        for protocol, table in tables.items():
            for model, figures in table.items():
                write_json(folder / protocol / f"{model}.json", figures, sort_keys=False)  # the study's order
    summary = {name: {model: figures["macro F1"] for model, figures in table.items()} for name, table in tables.items()}
    write_json(OUT / "summary.json", summary, sort_keys=False)
    write_json(OUT / "selected.json", selected, sort_keys=False)
    write_table(OUT / "comparison.csv", long_table(tables))
    write_text(OUT / "comparison.md", whole_page(params.cohort, pages))
    write_plots(found, tables, params)


if __name__ == "__main__":
    run(main)
