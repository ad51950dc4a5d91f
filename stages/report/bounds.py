"""Which figures of diagnostic accuracy have no bounds, or bounds that rest on a single infant."""

from stages.common.protocols import ENOUGH
from stages.report.inputs import Data
from stages.report.wording import count, listed, words

GO_SHARES = ("GO dangerous", "GO futile", "GO found")
RATES = ("sensitivity", "specificity")


def accuracy_metrics(data: Data) -> list[str]:
    """Return the names in evidence.json of every sensitivity, specificity and share of GO."""
    return [*GO_SHARES, *(f"{label} {rate}" for label in data.labels for rate in RATES)]


def unbounded(data: Data) -> str | None:
    """Return the headline's figures of accuracy without bounds from at least `ENOUGH` infants; None where all have.

    The cases are the expert's, so how many infants have them is the same for every model.
    """
    evidence = data.results["evidence"]
    models = evidence["protocols"][evidence["headline"]]["models"].values()
    lacking = []
    for metric in accuracy_metrics(data):
        each = [of[metric] for of in models]
        if any(of["low"] is None or of["high"] is None or of["patients"] < ENOUGH for of in each):
            lacking.append(f"{words(metric)} ({count(min(of['patients'] for of in each), 'infant')})")
    return listed(lacking) or None
