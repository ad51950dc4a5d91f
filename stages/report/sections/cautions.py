"""What must be said aloud beside a comparison: too few infants behind it, and a winner that is worse than chance."""

from collections.abc import Mapping

from stages.common.protocols import ENOUGH
from stages.report.inputs import Data
from stages.report.wording import count, listed, number, words

CHANCE = 0.5  # balanced accuracy of a constant answer, and of a coin


def not_estimable(data: Data, protocol: str) -> dict[str, str]:
    """Return label -> `1 infant with it`, of those with fewer than `ENOUGH` infants with, or without, on test."""
    found = {}
    for label in data.labels:
        counts = {kind: data.cell(protocol, data.models[0], f"{label} patients {kind}") for kind in ("with", "without")}
        short = [f"{count(int(n), 'infant')} {kind} it" for kind, n in counts.items() if n is not None and n < ENOUGH]
        if short:
            found[label] = listed(short)
    return found


def rests_on(few: Mapping[str, int]) -> str:
    """Return `1 infant for the false negative rate of cord` of what too few infants stand behind; else empty."""
    return listed([f"{count(patients, 'infant')} for the {words(name)}" for name, patients in few.items()])


def cautions(data: Data, protocol: str) -> list[str]:
    """Return one protocol's sentences: what its choice rests on, what is not estimable, where its winner is no use."""
    chosen = data.results["selected"][protocol]
    winner, few = chosen["winner"], rests_on(chosen["few_patients"])
    said = [f"Too few infants: the choice of {winner or 'no model'} rests on {few}."] if few else []
    lonely = [f"{words(label)} ({why})" for label, why in not_estimable(data, protocol).items()]
    said += [f"Not estimable on test: {listed(lonely)}; what is shown is of these infants alone."] if lonely else []
    worse = _worse_than_chance(data, protocol, winner) if winner else []
    told = f"Worse than chance: {winner}, which the rule chooses, has on test a balanced accuracy below {CHANCE:g} of"
    return said + ([f"{told} {listed(worse)}."] if worse else [])


def _worse_than_chance(data: Data, protocol: str, winner: str) -> list[str]:
    rule = data.params["evaluate"]["rule"]
    labels = {**rule["minimise"], **rule["subject_to"]}
    values = {label: data.cell(protocol, winner, f"{label} balanced accuracy") for label in labels}
    return [
        f"{words(label)} ({number(float(value), 2)})"
        for label, value in values.items()
        if value is not None and value < CHANCE
    ]
