"""What a doctor would have seen, in words: dangerous GO, futile GO, the first sustained GO. It leads the page."""

from collections.abc import Mapping
from typing import Any

from stages.common.protocols import PATIENT_DISJOINT
from stages.report.inputs import BASELINES, Data
from stages.report.sections import leakage
from stages.report.wording import count, needed, number, percent

CHOSEN = "chosen"  # for each infant the model that wins the doctor's rule on the rows that choose for it


def section(data: Data) -> dict[str, Any]:
    """Return the headline protocol's verdict on the model of the doctor's rule, and a row for every other."""
    bedside = data.results["bedside"]
    protocol = bedside["headline_protocol"]
    of_protocol = bedside["protocols"][protocol]
    models = of_protocol["models"]
    leading = leading_model(data)
    decision, sustained_s = decision_words(data), bedside["settings"]["sustained_s"]
    return {
        "protocol": protocol,
        "choosing_rows": of_protocol["choosing_rows"],
        "tested": of_protocol["tested"],
        "continuous": of_protocol["continuous"],
        "continuous_why": of_protocol.get("continuous_why"),
        "decision": decision,
        "settings": bedside["settings"],
        "winner": of_protocol["winner"],
        "leading": leading,
        "is_chosen": leading == CHOSEN,
        "verdict": _verdict(models[leading]) if leading else None,
        "sentences": sentences(models[leading], protocol, sustained_s, decision) if leading else [],
        "absent": models.get(CHOSEN, {}).get("why"),
        "rows": [_row(name, found) for name, found in models.items()],
        "limits": bedside["limits"],
        "doubts": leakage.doubts(data, protocol),
        "others": {name: of for name, of in bedside["protocols"].items() if name != protocol},
        "other_rows": {
            name: [_row(model, found) for model, found in of["models"].items()]
            for name, of in bedside["protocols"].items()
            if name != protocol
        },
    }


def leading_model(data: Data) -> str | None:
    """Return whose verdict leads: the chosen model's, or, where none can be chosen, no model's."""
    models = data.results["bedside"]["protocols"][data.results["bedside"]["headline_protocol"]]["models"]
    estimable = {name for name, found in models.items() if "dangerous" in found}
    return CHOSEN if CHOSEN in estimable else None


def decision_words(data: Data) -> dict[str, str]:
    """Return what the decision of params.yaml stops at, and what it takes for a target beside that."""
    found = data.params["evaluate"]["decision"]
    target = {label: must for label, must in found["go"].items() if label not in found["stop"]}
    return {"stop": needed(found["stop"]), "target": needed(target or found["go"])}


def sentences(found: Mapping[str, Any], protocol: str, sustained_s: float, decision: Mapping[str, str]) -> list[str]:
    """Return the verdict as a doctor would say it to another."""
    dangerous, futile, go = found["dangerous"], found["futile"], found["sustained_go"]
    unseen = "never seen in training" if protocol in PATIENT_DISJOINT else "whose neighbouring frames were in training"
    said = [f"The chosen model was tried on {count(found['tested']['infants'], 'infant')} {unseen}."]
    if dangerous["infants"] is not None:
        said.append(f"It said GO where the expert says stop ({decision['stop']}) in {_infants(dangerous)}.")
    if futile["infants"] is not None:
        said.append(f"It said GO where the expert sees no target ({decision['target']}) in {_infants(futile)}.")
    if go["clips_with_one"]:
        clips = count(go["clips_with_one"], "clip")
        said.append(
            f"Of {clips} in which the expert says GO for {sustained_s} s, it reached a correct GO of "
            f"that length in {go['reached']}."
        )
    return said


def _infants(harm: Mapping[str, Any]) -> str:
    if not harm["infants_at_risk"]:
        return f"none of {harm['of_infants']}, but in none of them it could have"
    frames = f", {count(harm['frames'], 'frame')}" if harm["infants"] else ""
    return f"{harm['infants'] or 'none'} of {harm['of_infants']} ({harm['infants_at_risk']} at risk{frames})"


def _verdict(found: Mapping[str, Any]) -> dict[str, Any]:
    return {**found, "dangerous": _harm(found["dangerous"]), "futile": _harm(found["futile"]), "never": _never(found)}


def _harm(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return one kind of false GO: infants of infants with its interval, seconds, longest run."""
    infants, of_infants = found["infants"], found["of_infants"]
    return {
        **found,
        "shown": None if infants is None else f"{infants} of {of_infants}",
        "interval": interval(found.get("interval_95")),
        "interval_at_risk": interval(found.get("interval_95_at_risk")),
    }


def interval(bounds: Any, digits: int = 0) -> str | None:
    """Return `4 % to 37 %`, or None."""
    if not bounds or any(bound is None for bound in bounds):
        return None
    return f"{percent(bounds[0], digits)} to {percent(bounds[1], digits)}"


def _never(found: Mapping[str, Any]) -> str:
    go = found["sustained_go"]
    if not go.get("clips_with_one"):
        return "—"
    return f"{len(go['never'])} of {go['clips_with_one']}"


def _row(model: str, found: Mapping[str, Any]) -> dict[str, Any]:
    if "dangerous" not in found:
        return {
            "model": model,
            "why": found.get("why") or "no reason was given",
            "cells": [],
            "unknown": 0,
            "baseline": model in BASELINES,
        }
    go = found["sustained_go"]
    return {
        "model": model,
        "why": None,
        "baseline": model in BASELINES,
        "undecided": f"{found['go']['undecided_frames']} of {found['go']['unknown_frames']}",
        "unknown": found["go"]["unknown_frames"],
        "cells": [
            *_harm_cells(found["dangerous"]),
            *_harm_cells(found["futile"]),
            _median(go.get("seconds")),
            _never(found),
            _of(found["flicker_per_s"], "mean"),
            *(_of(found["boundaries"], name, 0) for name in ("expert", "model", "matched")),
            _of(found["boundaries"], "median_frames", 1),
            _median(found["agreement"]["raw"], share=True),
        ],
    }


def _harm_cells(found: Mapping[str, Any]) -> list[str]:
    harm = _harm(found)
    shown = harm["shown"] or "—"
    return [f"{shown} ({harm['interval']})" if harm["interval"] else shown, number(_float(found.get("seconds")), 1)]


def _median(spread: Mapping[str, Any] | None, share: bool = False) -> str:
    value = (spread or {}).get("median")
    return percent(value) if share else number(_float(value), 1)


def _of(found: Mapping[str, Any] | None, key: str, digits: int = 2) -> str:
    return number(_float((found or {}).get(key)), digits)


def _float(value: Any) -> float | None:
    return None if value is None else float(value)
