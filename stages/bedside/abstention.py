"""What it costs and gains to say nothing of frames that a label vetoes, such as those of bad quality."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.bedside.clips import kinds
from stages.bedside.decided import Decided
from stages.bedside.tested import NO_TIMES
from stages.common.evaluation.decision import GO, Decision, decide

Content = dict[str, Any]
SAVED = {"dangerous_saved": "dangerous", "futile_saved": "futile", "right_lost": "right"}
FIGURES = ("vetoed_frames", *SAVED, "dangerous_infants_with", "dangerous_infants_without")


def vetoes(decision: Decision) -> list[str]:
    """Return the labels that must be absent for a GO and do not stop: with them the model abstains."""
    return [label for label, needed in decision.go.items() if needed == 0 and label not in decision.stop]


def without(decision: Decision, labels: list[str]) -> Decision | None:
    """Return the decision that ignores `labels`, None where a GO would need nothing."""
    needs = {label: needed for label, needed in decision.go.items() if label not in labels}
    return Decision(go=needs, stop=decision.stop) if needs else None


def abstention(of: Decided, decision: Decision) -> Content:
    """Return which false GOs the veto saves and which right ones it loses; the expert's decision stays as it is.

    Every figure is None where there is no veto, or nothing without it.
    """
    labels = vetoes(decision)
    bold = without(decision, labels)
    if not labels or bold is None:
        why = "no label vetoes a GO" if not labels else "without the veto a GO would need nothing"
        return {"labels": labels, **dict.fromkeys(FIGURES), "why": why}
    free = decide(of.decider.said.astype(float), of.labels, bold)
    vetoed = (free == GO) & (of.decision != GO)
    costs = kinds(of.expert, free)
    return {
        "labels": labels,
        "vetoed_frames": int(vetoed.sum()),
        **{name: _extent(of, vetoed & costs[kind]) for name, kind in SAVED.items()},
        "dangerous_infants_with": _infants(of, kinds(of.expert, of.decision)["dangerous"]),
        "dangerous_infants_without": _infants(of, costs["dangerous"]),
        "why": NO_TIMES if np.isnan(of.seconds).all() else None,
    }


def _extent(of: Decided, flags: NDArray[np.bool_]) -> Content:
    timed = ~np.isnan(of.seconds)
    seconds = round(float(of.seconds[flags & timed].sum()), 4) if timed.any() else None
    return {"infants": _infants(of, flags), "frames": int(flags.sum()), "seconds": seconds}


def _infants(of: Decided, flags: NDArray[np.bool_]) -> int:
    return len(set(of.patients[flags]))
