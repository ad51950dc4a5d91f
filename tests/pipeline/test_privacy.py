"""Names, dates, numbers and UIDs, planted in a cohort's files, headers and pixels, are in no byte that a run wrote."""

import base64
import hashlib
import re
import shutil
import zlib
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from tests.clip_factory import PATIENT, speckle, write_dicom
from tests.test_lettering import lettered
from tests.workbooks import sheet, truth, write_workbook
from tests.workspace import commit, copy_project, dvc, set_params

FRAMES, SIDE = 12, 160
INFANTS = 8
UID = "1.2.826.0.1.3680043.8.498.987654321"
BURNT = "GEHEIM"
PLANTED = (*PATIENT.split("^"), "MRN-4711", "20240229", "20240301", "2024-03-01", "29.02.2024", "Charite", BURNT, UID)
TINY = {
    "cohort": "mine", "size_px": 64, "epochs": 1, "architectures": {"resnet18": {"backbone_scale": 0.1}},
    "train.variants": {"original": True}, "protocols": {"patient": {}},
    "baselines": {"tree_texture": {"classifier": "tree", "features": "texture"}},
}  # fmt: skip


def write_mine(folder: Path) -> None:
    """Write DICOMs whose names, tags and pixels hold what must not come out."""
    rows = []
    for number in range(INFANTS):
        name = f"Mustermann 2024-03-01 {number}"
        pictures, _ = lettered(speckle(FRAMES, SIDE, SIDE, seed=number) // 2, BURNT, 30, 80)
        write_dicom(folder / f"{name}.dcm", pictures, StudyInstanceUID=UID, PatientComments="born 29.02.2024")
        rows.append({"clip": name, "file": f"{name}.dcm", "patient": f"P{number + 1:03d}"})
    pd.DataFrame(rows).to_csv(folder / "clips.csv", index=False)
    sheets = {row["clip"]: sheet(truth(FRAMES, seed=number), row["clip"]) for number, row in enumerate(rows)}
    write_workbook(folder / "labels.xlsx", sheets)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cohort of infants with names, run to the report, with what `dvc` said."""
    folder = copy_project(tmp_path_factory.mktemp("privacy") / "project")
    set_params(folder, TINY)
    write_mine(folder / "data/cohorts/mine")
    dvc(folder, "add", "-q", "data/cohorts/mine")
    commit(folder, "our cohort")
    before = (digest(path.read_bytes()) for path in folder.rglob("*") if path.is_file())
    (folder.parent / "before.txt").write_text("\n".join(before), encoding="utf-8")
    done = dvc(folder, "repro", "report")
    (folder / "said.log").write_text(done.stdout + done.stderr, encoding="utf-8")
    return folder


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def written(project: Path) -> dict[Path, bytes]:
    """Return what the run wrote anywhere in the project, once a content: DVC's cache holds most of it again."""
    seen = set((project.parent / "before.txt").read_text(encoding="utf-8").split())
    files = {}
    everything = (path.relative_to(project) for path in project.rglob("*") if path.is_file())
    for name in sorted(everything, key=lambda name: (name.parts[0] == ".dvc", name)):
        content = (project / name).read_bytes()
        if digest(content) not in seen:
            seen.add(digest(content))
            files[name] = content
    return files


def unpacked(raw: bytes) -> bytes:
    """Return a file's bytes in lower case, and what is packed inside: deflated streams and base64."""
    packed = [base64.b64decode(run) for run in re.findall(rb"(?:[A-Za-z0-9+/]{4}){16,}", raw)]
    for start in (match.start() for match in re.finditer(rb"\x78[\x01\x5e\x9c\xda]", raw)):
        try:
            packed.append(zlib.decompressobj().decompress(raw[start:], 1 << 24))
        except zlib.error:
            continue
    return b"\0".join([raw, *packed]).lower()


def planted_in(content: bytes, name: str) -> list[str]:
    """Return the planted words in a file; arrays and weights are read as they are, everything else is unpacked too."""
    text = content.lower() if name.endswith((".npy", ".safetensors")) else unpacked(content)
    return [word for word in PLANTED if any(word.lower().encode(coding) in text for coding in ("utf-8", "utf-16-le"))]


def strokes_seen(picture: np.ndarray) -> float:
    """Return how far the strokes of the burnt-in line stand out of what lies between them, in grey levels."""
    _, line = lettered(np.zeros((1, SIDE, SIDE), np.uint8), BURNT, 30, 80)
    shrunk = {part: cv2.resize((line == part).astype(np.float32), picture.shape[1::-1], interpolation=cv2.INTER_AREA)
              for part in (1, 2)}  # fmt: skip
    grey = picture.astype(float).mean(axis=2) if picture.ndim == 3 else picture.astype(float)
    return float(abs(grey[shrunk[2] > 0.7].mean() - grey[shrunk[1] > 0.7].mean()))


def test_nothing_planted_is_in_any_byte_that_the_run_wrote(project: Path) -> None:
    files = written(project)
    kinds = {".png", ".npy", ".csv", ".json", ".html", ".safetensors", ".lock", ".log"}
    assert {path.suffix for path in files} >= kinds
    assert {str(path): words for path, content in files.items() if (words := planted_in(content, path.name))} == {}


def test_the_search_would_find_what_the_cohort_holds(project: Path) -> None:
    text = b"".join(unpacked(path.read_bytes()) for path in (project / "data/cohorts/mine").rglob("*.dcm"))
    headers = (*PATIENT.split("^"), "MRN-4711", "20240229", "29.02.2024", "Charite", UID)
    assert all(word.lower().encode() in text for word in headers)
    hidden = b"head" + zlib.compress(b"Mustermann" * 9) + b"\0" + base64.b64encode(b"Charite " * 9)
    assert planted_in(hidden, "page.html") == ["Mustermann", "Charite"]
    assert planted_in("Erika".encode("utf-16-le"), "x.npy") == ["Erika"]


def test_burnt_in_text_is_in_no_picture(project: Path, tmp_path: Path) -> None:
    frames = sorted((project / "data/extract_frames").rglob("*.png"))
    assert len(frames) == INFANTS * FRAMES
    pictures = [cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for path in frames]
    pictures += list(np.load(project / "data/augment/original.npy"))
    assert max(strokes_seen(picture) for picture in pictures) < 5
    bare = Path(shutil.copytree(project, tmp_path / "bare", symlinks=True))
    set_params(bare, {"extract_frames.cover_lettering": "never"})
    dvc(bare, "repro", "-q", "-s", "extract_frames")
    uncovered = sorted((bare / "data/extract_frames").rglob("*.png"))
    kept = [cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for path in uncovered]
    assert min(strokes_seen(picture) for picture in kept) > 40  # uncovered, the same measure sees it
