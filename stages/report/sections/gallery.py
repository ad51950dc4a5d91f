"""Errors worth looking at, as the study printed them: all labels of a frame, and where each network looked."""

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from stages.common.evaluation.decision import DECISIONS, UNKNOWN, Decision, decide
from stages.report.inputs import Data, threshold_words
from stages.report.pictures import WITHHELD, data_uri
from stages.report.wording import listed, words

Entry = Mapping[str, Any]
WHOSE = ("protocol", "model", "frame_id")


def section(data: Data) -> dict[str, Any]:
    """Return the frames shown (of those that `explain` chose), and what the heatmaps measure."""
    found = data.results["explain"]
    figures = sorted(spread(figures_of(data)), key=lambda of: not pictures(of))  # those in words alone come last
    fitting = pictured(figures, data.params["report"]["gallery_pictures"]) if data.shows_pixels else 0
    return {
        "rule": found["rule"],
        "left_out": left_out(data),
        "threshold": threshold_words(data),
        "models": found["models"],
        "summary": found["summary"],
        "labels": data.labels,
        "figures": [_drawn(data, of, place < fitting) for place, of in enumerate(figures)],
        "withheld": None if data.shows_pixels else WITHHELD,
        "answered": bool(data.results["label_review"]["answers"]),
    }


def left_out(data: Data) -> str | None:
    """Return why the headline's errors are not among those shown; None where they are, or where none are."""
    headline = data.results["bedside"]["headline_protocol"]
    shown = list(dict.fromkeys(words(of["protocol"]) for of in data.results["explain"]["models"]))
    if not shown or words(headline) in shown:
        return None
    return (
        f"The errors of the headline, {words(headline)}, are not here: its folds write predictions alone, and leave no "
        f"network to look into. These are under protocol {listed(shown)}."
    )


def figures_of(data: Data) -> list[dict[str, Any]]:
    """Return one figure a frame and model, in the order of the entries; an entry is an answer to one label."""
    grouped: dict[tuple[str, ...], list[Entry]] = {}
    for entry in data.entries:
        grouped.setdefault(tuple(entry[key] for key in WHOSE), []).append(entry)
    return [_figure(data, entries) for entries in grouped.values()]


def _figure(data: Data, entries: Sequence[Entry]) -> dict[str, Any]:
    first, labels = entries[0], data.labels
    cells = {name: [first[name][label] for label in labels] for name in ("truths", "answers", "probabilities")}
    return {
        **{key: first[key] for key in (*WHOSE, "clip_id", "frame_index")},
        "rows": list(zip(labels, *cells.values(), strict=True)),
        "wrong": {entry["label"] for entry in entries if entry["truth"] != entry["answer"]},
        "expert": decision_of(data, cells["truths"]),
        "said": decision_of(data, cells["answers"]),
        "entries": entries,
    }


def decision_of(data: Data, values: Sequence[int | None]) -> str:
    """Return what labels decide: GO, stop, no view, or unknown where an unknown label leaves it open.

    Args:
        data: the params hold the decision.
        values: 1, 0 or None of each label.
    """
    decision = Decision.model_validate(data.params["evaluate"]["decision"])
    found = decide(np.array([values], dtype=float), data.labels, decision)[0]
    return "unknown" if found == UNKNOWN else DECISIONS[found]


def spread(figures: list[Any]) -> list[Any]:
    """Return the figures so that the first few hold every protocol and model: each one's first, its second, ..."""
    seen: dict[tuple[str, str], int] = {}
    keyed = []
    for place, of in enumerate(figures):
        whose = (of["protocol"], of["model"])
        seen[whose] = seen.get(whose, 0) + 1
        keyed.append((seen[whose], place, of))
    return [of for *_, of in sorted(keyed, key=lambda item: item[:2])]


def pictures(of: Mapping[str, Any]) -> int:
    """Return how many pictures a figure has: one a label that it is shown for."""
    return sum(bool(entry["picture"]) for entry in of["entries"])


def pictured(figures: Sequence[Mapping[str, Any]], most: int) -> int:
    """Return how many figures, from the first on, hold at most so many pictures together."""
    return sum(total <= most for total in accumulate(map(pictures, figures)))


def _drawn(data: Data, of: dict[str, Any], shown: bool) -> dict[str, Any]:
    """Return a figure with the pictures of its entries as data, none where they have no room on the page."""
    uris = [data_uri(data, entry["picture"]) if shown and entry["picture"] else None for entry in of["entries"]]
    heats = [{**entry, "uri": uri} for entry, uri in zip(of["entries"], uris, strict=True)]
    return {**of, "heats": heats, "shown": any(uris)}
