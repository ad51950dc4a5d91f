"""What a search found: a table, a plot, and how it must be read."""

import math
from pathlib import Path

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter
from optuna.trial import FrozenTrial, TrialState

from experiments.search_score import MAXIMISED
from experiments.search_space import Range, points
from experiments.search_study import EXPERIMENT, SCORES, VALUES, Study
from stages.common.core.files import replacing

DIGITS = 4
WORDS = {TrialState.COMPLETE: "finished", TrialState.PRUNED: "stopped early", TrialState.FAIL: "failed"}
COLOURS = {"finished": "#0072b2", "stopped early": "#999999"}
DPI = 110
CAUTION = (
    " is better. No test row was read. Validation is a few infants, and there is one training seed: trials that lie "
    "close together are not told apart, and the best score of a search flatters. What was stopped early was judged "
    "by a network that was not done. After `dvc exp apply`, `dvc repro` evaluates the winner."
)


def trials_table(study: Study) -> pd.DataFrame:
    """Return one row a trial, in the order of their numbers: state, values, score, each network's, the experiment."""
    rows = [_row(study, trial) for trial in study.counted]
    columns = ["trial", "state", *study.asked.space, study.asked.objective]
    return pd.DataFrame(rows, columns=[*columns, *_models(study), "experiment"], dtype=object)


def _models(study: Study) -> list[str]:
    return list(dict.fromkeys(model for trial in study.counted for model in trial.user_attrs.get(SCORES, {})))


def _row(study: Study, trial: FrozenTrial) -> dict[str, object]:
    finished = trial.state == TrialState.COMPLETE and trial.value is not None
    row: dict[str, object] = {"trial": trial.number, "state": WORDS[trial.state], **trial.user_attrs.get(VALUES, {})}
    row[study.asked.objective] = round(float(trial.value), DIGITS) if finished and trial.value is not None else None
    row |= {model: round(score, DIGITS) for model, score in trial.user_attrs.get(SCORES, {}).items()}
    return row | {"experiment": trial.user_attrs.get(EXPERIMENT)}


def page(study: Study) -> str:
    """Return the table for people, best first, how it must be read, and the winner."""
    table = trials_table(study)
    ascending = study.asked.objective not in MAXIMISED
    order = table.sort_values(study.asked.objective, ascending=ascending, na_position="last", kind="stable")
    shown = order.where(order.notna(), "").to_markdown(index=False, disable_numparse=True)
    caution = ("Lower" if ascending else "Higher") + CAUTION
    won = "No trial is finished." if study.best is None else f"dvc exp apply {study.best.user_attrs[EXPERIMENT]}"
    return "\n\n".join([f"Search {study.name}", shown, caution, won])


def draw_trials(study: Study, path: Path) -> None:
    """Draw each trial's score over its number and over each parameter."""
    keys = list(study.asked.space)
    with mpl.rc_context({"font.size": 8}):
        figure = Figure(figsize=(3.2 * (1 + len(keys)), 3.0), layout="constrained")
        axes = figure.subplots(1, 1 + len(keys), sharey=True, squeeze=False)[0]
        _history(axes[0], study)
        for axis, key in zip(axes[1:], keys, strict=True):
            _slice(axis, study, key)
        axes[0].set_ylabel(f"{study.asked.objective} on validation")
        axes[0].legend(frameon=False)
        with replacing(path) as partial:
            figure.savefig(partial, format="png", dpi=DPI, metadata={"Software": None})


def _scored(study: Study, word: str) -> list[tuple[FrozenTrial, float]]:
    """Return the trials of a state that have a score, and it; one stopped early has its last validation loss."""
    if study.asked.objective in MAXIMISED and word == "stopped early":
        return []  # a loss is no score of that kind
    found = [trial for trial in study.counted if WORDS[trial.state] == word]
    return [(trial, float(trial.value)) for trial in found if trial.value is not None and math.isfinite(trial.value)]


def _history(axes: Axes, study: Study) -> None:
    for word, colour in COLOURS.items():
        found = _scored(study, word)
        axes.scatter([trial.number for trial, _ in found], [score for _, score in found], c=colour, s=14, label=word)
    finished = _scored(study, "finished")
    scores = [score for _, score in finished]
    choose = max if study.asked.objective in MAXIMISED else min
    best = [choose(scores[: count + 1]) for count in range(len(scores))]
    axes.step([trial.number for trial, _ in finished], best, where="post", c="black", lw=0.8, label="best so far")
    axes.set_xlabel("trial")


def _slice(axes: Axes, study: Study, key: str) -> None:
    axis = study.asked.space[key]
    for word, colour in COLOURS.items():
        found = _scored(study, word)
        values = [trial.user_attrs[VALUES][key] for trial, _ in found]
        numbers = values if isinstance(axis, Range) else [axis.values.index(value) for value in values]
        axes.scatter(numbers, [score for _, score in found], c=colour, s=14, clip_on=False)
    if isinstance(axis, Range):
        axes.set_xscale(axis.scale)
        axes.set_xlim(axis.min, axis.max)
        axes.set_xticks(ticks := points(axis), [f"{tick:g}" for tick in ticks])
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        axes.set_xticks(range(len(axis.values)), [str(value) for value in axis.values])
    axes.set_xlabel(key)
