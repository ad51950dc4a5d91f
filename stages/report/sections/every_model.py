"""The table of every model at its operating point: what each finds beside what each gets wrong."""

from collections.abc import Mapping
from typing import Any

from stages.report.inputs import BASELINES
from stages.report.wording import interval, listed, number, percent

FALSE = ("dangerous", "futile")


def row(model: str, found: Mapping[str, Any]) -> dict[str, Any]:
    """Return one model's row: its cells as text, of one to three lines, or why it has none."""
    if "dangerous" not in found:
        why = found.get("why") or "no reason was given"
        return {"model": model, "why": why, "cells": [], "unknown": 0, "baseline": model in BASELINES}
    go = found["go"]
    return {
        "model": model,
        "why": None,
        "baseline": model in BASELINES,
        "never": never_says_go(found),
        "undecided": f"{go['undecided_frames']} of {go['unknown_frames']}",
        "unknown": go["unknown_frames"],
        "cells": _cells(found),
    }


def _cells(found: Mapping[str, Any]) -> list[str]:
    thinned = found["tested"]["thinned_clips"] > 0
    return [
        go_found(found),
        *(cell for kind in FALSE for cell in (_harm(found[kind]), _seconds(found[kind], thinned))),
        _sustained(found["sustained_go"]),
        _of(found["flicker_per_s"], "mean"),
        _of(found["boundaries"], "model", 0),
        _matched(found["boundaries"]),
        _of(found["boundaries"], "median_frames", 1),
        percent((found["agreement"]["raw"] or {}).get("median")),
    ]


def never_says_go(found: Mapping[str, Any]) -> bool:
    """Return whether a model says GO in no tested frame, so that it can neither err nor help."""
    false = sum(found[kind]["frames"] for kind in FALSE)
    return found["go"]["right_frames"] + found["go"]["undecided_frames"] + false == 0


def go_found(found: Mapping[str, Any]) -> str:
    """Return `53 of 56` over `(95 %)`: right GO frames of the expert's; in words where a model never says GO."""
    right, there = found["go"]["right_frames"], found["go"]["expert_frames"]
    shown = f"{right} of {there}" if there else number(None)
    if never_says_go(found):
        return f"{shown}:\nnever says GO"
    return f"{shown}\n({percent(right / there)})" if there else shown


def _harm(harm: Mapping[str, Any]) -> str:
    """Return `0 of 1` over `(0–98 %)`: infants with such a GO of those with frames over which it is possible."""
    if harm["infants"] is None:
        return number(None)
    there, bounds = harm["infants_at_risk"], interval(harm.get("interval_95_at_risk"))
    shown = f"{harm['infants']} of {there}" if there else "none at risk"  # the heading says of whom
    short = bounds.replace("\u00a0% to ", "–") if bounds else ""  # 3–65 %: the table has no room for sentences
    return f"{shown}\n({short})" if short else shown


def _seconds(harm: Mapping[str, Any], thinned: bool) -> str:
    """Return `0.5` over `(run 0.43, C009)`, in three lines: seconds, longest run, its clip; `≥` in thinned clips."""
    if harm["seconds"] is None:
        return number(None)
    least = "≥ " if thinned and harm["frames"] else ""
    shown = f"{least}{number(_float(harm['seconds']), 1)}"
    if not harm["longest_run_s"] or not harm["longest_run_clip"]:
        return shown
    return f"{shown}\n(run {least}{number(_float(harm['longest_run_s']), 2)},\n{harm['longest_run_clip']})"


def _sustained(go: Mapping[str, Any]) -> str:
    """Return seconds over the clips that reach one: `0.4` over `(1 of 5)`; in words where none does."""
    there, reached = go.get("clips_with_one"), go.get("reached")
    if not there:
        return number(None)
    if not reached:
        return f"never\n(0 of {there})"
    return f"{number(_float((go['delay_s'] or {}).get('median')), 1)}\n({reached} of {there})"


def _matched(changes: Mapping[str, Any]) -> str:
    """Return `30 of 67`: the expert's changes that a change of the model matches, of all."""
    if changes.get("matched") is None:
        return number(None)
    return f"{number(_float(changes['matched']), 0)} of {number(_float(changes['expert']), 0)}"


def dashes(models: Mapping[str, Mapping[str, Any]], sustained_s: float) -> list[str]:
    """Return what the dashes of the table stand for: each reason once, after the columns that it empties."""
    columns: dict[str, list[str]] = {}
    for found in models.values():
        for column, why in (_absent(found, sustained_s) if "dangerous" in found else {}).items():
            columns.setdefault(why, [])
            columns[why] += [] if column in columns[why] else [column]
    return [f"{listed(of)}: {why}" for why, of in columns.items()]


def _absent(found: Mapping[str, Any], sustained_s: float) -> dict[str, str]:
    """Return column -> why a model has a dash there."""
    lasting, changes = found["flicker_per_s"]["why"], found["boundaries"]
    nothing = None if found["sustained_go"]["clips_with_one"] else f"the expert has no GO of {sustained_s} s here"
    whys = {
        "GO found": None if found["go"]["expert_frames"] else "the expert says GO in no tested frame",
        "seconds": found["go"]["why"],
        "first sustained GO": lasting or nothing,
        "flicker": lasting,
        "changes": changes["why"] if changes["median_frames"] is None else None,
        "agreement": None if found["agreement"]["raw"] else "the expert decides no frame",
    }
    return {column: why for column, why in whys.items() if why}


def _of(found: Mapping[str, Any] | None, key: str, digits: int = 2) -> str:
    return number(_float((found or {}).get(key)), digits)


def _float(value: Any) -> float | None:
    return None if value is None else float(value)
