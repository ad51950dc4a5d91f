"""Stage embedding: silhouettes against scikit-learn and closed formulas, and what it writes on made-up activations."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.metrics import silhouette_score

from stages.common.core.errors import PipelineError
from stages.embedding import __main__ as embedding
from stages.embedding.places import places, silhouettes
from tests.classify_workspace import FRAME_ONLY, build, sides, write_network_features
from tests.split_cohort import LABELS

SECTION = """
embedding: {architecture: resnet18, protocol: frame, max_frames: 400, components: 5, perplexity: 10.0}
"""


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace whose network tells the labels apart, not the clips."""
    monkeypatch.chdir(tmp_path)
    build(tmp_path, FRAME_ONLY + SECTION)
    write_activations(tmp_path, by="labels")
    return tmp_path


def labels_of(root: Path) -> pd.DataFrame:
    return pd.read_csv(root / "data/label_merge/labels.csv")


def write_activations(root: Path, by: str) -> None:
    table = labels_of(root)
    group = table["clip_id"] if by == "clip" else table[list(LABELS)].fillna(0).astype(str).agg("".join, axis=1)
    codes, names = pd.factorize(group)
    draws = np.random.default_rng(0)
    values = draws.normal(0, 4, (len(names), 12))[codes] + draws.normal(size=(len(table), 12))
    write_network_features(root, {"frame/0": values.astype(np.float32)})


def read(root: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((root / "metrics/embedding.json").read_text())
    return content


def test_what_the_network_tells_apart_has_the_higher_silhouette(workspace: Path) -> None:
    for by, other in (("labels", "clip"), ("clip", "labels")):
        write_activations(workspace, by)
        embedding.main()
        for found in read(workspace)["silhouette"].values():
            assert found[by]["value"] > 0.4 > 0.15 > found[other]["value"]


def test_silhouettes_are_scikit_learn_s_of_the_known_frames(workspace: Path) -> None:
    embedding.main()
    values = np.load(workspace / "data/features/resnet18/frame/0/1.npy").astype(float)
    table, found = labels_of(workspace), read(workspace)["silhouette"]["test"]
    on_test = (sides(workspace).loc[table["frame_id"]] == "test").to_numpy()
    for label in LABELS:
        known = on_test & table[label].notna().to_numpy()
        wanted = silhouette_score(values[known], table[label][known])
        assert found[label] == {"value": round(wanted, 4), "frames": int(known.sum()), "groups": 2, "why": None}
    wanted = silhouette_score(values[on_test], table["patient"][on_test])
    assert found["patient"]["value"] == round(wanted, 4)


def test_a_silhouette_by_hand_and_one_that_cannot_be() -> None:
    """Two pairs, 1 apart within and 10 between: (b - a) / b with b the mean way to the other pair."""
    values = np.array([[0.0], [1.0], [10.0], [11.0], [500.0]])
    groups = np.array(["a", "a", "b", "b", None], dtype=object)
    everyone = {"all": np.ones(5, bool), "one": np.array([True, True, False, False, True])}
    found = silhouettes(values, {"pair": groups}, everyone)
    outer, inner = 1 - 1 / 10.5, 1 - 1 / 9.5
    assert found["all"]["pair"]["value"] == round((outer + inner) / 2, 4)
    assert (found["all"]["pair"]["frames"], found["one"]["pair"]["value"]) == (4, None)
    assert "at least two groups" in found["one"]["pair"]["why"]


def test_pca_is_scikit_learn_s_and_tsne_keeps_heaps_apart() -> None:
    draws = np.random.default_rng(1)
    heap = np.repeat([0, 1, 2], 30)
    values = draws.normal(size=(3, 9))[heap] * 20 + draws.normal(size=(90, 9))
    found = places(values, 5, 10.0, seed=1)
    model = PCA(2).fit(values)
    assert found.pca == pytest.approx(model.transform(values), abs=1e-6)
    assert found.explained == pytest.approx(model.explained_variance_ratio_.tolist())
    assert silhouette_score(found.tsne, heap) > 0.7


def test_activations_that_never_change_lie_in_one_place() -> None:
    found = places(np.ones((20, 4)), 3, 5.0, seed=1)
    assert not found.pca.any()
    assert not found.tsne.any()


@pytest.mark.parametrize("columns", [1, 2])
def test_few_activations_are_enough(columns: int) -> None:
    values: NDArray[np.float64] = np.random.default_rng(2).normal(size=(30, columns))
    found = places(values, 5, 5.0, seed=1)
    assert found.pca.shape == found.tsne.shape == (30, 2)
    assert sum(found.explained) == pytest.approx(1)


def test_the_table_holds_both_views_of_every_frame_and_bytes_repeat(workspace: Path) -> None:
    embedding.main()
    files = [
        workspace / f"metrics/{name}" for name in ("embedding.json", "plots/embedding.csv", "pictures/embedding.png")
    ]
    first = [path.read_bytes() for path in files]
    table, labels = pd.read_csv(files[1]), labels_of(workspace)
    assert list(table) == ["view", "frame_id", "clip_id", "patient", "side", "labels", "x", "y"]
    for view in ("PCA", "t-SNE"):
        rows = table[table["view"] == view]
        assert list(rows["frame_id"]) == list(labels["frame_id"])
        assert dict(zip(rows["frame_id"], rows["side"], strict=True)) == sides(workspace).to_dict()
    unknown = labels[list(LABELS)].isna().any(axis=1).to_numpy()
    assert ((table["labels"] == "unknown").to_numpy() == np.tile(unknown, 2)).all()
    both = table[(table["labels"] == "cord + fluid") & (table["view"] == "PCA")]["frame_id"]
    known = labels[~unknown]
    assert set(both) == set(
        known["frame_id"][(known["cord"] == 1) & (known["fluid"] == 1) & (known["bad_quality"] == 0)]
    )
    assert cv2.imread(str(files[2])).shape[2] == 3
    embedding.main()
    assert [path.read_bytes() for path in files] == first


def test_more_frames_than_shown_are_thinned_evenly(workspace: Path) -> None:
    (workspace / "params.yaml").write_text(FRAME_ONLY + SECTION.replace("400", "50"))
    embedding.main()
    frames = pd.read_csv(workspace / "metrics/plots/embedding.csv")["frame_id"].iloc[:50]
    every = list(labels_of(workspace)["frame_id"])
    gaps = np.diff([every.index(frame) for frame in frames])
    assert read(workspace)["frames"] == 50
    assert gaps.max() - gaps.min() <= 1


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        (
            "perplexity: 10.0",
            "perplexity: 400.0",
            r"embedding\.perplexity: too large: expected below \d+ frames, got 400",
        ),
        ("protocol: frame", "protocol: leave_one_patient_out", r"embedding\.protocol: wrong value"),
        ("components: 5", "component: 5", r"embedding\.component: unknown key"),
    ],
)
def test_mistakes_in_params_are_named(workspace: Path, right: str, wrong: str, message: str) -> None:
    assert right in SECTION
    (workspace / "params.yaml").write_text(FRAME_ONLY + SECTION.replace(right, wrong))
    with pytest.raises(PipelineError, match=message):
        embedding.main()


def test_where_the_network_asked_for_was_dropped_another_is_shown_and_said(
    workspace: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    asked = (workspace / "params.yaml").read_text()
    dropped = asked.replace("architecture: resnet18, protocol: frame", "architecture: vgg16, protocol: patient")
    (workspace / "params.yaml").write_text(dropped)
    stale = workspace / "data/features/vgg16/frame/0/1.npy"
    stale.parent.mkdir(parents=True)
    stale.write_bytes(b"of a network no longer declared")
    embedding.main()
    assert (read(workspace)["architecture"], read(workspace)["protocol"]) == ("resnet18", "frame")
    assert "vgg16 under patient is not declared: resnet18 under frame is shown" in capfd.readouterr().err
    assert not stale.exists()
