"""What the report reads at the study's size: five networks, three protocols, 13 clips of 8 infants, 224 px."""

import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.common.variants import VARIANT_NAMES
from stages.embedding.picture import draw
from stages.explain.pictures import encoded, panels
from stages.variants import SAMPLES
from tests.benchmark.systems import SIZE, speckle
from tests.report_inputs import Size
from tests.workspace import ROOT, read_params_file

NETWORKS = ("alexnet", "vgg16", "resnet18", "resnet34", "densenet121")
PROTOCOLS = ("frame", "patient", "leave_one_patient_out")
INFANTS = 8
CLIPS = tuple(f"C{number:03d}" for number in range(1, 14))
FRAMES = 261  # a clip: 13 of them are the study's 3388, all but 5
SHOWN = 60  # `report.gallery_pictures` as shipped
POINTS = 678  # the study's test frames: a curve has no more
KINDS = 6  # different pictures of the gallery; each lies there several times, because a PNG takes a while to pack


def seen(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return what a network is shown of a picture: the study's blur and equalization."""
    return np.asarray(cv2.equalizeHist(cv2.GaussianBlur(grey, (7, 7), 0)), np.uint8)


@cache
def entry(kind: int) -> bytes:
    """Return a picture of the gallery, as explain writes it at the shipped side: the study's profile keeps it."""
    rng = np.random.default_rng(kind)
    heat = cv2.resize(rng.random((7, 7)).astype(np.float32) ** 3, (SIZE, SIZE), interpolation=cv2.INTER_LINEAR)
    return encoded(
        panels(
            seen(speckle(rng, SIZE, 1.0)), heat, None, read_params_file(ROOT / "params.yaml")["explain"]["picture_px"]
        )
    )


def sheet(rng: np.random.Generator, columns: int) -> bytes:
    """Return a contact sheet: a frame a column, before and after preprocessing."""
    frames = [speckle(rng, SIZE, 1.0) for _ in range(columns)]
    grey = np.hstack([np.vstack([frame, seen(frame)]) for frame in frames])
    return cv2.imencode(".png", np.repeat(grey[..., None], 3, axis=-1))[1].tobytes()


def plot(rng: np.random.Generator) -> bytes:
    """Return the plot of an embedding of all frames: a point a frame, two views."""
    labels = rng.choice(["none", "cord", "fluid"], len(CLIPS) * FRAMES)
    sides = ["train"] * 7 + ["validation"] + ["test"] * 2
    table = pd.DataFrame(rng.normal(size=(len(labels), 2)), columns=["x", "y"]).assign(labels=labels)
    table = table.assign(clip_id=np.repeat(CLIPS, FRAMES), side=rng.choice(sides, len(labels)))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "embedding.png"
        draw(
            path, pd.concat([table.assign(view=view) for view in ("pca", "tsne")]), "", {"pca": "PCA", "tsne": "t-SNE"}
        )
        return path.read_bytes()


def picture(rng: np.random.Generator, name: str) -> bytes:
    """Return the PNG of this name."""
    if name.isdecimal():
        return entry(int(name) % KINDS)
    if name == "embedding":
        return plot(rng)
    return sheet(rng, len(VARIANT_NAMES) if name == "augment" else SAMPLES)


STUDY: dict[str, Any] = {  # of `Made`
    "models": NETWORKS,
    "protocols": PROTOCOLS,
    "clips": CLIPS,
    "frames": FRAMES,
    "size": Size(
        errors=SHOWN // len(NETWORKS), gallery=SHOWN, points=POINTS, epochs=20, infants=INFANTS, picture=picture
    ),
}
