"""The facts that the model card and the checklists quote: all from params and from the stages' own results."""

from collections.abc import Mapping
from typing import Any

from stages.common.protocols import LEAVE_ONE_OUT
from stages.report.bounds import unbounded
from stages.report.inputs import Data
from stages.report.learning import learning
from stages.report.sections.cautions import rests_on
from stages.report.sections.verdict import CHOSEN
from stages.report.wording import count, interval, listed, percent, words

NO_HEATMAPS = "heatmaps (no network was explained that has a late convolutional map)"


def facts(data: Data) -> dict[str, Any]:
    """Return name -> what the sentences of card.html and of the checklists may quote; None where not estimable.

    `lacking` holds fact -> what is missing, of those facts that consist of many figures.
    """
    known = {**_declared(data), **learning(data.params), **_trained(data), **_measured(data), **_labelled(data)}
    lacking = {"accuracy_bounds": unbounded(data), "heatmaps": NO_HEATMAPS}
    return known | {"accuracy_bounds": None if lacking["accuracy_bounds"] else "all", "lacking": lacking}


def _declared(data: Data) -> dict[str, Any]:
    params = data.params
    frames = params["extract_frames"]
    decision = params["evaluate"]["decision"]
    return {
        "cohort": params["cohort"],
        "phantom": data.is_phantom,
        "pixels": data.shows_pixels,
        "seed": params["seed"],
        "size_px": params["size_px"],
        "labels": listed([words(label) for label in data.labels]),
        "label_count": len(data.labels),
        "networks": listed(list(params["architectures"])),
        "network_count": len(params["architectures"]),
        "model_count": sum(len(params[kind]) for kind in ("architectures", "baselines", "sequences")),
        "other_models": _other_models(params),
        "sees": _sees(params),
        "protocols": listed([words(name) for name in data.protocols]),
        "bundled": listed([words(name) for name in params["protocols"]]),
        "crop": "stated by DICOM or clips.csv, else found by what moves"
        if frames["crop"] == "auto"
        else "not cut out, unless clips.csv states it",
        # as stages/common/clips/cine.py decides
        "covers_lettering": {"always": True, "never": False}.get(frames["cover_lettering"], not data.is_phantom),
        "stride": frames["stride"],
        "max_frames": frames["max_frames"],
        "method": params["preprocess"]["method"],
        "shares": listed([f"{side} {share}" for side, share in params["split"]["shares"].items()]),
        "decision_sentence": f"GO is {_needs(decision['go'])}; {_stop(decision['stop'])}.",
        "rule": _rule(params["evaluate"]["rule"]),
    }


def _other_models(params: Mapping[str, Any]) -> str:
    """Return a sentence on the models that are no networks of pictures; empty without any."""
    said = []
    if params["baselines"]:
        each = [f"{name} ({of['classifier']} on {of['features']})" for name, of in params["baselines"].items()]
        said.append(f"Beside them scikit-learn's classifiers of one frame's features: {listed(each)}.")
    if params["sequences"]:
        each = [f"{name} ({of['model']} on {of['features']})" for name, of in params["sequences"].items()]
        said.append(f"And models over frames in time: {listed(each)}.")
    return " ".join(said)


def _sees(params: Mapping[str, Any]) -> str:
    """Return which frames an answer rests on."""
    over_time = listed(list(params["sequences"]))
    return (
        f"The frame alone, but for {over_time}, which see others of its clip" if over_time else "No neighbouring frame"
    )


def _needs(needs: dict[str, int]) -> str:
    return listed([words(label) if value else f"no {words(label)}" for label, value in needs.items()])


def _stop(needs: dict[str, int]) -> str:
    return f"stop is {_needs(needs)}, and overrides" if needs else "no label says stop"


def _rule(rule: dict[str, Any]) -> str:
    least = listed([f"{words(rate)} of {words(label)}" for label, rate in rule["minimise"].items()])
    floors = [
        f"{rate} of {words(label)} at least {least_of}"
        for label, of in rule["subject_to"].items()
        for rate, least_of in of.items()
    ]
    return f"smallest sum of {least}" + (f", with {listed(floors)}" if floors else "")


def _trained(data: Data) -> dict[str, Any]:
    train = data.params["train"]
    libraries = {"torch": "torch", "torchvision": "torchvision", "opencv": "opencv-python-headless", "dvc": "dvc"}
    return {
        "lr": data.params["lr"],
        "epochs": data.params["epochs"],
        "epochs_sentence": epochs_sentence(data),
        **{name: train[name] for name in ("batch_size", "warmup", "weights", "device")},
        "variants": listed([words(name) for name, on in train["variants"].items() if on]),
        **{name: data.pinned.get(library, "not pinned") for name, library in libraries.items()},
    }


def epochs_sentence(data: Data) -> str:
    """Return whose epoch each protocol kept: it was fixed beforehand only where it is the last."""
    kept, number_of = data.params["train"]["kept_epoch"], count(data.params["epochs"], "epoch")
    last, best = ([name for name in data.protocols if kept[name] == which] for which in ("last", "best"))
    fixed = f"under {listed([words(name) for name in last])} the last, fixed beforehand" if last else ""
    chosen = f"under {listed([words(name) for name in best])} validation frames chose which is kept" if best else ""
    return f"{number_of}: {'; '.join(part for part in (fixed, chosen) if part)}"


def _measured(data: Data) -> dict[str, Any]:
    bedside = data.results["bedside"]
    headline = bedside["headline_protocol"]
    found = bedside["protocols"][headline]
    harm = found["models"].get(CHOSEN, {}).get("dangerous") or {}
    known = harm.get("infants") is not None and harm["infants_at_risk"] > 0
    bounds = interval(harm.get("interval_95_at_risk"))
    return {
        "headline": words(headline),
        "tested_infants": found["tested"]["infants"],
        "dangerous": f"{harm['infants']} of {count(harm['infants_at_risk'], 'infant')} at risk" if known else None,
        "no_dangerous": harm.get("why") or "the verdict's way chooses no model",
        "dangerous_interval": f"95 % interval {bounds}" if bounds else None,
        "winner_sentence": ways_of_choosing(data),
        "heatmaps": listed([*dict.fromkeys(of["model"] for of in data.results["explain"]["models"] if of["layer"])])
        or None,
        "heat_known": any(of.get("heat_inside_mask") is not None for of in data.results["explain"]["summary"]),
        "certificate_sentence": _certificate(data),
    }


def ways_of_choosing(data: Data) -> str:
    """Return both ways in which the rule chooses under the headline protocol, each with whom it chose.

    They may disagree: other thresholds, and under leave one patient out other rows.
    """
    bedside = data.results["bedside"]
    headline = bedside["headline_protocol"]
    winner = data.results["selected"][headline]["winner"]
    threshold = data.params["evaluate"]["threshold"]
    at = f"fixed at {threshold['value']}" if threshold["method"] == "fixed" else "chosen on these rows"
    few = rests_on(data.results["selected"][headline]["few_patients"])
    study = (
        f"The study's way of choosing (validation rows, thresholds {at}; the comparison follows it) "
        f"takes {winner or 'no model'} under {words(headline)}{f', WHICH RESTS ON {few}: too few' if few else ''}."
    )
    return f"{study} {_bedside_way(bedside['protocols'][headline]['winner'], headline)}"


def _bedside_way(winner: dict[str, Any], headline: str) -> str:
    took = [f"{model} for {number_of}" for model, number_of in winner["counts"].items()]
    took += [f"no model for {winner['without']}"] if winner["without"] else []
    if headline == LEAVE_ONE_OUT:
        return (
            "The verdict's way (each infant's model is chosen by the other infants' out-of-fold test rows, at the "
            f"operating point that they set) takes {listed(took) or 'no model'} of the infants; those rows come from "
            "networks that trained on the infant."
        )
    return (
        "The verdict's way (the same validation rows, at the operating point that they set) takes "
        f"{listed(took) or 'no model'} of the infants."
    )


def _certificate(data: Data) -> str:
    parts = [
        f"{words(name)}: {count(len(of['patients_on_two_sides']), 'infant')} on two sides, "
        f"{percent(of['near_duplicates']['same_clip']['share'])} of test frames have a near-duplicate of "
        "their clip in training"
        for name, of in data.results["leakage"]["certificate"].items()
    ]
    return "; ".join(parts) + "."


def _labelled(data: Data) -> dict[str, Any]:
    found, table = data.results["labels"], data.labelled
    problems = found["problems"]
    experts = found["experts"]["count"]
    return {
        "infants": int(table["patient"].nunique()),
        "clips": int(table["clip_id"].nunique()),
        "frames": len(table),
        "unknown": sum(of["unknown"] for label, of in found["total"]["labels"].items() if label in data.labels),
        "experts": experts,
        "problem_sentence": f"Read with warnings of {listed([words(name) for name in problems])}."
        if problems
        else "Read without a warning.",
        "agreement_sentence": "One expert: there is nothing to compare."
        if experts < 2
        else "Agreement between experts stands in metrics/labels.json.",
    }
