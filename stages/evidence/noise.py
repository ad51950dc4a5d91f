"""What chance in training alone does: the same networks from other seeds, on the same test frames.

A seed is no patient: these numbers stand beside the intervals and never enter one.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from stages.common.evaluation.baselines import BASELINES
from stages.common.evaluation.reading import Protocoled
from stages.common.evaluation.rule import Rule
from stages.common.evaluation.scores import macro_f1
from stages.evidence.comparison import losses_of

ONE_SEED = "one training seed is declared; `seeds` in params.yaml adds others"
DIGITS = 4
SHOWN = ("macro F1", "loss of the rule")


def noise(of_seeds: Mapping[str, Protocoled], labels: Sequence[str], rule: Rule) -> dict[str, Any]:
    """Return each network's test figures under every seed of one protocol.

    Args:
        of_seeds: seed -> what was answered, the seed of all other figures first.
        labels: the label columns.
        rule: the doctor's, whose loss is one of the figures.

    Returns:
        seeds; models -> figure -> {values (in the order of the seeds), lowest, highest, spread}; why there are none.
    """
    if len(of_seeds) < 2:
        return {"seeds": list(of_seeds), "models": {}, "why": ONE_SEED}
    each = [figures(of, labels, rule) for of in of_seeds.values()]
    networks = [model for model in each[-1] if model not in BASELINES]  # other models have the first seed alone
    models = {model: {name: spread([of[model][name] for of in each]) for name in SHOWN} for model in networks}
    return {"seeds": list(of_seeds), "models": models, "why": None}


def figures(of: Protocoled, labels: Sequence[str], rule: Rule) -> dict[str, dict[str, float | None]]:
    """Return model -> its macro F1 and its loss over the test rows."""
    mine = of.rows.on("test")
    test, found = of.rows[mine], {}
    for model, answers in of.models.items():
        said = answers[mine]
        losses = losses_of(test, said, labels, rule)
        loss = None if losses is None else float(losses.contributions.mean())
        found[model] = dict(zip(SHOWN, (macro_f1(test.truth, said.said), loss), strict=True))
    return found


def spread(values: Sequence[float | None]) -> dict[str, Any]:
    """Return the values with their extremes; what no seed could give stays null."""
    known = [value for value in values if value is not None]
    ends = (min(known), max(known)) if known else (None, None)
    rounded = [None if value is None else round(value, DIGITS) for value in (*values, *ends)]
    apart = None if not known else round(max(known) - min(known), DIGITS)
    return {"values": rounded[:-2], "lowest": rounded[-2], "highest": rounded[-1], "spread": apart}
