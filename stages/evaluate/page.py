"""The comparison as a page: one table a protocol, one column a model as in the study, and what must be said with it."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from stages.common.evaluation.answers import Answers, Rows, collapsed_labels, constant_folds, unjudged_labels
from stages.common.evaluation.baselines import BASELINES
from stages.common.evaluation.decision import DECISIONS
from stages.common.evaluation.rule import copier
from stages.common.evaluation.scores import Figure
from stages.common.evaluation.section import Evaluate
from stages.common.protocols import ENOUGH, LEAVE_ONE_OUT, PATIENT_DISJOINT
from stages.evaluate.cautions import NOTHING_TO_COPY, cautions, choice, not_estimable
from stages.evaluate.comparison import Figures, decisions_of

PHANTOM = (
    "Numbers on a phantom are numbers on a phantom: they show that the pipeline works, and nothing about infants.\n"
)
AREAS = {
    "pooled": "Pooled ROC AUC and average precision are of the scores of all test frames over infants, as the study's "
    "table has them; within each infant, with mean and range, they stand in metrics/evidence.json.",
    "apart": "ROC AUC and average precision are means over the test patients with both classes; scores are not pooled "
    "over patients. Their range stands in metrics/evidence.json.",
}
FOLDS = {
    LEAVE_ONE_OUT: [
        "Answers are pooled over folds. The choice reads each fold's validation rows; an infant that validates in one "
        "fold is tested in another."
    ]
}
READING = (
    "Test rows are only reported: thresholds and the winner are chosen on validation rows.",
    "Accuracy, Precision, Recall and F1 are micro averages of the pooled counts; macro F1 is the mean over labels with "
    "positives.",
    "`label_copy` opens no picture: it copies the labels of the nearest training frame of the clip. What does not beat "
    "it has shown nothing. `majority` always gives the commoner class. Both say 0 or 1 and so have no ROC AUC. Where "
    "patients are apart `label_copy` has nothing to copy and is the majority.",
    "GO dangerous: GO where the expert says stop. GO futile: GO where the expert sees no target. GO missed: the "
    "expert's GO, called otherwise.",
    "n/a: not estimable; the cases that the figure is about are not there.",
    f"A label with fewer than {ENOUGH} patients with it, or {ENOUGH} without it, on the test side is not estimable "
    "there: its rows say so, and what they show is these patients and nothing of the next.",
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
    labels: Sequence[str], section: Evaluate,
) -> str:  # fmt: skip
    """Return one protocol's part of comparison.md."""
    test = rows.on("test")
    confusions = {
        model: decisions_of(rows[test], answers[test], labels, section.decision) for model, answers in models.items()
    }
    cells = [
        [f"{truth} → {said}", *(str(counts[row, column]) for counts in confusions.values())]
        for row, truth in enumerate(DECISIONS)
        for column, said in enumerate(DECISIONS)
    ]
    return "\n".join(
        [
            f"## Protocol {protocol}",
            "",
            choice(chosen, protocol),
            "",
            *(f"**COLLAPSED: {line}**\n" for line in _collapses(rows, models, labels)),
            *(f"**{line}**\n" for line in cautions(table, chosen["winner"], labels, section.rule)),
            *_table(["", *table], _figures(table, labels)),
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


def _figures(table: Mapping[str, Figures], labels: Sequence[str]) -> list[list[str]]:
    """Return the rows of the figures; the head of one that is about a label says where that is not estimable."""
    one = next(iter(table.values()))
    lonely = not_estimable(one, labels)
    return [[_marked(name, lonely), *(_cell(figures[name]) for figures in table.values())] for name in one]


def _marked(name: str, lonely: Mapping[str, str]) -> str:
    about = [label for label in lonely if name.startswith(f"{label} ") or name in (f"FP {label}", f"FN {label}")]
    if name.rsplit(" ", 1)[0].endswith(" patients"):  # the count itself
        return name
    return name + "".join(f" ({label}: {lonely[label]}, not estimable)" for label in about)


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
    baseline = copier(protocol)
    beating = [model for model in table if model not in BASELINES and score[model] > score[baseline]]
    notes = [
        f"Test: {len(frames)} frames, {frames['clip_id'].nunique()} clips, {frames['patient'].nunique()} patients.",
        f"Positive labels (TP + FN), the same in every column: {sum(positive.values())} ({_listed(positive)}).",
        f"Unknown labels, left out of every count: {sum(unknown.values())} ({_listed(unknown)}).",
        f"Above `{baseline}` in macro F1: {', '.join(beating) or 'no model'}{NOTHING_TO_COPY[baseline]}.",
    ]
    return [*notes, AREAS["apart" if protocol in PATIENT_DISJOINT else "pooled"], *FOLDS.get(protocol, [])]


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{label} {count}" for label, count in counts.items())


def _cell(value: Figure) -> str:
    if value is None:
        return "n/a"
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in [header, ["---", *["---:"] * (len(header) - 1)], *rows]]
