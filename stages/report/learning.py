"""How the networks learnt, in words that follow `train` of params.yaml: what is on is said, and what is off is not."""

from collections.abc import Mapping
from typing import Any

from stages.report.wording import listed


def learning(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts of the training that depend on what is switched on.

    Returns:
        `standardised`, `loss`, `learns` and `imbalance` as parts of sentences.
    """
    train = params["train"]
    return {
        "standardised": _standardised(train),
        "loss": _loss(train["imbalance"]),
        "learns": _learns(train),
        "imbalance": _imbalance(train["imbalance"]),
    }


def _standardised(train: Mapping[str, Any]) -> str:
    own = f"mean {train['mean']} and deviation {train['std']}"
    return own if train["weights"] == "random" else f"those that the given weights were learnt with, else {own}"


def _loss(imbalance: Mapping[str, Any]) -> str:
    gamma = imbalance["focal_gamma"]
    loss = f"Focal loss (gamma {gamma:g})" if gamma else "Binary cross-entropy"
    return loss + (" with a label's positives weighing as much as its negatives" if imbalance["pos_weight"] else "")


def _learns(train: Mapping[str, Any]) -> str:
    return (
        "the new head alone, the backbone frozen"
        if train["freeze"]
        else "the head, and a scale of it for each backbone"
    )


def _imbalance(imbalance: Mapping[str, Any]) -> str:
    done = [
        words
        for words, on in {
            "positives of a label weigh as much as its negatives": imbalance["pos_weight"],
            f"the focal loss (gamma {imbalance['focal_gamma']:g}) weighs what is answered badly": imbalance[
                "focal_gamma"
            ],
            "each combination of labels is drawn equally often": imbalance["balanced_sampling"],
        }.items()
        if on
    ]
    said = listed(done) if done else "no resampling and no weights of classes"
    return said[:1].upper() + said[1:]
