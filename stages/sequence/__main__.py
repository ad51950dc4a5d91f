"""Models over frames in time: what one system says of every validation and test frame of patient-disjoint folds.

    python -m stages.sequence gru_resnet18

Reads   data/features/<architecture>/<protocol>/<fold>/<seed>.npy   (N, D), row i = row i of frames.csv: for gru, lstm
                                                                    and transformer
        data/logits/<architecture>/<protocol>/<fold>/<seed>.npy     (N, L) of the same network: for median and hmm
        data/extract_frames/frames.csv, data/label_merge/labels.csv, data/split/<protocol>.csv
        data/preprocess/original.npy                                for its size and digest alone
Writes  data/predictions/sequence/<system>/<protocol>/<fold>/<seed>/
            <system>.csv    frame_id, split, one probability a label
            <system>.json   what it was made from; the epoch, window or temperature `chosen`; `stretches` and
                            `frames_alone`: how much there was to follow

A system reads whole clips, so it is fitted and asked under patient-disjoint protocols only, in every declared fold, on
features of a network that learnt from that fold's training patients alone. Causal as shipped: an answer rests on its
frame and earlier ones, because at the bedside the future is unknown. Unknown labels weigh nothing, and nothing is
carried over a gap. The truth of test rows is blanked before anything is fitted.

The network has learnt its training frames, so its features of them are surer than those of any new infant, and a model
over time learns from exactly those. Only a second round of folds within each fold would mend that; dropout, noise, few
components and weight decay keep the model from leaning on it, and infants never seen tell what is left.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.special import expit
from threadpoolctl import threadpool_limits

from stages.common.core.errors import raise_all, run
from stages.common.core.files import digest, replacing, write_json
from stages.common.core.params import read_params
from stages.common.core.tables import write_table
from stages.common.dataset import DATA, digests, read_frames, read_sides, read_truth
from stages.common.features import (
    FEATURES,
    LOGITS,
    asked_rows,
    clear_undeclared_places,
    network_file,
    places_of,
    predictions_of,
    read_features,
    unusable,
)
from stages.common.networks.models import build, giga_operations
from stages.sequence.leaning import uninformed
from stages.sequence.params import SMOOTHERS, Entry, Section, Shared, disjoint_folds, params_of
from stages.sequence.stretches import alone, cut, refuse_shared_clips, seconds
from stages.sequence.systems import Answered, Fold, markov_answers, median_answers, network_answers

OUT = DATA / "predictions/sequence"


def inputs_of(entry: Entry, params: Shared, frames: int) -> dict[tuple[str, str], Path]:
    """Return (protocol, fold) -> the file that a system reads; files no longer declared are deleted first.

    Raises:
        PipelineError: every file that cannot be used.
    """
    places = places_of(params.protocols, params.folds)
    for root in (FEATURES, LOGITS):
        clear_undeclared_places(root, entry.features, places, params.seed)
    mine = [(protocol, key) for protocol, keys in disjoint_folds(params).items() for key in keys]
    root = LOGITS if entry.model in SMOOTHERS else FEATURES
    files = {place: network_file(root, entry.features, place, params.seed) for place in mine}
    problems = [problem for path in files.values() for problem in unusable(path, frames)]
    raise_all(problems, f"what {entry.features}, a key of `architectures`, says of the frames cannot be used")
    return files


def fold_of(protocol: str, fold: str, frames: pd.DataFrame, truth: NDArray[np.float32], params: Any) -> Fold:
    """Return the sides of one fold as stretches; the truth of its test rows is blanked."""
    section: Section = params.sequence
    sides = read_sides(protocol, int(fold), frames)
    refuse_shared_clips(frames, sides, f"{DATA}/split/{protocol}.csv, fold {fold}")
    times, hidden = seconds(frames, section.assumed_rate_hz), truth.copy()
    hidden[sides["test"]] = np.nan
    stretches = {side: cut(frames, rows, times, section.gap_s) for side, rows in sides.items()}
    leaning = uninformed(hidden[sides["train"]], params.train.imbalance)
    return Fold(f"{protocol}/{fold}", hidden, sides, stretches, leaning)


def answer(entry: Entry, path: Path, fold: Fold, section: Section, seed: int) -> Answered:
    """Fit one system to one fold and return its answers."""
    given, by = read_features(path), getattr(section.chosen_by, fold.name.split("/")[0])
    if entry.model == "median":
        return median_answers(expit(given.astype(float)), fold, section, by)
    if entry.model == "hmm":
        return markov_answers(expit(given.astype(float)), fold, section, by)
    return network_answers(entry.model, given, fold, section, by, seed)


def report(
    answered: Answered, fold: Fold, path: Path, entry: Entry, params: Shared, operations: float
) -> dict[str, Any]:
    """Return what stands beside the predictions; evaluate refuses systems made from different data.

    Args:
        operations: 10^9 multiply-adds of the network whose features these are.
    """
    stretches = [one for side in fold.stretches.values() for one in side]
    system = {**entry.model_dump(), **params.sequence.model_dump(), "features_digest": digest(path)}
    seen = {**params.model_dump(include={"seed", "labels"}), **digests(fold.name.split("/")[0], [])}
    return {
        "params": {**seen, "system": system},
        "chosen": answered.chosen,
        "giga_operations": round(operations + answered.operations / 1e9, 6),
        "stretches": len(stretches),
        "frames_alone": alone(stretches),
    }


def warn_alone(system: str, fold: Fold, frames: int, gap_s: float) -> None:
    """Say on stderr when most frames have no neighbour in time: then no system can gain anything from it."""
    lonely = alone([one for side in fold.stretches.values() for one in side])
    if 2 * lonely > frames:
        print(
            f"warning: {system}: {lonely} of {frames} frames are further than sequence.gap_s ({gap_s:g} s) from any "
            "other: time can tell nothing there. Keep more frames a clip, or raise gap_s.",
            file=sys.stderr,
        )  # fmt: skip


def network_operations(architecture: str, labels: int) -> float:
    """Return 10^9 multiply-adds a picture of the network whose features are read."""
    size = np.load(DATA / "preprocess/original.npy", mmap_mode="r").shape[-1]
    return giga_operations(build(architecture, labels, size), size)


def main() -> None:
    """Fit, answer and write, fold by fold."""
    parser = argparse.ArgumentParser(prog="python -m stages.sequence", description="Fit one model over frames in time.")
    parser.add_argument("system", help="a key of `sequences` in params.yaml")
    system = parser.parse_args().system
    params: Any = read_params(params_of(system))
    entry: Entry = getattr(params.sequences, system)
    disjoint_folds(params)
    labels, frames = list(params.labels), read_frames()
    truth, files = read_truth(labels, frames), inputs_of(entry, params, len(frames))
    torch.set_num_threads(params.sequence.threads)
    torch.use_deterministic_algorithms(True)
    with threadpool_limits(params.sequence.threads), replacing(OUT / system) as folder:
        folder.mkdir()
        operations = network_operations(entry.features, len(labels))
        for (protocol, key), path in files.items():
            fold = fold_of(protocol, key, frames, truth, params)
            warn_alone(system, fold, len(frames), params.sequence.gap_s)
            answered = answer(entry, path, fold, params.sequence, params.seed)
            out = folder / fold.name / str(params.seed) / system
            write_table(
                out.with_suffix(".csv"),
                predictions_of(answered.said[asked_rows(fold.sides)], fold.sides, frames["frame_id"], labels),
            )
            write_json(out.with_suffix(".json"), report(answered, fold, path, entry, params, operations))


if __name__ == "__main__":
    run(main)
