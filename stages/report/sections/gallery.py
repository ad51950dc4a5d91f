"""Errors worth looking at, as the study printed them, with where each network looked."""

from collections.abc import Mapping
from typing import Any

from stages.report.inputs import Data, threshold_words
from stages.report.pictures import WITHHELD, data_uri


def section(data: Data) -> dict[str, Any]:
    """Return the frames shown (of those that `explain` chose), and what the heatmaps measure."""
    found = data.results["explain"]
    entries = sorted(spread(found["entries"]), key=lambda entry: not entry["picture"])  # those in words alone come last
    most = data.params["report"]["gallery_pictures"]
    return {
        "rule": found["rule"],
        "threshold": threshold_words(data),
        "models": found["models"],
        "summary": found["summary"],
        "entries": [_entry(data, entry, place < most) for place, entry in enumerate(entries)],
        "shown": min(most, sum(bool(entry["picture"]) for entry in entries)) if data.shows_pixels else 0,
        "withheld": None if data.shows_pixels else WITHHELD,
    }


def spread(entries: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the entries so that the first few hold every protocol and model: each one's first, then its second, ..."""
    seen: dict[tuple[str, str], int] = {}
    keyed = []
    for place, entry in enumerate(entries):
        of = (entry["protocol"], entry["model"])
        seen[of] = seen.get(of, 0) + 1
        keyed.append((seen[of], place, entry))
    return [entry for *_, entry in sorted(keyed, key=lambda item: item[:2])]


def _entry(data: Data, entry: Mapping[str, Any], pictured: bool) -> dict[str, Any]:
    picture = entry.get("picture")
    return {**entry, "uri": data_uri(data, picture) if pictured and picture else None}
