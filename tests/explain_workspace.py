"""Everything that explain reads, made up: a cohort with masks, its pictures, labels, splits, random bundles."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from ruamel.yaml import YAML

from stages import extract_frames
from stages.common.core.tables import write_table
from stages.common.networks.bundle import Bundle, write_bundle
from stages.common.networks.models import build as build_network
from stages.common.networks.models import network_input
from stages.common.preprocessing import Preprocess, preprocess
from stages.split import __main__ as split
from tests.clip_factory import speckle, write_cohort, write_video
from tests.workspace import ROOT, read_params_file

FRAMES, HEIGHT, WIDTH, SIDE = 8, 96, 128, 32
CORD, SAC = 2, 1
MODELS = ("shufflenet_v2_x0_5", "mobilenet_v3_small")  # small; the five are in test_explain_heat.py
CLIPS = {"AM 1": "P001", "01.09.3hrs": "P002", "c": "P003", "d": "P004"}  # a clip's name may hold dots and spaces


def params_of(**changes: Any) -> dict[str, Any]:
    """Return the shipped parameters, shrunk to this workspace."""
    shipped = read_params_file(ROOT / "params.yaml")
    small: dict[str, Any] = {"cohort": "mine", "size_px": SIDE, "architectures": {model: {} for model in MODELS}}
    # These cords are white and overlap themselves in all eight frames, as lettering does
    small["extract_frames"] = shipped["extract_frames"] | {"cover_lettering": "never"}
    return shipped | small | {"train": shipped["train"] | {"threads": 1}} | changes


def write_params(root: Path, **changes: Any) -> None:
    """Write params.yaml."""
    with (root / "params.yaml").open("w", encoding="utf-8") as file:
        YAML().dump(params_of(**changes), file)


def build(root: Path, masks: bool = True, **changes: Any) -> None:
    """Write a workspace below `root`, which must be the working directory."""
    write_params(root, **changes)
    write_clips(root / "data/cohorts/mine", masks)
    extract_frames.main()
    frames = pd.read_csv(root / "data/extract_frames/frames.csv")
    write_pictures(root, frames)
    write_table(root / "data/label_merge/labels.csv", labels_of(frames))
    split.main()
    for protocol in ("frame", "patient"):
        for model in MODELS:
            write_model(root, protocol, model)


def disc(index: int) -> NDArray[np.bool_]:
    """Return (HEIGHT, WIDTH): a disc that drifts to the right."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return (x - 40 - 3 * index) ** 2 + (y - 40) ** 2 < 15**2


def mask_of(index: int) -> NDArray[np.uint8]:
    """Return a frame's true mask: the cord inside the sac."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    sac = (x - 40 - 3 * index) ** 2 + (y - 40) ** 2 < 25**2
    return np.where(disc(index), CORD, np.where(sac, SAC, 0)).astype(np.uint8)


def write_clips(cohort: Path, masks: bool) -> None:
    """Write clips whose cord is white, everything else darker and in motion, and the masks of that."""
    for number, name in enumerate(CLIPS):
        pictures = speckle(FRAMES, HEIGHT, WIDTH, seed=number) // 4
        for index in range(FRAMES):
            pictures[index][disc(index)] = 255
        write_video(cohort / f"clips/{name}.mkv", pictures)
        if masks:
            write_video(cohort / f"masks/{name}.mkv", np.stack([mask_of(index) for index in range(FRAMES)]))
    files = {f"clips/{name}.mkv": patient for name, patient in CLIPS.items()}
    write_cohort(cohort, files, depth_cm=["2.5", "3", "4", ""])
    table = pd.read_csv(cohort / "clips.csv", dtype=str)
    table.assign(clip=list(CLIPS)).to_csv(cohort / "clips.csv", index=False)


def write_pictures(root: Path, frames: pd.DataFrame) -> None:
    """Write data/preprocess/original.npy as the stages augment and preprocess would."""
    how = Preprocess.model_validate(params_of()["preprocess"])
    paths = [root / f"data/extract_frames/{row.clip_id}/{row.frame_index:05d}.png" for row in frames.itertuples()]
    (root / "data/preprocess").mkdir(parents=True)
    np.save(root / "data/preprocess/original.npy", np.stack([preprocess(cv2.imread(str(path)), how) for path in paths]))


def labels_of(frames: pd.DataFrame) -> pd.DataFrame:
    """Return labels.csv: the later half of each clip shows the cord, all but the first frames fluid; one is unknown."""
    table = frames[["frame_id", "clip_id", "patient", "frame_index"]].copy()
    bad = (frames["frame_index"] == 0).astype(float)
    return table.assign(bad_quality=bad.where(frames.index != 0),
                        cord=(frames["frame_index"] >= FRAMES // 2).astype(float), fluid=1 - bad)  # fmt: skip


def write_model(root: Path, protocol: str, model: str) -> None:
    """Write a random network's bundle and what it says of the protocol's frames."""
    params = params_of()
    torch.manual_seed(1)
    torch.set_num_threads(1)
    network, labels = build_network(model, 3).eval(), list(params["labels"])
    description = Bundle(architecture=model, labels=labels, size=SIDE, mean=0.485, std=0.229,
                         preprocess=Preprocess.model_validate(params["preprocess"]))  # fmt: skip
    place = f"{protocol}/0/{params['seed']}/{model}"
    write_bundle(root / f"data/train/{place}.safetensors", network, description)
    sides = pd.read_csv(root / f"data/split/{protocol}.csv").set_index("frame_id")["side"]
    frames = pd.read_csv(root / "data/extract_frames/frames.csv")["frame_id"]
    asked = frames[frames.map(sides) != "train"]
    grey = torch.from_numpy(np.load(root / "data/preprocess/original.npy")[asked.index.to_numpy()])
    with torch.inference_mode():
        said = torch.sigmoid(network(network_input(grey, 0.485, 0.229))).numpy()
    table = pd.DataFrame(said, columns=labels)
    table.insert(0, "frame_id", asked.to_numpy())
    table.insert(1, "split", asked.map(sides).to_numpy())
    write_table(root / f"data/predictions/{place}.csv", table)
    sidecar = json.dumps({"params": {"lr": 0.01, "architecture": {"name": model}}})
    (root / f"data/predictions/{place}.json").write_text(sidecar)
