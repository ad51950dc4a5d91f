"""The comparison as a page: one table a protocol, one column a model as in the study, and what must be said with it."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from stages.common.evaluation.answers import Answers, Rows, collapsed_labels, constant_folds, unjudged_labels
from stages.common.evaluation.baselines import BASELINES
from stages.common.evaluation.decision import DECISIONS, Decision
from stages.common.evaluation.scores import Figure
from stages.common.protocols import LEAVE_ONE_OUT
from stages.evaluate.comparison import Figures, decisions_of

PHANTOM = (
    "Numbers on a phantom are numbers on a phantom: they show that the pipeline works, and nothing about infants.\n"
)
READING = (
    "Test rows are only reported: thresholds and the winner are chosen on validation rows.",
    "Accuracy, Precision, Recall and F1 are micro averages of the pooled counts; macro F1 is the mean over labels with "
    "positives.",
    "`label_copy` opens no picture: it copies the labels of the nearest training frame of the clip. What does not beat "
    "it has shown nothing. `majority` always gives the commoner class. Both say 0 or 1 and so have no ROC AUC.",
    "GO dangerous: GO where the expert says stop. GO futile: GO where the expert sees no target. GO missed: the "
    "expert's GO, called otherwise.",
    "n/a: not estimable; the cases that the figure is about are not there.",
    "Frames of one clip are no independent cases: a few frames' difference separates no two models.",
    "GO names a candidate picture, not a level and not a permission to puncture: a transverse frame carries no "
    "vertebral number, and needle path, depth and blood from an earlier puncture are not assessed.",
)


def whole_page(cohort: str, parts: Sequence[str]) -> str:
    """Return comparison.md from its protocols' parts."""
    notes = ["## How to read this page\n", *(f"- {note}" for note in READING)]
    return "\n".join(["# Comparison\n", *([PHANTOM] if cohort == "phantom" else []), *parts, *notes, ""])


def protocol_markdown(
    protocol: str, rows: Rows, models: Mapping[str, Answers], table: Mapping[str, Figures], chosen: Mapping[str, Any],
    labels: Sequence[str], decision: Decision,
) -> str:  # fmt: skip
    """Return one protocol's part of comparison.md."""
    test = rows.on("test")
    confusions = {model: decisions_of(rows[test], answers[test], labels, decision) for model, answers in models.items()}
    cells = [
        [f"{truth} → {said}", *(str(counts[row, column]) for counts in confusions.values())]
        for row, truth in enumerate(DECISIONS)
        for column, said in enumerate(DECISIONS)
    ]
    names = next(iter(table.values()))
    return "\n".join(
        [
            f"## Protocol {protocol}",
            "",
            _choice(chosen),
            "",
            *(f"**COLLAPSED: {line}**\n" for line in _collapses(rows, models, labels)),
            *_table(["", *table], [[name, *(_cell(figures[name]) for figures in table.values())] for name in names]),
            "",
            "Decisions, expert → model:",
            "",
            *_table(["", *confusions], cells),
            "",
            *(f"- {note}" for note in _notes(protocol, rows[test], table, labels)),
            *(f"- {note}" for note in _constant_notes(rows, models, labels)),
            "",
        ]
    )


def _choice(chosen: Mapping[str, Any]) -> str:
    literal = chosen["literal_rule"]
    beaten = {True: " It beats `label_copy` there.", False: " **It does not beat `label_copy` there.**", None: ""}
    return (
        f"Chosen on validation by the doctor's rule: **{chosen['winner'] or 'none'}** ({chosen['reason']})."
        f"{beaten[chosen['winner_beats_label_copy']]} "
        f"The study's literal rule ({literal['says']}) would choose {literal['winner']}."
    )


def _collapses(rows: Rows, models: Mapping[str, Answers], labels: Sequence[str]) -> list[str]:
    networks = {model: answers for model, answers in models.items() if model not in BASELINES}
    said = "gives the same answer for every validation frame for"
    told = {model: _collapsed_in(rows, answers, labels) for model, answers in networks.items()}
    return [f"{model} {said} {', '.join(constant)}; it cannot win." for model, constant in told.items() if constant]


def _collapsed_in(rows: Rows, answers: Answers, labels: Sequence[str]) -> list[str]:
    folds = constant_folds(rows, answers, labels)
    several = {label: f" ({constant} of {of} folds)" if of > 1 else "" for label, (constant, of) in folds.items()}
    return [label + several[label] for label in collapsed_labels(rows, answers, labels)]


def _constant_notes(rows: Rows, models: Mapping[str, Answers], labels: Sequence[str]) -> list[str]:
    """Return what is told of constant answers in too few folds to condemn a model, or where none could show it."""
    networks = {model: answers for model, answers in models.items() if model not in BASELINES}
    few = [
        f"{model} answers {label} constantly on the validation frames of {constant} of {of} folds."
        for model, answers in networks.items()
        for label, (constant, of) in constant_folds(rows, answers, labels).items()
        if constant and label not in collapsed_labels(rows, answers, labels)
    ]
    dark = {model: unjudged_labels(rows, answers, labels) for model, answers in networks.items()}
    return few + [
        f"{model} answers {', '.join(asleep)} constantly on validation, and so does the expert: whether it has "
        "collapsed cannot be judged there."
        for model, asleep in dark.items()
        if asleep
    ]


def _notes(protocol: str, test: Rows, table: Mapping[str, Figures], labels: Sequence[str]) -> list[str]:
    positive = {label: int((test.truth[:, column] == 1).sum()) for column, label in enumerate(labels)}
    unknown = {label: int(pd.isna(test.truth[:, column]).sum()) for column, label in enumerate(labels)}
    frames = test.frames
    score = {model: figures["macro F1"] or 0.0 for model, figures in table.items()}
    beating = [model for model in table if model not in BASELINES and score[model] > score["label_copy"]]
    notes = [
        f"Test: {len(frames)} frames, {frames['clip_id'].nunique()} clips, {frames['patient'].nunique()} patients.",
        f"Positive labels (TP + FN), the same in every column: {sum(positive.values())} ({_listed(positive)}).",
        f"Unknown labels, left out of every count: {sum(unknown.values())} ({_listed(unknown)}).",
        f"Above `label_copy` in macro F1: {', '.join(beating) or 'no model'}.",
    ]
    if protocol != LEAVE_ONE_OUT:
        notes.append(
            "ROC AUC and average precision pool the scores of all test frames over infants, as the study's table does; "
            "within each infant, with mean and range, they stand in metrics/evidence.json."
        )
    else:
        notes.append(
            "Answers are pooled over folds, scores never: ROC AUC and average precision are means over test patients "
            "with both classes. The choice reads each fold's validation rows; an infant that validates in one fold is "
            "tested in another."
        )
    return notes


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{label} {count}" for label, count in counts.items())


def _cell(value: Figure) -> str:
    if value is None:
        return "n/a"
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in [header, ["---", *["---:"] * (len(header) - 1)], *rows]]
