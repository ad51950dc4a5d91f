"""Put whole patients into the folds of leave one patient out."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from stages.common.core.errors import PipelineError
from stages.split.patient_search import Rng, Search, best_assignment, patient_counts


def assign_folds(
    frames: pd.DataFrame, labels: Sequence[str], folds: Sequence[str], search: Search, rng: Rng
) -> dict[str, str]:
    """Return patient -> fold: one each where they are as many, else folds as even in frames and labels as can be.

    Folds are numbered by their first patient, so that a fold is known by whom it tests and not by the seed's luck.

    Raises:
        PipelineError: fewer patients than folds.
    """
    index, patients = pd.factorize(frames["patient"], sort=True)
    if len(patients) < len(folds):
        found = f"params.yaml: folds: {len(folds)} folds, but the cohort has {len(patients)} patients"
        raise PipelineError(f"{found}; a fold needs one to test. Remove {len(folds) - len(patients)} folds.")
    if len(patients) == len(folds):
        return dict(zip(patients, folds, strict=True))
    counts = patient_counts(frames[list(labels)].to_numpy(np.float64), index, len(patients))
    sides = best_assignment(counts, [1] * len(folds), search, rng, enough=0)
    numbers = pd.factorize(sides)[0]  # in order of appearance
    return {str(patient): folds[number] for patient, number in zip(patients, numbers, strict=True)}
