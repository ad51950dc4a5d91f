"""What was chosen, as the page prints it: temperatures, thresholds, their spread over infants, and the winners."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.bedside.choosing import Unit
from stages.bedside.operating import Point
from stages.bedside.verdict import spread

Content = dict[str, Any]
NO_THRESHOLD = "calling every frame alike is best on the rows that choose"


def operating_part(points: Mapping[str, Point], labels: Sequence[str]) -> Content:
    """Return a model's operating points over the units that have one each.

    Args:
        points: unit -> operating point.
        labels: names of the labels.
    """
    whys = [of.why for of in points.values() if of.why]
    return {
        "units": len(points),
        "temperature": spread([of.temperature for of in points.values() if not of.why]),
        "temperatures_without_estimate": len(whys),
        "why": sorted(set(whys)),
        "labels": {label: _label_part(points, label) for label in labels},
    }


def _label_part(points: Mapping[str, Point], label: str) -> Content:
    found = [of.thresholds[label] for of in points.values()]
    finite = [threshold.probability for threshold in found if np.isfinite(threshold.logit)]
    never, always = (sum(threshold.logit == end for threshold in found) for end in (np.inf, -np.inf))
    return {
        "rules": sorted({threshold.rule for threshold in found}),
        "threshold": spread(finite),
        "never": never,
        "always": always,
        "sensitivity": spread(pd.Series([threshold.sensitivity for threshold in found], dtype=float)),
        "false_positive_rate": spread(pd.Series([threshold.false_positive_rate for threshold in found], dtype=float)),
        "why": sorted({threshold.why for threshold in found if threshold.why}) + ([] if finite else [NO_THRESHOLD]),
    }


def threshold_table(points: Mapping[str, Mapping[str, Point]]) -> pd.DataFrame:
    """Return a row a model, unit and label; columns as in the stage's docstring."""
    rows = [
        (model, unit, point.temperature, label, threshold.probability, threshold.sensitivity,
         threshold.false_positive_rate, threshold.rule, threshold.why)
        for model, of_model in points.items()
        for unit, point in of_model.items()
        for label, threshold in point.thresholds.items()
    ]  # fmt: skip
    columns = [
        "model",
        "unit",
        "temperature",
        "label",
        "threshold",
        "sensitivity",
        "false_positive_rate",
        "rule",
        "why",
    ]
    return pd.DataFrame(rows, columns=columns)


def winner_part(
    won: Mapping[str, tuple[str | None, str]], units: Sequence[Unit], patients: NDArray[np.object_]
) -> Content:
    """Return who answers for which infant.

    Args:
        won: unit -> winner (None: nobody) and why.
        units: of the protocol.
        patients: (rows,) of all rows.
    """
    infants = {str(patient): won[unit.name][0] for unit in units for patient in sorted(set(patients[unit.tested]))}
    return {
        "infants": infants,
        "counts": dict(sorted(Counter(who for who in infants.values() if who).items())),
        "without": sum(who is None for who in infants.values()),
        "why": {unit: why for unit, (_, why) in won.items()},
    }


def stacked(parts: Mapping[str, pd.DataFrame], name: str) -> pd.DataFrame:
    """Return the tables below each other, their keys in a first column `name`; tables without rows are left out."""
    found = [part.assign(**{name: key})[[name, *part.columns]] for key, part in parts.items() if len(part)]
    first = next(iter(parts.values()))
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=[name, *first.columns])
