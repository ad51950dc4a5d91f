"""Which probes are flagged, and which models' scores they cast doubt on."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from stages.common.evaluation.reading import Protocoled
from stages.common.evaluation.scores import rounded
from stages.leakage.params import Probes
from stages.leakage.probes import Found, judged, patient_aucs

CHANCE = 0.5
EXACT = 1e-9  # areas are compared as printed: what differs by less is equal
# of a flagged probe, to print beside the scores
FLAG = (
    "auc", "lowest", "highest", "patients", "names", "strong", "reasons", "casts_doubt_on", "share_of_excess",
    "weak_models", "no_better_than_chance",
)  # fmt: skip
Areas = dict[tuple[str, int, str], Found]  # (protocol, label's number, model or probe)


def model_areas(answers: Mapping[str, Protocoled], labels: int, least: int) -> Areas:
    """Return each model's patient-wise AUC on test rows, as the probes' over `least` patients; baselines have none."""
    found = {}
    for protocol, of in answers.items():
        test = of.rows.on("test")
        rows = of.rows[test]
        for model, answer in of.models.items():
            scores = answer[test].scores
            if scores is None:
                continue
            for label in range(labels):
                areas = patient_aucs(rows.truth[:, label], scores[:, label], rows.patients)
                found[protocol, label, model] = judged(areas, least)
    return found


def doubt(probe: Found, models: Mapping[str, Found], params: Probes) -> dict[str, Any]:
    """Return whether one probe is flagged, why, and the models whose scores it casts doubt on.

    Strong from `flag_auc` on: the label can be told without anatomy, and every model with a score is touched. A weaker
    one is flagged from `flag_share` of a model's excess over 0.5, beside that model alone; `weak_models` are those of
    them with so little excess that the share says as much of the model. A model without any excess has no share, which
    clears it of nothing: it stands in `no_better_than_chance` with its own AUC. Compared as printed, with 4 decimals.
    """
    shares = {model: reached(probe, found) for model, found in models.items()}
    weak = [model for model, found in models.items() if is_weak(found, params)]
    auc = rounded(probe.mean)
    strong = auc is not None and auc >= params.flag_auc
    by_share = [model for model, share in shares.items() if share is not None and share >= params.flag_share]
    reasons = [f"patient-wise AUC {auc:g} is at least {params.flag_auc:g}"] if strong else []
    reasons += [
        f"reaches {shares[model]:.0%} of {model}'s excess over {CHANCE:g}" + (" (weak model)" if model in weak else "")
        for model in by_share
    ]
    estimable = [model for model, found in models.items() if found.mean is not None]
    return {
        "flagged": bool(reasons),
        "strong": strong,
        "reasons": reasons,
        "casts_doubt_on": estimable if strong else by_share,
        "share_of_excess": shares,
        "weak_models": weak,
        "no_better_than_chance": {name: auc for name, of in models.items() if (auc := at_chance(of)) is not None},
    }


def is_weak(model: Found, params: Probes) -> bool:
    """Return whether a model's excess over 0.5 is less than half of what flags a probe.

    A share of next to nothing is 395 %, and may mean that the model knows nothing more than that the probe does.
    """
    its = rounded(model.mean)
    return its is not None and its - CHANCE < (params.flag_auc - CHANCE) / 2 - EXACT


def at_chance(model: Found) -> float | None:
    """Return a model's AUC where it has no excess over 0.5, else None."""
    its = rounded(model.mean)
    return float(its) if its is not None and its - CHANCE <= EXACT else None


def reached(probe: Found, model: Found) -> float | None:
    """Return the share of a model's excess AUC over 0.5 that the probe reaches too; None where it has no excess."""
    mine, its = rounded(probe.mean), rounded(model.mean)
    if mine is None or its is None or its - CHANCE <= EXACT:
        return None
    return round((mine - CHANCE) / (its - CHANCE), 4)


def results(
    areas: Areas, probed: Areas, labels: Sequence[str], protocols: Sequence[str], params: Probes
) -> dict[str, Any]:
    """Return protocol -> label -> the models' and the probes' figures, with the flags."""
    found: dict[str, Any] = {}
    for protocol in protocols:
        for number, label in enumerate(labels):
            models = {name: of for (where, which, name), of in areas.items() if (where, which) == (protocol, number)}
            probes = {name: of for (where, which, name), of in probed.items() if (where, which) == (protocol, number)}
            found.setdefault(protocol, {})[label] = {
                "models": {name: of.as_json() for name, of in models.items()},
                "probes": {name: of.as_json() | doubt(of, models, params) for name, of in probes.items()},
            }
    return found


def flags_of(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the flagged probes alone, as a list to print beside the scores."""
    return [
        {"protocol": protocol, "label": label, "probe": probe} | {name: entry[name] for name in FLAG}
        for protocol, labels in found.items()
        for label, parts in labels.items()
        for probe, entry in parts["probes"].items()
        if entry["flagged"]
    ]


def probe_table(found: Mapping[str, Any]) -> pd.DataFrame:
    """Return the plot data: protocol, label, what (probe or model), name, auc, lowest, highest, patients, flagged."""
    rows = [
        {"protocol": protocol, "label": label, "what": what[:-1], "name": name, "auc": entry["auc"],
         "lowest": entry["lowest"], "highest": entry["highest"], "patients": entry["patients"],
         "flagged": int(entry.get("flagged", False)), "casts_doubt_on": " ".join(entry.get("casts_doubt_on", []))}
        for protocol, labels in found.items()
        for label, parts in labels.items()
        for what in ("models", "probes")
        for name, entry in parts[what].items()
    ]  # fmt: skip
    return pd.DataFrame(rows).astype(dict.fromkeys(("auc", "lowest", "highest"), float))
