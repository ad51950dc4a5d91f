"""Models over frames in time: what one system says of every validation and test frame of patient-disjoint folds.

    python -m stages.sequence gru_resnet18

Reads   data/features/<architecture>/<protocol>/<fold>/<seed>.npy         (N, D), a row a frame: gru, lstm, transformer
        data/predictions/<protocol>/<fold>/<seed>/<architecture>.csv      the network's own probabilities: median, hmm
        data/predictions/<protocol>/<fold>/<seed>/<architecture>.json     what the network was trained with
        data/extract_frames/frames.csv, data/label_merge/labels.csv, data/split/<protocol>.csv
Writes  data/sequence/<system>/<protocol>/<fold>/<seed>/<system>.csv      frame_id, split, one probability a label
        data/sequence/<system>/<protocol>/<fold>/<seed>/<system>.json     params: the network's, and this system's;
                                                                          chosen: what validation chose; stretches,
                                                                          frames_alone: how much there was to follow

A system reads whole clips, so it is fitted and asked under patient-disjoint protocols only, for every declared fold,
on features of a network that learnt from that fold's training patients alone. Causal as shipped: an answer rests on
its frame and earlier ones, because at the bedside the future is unknown. Unknown labels weigh nothing, and nothing is
carried over a gap. The truth of test rows is blanked before anything is fitted.

The network has seen its training frames, and there its features are surer than on any new infant. A model over time
learns from exactly those. That cannot be mended without a second round of folds within each fold; dropout, noise,
few components and weight decay keep the model from leaning on it, and the comparison on infants never seen tells.

It depends on the whole folder data/predictions, because DVC cannot name one network's files in it under protocols that
come and go: dropping an architecture runs the systems again.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from stages.common.dataset import DATA, read_frames, read_sides, read_truth
from stages.common.errors import PipelineError, run
from stages.common.files import write_json
from stages.common.params import read_params
from stages.common.tables import read_table, write_table
from stages.sequence.params import Entry, Section, Shared, disjoint_folds, params_of, refuse_unknown_features
from stages.sequence.smoothing import Values
from stages.sequence.stretches import alone, cut, refuse_shared_clips, seconds
from stages.sequence.systems import Answered, Fold, markov_answers, median_answers, network_answers

REMEDY = "Run `dvc repro evaluate`."


def fold_of(protocol: str, fold: str, frames: pd.DataFrame, truth: NDArray[np.float32], section: Section) -> Fold:
    """Return the sides of one fold as stretches; the truth of its test rows is blanked."""
    sides = read_sides(protocol, int(fold), frames)
    refuse_shared_clips(frames, sides, f"{DATA}/split/{protocol}.csv, fold {fold}")
    times = seconds(frames, section.assumed_rate_hz)
    hidden = truth.copy()
    hidden[sides["test"]] = np.nan
    stretches = {side: cut(frames, rows, times, section.gap_s) for side, rows in sides.items()}
    return Fold(f"{protocol}/{fold}", hidden, sides, stretches)


def read_features(path: Path, frames: int) -> NDArray[np.float16]:
    """Return (N, D) features. Raises PipelineError where they are absent, not finite, or not a row a frame."""
    try:
        found: NDArray[np.float16] = np.load(path)
    except (OSError, ValueError) as error:
        raise PipelineError(f"{path} cannot be read as an array: {error}. {REMEDY}") from error
    if found.ndim != 2 or len(found) != frames or not np.isfinite(found).all():
        raise PipelineError(
            f"{path}: expected finite features of {frames} frames, got shape {found.shape}, "
            f"{int((~np.isfinite(found)).sum())} not finite. {REMEDY}"
        )
    return found


def read_probabilities(path: Path, frames: pd.DataFrame, fold: Fold, labels: list[str]) -> Values:
    """Return (N, L) a network's probabilities, NaN on the training side.

    Raises:
        PipelineError: the table is absent, or lacks a frame that the fold holds out.
    """
    table = read_table(path, ["frame_id", "split", *labels], text=("frame_id", "split"))
    said: Values = table.set_index("frame_id").reindex(frames["frame_id"])[labels].to_numpy(float)
    rows = np.concatenate([stretch.rows for stretch in fold.held_out])
    lacking = int(np.isnan(said[rows]).any(axis=1).sum())
    if lacking:
        raise PipelineError(f"{path}: expected all {len(rows)} held-out frames, got none for {lacking}. {REMEDY}")
    return said


def read_sidecar(path: Path) -> dict[str, Any]:
    """Return what stands beside a network's predictions."""
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        content["params"].pop("architecture", None)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise PipelineError(f"{path}: expected a JSON object with `params`, got {error!r}. {REMEDY}") from error
    return content


def answer(entry: Entry, fold: Fold, frames: pd.DataFrame, params: Shared) -> Answered:
    """Fit one system to one fold and return its answers."""
    section, place = params.sequence, Path(fold.name, str(params.seed))
    if entry.model in ("median", "hmm"):
        path = DATA / "predictions" / place / f"{entry.features}.csv"
        said = read_probabilities(path, frames, fold, list(params.labels))
        return (median_answers if entry.model == "median" else markov_answers)(said, fold, section)
    features = read_features(DATA / "features" / entry.features / place.with_suffix(".npy"), len(frames))
    kept = getattr(section.kept_epoch, fold.name.split("/")[0])
    return network_answers(entry.model, features, fold, section, kept, params.seed)


def predictions(answered: Answered, fold: Fold, frames: pd.DataFrame, labels: list[str]) -> pd.DataFrame:
    """Return frame_id, split and a probability a label, sorted by frame_id."""
    parts = []
    for side in ("validation", "test"):
        rows = fold.sides[side]
        table = pd.DataFrame(answered.said[rows], columns=labels)
        table.insert(0, "frame_id", frames["frame_id"].to_numpy()[rows])
        table.insert(1, "split", side)
        parts.append(table)
    return pd.concat(parts).sort_values("frame_id")


def report(answered: Answered, fold: Fold, entry: Entry, section: Section, network: dict[str, Any]) -> dict[str, Any]:
    """Return what stands beside the predictions: the network's own params, and what this system adds."""
    stretches = [one for side in fold.stretches.values() for one in side]
    system = {**entry.model_dump(), "sequence": section.model_dump()}
    return {
        "params": {**network["params"], "system": system},
        "chosen": answered.chosen,
        "giga_operations": round(network["giga_operations"] + answered.operations / 1e9, 6),
        "stretches": len(stretches),
        "frames_alone": alone(stretches),
    }


def main() -> None:
    """Fit, answer and write, fold by fold."""
    parser = argparse.ArgumentParser(prog="python -m stages.sequence", description="Fit one model over frames in time.")
    parser.add_argument("system", help="a key of `sequences` in params.yaml")
    system = parser.parse_args().system
    params: Any = read_params(params_of(system))
    entry: Entry = getattr(params.sequences, system)
    refuse_unknown_features(system, entry, params)
    folds, labels, frames = disjoint_folds(params), list(params.labels), read_frames()
    truth = read_truth(labels, frames)
    torch.set_num_threads(params.sequence.threads)
    torch.use_deterministic_algorithms(True)
    with threadpool_limits(params.sequence.threads):
        for protocol, number in [(protocol, number) for protocol, keys in folds.items() for number in keys]:
            fold = fold_of(protocol, number, frames, truth, params.sequence)
            place = Path(fold.name, str(params.seed))
            network = read_sidecar(DATA / "predictions" / place / f"{entry.features}.json")
            answered = answer(entry, fold, frames, params)
            out = DATA / "sequence" / system / place
            write_table(out / f"{system}.csv", predictions(answered, fold, frames, labels))
            write_json(out / f"{system}.json", report(answered, fold, entry, params.sequence, network))


if __name__ == "__main__":
    run(main)
