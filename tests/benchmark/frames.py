"""Frame work at the study's size: extract, augment and preprocess beside the bare OpenCV calls on the same pictures.

The bare calls touch no disk, so the stages write to one in memory where there is one with room: 6 GB written as fast as
pictures are made are held up by the disk otherwise, by how much depends on the machine.
"""

import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pandas as pd
from av.video.reformatter import VideoReformatter
from joblib import Parallel, cpu_count, delayed

from stages.common import augmentation as augment
from stages.common.core.params import one_entry
from stages.common.variants import VARIANT_NAMES
from stages.extract_frames import PNG
from tests.workspace import ROOT, copy_project, read_params_file, set_params, stage

SIZE = 224  # px, the study's
SAMPLE = 400  # frames the bare calls are timed on
MEMORY, ROOM = Path("/dev/shm"), 12e9  # bytes: 6.5 GB of outputs, and some beside them


def run_stage(folder: Path, *words: str) -> float:
    """Return the wall time of one stage's command, the interpreter's start included.

    What an earlier run wrote is removed first, as DVC does: to give back half a gigabyte takes a third of a second.
    """
    out = folder / "data" / Path(*words)
    shutil.rmtree(out, ignore_errors=True)
    out.with_suffix(".npy").unlink(missing_ok=True)
    start = time.perf_counter()
    stage(folder, *words)
    return time.perf_counter() - start


def start_s(module: str) -> float:
    """Return the wall time of Python's start with the stage's imports: the bare calls have theirs behind them."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", f"import {module}"], cwd=ROOT, check=True)
    return time.perf_counter() - start


def on_all_cores(work: Callable[[Any], object], items: list[Any], prefer: str) -> float:
    """Return the wall time of `work` over `items` spread over all cores, nothing kept."""
    parts = np.array_split(np.arange(len(items)), cpu_count())
    start = time.perf_counter()
    Parallel(n_jobs=-1, prefer=prefer)(delayed(_each)(work, [items[i] for i in part]) for part in parts)
    return time.perf_counter() - start


def _each(work: Callable[[Any], object], items: list[Any]) -> None:
    for item in items:
        work(item)


def bare_extract(path: Path) -> None:
    """Decode, resize, encode as PNG, as fast as the libraries can: no sector is looked for."""
    reformatter = VideoReformatter()  # one for all frames: made anew for each it takes longer than the rest
    with av.open(str(path)) as container:
        container.streams.video[0].codec_context.thread_count = 1  # clips run side by side on all cores
        for frame in container.decode(video=0):
            picture = reformatter.reformat(frame, format="bgr24").to_ndarray()
            cv2.imencode(".png", cv2.resize(picture, (SIZE, SIZE), interpolation=cv2.INTER_AREA), PNG)


def bare_preprocess(picture: np.ndarray) -> None:
    """The study's three calls."""
    cv2.equalizeHist(cv2.GaussianBlur(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), (7, 7), 0))


def measure() -> dict[str, Any]:
    """Run the three stages on a phantom of the study's size and compare frames a second."""
    place = MEMORY if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM else Path(tempfile.gettempdir())
    with tempfile.TemporaryDirectory(dir=place) as name:
        folder = copy_project(Path(name) / "study")
        set_params(folder, {"size_px": SIZE, "phantom.scale": 1.0, "preprocess.equalize.blur_px": 7})
        phantom_s = run_stage(folder, "phantom")
        # Twice: the first time a virtual machine may have to get 5 GB of memory for the arrays from its host
        first, ours = (_stages(folder) for _ in range(2))
        frames = len(pd.read_csv(folder / "data/extract_frames/frames.csv"))
        bare = _bare(folder, frames)
        writes_s = _writes_s(folder, frames)
    variants = len(VARIANT_NAMES)
    starts = {"extract_s": start_s("stages.extract_frames")}
    starts |= {f"{name}_s": variants * start_s(f"stages.{name}") for name in ("augment", "preprocess")}
    starts_s, whole = sum(starts.values()), sum(ours.values())
    calls = bare | {"augment_s": bare["augment_s"] + bare["read_s"]}
    return {
        "frames": frames,
        "disk": "in memory" if place == MEMORY else "the machine's",
        "phantom_s": round(phantom_s, 1),
        **{key: round(value, 1) for key, value in ours.items()},
        "bare": {key: round(value, 1) for key, value in bare.items()},
        "starts_s": round(starts_s, 1),  # of 17 commands, in the figures above
        "ratio": round(sum(bare.values()) / (whole - starts_s), 3),
        "ratio_of": {key: round(calls[key] / (ours[key] - starts[key]), 3) for key in ours},
        "ratio_without_read": round((sum(bare.values()) - bare["read_s"]) / (whole - starts_s), 3),
        "writes_s": round(writes_s, 1),  # of the same arrays by numpy alone, which the bare calls are spared
        "ratio_beside_calls_and_writes": round((sum(bare.values()) + writes_s) / (whole - starts_s), 3),
        "ratio_with_starts": round(sum(bare.values()) / whole, 3),
        "first": {key: round(value, 1) for key, value in first.items()},
        "first_ratio": round(sum(bare.values()) / (sum(first.values()) - starts_s), 3),
        "largest_process_gib": round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20, 2),
    }


def _stages(folder: Path) -> dict[str, float]:
    """Return the seconds that each of the three takes for all variants, as DVC calls it."""
    return {
        "extract_s": run_stage(folder, "extract_frames"),
        "augment_s": sum(run_stage(folder, "augment", name) for name in VARIANT_NAMES),
        "preprocess_s": sum(run_stage(folder, "preprocess", name) for name in VARIANT_NAMES),
    }


def _writes_s(folder: Path, frames: int) -> float:
    """Return the seconds that numpy takes to write the arrays of all variants, colour and grey, one after the other."""
    path, variants = folder / "written.npy", len(VARIANT_NAMES)
    colour = np.full((frames, SIZE, SIZE, 3), 7, np.uint8)  # zeros would not be in memory yet
    grey = colour[..., 0].copy()
    seconds = 0.0
    for array in [colour] * variants + [grey] * variants:
        path.unlink(missing_ok=True)
        start = time.perf_counter()
        np.save(path, array)
        seconds += time.perf_counter() - start
    return seconds


def _bare(folder: Path, frames: int) -> dict[str, float]:
    """Return the seconds that the bare calls would take for all frames on all cores."""
    cv2.setNumThreads(1)
    clips = sorted((folder / "data/cohorts/phantom/clips").glob("*.mkv"))
    extract_s = on_all_cores(bare_extract, clips, "processes")
    pictures = list(np.load(folder / "data/augment/original.npy", mmap_mode="r")[:SAMPLE])
    section = read_params_file(folder / "params.yaml")["augment"]
    augment_s = 0.0
    for variant in VARIANT_NAMES[1:]:
        model: Any = one_entry(variant, augment.VARIANTS[variant][0])
        entry = getattr(model.model_validate({variant: section[variant]}), variant)
        numbers = augment.draw(variant, entry, 1, [str(i) for i in range(SAMPLE)])
        jobs = list(zip(pictures, numbers, strict=True))
        augment_s += on_all_cores(lambda job, variant=variant: augment.apply(variant, *job), jobs, "threads")
    preprocess_s = on_all_cores(bare_preprocess, pictures, "threads") * len(VARIANT_NAMES)
    files = sorted((folder / "data/extract_frames").rglob("*.png"))[:SAMPLE]
    read_s = on_all_cores(lambda path: cv2.imread(str(path)), files, "threads")  # variant `original` is this call
    scale = frames / SAMPLE
    parts = {"augment_s": augment_s, "preprocess_s": preprocess_s, "read_s": read_s}
    return {"extract_s": extract_s, **{name: seconds * scale for name, seconds in parts.items()}}
