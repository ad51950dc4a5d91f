"""What is counted of each patient, so that no frame is ever taken for an independent case."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stages.common.evaluation.answers import Answers, Rows
from stages.common.evaluation.decision import GO, NO_VIEW, STOP, Decision, decide
from stages.common.evaluation.scores import Said, Truth

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Cases:
    """One proportion, counted per patient.

    Attributes:
        hits: (patients,) cases that are so.
        cases: (patients,) cases; 0 where the patient has none.
    """

    hits: NDArray[np.int64]
    cases: NDArray[np.int64]


def proportions(rows: Rows, answers: Answers, labels: Sequence[str], decision: Decision) -> dict[str, Cases]:
    """Return every proportion of one model, patients in the order of `np.unique(rows.patients)`.

    Per label sensitivity, specificity, precision and accuracy; over all labels `accuracy` (decisions) and
    `all labels right` (frames); of the bedside decision the shares of GO where the expert says stop (dangerous), sees
    no target (futile), either of them (false), and GO (found); and the patients with any dangerous or futile GO.

    Args:
        rows: the test frames.
        answers: the model's answers to them.
        labels: the label columns.
        decision: what GO and stop mean.
    """
    patients = np.unique(rows.patients, return_inverse=True)[1]
    frames = label_frames(rows.truth, answers.said, labels) | decision_frames(rows, answers, labels, decision)
    found = {name: _per_patient(hits, cases, patients) for name, (hits, cases) in frames.items()}
    for name in ("GO dangerous", "GO futile"):
        cases = (found[name].cases > 0).astype(np.int64)
        found[f"patients with {name}"] = Cases((found[name].hits > 0).astype(np.int64), cases)
    return found


def label_frames(truth: Truth, said: Said, labels: Sequence[str]) -> dict[str, tuple[Flags, Flags]]:
    """Return name -> (rows, or rows x labels) of hits and of cases; hits are cases."""
    known, right = ~np.isnan(truth), (truth == 1) == said
    whole, correct = (np.asarray(flags.all(axis=1)) for flags in (known, right & known))
    frames: dict[str, tuple[Flags, Flags]] = {"accuracy": (right & known, known), "all labels right": (correct, whole)}
    for column, label in enumerate(labels):
        yes, no, answer = truth[:, column] == 1, truth[:, column] == 0, said[:, column]
        frames |= {
            f"{label} sensitivity": (yes & answer, yes),
            f"{label} specificity": (no & ~answer, no),
            f"{label} precision": (yes & answer, (yes | no) & answer),
            f"{label} accuracy": (yes & answer | no & ~answer, yes | no),
        }
    return frames


def decision_frames(
    rows: Rows, answers: Answers, labels: Sequence[str], decision: Decision
) -> dict[str, tuple[Flags, Flags]]:
    """Return the same of what the answers mean at the bedside; frames whose decision is unknown are no cases."""
    truth = decide(rows.truth, labels, decision)
    go: Flags = np.equal(decide(answers.said.astype(float), labels, decision), GO)
    kinds = {"dangerous": [STOP], "futile": [NO_VIEW], "false": [STOP, NO_VIEW], "found": [GO]}
    of = {name: np.isin(truth, wanted) for name, wanted in kinds.items()}
    return {f"GO {name}": (go & cases, cases) for name, cases in of.items()}


def _per_patient(hits: Flags, cases: Flags, patients: NDArray[np.intp]) -> Cases:
    def total(flags: Flags) -> NDArray[np.int64]:
        each = flags if flags.ndim == 1 else flags.sum(axis=1)
        return np.bincount(patients, weights=each, minlength=patients.max(initial=-1) + 1).astype(np.int64)

    return Cases(total(hits), total(cases))
