"""What evidence.json says of one protocol: every model's figures, the comparisons between them, and who wins."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from stages.common.core.progress import bar
from stages.common.evaluation.answers import Answers, Rows
from stages.common.evaluation.baselines import BASELINES
from stages.common.evaluation.intervals import CONFIDENCE
from stages.common.evaluation.reading import Protocoled
from stages.common.evaluation.rule import judge, winner_of
from stages.common.protocols import PATIENT_DISJOINT
from stages.evidence.comparison import Losses, all_pairs, losses_of, named_beforehand
from stages.evidence.figures import interval_rows, metrics_of, patient_rows
from stages.evidence.params import Params, generator
from stages.evidence.resamples import win_shares
from stages.evidence.time import networks_read, time_gains

NOT_HONEST = "not honest: frames of one infant on both sides"


def protocol_metrics(
    protocol: str, of: Protocoled, params: Params
) -> tuple[dict[str, Any], list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the metrics of every model, and the rows of the two plot tables."""
    test = of.rows.on("test")
    found, intervals, patients = {}, [], []
    labels, decision = list(params.labels), params.evaluate.decision
    for model, answers in bar(list(of.models.items()), f"evidence {protocol}", unit="model"):
        metrics, dots = metrics_of(of.rows[test], answers[test], labels, decision, CONFIDENCE)
        found[model] = metrics
        intervals += interval_rows(protocol, model, metrics)
        patients += patient_rows(protocol, model, dots)
    return found, intervals, patients


def protocol_comparisons(protocol: str, of: Protocoled, params: Params, simplest: list[str]) -> dict[str, Any]:
    """Return what evidence.json says of one protocol's models against each other.

    Args:
        protocol: its name.
        of: what was asked and answered under it.
        params: of the stage.
        simplest: all declared models, fewest multiply-adds first.
    """
    section = params.evidence
    models = {model: answers for model, answers in of.models.items() if model not in BASELINES}
    mine = of.rows.on("test")
    test, labels, rule = of.rows[mine], list(params.labels), params.evaluate.rule
    losses = {model: losses_of(test, answers[mine], labels, rule) for model, answers in models.items()}
    pairs = all_pairs(
        losses, len(np.unique(test.patients)), section.all_pairs_from, CONFIDENCE, section.permutations,
        generator(params.seed, protocol, "pairs"),
    )  # fmt: skip
    gains = time_gains(
        networks_read(params.sequences) if protocol in PATIENT_DISJOINT else {}, losses, CONFIDENCE,
        section.permutations, generator(params.seed, protocol, "time"), section.all_pairs_from,
    )  # fmt: skip
    return {
        "comparison": _beforehand(protocol, of.rows, models, losses, params, simplest),
        "all_pairs": pairs,
        "time": gains,
        "win_shares": _shares(protocol, of.rows, models, params),
    }


def _beforehand(
    protocol: str, rows: Rows, models: Mapping[str, Answers], losses: Mapping[str, Losses | None], params: Params,
    simplest: list[str],
) -> dict[str, Any]:  # fmt: skip
    """Return the one comparison that is named beforehand, with the order and the caveat that belong to it."""
    judged = {model: judge(rows, of, list(params.labels), params.evaluate.rule) for model, of in models.items()}
    order = [model for model in simplest if model in models]  # none over time where clips are cut
    fit = [model for model in order if not judged[model].reasons]
    compared = named_beforehand(
        winner_of(judged)[0], next(iter(fit), None), losses, params.evidence.permutations,
        generator(params.seed, protocol, "comparison"),
    )  # fmt: skip
    return compared | {"simplest_first": order, "caveat": _caveat(rows, protocol)}


def _caveat(rows: Rows, protocol: str) -> str | None:
    """Return what stands against the comparison: test patients who took part in choosing the winner."""
    if protocol not in PATIENT_DISJOINT:
        return NOT_HONEST
    chose, tested = (set(rows.patients[rows.on(side)]) for side in ("validation", "test"))
    both = len(chose & tested)
    if not both:
        return None
    return f"{both} of {len(tested)} test patients helped to choose the winner, as validation patients of other folds"


def _shares(protocol: str, rows: Rows, models: Mapping[str, Answers], params: Params) -> dict[str, Any]:
    """Return side -> who wins in resamples of its patients."""
    sides = {side: rows.on(side) for side in ("validation", "test")}
    return {
        side: win_shares(
            rows[mine], {model: answers[mine] for model, answers in models.items()}, list(params.labels),
            params.evaluate.rule, params.evidence.resamples, generator(params.seed, protocol, side),
        )
        for side, mine in sides.items()
    }  # fmt: skip
