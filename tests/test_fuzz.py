"""Hostile input: whatever is in a file, reading it ends in success or in a message, never in a traceback or a hang.

Every case is drawn from its number, so a failure names what repeats it. Together they are more than a thousand.
"""

import copy
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save
from torch import nn

from experiments.mistakes import mistakes
from stages.common.clips.cine import CineParams, survey
from stages.common.clips.cohort import check_clips
from stages.common.clips.decode import ClipError
from stages.common.core.errors import PipelineError, Problem
from stages.common.core.params import load_yaml
from stages.common.core.tables import FRAME_COLUMNS, read_table
from stages.common.networks.bundle import KEY as BUNDLE_KEY
from stages.common.networks.bundle import Bundle, read_bundle, write_bundle
from stages.common.networks.models import build
from stages.common.networks.weights import load_weights
from stages.common.preprocessing import Preprocess
from stages.common.sheets.reading import read_labels
from stages.common.truth import read_labels as read_truth
from tests.clip_factory import VIDEOS, speckle, write_cohort, write_dicom, write_video
from tests.workbooks import clips_of, sheet, truth, write_workbook
from tests.workbooks import settings as label_settings
from tests.workspace import ROOT, read_params_file

CASES = 60  # of each kind of file
TIMEOUT_S = 300
SHIPPED = read_params_file(ROOT / "params.yaml")
CINE = CineParams.model_validate(SHIPPED["extract_frames"] | {"max_pixels": 200_000, "max_clip_frames": 100})

pytestmark = pytest.mark.timeout(TIMEOUT_S)


def damaged(content: bytes, case: int) -> bytes:
    """Return a file as a bad disk, a broken transfer or a joker leaves it: drawn from the case's number."""
    rng, data = np.random.default_rng(case), bytearray(content)
    start, end = sorted(rng.integers(0, len(data) + 1, 2).tolist())
    match case % 6:
        case 0:  # flipped bits, anywhere
            for place in rng.integers(0, len(data), rng.integers(1, 9)):
                data[place] ^= 1 << int(rng.integers(8))
        case 1:  # wild bytes near the beginning, where headers are
            for place in rng.integers(0, min(len(data), 400), rng.integers(1, 9)):
                data[place] = int(rng.integers(256))
        case 2:  # cut short
            data = data[:start]
        case 3:  # a hole of zeros
            data[start:end] = bytes(end - start)
        case 4:  # a piece twice
            data[end:end] = data[start:end]
        case 5:  # a piece lost
            del data[start:end]
    return bytes(data)


def survive(read: Callable[[], object], what: str) -> str:
    """Run `read`; return "" for success, else its message. Whatever else is raised fails the test, with the case."""
    try:
        read()
    except (PipelineError, ClipError) as error:
        said = str(error.problem) if isinstance(error, ClipError) else str(error)
        assert len(said) > 20, f"{what}: no message: {said!r}"
        assert "Traceback" not in said
        return said
    except Exception as error:
        raise AssertionError(f"{what}: {type(error).__name__}: {error}") from error
    return ""


def survive_all(path: Path, read: Callable[[], object], cases: int = CASES) -> None:
    """Damage one file in many ways and read it each time; some damage must be noticed."""
    content = path.read_bytes()
    noticed = 0
    for case in range(cases):
        path.write_bytes(damaged(content, case))
        noticed += bool(survive(read, f"{path.name}, case {case}"))
    assert noticed > cases // 10


# ---- clips


@pytest.mark.parametrize("name", ["grey.mkv", "h264.mp4", "motion jpeg.mov", "raw.avi", "programme.mpeg"])
def test_damaged_clips(tmp_path: Path, name: str) -> None:
    codec, pixel_format, options = VIDEOS[name]
    path = write_video(tmp_path / name, speckle(6, 48, 64), codec, pixel_format, options)
    survive_all(path, lambda: survey(path, None, None, CINE, covered=True))


@pytest.mark.parametrize("syntax", ["little", "rle", "jpeg", "jpeg2000"])
def test_damaged_dicoms(tmp_path: Path, syntax: str) -> None:
    path = write_dicom(tmp_path / "a.dcm", speckle(3, 48, 64), syntax)
    survive_all(path, lambda: survey(path, None, None, CINE, covered=True))


# ---- weights


@pytest.fixture(scope="module")
def network() -> nn.Module:
    return build("resnet18", 3)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_damaged_weights(tmp_path: Path, network: nn.Module, suffix: str) -> None:
    state = {name: value for name, value in network.state_dict().items() if name.startswith(("conv1", "bn1"))}
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(save(state)) if suffix == ".safetensors" else torch.save(state, path)

    def load() -> None:
        load_weights(network, "resnet18", str(path), hashlib.sha256(path.read_bytes()).hexdigest())

    survive_all(path, load)


def test_damaged_weights_of_the_older_form(tmp_path: Path, network: nn.Module) -> None:
    """Torch's form before its zip archives: mostly pickle, so nearly every byte is an instruction."""
    state = {name: value for name, value in network.state_dict().items() if name.startswith(("bn1", "layer1.0.bn"))}
    path = tmp_path / "weights.pth"
    torch.save(state, path, _use_new_zipfile_serialization=False)

    def load() -> None:
        load_weights(network, "resnet18", str(path), hashlib.sha256(path.read_bytes()).hexdigest())

    survive_all(path, load, cases=5 * CASES)


METADATA = ["[]", "1", "null", '"x"', "{", "", '{"architecture": 1}', '{"architecture": []}', "[" * 100_000, "\x00"]


@pytest.mark.parametrize("said", METADATA, ids=range(len(METADATA)))
def test_damaged_metadata_of_weights(tmp_path: Path, network: nn.Module, said: str) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(save({"conv1.weight": torch.ones(64, 3, 7, 7)}, metadata={BUNDLE_KEY: said}))

    def load() -> None:
        load_weights(network, "resnet18", str(path), hashlib.sha256(path.read_bytes()).hexdigest())

    assert survive(load, said[:20]).startswith("weights.safetensors: expected tensors as .safetensors")


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(tmp_path: Path, network: nn.Module, suffix: str, value: float) -> None:
    state, path = {"conv1.weight": torch.full((64, 3, 7, 7), value)}, tmp_path / f"weights{suffix}"
    path.write_bytes(save(state)) if suffix == ".safetensors" else torch.save(state, path)
    with pytest.raises(PipelineError, match=r"expected finite numbers, got NaN or infinity in conv1\.weight"):
        load_weights(network, "resnet18", str(path), hashlib.sha256(path.read_bytes()).hexdigest())


def test_damaged_bundles(tmp_path: Path) -> None:
    described = Bundle(
        architecture="squeezenet1_1", labels=["cord"], size=64, mean=0.5, std=0.2,
        preprocess=Preprocess.model_validate(SHIPPED["preprocess"]),
    )  # fmt: skip
    path = tmp_path / "model.safetensors"
    write_bundle(path, build("squeezenet1_1", 1), described)
    survive_all(path, lambda: read_bundle(path), cases=30)


# ---- sheets and tables


def labelled_cohort(folder: Path) -> Path:
    write_cohort(folder, {"A.mkv": "P001", "B.mkv": "P002"})
    for name in ("A.mkv", "B.mkv"):
        (folder / name).touch()
    return folder


@pytest.mark.parametrize("name", ["labels.xlsx", "labels.csv"])
def test_damaged_label_files(tmp_path: Path, name: str) -> None:
    cohort, clips = labelled_cohort(tmp_path / "mine"), clips_of(["A", "B"])
    rows = {clip: sheet(truth(12), clip) for clip in ("A", "B")}
    if name == "labels.xlsx":
        write_workbook(cohort / name, rows)
    else:
        lines = [",".join(["CLIP", *map(str, rows["A"][0])])]
        lines += [",".join([clip, *map(str, row)]) for clip, table in rows.items() for row in table[1:]]
        (cohort / name).write_text("\n".join(lines))

    def read() -> None:
        found = read_labels(cohort, clips, {}, label_settings()).findings
        if found:  # what label_merge would stop with
            raise PipelineError("\n".join(str(finding.problem) for finding in found))

    survive_all(cohort / name, read)


ODD = (
    None,
    "",
    " ",
    "yes",
    "1 ",
    -1,
    2,
    0.5,
    1e308,
    True,
    "=1+1",
    "=cmd|' /C calc'!A0",
    "\u200b1",
    "٣",
    "<b>",
    "x" * 5000,
)


@pytest.mark.parametrize("block", range(4))
def test_odd_cells(tmp_path: Path, block: int) -> None:
    cohort, clips = labelled_cohort(tmp_path / "mine"), clips_of(["A", "B"])
    for case in range(block * 20, block * 20 + 20):
        rng = np.random.default_rng(case)
        rows = {clip: sheet(truth(12), clip) for clip in ("A", "B")}
        for _ in range(rng.integers(1, 5)):
            table = rows["AB"[rng.integers(2)]]
            row = table[rng.integers(len(table))]
            row[rng.integers(len(row))] = ODD[rng.integers(len(ODD))]
        write_workbook(cohort / "labels.xlsx", rows)
        survive(lambda: read_labels(cohort, clips, {}, label_settings()), f"cells, case {case}")


@pytest.mark.parametrize(
    "file", ["../x.mkv", "/etc/passwd", "..\\x.mkv", "C:\\x.mkv", "link.mkv", "clips.csv", "a\x00.mkv"]
)
def test_a_clip_never_leaves_the_cohort(tmp_path: Path, file: str) -> None:
    cohort = labelled_cohort(tmp_path / "mine")
    (tmp_path / "x.mkv").write_bytes(b"outside")
    (cohort / "link.mkv").symlink_to(tmp_path / "x.mkv")
    (cohort / "clips.csv").write_text(f"clip,file,patient\nA,{file},P001\n")
    listing = check_clips(cohort)
    assert [problem for problem in listing.problems if "row 2" in str(problem) or file in str(problem)]
    assert not [clip for clip in listing.rows if clip.path != Path()]


def test_damaged_cohort_tables(tmp_path: Path) -> None:
    cohort = labelled_cohort(tmp_path / "mine")
    survive_all(cohort / "clips.csv", lambda: _raise(check_clips(cohort).problems), cases=2 * CASES)


def _raise(problems: Any) -> None:
    if problems:
        raise PipelineError("\n".join(map(str, problems)))


def test_damaged_frames_and_labels(tmp_path: Path) -> None:
    frames, labels = tmp_path / "frames.csv", tmp_path / "labels.csv"
    names = [(f"C001_{index:05d}", "C001", "P001", index) for index in range(20)]
    frames.write_text(
        "\n".join([",".join(FRAME_COLUMNS), *(",".join(map(str, (*row, row[3] / 30))) for row in names)]) + "\n"
    )
    labels.write_text(
        "\n".join(["frame_id,clip_id,patient,frame_index,cord", *(",".join(map(str, (*row, 1))) for row in names)])
        + "\n"
    )
    survive_all(frames, lambda: read_table(frames, FRAME_COLUMNS))
    survive_all(labels, lambda: read_truth(labels, ["cord"]))


# ---- params.yaml

WEIRD = (
    None,
    "",
    "x",
    -1,
    0,
    1e308,
    float("nan"),
    float("inf"),
    True,
    [],
    {},
    [1],
    {"a": 1},
    "../x",
    "1e-3",
    10**30,
    "é\n",
)


def places(content: Any, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the way to every key."""
    for key, value in content.items() if isinstance(content, dict) else ():
        yield (*above, key)
        yield from places(value, (*above, key))


@pytest.mark.parametrize("block", range(8))
def test_mistakes_in_params_are_listed(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.chdir(ROOT)
    ways = list(places(SHIPPED))
    for case in range(block * 50, block * 50 + 50):
        rng, content = np.random.default_rng(case), copy.deepcopy(SHIPPED)
        for _ in range(rng.integers(1, 4)):
            _spoil(content, ways[rng.integers(len(ways))], rng)
        try:
            found = mistakes(content, [], "fuzz")
        except Exception as error:
            raise AssertionError(f"params, case {case}: {type(error).__name__}: {error}") from error
        assert all(isinstance(problem, Problem) and str(problem) for problem in found)


def _spoil(content: dict[str, Any], way: tuple[str, ...], rng: np.random.Generator) -> None:
    place: Any = content
    for key in way[:-1]:
        place = place.get(key) if isinstance(place, dict) else None
    if not isinstance(place, dict):  # spoilt above already
        return
    match rng.integers(4):
        case 0:
            place.pop(way[-1], None)
        case 1:
            place[f"{way[-1]}x"] = place.pop(way[-1], None)
        case _:
            place[way[-1]] = WEIRD[rng.integers(len(WEIRD))]


def test_damaged_params_files(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_bytes((ROOT / "params.yaml").read_bytes())
    survive_all(path, lambda: load_yaml(path), cases=30)
