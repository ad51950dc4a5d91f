"""What a doctor would have seen, in words: dangerous GO, futile GO, the first sustained GO. It leads the page."""

from collections.abc import Mapping
from typing import Any

from stages.common.protocols import PATIENT_DISJOINT
from stages.report.inputs import Data
from stages.report.sections import every_model, leakage
from stages.report.wording import count, interval, listed, needed

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
        "sentences": sentences(models[leading], protocol, sustained_s, decision, of_protocol["winner"])
        if leading
        else [],
        "absent": models.get(CHOSEN, {}).get("why"),
        **_table(models, sustained_s),
        "limits": bedside["limits"],
        "doubts": leakage.doubts(data, protocol),
        "others": {
            name: {**of, **_table(of["models"], sustained_s)}
            for name, of in bedside["protocols"].items()
            if name != protocol
        },
    }


def _table(models: Mapping[str, Any], sustained_s: float) -> dict[str, Any]:
    rows = [every_model.row(name, found) for name, found in models.items()]
    return {"rows": rows, "dashes": every_model.dashes(models, sustained_s)}


def leading_model(data: Data) -> str | None:
    """Return whose verdict leads: the chosen model's, or, where none can be chosen, no model's."""
    models = data.results["bedside"]["protocols"][data.results["bedside"]["headline_protocol"]]["models"]
    estimable = {name for name, found in models.items() if "dangerous" in found}
    return CHOSEN if CHOSEN in estimable else None


def decision_words(data: Data) -> dict[str, str]:
    """Return what the decision of params.yaml stops at, and what it takes for a target beside that."""
    found = data.params["evaluate"]["decision"]
    target = {label: must for label, must in found["go"].items() if label not in found["stop"]}
    return {"stop": needed(found["stop"]) or "no label says so", "target": needed(target or found["go"])}


def sentences(
    found: Mapping[str, Any], protocol: str, sustained_s: float, decision: Mapping[str, str], winner: Mapping[str, Any]
) -> list[str]:
    """Return the verdict as a doctor would say it to another."""
    dangerous, futile, go = found["dangerous"], found["futile"], found["sustained_go"]
    unseen = "never seen in training" if protocol in PATIENT_DISJOINT else "whose neighbouring frames were in training"
    said = [f"The chosen model was tried on {count(found['tested']['infants'], 'infant')} {unseen}.", *_who(winner)]
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
        return "no infant, but in none of them it could have: they have no such frames"
    frames = f" ({count(harm['frames'], 'frame')})" if harm["infants"] else ""
    return f"{harm['infants'] or 'none'} of the {count(harm['infants_at_risk'], 'infant')} at risk{frames}"


def _who(winner: Mapping[str, Any]) -> list[str]:
    """Return for how many infants nobody could be chosen, and who the chosen model is."""
    said, of = [], sum(winner["counts"].values()) + winner["without"]
    if winner["without"]:
        said.append(f"For {winner['without']} of {count(of, 'infant')} no model could be chosen; they are left out.")
    if len(winner["counts"]) > 1:
        each = [f"{model} for {count(infants, 'infant')}" for model, infants in winner["counts"].items()]
        said.append(f"It is several models, each chosen by other infants: {listed(each)}.")
    elif winner["counts"]:
        said.append(f"It is {next(iter(winner['counts']))} for every one of them.")
    return said


def _verdict(found: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **found,
        "dangerous": _harm(found["dangerous"]),
        "futile": _harm(found["futile"]),
    }


def _harm(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return one kind of false GO: infants of those at risk with the interval, seconds, longest run."""
    return {**found, "interval": interval(found.get("interval_95_at_risk"))}
