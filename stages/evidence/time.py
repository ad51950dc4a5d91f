"""Does time help: each model over frames in time against the very network whose features or answers it reads.

Both saw the same training patients under the same protocol; they differ in time alone (and in what a small network on
features learns anew). Paired within patients by the rule's loss, as all comparisons here; Holm's correction over the
models that are asked about.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from statsmodels.stats.multitest import multipletests

from stages.evidence.comparison import DIGITS, KEYS, Losses, compare

Compared = dict[str, Any]


def time_gains(
    sequences: Mapping[str, str], losses: Mapping[str, Losses | None], confidence: float, permutations: int,
    rng: np.random.Generator, tested_from: int,
) -> list[Compared]:  # fmt: skip
    """Return for each model over time its comparison with its network, and one sentence that says what came of it.

    Args:
        sequences: model over time -> the network that it reads.
        losses: of each model on the test rows of one patient-disjoint protocol; None where not estimable.
        confidence: time helps, or harms, where the corrected p is below 1 - confidence.
        permutations: as in `sign_flips`.
        rng: as in `sign_flips`.
        tested_from: patients below which nothing but the comparison named beforehand is tested: then the counts are
            told, and no verdict.

    Returns:
        What `compare` returns (negative differences are for time), p_holm, sentence, and why where nothing is compared.
    """
    whole = {model: loss for model, loss in losses.items() if loss is not None}
    pairs = {system: network for system, network in sequences.items() if {system, network} <= set(whole)}
    found = [compare(*pair, whole, permutations, rng) for pair in pairs.items()]
    corrected = multipletests([each["p"] for each in found], method="holm")[1].tolist() if found else []
    told = {system: _not_compared(system, network, network in losses) for system, network in sequences.items()}
    for each, p in zip(found, corrected, strict=True):
        sentence = sentence_of(each, p, len(found), 1 - confidence, tested_from)
        told[each["models"][0]] = each | {"p_holm": round(p, DIGITS), "sentence": sentence, "why": None}
    return list(told.values())


def _not_compared(system: str, network: str, declared: bool) -> Compared:
    why = "the rule's loss is not estimable: no test frame has the cases of one of its rates"
    why = why if declared else f"{network} is no key of `architectures`"
    empty: Compared = dict.fromkeys(KEYS)
    sentence = f"whether time helps {network} cannot be told by {system}: {why}"
    return empty | {"models": [system, network], "p_holm": None, "sentence": sentence, "why": why}


def sentence_of(compared: Compared, p: float, tried: int, alpha: float, tested_from: int) -> str:
    """Return what a doctor should hear of one comparison.

    Args:
        compared: what `compare` returned, the model over time first.
        p: corrected.
        tried: how many models over time the correction is for.
        alpha: p below it separates.
        tested_from: fewer patients cannot tell, whatever p says.
    """
    system, network = compared["models"]
    infants, change = _infants(compared["patients"]), f"loss {compared['difference']:+.3f}"
    counts = f"{system} against {network} is better in {compared['better']} of {infants}, worse in {compared['worse']}"
    counts += f", equal in {compared['ties']}" if compared["ties"] else ""
    if compared["patients"] < tested_from:
        return f"{infants} cannot tell whether time helps: {counts} ({change})"
    if p < alpha:
        verdict = "time helps" if compared["difference"] < 0 else "time harms"
        return f"{verdict}: {counts} ({change}, p {p:.2g})"
    if compared["smallest_p_without_ties"] * tried >= alpha:
        return f"{infants} cannot tell whether time helps: {counts} ({change})"
    return f"time does not help, as far as {infants} can tell: {counts} ({change})"


def _infants(count: int) -> str:
    return f"{count} infant" + ("" if count == 1 else "s")


def networks_read(sequences: Mapping[str, Any]) -> dict[str, str]:
    """Return model over time -> the network that it reads, of section `sequences` of params.yaml."""
    return {system: str(entry["features"]) for system, entry in sequences.items()}
