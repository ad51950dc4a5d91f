"""The systems beside the networks at the study's size: classical baselines, and models over frames in time.

Which ones: those that params.yaml declares, and those that the profile `systems` switches on, with the shipped settings
and protocols. All that they read is made up, with a signal in it: speckle whose grey level follows the labels, features
into which the labels are planted, in the study's own 13 clips of 8 infants.
"""

import contextlib
import io
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from ruamel.yaml import YAML

from stages.common.core.tables import frame_id, write_table
from stages.phantom.plan import STUDY
from stages.sequence.params import SMOOTHERS
from stages.split import __main__ as split
from tests.benchmark.frames import run_stage
from tests.split_cohort import LABELS
from tests.workspace import ROOT, read_params_file

SIZE = 224  # px, the study's
WIDTH = 512  # features of a frame: a ResNet18's
RUNS = 6  # of one state each, a clip
STATES = ((1, 0, 0), (0, 1, 1), (0, 0, 1), (0, 0, 0))  # bad quality, cord, fluid
BASELINES_S, SEQUENCE_S = 180, 120  # bounds on 2 cores: texture with all baselines; each learnt model over time


def baselines(scale: float = 1.0, size_px: int = SIZE, asked: Iterable[str] | None = None) -> dict[str, Any]:
    """Time texture, then each classical baseline, as DVC calls them.

    Args:
        scale: share of the study's frames.
        size_px: side of the pictures.
        asked: keys of `baselines`; None for all.
    """
    params = params_for("baselines", asked)
    with tempfile.TemporaryDirectory() as name:
        labels = write_cohort(Path(name), params, scale, size_px)
        _write_pictures(Path(name), labels, size_px)
        times = {"texture": run_stage(Path(name), "texture")}
        times |= {system: run_stage(Path(name), "classify", system) for system in params["baselines"]}
    whole = sum(times.values())
    figures = {"s": _rounded(times), "whole_s": round(whole, 1)}
    return _about(labels, params, size_px) | figures | {"bound_s": BASELINES_S, "in_bound": whole < BASELINES_S}


def sequences(scale: float = 1.0, size_px: int = SIZE, asked: Iterable[str] | None = None) -> dict[str, Any]:
    """Time the training of each learnt model over time on features that lie ready, as DVC calls it.

    Args:
        scale, size_px: as in `baselines`; the size counts for the multiply-adds that stand beside the predictions.
        asked: keys of `sequences`; None for all but the median and the HMM, which learn nothing of 512 features.
    """
    params = params_for("sequences", asked)
    params["sequences"] = {name: of for name, of in params["sequences"].items() if of["model"] not in SMOOTHERS}
    with tempfile.TemporaryDirectory() as name:
        labels = write_cohort(Path(name), params, scale, size_px)
        times = {system: run_stage(Path(name), "sequence", system) for system in params["sequences"]}
    bound = {"bound_s": SEQUENCE_S, "in_bound": all(seconds < SEQUENCE_S for seconds in times.values())}
    return _about(labels, params, size_px) | {"s": _rounded(times), "features": WIDTH} | bound


def write_cohort(folder: Path, params: Mapping[str, Any], scale: float, size_px: int) -> pd.DataFrame:
    """Write all that both kinds read but the pictures; return labels.csv, row i = row i of frames.csv."""
    (folder / "stages").symlink_to(ROOT / "stages")
    with (folder / "params.yaml").open("w", encoding="utf-8") as file:
        YAML().dump(params, file)
    labels = made_labels(scale)
    write_table(folder / "data/label_merge/labels.csv", labels)
    frames = labels[["frame_id", "clip_id", "patient", "frame_index"]]
    write_table(folder / "data/extract_frames/frames.csv", frames.assign(time_s=frames["frame_index"] / 30))
    with contextlib.chdir(folder), contextlib.redirect_stderr(io.StringIO()):  # what split says of these
        split.main()
    (folder / "data/preprocess").mkdir()
    np.save(folder / "data/preprocess/original.npy", np.zeros((len(frames), size_px, size_px), np.uint8))
    _write_features(folder, labels, params)
    return labels


def made_labels(scale: float = 1.0) -> pd.DataFrame:
    """Return a labels.csv of the study's clips, their frames in runs of one state; `scale` is the share of frames."""
    rng = np.random.default_rng(0)
    parts = []
    for clip, patient, frames in STUDY:
        index = np.arange(max(round(scale * frames), RUNS))
        states = np.array(STATES)[rng.integers(0, len(STATES), RUNS)[index * RUNS // len(index)]]
        part = pd.DataFrame(states, columns=list(LABELS))
        part = part.assign(clip_id=clip, patient=patient, frame_index=index)
        parts.append(part.assign(frame_id=[frame_id(clip, number) for number in index]))
    return pd.concat(parts, ignore_index=True)[["frame_id", "clip_id", "patient", "frame_index", *LABELS]]


def speckle(rng: np.random.Generator, size_px: int, brightness: float) -> NDArray[np.uint8]:
    """Return (size_px, size_px): fully developed speckle, darker with depth, black beside and below the sector.

    As dark as the phantom's frames, and as its 80 dB from black to white have it; without anatomy, whose smooth parts
    would pack better.

    Args:
        rng: draws it.
        size_px: side.
        brightness: times the echo's amplitude.
    """
    parts = cv2.GaussianBlur(rng.standard_normal((size_px, size_px, 2)), (0, 0), size_px / 110)
    echo = np.hypot(parts[..., 0], parts[..., 1])
    decibels = 20 * np.log10(brightness * echo / echo.mean() + 1e-3)
    down, across = np.indices(echo.shape) / size_px
    grey = np.clip(60 - 70 * down + decibels * 255 / 80, 0, 255)
    return np.where((down < 0.87) & (abs(across - 0.5) < 0.48), grey, 0).astype(np.uint8)


def _write_pictures(folder: Path, labels: pd.DataFrame, size_px: int) -> None:
    """Write data/augment/original.npy frame by frame: half a gigabyte at the study's size."""
    path, rng = folder / "data/augment/original.npy", np.random.default_rng(0)
    path.parent.mkdir()
    pictures = np.lib.format.open_memmap(path, "w+", np.uint8, (len(labels), size_px, size_px, 3))
    for row, (bad, cord, fluid) in enumerate(labels[list(LABELS)].to_numpy()):
        pictures[row] = speckle(rng, size_px, 1 + 0.5 * cord - 0.3 * fluid - 0.4 * bad)[..., None]


def _write_features(folder: Path, labels: pd.DataFrame, params: Mapping[str, Any]) -> None:
    """Write the features of every network that a system reads: labels along random directions, and noise."""
    rng, truth = np.random.default_rng(0), labels[list(LABELS)].to_numpy(float)
    values = truth @ rng.normal(0, 0.3, (len(LABELS), WIDTH)) + rng.normal(0, 1, (len(labels), WIDTH))
    entries = [*params["baselines"].values(), *params["sequences"].values()]
    for network in {of["features"] for of in entries} & set(params["architectures"]):
        for protocol in params["protocols"]:
            path = folder / f"data/features/{network}/{protocol}/0/{params['seed']}.npy"
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, values.astype(np.float16))


def params_for(section: str, asked: Iterable[str] | None) -> dict[str, Any]:
    """Return the shipped params without folds; of the sections of systems all entries of one, or those asked for."""
    shipped = read_params_file(ROOT / "params.yaml")
    entries = read_params_file(ROOT / "profiles/systems.yaml")["params"][section] | shipped[section]
    chosen = list(entries) if asked is None else list(asked)
    return (
        shipped | {"folds": {}, "baselines": {}, "sequences": {}} | {section: {name: entries[name] for name in chosen}}
    )


def _about(labels: pd.DataFrame, params: Mapping[str, Any], size_px: int) -> dict[str, Any]:
    return {"frames": len(labels), "size_px": size_px, "protocols": list(params["protocols"])}


def _rounded(times: Mapping[str, float]) -> dict[str, float]:
    return {name: round(seconds, 1) for name, seconds in times.items()}
