"""The table of an ablation: each finished experiment beside the one it is measured against."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from experiments.finished import PatientScores, Scores
from stages.common.evaluation.baselines import BASELINES

DIGITS = 6  # of the CSV
COLUMNS = (
    "experiment", "against", "protocol", "model", "macro F1", "difference", "patients", "better in",
    "mean difference", "spread", "smallest", "largest", "separates",
)  # fmt: skip
CAUTION = (
    "Difference: macro F1 on test minus that of the experiment named under `against`. The other figures are over "
    "patients: the same patient's macro F1 in both experiments, one minus the other; spread is the standard deviation "
    "of that. **A mean difference below the spread separates nothing.** One above it is a hint from as many infants "
    "as stand there and one training seed, not a proof; among many rows some stand out by chance. Frames of one infant "
    "stand on both sides under protocol `frame`: what helps there may only help to recognise the infant."
)


def ablation_table(
    against: Mapping[str, str | None], scores: Mapping[str, Scores], patients: Mapping[str, PatientScores]
) -> pd.DataFrame:
    """Return one row an experiment, protocol and model, experiments in the order of `against`.

    Args:
        against: experiment -> the one it is measured against, None for none.
        scores: finished experiment -> its metrics/summary.json.
        patients: finished experiment -> the scores of each patient.
    """
    rows = []
    for name, other in against.items():
        for protocol, models in scores.get(name, {}).items():
            for model in (model for model in models if model not in BASELINES):
                theirs = scores.get(other or "", {}).get(protocol, {}).get(model)
                both = [patients.get(one or "", {}).get(protocol, {}).get(model, {}) for one in (name, other)]
                row = {"experiment": name, "against": other, "protocol": protocol, "model": model}
                rows.append(row | _difference(models[model], theirs) | _paired(*both))
    return pd.DataFrame(rows, columns=list(COLUMNS), dtype=object)


def _difference(mine: float | None, theirs: float | None) -> dict[str, float | None]:
    return {"macro F1": mine, "difference": None if mine is None or theirs is None else round(mine - theirs, DIGITS)}


def _paired(mine: Mapping[str, float], theirs: Mapping[str, float]) -> dict[str, Any]:
    """Return the paired differences over the patients that have a score in both; blanks where there are none."""
    shared = sorted(mine.keys() & theirs.keys())
    if not shared:
        return {}
    apart = np.array([mine[patient] - theirs[patient] for patient in shared])
    figures = {"mean difference": apart.mean(), "smallest": apart.min(), "largest": apart.max()}
    figures |= {"spread": apart.std(ddof=1)} if len(apart) > 1 else {}
    beyond = "spread" in figures and abs(figures["mean difference"]) > figures["spread"]
    return {name: round(float(value), DIGITS) for name, value in figures.items()} | {
        "patients": len(shared),
        "better in": int((apart > 0).sum()),
        "separates": "a hint" if beyond else "nothing",
    }


def markdown(kind: str, table: pd.DataFrame, unfinished: Mapping[str, str], profile: str, caution: str = "") -> str:
    """Return the table for people, with what is not finished and the caution it must be read with."""
    parts = [f"{kind.capitalize()} under profile `{profile}`", CAUTION, *([caution] if caution else [])]
    shown = table.map(_cell).to_markdown(index=False, disable_numparse=True)
    parts.append(shown if len(table) else "No experiment is finished.")
    if unfinished:
        parts.append("Not finished:\n\n" + "\n".join(f"- {name}: {state}" for name, state in unfinished.items()))
    return "\n\n".join(parts)


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return ""
    return f"{value:.3f}" if isinstance(value, float) else str(value)
