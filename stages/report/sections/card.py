"""The model card, and the digests of everything that the page was made from."""

from typing import Any

from stages.report.card import facts
from stages.report.digests import digests
from stages.report.inputs import Data


def section(data: Data) -> dict[str, Any]:
    """Return the facts of the card, the limits, and the digests."""
    return {"facts": facts(data), "limits": data.results["bedside"]["limits"], "digests": digests(data.folder)}
