"""Everything that leakage reads, made up: evaluate's workspace, and pictures of a moving sector on a black canvas."""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.common.core.tables import write_table
from stages.evaluate import __main__ as evaluate
from stages.leakage import __main__ as leakage
from stages.leakage.certificate import Compared
from stages.leakage.cohort import Cohort, open_array, read_cohort, read_folds
from stages.leakage.params import Leakage, Params
from stages.leakage.pictures import look
from tests import evaluate_workspace
from tests.workspace import ROOT, read_params_file

SIDE = 32
BORDER = 4  # of black canvas around the sector
Pictures = NDArray[np.uint8]
VARIANTS = {"original": True, "flip_left_right": True}
DRAWN = {"original": 0, "flip_left_right": 1, "jpeg": 90, "brightness": 1.3}  # for every frame


def section(**changes: object) -> dict[str, object]:
    """Return the shipped section `leakage` with changes at its top."""
    return read_params_file(ROOT / "params.yaml")["leakage"] | changes


def settings(**changes: object) -> Leakage:
    """Return the same, validated."""
    return Leakage.model_validate(section(**changes))


def sector(rng: np.random.Generator, gain: float = 10.0) -> Pictures:
    """Return a (SIDE, SIDE) picture on black: smooth noise of always the same grey levels, but for an offset and a
    share that is black, so that its brightness says nothing and varies."""
    inner = SIDE - 2 * BORDER
    noise = cv2.GaussianBlur(rng.normal(size=(inner, inner)), (5, 5), 0)
    levels = np.linspace(40, 180, inner**2) + rng.normal(0, gain)
    levels[: rng.integers(0, 80)] = 0
    picture = np.zeros((SIDE, SIDE))
    picture[BORDER:-BORDER, BORDER:-BORDER] = levels[noise.ravel().argsort().argsort()].reshape(inner, inner)
    return picture.astype(np.uint8)


def pictures(count: int, seed: int = 0) -> Pictures:
    """Return (count, SIDE, SIDE) grey pictures without any shortcut."""
    rng = np.random.default_rng(seed)
    return np.stack([sector(rng) for _ in range(count)])


def build(root: Path, params: str = evaluate_workspace.PARAMS) -> Pictures:
    """Write a workspace without a leak below `root`, the working directory; return its grey originals."""
    evaluate_workspace.build(root, params)
    evaluate.main()
    with (root / "params.yaml").open("a", encoding="utf-8") as file:
        file.write(
            f"preprocess: {as_yaml(read_params_file(ROOT / 'params.yaml')['preprocess'] | {'method': 'none'})}\n"
        )
        file.write(f"train: {as_yaml({'variants': VARIANTS})}\n")
    write_section(root)
    frames = pd.read_csv("data/label_merge/labels.csv")[["frame_id", "clip_id", "patient", "frame_index"]]
    write_table(root / "data/extract_frames/frames.csv", frames.assign(time_s=0.0))
    grey = pictures(len(frames))
    write_pictures(root, grey)
    return grey


def write_section(root: Path, **changes: object) -> None:
    """Put the section `leakage` at the end of params.yaml, in place of an earlier one."""
    path = root / "params.yaml"
    whole = path.read_text(encoding="utf-8").split("\nleakage:")[0].rstrip("\n")
    path.write_text(f"{whole}\nleakage: {as_yaml(section(**changes))}\n", encoding="utf-8")


def as_yaml(value: object) -> str:
    """Return a value as YAML on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {as_yaml(item)}" for key, item in value.items()) + "}"
    return str(value).lower() if isinstance(value, bool) else str(value)


def write_pictures(root: Path, grey: Pictures, **derived: Pictures) -> None:
    """Write the arrays: originals in colour, and each variant grey; preprocessing leaves them as they are."""
    arrays = {"original": grey, "flip_left_right": grey[:, :, ::-1], **derived}
    (root / "data/preprocess").mkdir(parents=True, exist_ok=True)
    (root / "data/augment").mkdir(parents=True, exist_ok=True)
    np.save(root / "data/augment/original.npy", np.repeat(grey[..., None], 3, axis=-1))
    frames = pd.read_csv(root / "data/extract_frames/frames.csv")["frame_id"]
    for name, array in arrays.items():
        write_table(root / f"data/augment/{name}.csv", frames.to_frame().assign(number=DRAWN[name]))
        np.save(root / f"data/preprocess/{name}.npy", array)


def certify() -> tuple[Cohort, dict[str, Compared], Leakage]:
    """Run what the stage runs before its probes, on the working directory."""
    params = leakage.read_params(Params)
    cohort = read_cohort(list(params.labels))
    folds = read_folds(cohort, leakage.read_declared(params))
    own = params.leakage
    looks = look(open_array(leakage.ORIGINALS, len(cohort.frames)), own.near_duplicates.hash_side, own.probes.side_px)
    seen = leakage.see(looks, params.train.chosen(), own)
    return cohort, leakage.certify(cohort, folds, seen, own), own
