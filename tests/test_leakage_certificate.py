"""Each kind of leak is planted and caught; a clean cohort gives none."""

import json
import shutil
from pathlib import Path

import cv2
import imagehash
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from stages.common.core.errors import PipelineError
from stages.leakage import __main__ as leakage
from stages.leakage.cohort import KINDS, Pictures
from stages.leakage.findings import as_json
from stages.leakage.likeness import NONE, distances, nearest_in_clips, packed_hash
from tests import leakage_workspace
from tests.evaluate_workspace import FRAME_ONLY

Workspace = tuple[Path, Pictures]


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    root = tmp_path_factory.mktemp("clean")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        return root, leakage_workspace.build(root)


@pytest.fixture
def workspace(clean: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    shutil.copytree(clean[0], tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path, clean[1].copy()


def augmented(variant: str, grey: Pictures) -> Pictures:
    """Return what augmenting and then greying makes of a grey picture, by OpenCV's own calls."""
    number = leakage_workspace.DRAWN[variant]
    colour = cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR)
    made = {
        "flip_left_right": lambda: cv2.flip(colour, 1),
        "brightness": lambda: cv2.convertScaleAbs(colour, alpha=number),
        "jpeg": lambda: cv2.imdecode(cv2.imencode(".jpg", colour, [cv2.IMWRITE_JPEG_QUALITY, number])[1], 1),
    }[variant]()
    return cv2.cvtColor(made, cv2.COLOR_BGR2GRAY)


def write_variants(root: Path) -> None:
    """Let training read what `VARIANTS` says now."""
    path = root / "params.yaml"
    lines = path.read_text(encoding="utf-8").splitlines()
    chosen = leakage_workspace.as_yaml({"variants": leakage_workspace.VARIANTS})
    path.write_text(
        "\n".join(f"train: {chosen}" if line.startswith("train:") else line for line in lines) + "\n", encoding="utf-8"
    )


def certificate() -> dict[str, dict[str, object]]:
    cohort, compared, params = leakage_workspace.certify()
    return {name: as_json(cohort, name, of, params) for name, of in compared.items()}


def frames_on(protocol: str, side: str) -> pd.DataFrame:
    """Return frames.csv of one side of a protocol's first fold; the index is the row in the arrays."""
    split = pd.read_csv(f"data/split/{protocol}.csv", dtype={"fold": str})
    mine = split[(split["fold"] == "0") & (split["side"] == side)]["frame_id"]
    frames = pd.read_csv("data/extract_frames/frames.csv")
    return frames[frames["frame_id"].isin(mine)]


def a_test_and_a_training_clip() -> tuple[np.ndarray, np.ndarray, str, str]:
    """Return rows of two clips of two patients, as many of each, and the clips' names."""
    test, train = frames_on("patient", "test"), frames_on("patient", "train")
    one, other = test["clip_id"].iloc[0], train["clip_id"].iloc[0]
    rows = [part.index[part["clip_id"] == clip].to_numpy() for part, clip in ((test, one), (train, other))]
    count = min(map(len, rows))
    return rows[0][:count], rows[1][:count], one, other


def reencoded(grey: Pictures) -> Pictures:
    """Return a picture as another export would bring it: a little brighter, resampled, JPEG."""
    small = cv2.resize(cv2.convertScaleAbs(grey, alpha=1.05, beta=2), None, fx=0.9, fy=0.9)
    back = cv2.resize(small, grey.shape[::-1])
    return cv2.imdecode(cv2.imencode(".jpg", back, [cv2.IMWRITE_JPEG_QUALITY, 90])[1], cv2.IMREAD_GRAYSCALE)


def test_a_clean_cohort_holds_and_the_frame_protocol_says_why_it_does_not(workspace: Workspace) -> None:  # noqa: ARG001
    found = certificate()
    for protocol in ("patient", "leave_one_patient_out"):
        assert found[protocol]["holds"]
        assert found[protocol]["findings"] == []
        for what in ("near_duplicates", "same_pictures"):
            assert {kind: entry["frames"] for kind, entry in found[protocol][what].items()} == dict.fromkeys(KINDS, 0)
    assert not found["frame"]["holds"]
    assert found["frame"]["findings"] == ["patients on two sides: P001, P002, P003, P004, P005, P006, P007, P008, P009"]


def test_a_patient_on_two_sides_stops_the_stage(workspace: Workspace) -> None:
    moved = frames_on("patient", "train").iloc[0]
    path = workspace[0] / "data/split/patient.csv"
    split = pd.read_csv(path)
    split.loc[split["frame_id"] == moved["frame_id"], "side"] = "test"
    split.to_csv(path, index=False)
    with pytest.raises(PipelineError, match=f"protocol patient: patients on two sides: .* got {moved['patient']}"):
        certificate()


def test_a_frame_on_two_sides_stops_the_stage(workspace: Workspace) -> None:
    path = workspace[0] / "data/split/frame.csv"
    split = pd.read_csv(path)
    twice = split[split["side"] == "train"].iloc[[0]].assign(side="test")
    pd.concat([split, twice]).to_csv(path, index=False)
    with pytest.raises(PipelineError, match=f"frame {twice['frame_id'].iloc[0]} stands twice"):
        certificate()


def test_the_same_clip_under_two_patients_stops_the_stage(workspace: Workspace) -> None:
    root, grey = workspace
    test, train, one, other = a_test_and_a_training_clip()
    grey[test] = grey[train]
    leakage_workspace.write_pictures(root, grey)
    with pytest.raises(PipelineError, match="The same clip under two patients") as caught:
        certificate()
    assert f"clips {one} {other}" in str(caught.value)
    assert f"{one}_00000 = {other}_00000 (original)" in str(caught.value)
    assert f"{len(test)} test frames" in str(caught.value)


@pytest.mark.parametrize("protocol", ["frame", "patient"])
@pytest.mark.parametrize("variant", sorted(set(leakage_workspace.DRAWN) - {"original"}))
def test_a_derived_picture_of_a_test_frame_in_training_stops_the_stage(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, variant: str, protocol: str
) -> None:
    root, grey = workspace
    monkeypatch.setitem(leakage_workspace.VARIANTS, variant, True)
    write_variants(root)
    clean = np.stack([augmented(variant, picture) for picture in grey])
    test, train = (frames_on(protocol, side).index for side in ("test", "train"))
    planted = clean.copy()
    planted[train[3]] = clean[test[5]]  # filed under a training frame's name, made of a test frame
    leakage_workspace.write_pictures(root, grey, **{variant: clean})
    leakage.main()
    leakage_workspace.write_pictures(root, grey, **{variant: planted})
    name = pd.read_csv("data/extract_frames/frames.csv")["frame_id"][train[3]]
    with pytest.raises(PipelineError, match=rf"data/preprocess/{variant}.npy: .* got 1: {name}\. Run"):
        leakage.main()


def test_a_test_frame_s_picture_among_the_training_originals_stops_the_stage(workspace: Workspace) -> None:
    root, grey = workspace
    test, train, *_ = a_test_and_a_training_clip()
    leakage_workspace.write_pictures(root, grey)
    seen = grey.copy()
    seen[train[3]] = grey[test[5]]
    np.save(root / "data/preprocess/original.npy", seen)
    with pytest.raises(PipelineError, match=r"data/preprocess/original.npy: .* got 1: "):
        leakage.main()


def test_the_same_picture_derived_from_two_frames_stops_the_stage(workspace: Workspace) -> None:
    root, grey = workspace
    test, train, one, other = a_test_and_a_training_clip()
    grey[train[3]] = grey[test[5]][:, ::-1]  # mirrored in the clip itself: its flip is the test frame's picture
    leakage_workspace.write_pictures(root, grey)
    with pytest.raises(PipelineError, match=rf"{one}_00005 = {other}_00003 \(flip_left_right\)"):
        leakage.main()


def test_numbers_drawn_for_other_frames_are_refused(workspace: Workspace) -> None:
    path = workspace[0] / "data/augment/flip_left_right.csv"
    pd.read_csv(path).iloc[::-1].to_csv(path, index=False)
    with pytest.raises(PipelineError, match=r"flip_left_right\.csv: expected the frames of frames.csv in their order"):
        leakage.main()


def test_a_variant_that_training_does_not_read_is_no_leak(workspace: Workspace) -> None:
    root, grey = workspace
    test, train, *_ = a_test_and_a_training_clip()
    jpeg = grey.copy()
    jpeg[train[3]] = grey[test[5]]
    leakage_workspace.write_pictures(root, grey, jpeg=jpeg)
    assert certificate()["patient"]["holds"]


def test_a_reencoded_clip_under_two_patients_is_seen_by_the_hash_alone(workspace: Workspace) -> None:
    root, grey = workspace
    test, train, one, other = a_test_and_a_training_clip()
    grey[test] = [reencoded(picture) for picture in grey[train]]
    assert not (grey[test] == grey[train]).all(axis=(1, 2)).any()
    leakage_workspace.write_pictures(root, grey)
    found = certificate()["patient"]
    assert not found["holds"]
    assert found["same_pictures"]["another_patient"]["frames"] == 0
    assert found["near_duplicates"]["another_patient"]["frames"] >= len(test) / 2
    assert [twin["clips"] for twin in found["twin_clips"]] == [f"{one} {other}"]
    assert found["near_examples"][0]["kind"] == "another_patient"
    leakage_workspace.write_section(root, twin_clips_of_two_patients="stop")
    with pytest.raises(PipelineError, match="nearly the same pictures of two patients"):
        certificate()


def test_a_pair_that_a_person_has_explained_stops_nothing_and_is_printed(workspace: Workspace) -> None:
    root, grey = workspace
    test, train, one, other = a_test_and_a_training_clip()
    grey[test] = grey[train]
    leakage_workspace.write_pictures(root, grey)
    leakage_workspace.write_section(root, known_pairs={f"{other} {one}": "a test object scanned twice"})
    found = certificate()["patient"]
    assert found["holds"]
    assert found["same_pictures"]["another_patient"]["frames"] == len(test)  # counted all the same
    assert {twin["known"] for twin in found["twin_clips"]} == {"a test object scanned twice"}


def test_a_warning_is_a_finding(workspace: Workspace) -> None:
    root, grey = workspace
    test, train, one, other = a_test_and_a_training_clip()
    grey[test[0]] = grey[train[0]]
    leakage_workspace.write_pictures(root, grey)
    leakage_workspace.write_section(root, same_picture_of_two_patients="warn")
    assert certificate()["patient"]["findings"] == [f"test frames of {one} that are pictures of {other} in training: 1"]


def test_a_frame_that_a_clip_holds_twice_is_a_finding_of_the_frame_protocol(workspace: Workspace) -> None:
    root, grey = workspace
    test, train = frames_on("frame", "test"), frames_on("frame", "train")
    clip = test["clip_id"].iloc[0]
    grey[test.index[0]] = grey[train.index[train["clip_id"] == clip][0]]
    leakage_workspace.write_pictures(root, grey)
    found = certificate()
    assert f"test frames of {clip} that are pictures of {clip} in training: 1" in found["frame"]["findings"]
    assert found["patient"]["holds"]


def test_blank_pictures_are_alike_and_no_leak(workspace: Workspace) -> None:
    root, grey = workspace
    test, train, *_ = a_test_and_a_training_clip()
    grey[[test[0], train[0], train[1]]] = 7
    leakage_workspace.write_pictures(root, grey)
    assert certificate()["patient"]["holds"]


def test_the_whole_stage_on_a_cohort_without_folds_or_patient_protocol(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    leakage_workspace.build(tmp_path, FRAME_ONLY)
    leakage.main()
    written = {path: path.read_bytes() for path in sorted((tmp_path / "metrics").rglob("*leakage*"))}
    assert len(written) == 4
    found = json.loads((tmp_path / "metrics/leakage.json").read_text())
    assert "needs protocol `frame` and one that keeps patients apart" in found["optimism"]["why"]
    assert found["optimism"]["against"] == {}
    assert list(found["certificate"]) == ["frame"]
    leakage.main()
    assert written == {path: path.read_bytes() for path in written}


def test_an_array_of_other_frames_is_refused(workspace: Workspace) -> None:
    root, grey = workspace
    np.save(root / "data/preprocess/flip_left_right.npy", grey[:-1])
    with pytest.raises(PipelineError, match=r"flip_left_right.npy: expected \d+ rows, one a frame, got \d+"):
        certificate()


@given(seed=st.integers(0, 2**32 - 1))
def test_nearest_training_frames_are_those_that_brute_force_finds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    hashes = rng.integers(0, 2**63, (20, 2), dtype=np.uint64)
    clips = rng.integers(0, 4, 20)
    test, training = np.arange(8), np.arange(8, 20)
    near, which = nearest_in_clips(hashes, test, training, clips, 4)
    bits = np.unpackbits(hashes.view(np.uint8), axis=1)
    for row in test:
        for clip in range(4):
            rivals = [(int((bits[row] != bits[other]).sum()), other) for other in training if clips[other] == clip]
            assert (near[row, clip], which[row, clip]) == (min(rivals) if rivals else (NONE, -1))


def test_packed_hashes_differ_by_as_many_bits_as_imagehash_says() -> None:
    one, other = leakage_workspace.pictures(2)
    said = imagehash.phash(Image.fromarray(one), hash_size=16) - imagehash.phash(Image.fromarray(other), hash_size=16)
    assert distances(packed_hash(one, 16)[None], packed_hash(other, 16)[None]).tolist() == [[said]]


def test_a_known_pair_of_clips_that_there_are_not_is_refused(workspace: Workspace) -> None:
    leakage_workspace.write_section(workspace[0], known_pairs={"C001 C099": "mistyped"})
    with pytest.raises(PipelineError, match=r"leakage.known_pairs: unknown clip: .* got 'C099'"):
        leakage.main()
