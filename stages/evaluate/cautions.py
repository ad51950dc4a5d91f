"""What must be said aloud beside the choice and the table: too few patients, and a winner that is worse than chance."""

from collections.abc import Mapping, Sequence
from typing import Any

from stages.common.evaluation.rule import Rule, copier
from stages.common.protocols import ENOUGH
from stages.evaluate.comparison import Figures

CHANCE = 0.5  # balanced accuracy of a constant answer, and of a coin
NOTHING_TO_COPY = {
    "label_copy": "",
    "majority": " (`label_copy` is the majority here: no training frame of the clip exists to copy from)",
}


def choice(chosen: Mapping[str, Any], protocol: str) -> str:
    """Return the sentence that names the choice, with what it rests on."""
    literal, baseline = chosen["literal_rule"], copier(protocol)
    beaten = {True: f" It beats `{baseline}` there", False: f" **It does not beat `{baseline}` there**", None: ""}
    beats = beaten[chosen["winner_beats"]["beats"]]
    whose = "The study's literal rule" if literal["of_the_study"] else "The same rule, counted literally"
    return (
        f"Chosen on validation by the doctor's rule: **{chosen['winner'] or 'none'}** ({chosen['reason']})."
        f"{_rests_on(chosen['few_patients'])}{beats}{f'{NOTHING_TO_COPY[baseline]}.' if beats else ''} "
        f"{whose} ({literal['says']}) would choose {literal['winner']}."
    )


def _rests_on(few: Mapping[str, int]) -> str:
    each = [f"{_patients(count)} for the {name.replace('_', ' ')}" for name, count in few.items()]
    return f" **TOO FEW PATIENTS: this choice rests on {', '.join(each)}; {ENOUGH} are needed.**" if each else ""


def _patients(count: int) -> str:
    return f"{count} patient" + ("" if count == 1 else "s")


def not_estimable(figures: Figures, labels: Sequence[str]) -> dict[str, str]:
    """Return label -> `1 patient with it`, of those with fewer than `ENOUGH` patients with, or without, on test."""
    found = {}
    for label in labels:
        counts = {kind: int(figures[f"{label} patients {kind}"] or 0) for kind in ("with", "without")}
        short = [f"{_patients(count)} {kind} it" for kind, count in counts.items() if count < ENOUGH]
        if short:
            found[label] = ", ".join(short)
    return found


def cautions(table: Mapping[str, Figures], winner: str | None, labels: Sequence[str], rule: Rule) -> list[str]:
    """Return what stands above the table: labels that are not estimable, and labels where the winner is no use.

    Args:
        table: model -> its figures on test.
        winner: by the doctor's rule on validation rows.
        labels: the label columns.
        rule: whose labels the winner must not answer worse than chance.
    """
    lonely = not_estimable(next(iter(table.values())), labels)
    said = [f"NOT ESTIMABLE on test: {label} ({why})." for label, why in lonely.items()]
    if winner is None:
        return said
    values = {label: table[winner][f"{label} balanced accuracy"] for label in {**rule.minimise, **rule.subject_to}}
    worse = [f"{label} {value:.4f}" for label, value in values.items() if value is not None and value < CHANCE]
    told = f"WORSE THAN CHANCE: {winner} has on test a balanced accuracy below {CHANCE:g} of {', '.join(worse)}."
    return said + ([told] if worse else [])
