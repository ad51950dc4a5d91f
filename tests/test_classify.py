"""Stage classify: against scikit-learn by hand, on planted and shuffled features, and blind to the test side."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, log_loss, roc_auc_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from stages.classify.choosing import Side, patient_folds
from stages.common.core.errors import PipelineError
from stages.common.evaluation.predictions import Training, read_predictions
from stages.common.evaluation.sidecars import refuse_mix
from tests.classify_workspace import (
    COLUMNS,
    FRAME_ONLY,
    PARAMS,
    build,
    place_of,
    planted,
    predicted,
    run,
    sides,
    write_features,
    write_network_features,
)
from tests.split_cohort import LABELS

CLASSIFIERS = ("knn", "tree", "logistic", "boosting")
PLACES = ("frame/0", "patient/0", *(f"leave_one_patient_out/{fold}" for fold in range(3)))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with all three protocols; not to be changed."""
    root = tmp_path_factory.mktemp("built")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        build(root)
    return root


@pytest.fixture
def own(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it under the frame protocol alone, to change."""
    shutil.copytree(built, tmp_path, dirs_exist_ok=True)
    (tmp_path / "params.yaml").write_text(FRAME_ONLY, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def truth_of(root: Path) -> pd.DataFrame:
    return pd.read_csv(root / "data/label_merge/labels.csv").set_index("frame_id")[list(LABELS)]


def sidecar(root: Path, system: str, place: str = "frame/0") -> dict[str, Any]:
    content: dict[str, Any] = json.loads((place_of(root, system, place) / f"{system}.json").read_text())
    return content


def areas(root: Path, system: str, place: str = "frame/0") -> list[float]:
    said = predicted(root, system, place).query("split == 'test'")
    truth = truth_of(root).loc[said.index]
    known = {label: truth[label].notna() for label in LABELS}
    return [roc_auc_score(truth[label][known[label]], said[label][known[label]]) for label in LABELS]


def edit_labels(root: Path, rows: "pd.Series[bool]", values: dict[str, Any]) -> None:
    path = root / "data/label_merge/labels.csv"
    table = pd.read_csv(path).astype(dict.fromkeys(LABELS, "Int8")).set_index("frame_id")
    for label, value in values.items():
        table.loc[rows[rows].index, label] = value
    table.reset_index().to_csv(path, index=False)


@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_a_planted_signal_is_found_and_a_shuffled_one_is_not(own: Path, classifier: str) -> None:
    system = f"{classifier}_texture"
    run(system)
    assert min(areas(own, system)) > 0.75
    values = np.load(own / "data/features/texture/frames.npy")
    write_features(own, np.random.default_rng(0).permutation(values))
    run(system)
    assert np.mean(areas(own, system)) < 0.62


def by_hand(classifier: str, setting: dict[str, Any]) -> Any:
    """Return the pipeline as scikit-learn's manual would write it."""
    if classifier == "tree":
        return DecisionTreeClassifier(random_state=1, **setting)
    if classifier == "boosting":
        return HistGradientBoostingClassifier(early_stopping=False, random_state=1, **setting)
    model = KNeighborsClassifier(**setting) if classifier == "knn" else LogisticRegression(max_iter=2000, **setting)
    return make_pipeline(StandardScaler(), PCA(6, random_state=1), model)


@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_the_best_of_the_grid_on_validation_is_scikit_learn_s_by_hand(own: Path, classifier: str) -> None:
    system = f"{classifier}_texture"
    run(system)
    grids: dict[str, list[dict[str, Any]]] = {
        "knn": [{"n_neighbors": k, "weights": by} for k in (3, 15) for by in ("uniform", "distance")],
        "tree": [{"max_depth": depth, "min_samples_leaf": 5} for depth in (1, 3)],
        "logistic": [{"C": strength} for strength in (0.01, 1.0)],
        "boosting": [{"max_iter": 15, "learning_rate": rate, "max_leaf_nodes": 4} for rate in (0.1, 0.3)],
    }
    values, truth, side = np.load(own / "data/features/texture/frames.npy"), truth_of(own), sides(own)
    said, chosen = predicted(own, system), sidecar(own, system)["chosen"]
    for label in LABELS:
        on = {
            name: ((side.loc[truth.index] == name) & truth[label].notna()).to_numpy()
            for name in ("train", "validation")
        }
        scores, models = [], []
        for setting in grids[classifier]:
            model = by_hand(classifier, setting).fit(values[on["train"]], truth[label][on["train"]])
            probability = model.predict_proba(values[on["validation"]])[:, 1].clip(0.001, 0.999)
            scores.append(-log_loss(truth[label][on["validation"]], probability))
            models.append(model)
        best = int(np.argmax(scores))
        assert chosen[label]["setting"] == grids[classifier][best]
        assert max(chosen[label]["scores"]) == pytest.approx(scores[best], abs=1e-6)
        rows = truth.index.get_indexer(said.index)
        assert said[label].to_numpy() == pytest.approx(models[best].predict_proba(values[rows])[:, 1], abs=1e-6)


def test_average_precision_can_choose(own: Path) -> None:
    (own / "params.yaml").write_text(FRAME_ONLY.replace("score: log_loss", "score: average_precision"))
    run("tree_texture")
    truth, said = truth_of(own), predicted(own, "tree_texture").query("split == 'validation'")
    asked = truth["fluid"].loc[said.index]
    known = asked.notna()
    found = sidecar(own, "tree_texture")["chosen"]["fluid"]
    assert max(found["scores"]) == pytest.approx(average_precision_score(asked[known], said["fluid"][known]), abs=1e-5)


def test_all_protocols_and_folds_fit_the_contract_of_predictions(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(built, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    run("tree_texture")
    run("knn_texture")
    for place in PLACES:
        side = sides(tmp_path, place)
        asked = side[side != "train"].rename("side").reset_index()
        table, problems = read_predictions(
            place_of(tmp_path, "tree_texture", place) / "tree_texture.csv", asked, LABELS
        )
        assert (len(table), problems) == (len(asked), [])
        ids = predicted(tmp_path, "tree_texture", place).index
        assert list(ids) == sorted(ids)
        found = sidecar(tmp_path, "tree_texture", place)
        by = "patients" if place.startswith("leave") else "validation"
        assert all(of["chosen_by"] == by or of["remark"] for of in found["chosen"].values())
        assert found["chosen"]["fluid"]["chosen_by"] == by
        assert (found["giga_operations"], found["params"]["system"]["classifier"]) == (0.0, "tree")
    files = {
        Training(*place.split("/"), 1, system): place_of(tmp_path, system, place) / f"{system}.json"  # type: ignore[misc]
        for place in PLACES
        for system in ("tree_texture", "knn_texture")
    }
    refuse_mix(files)  # raises where what they share differs


def test_garbled_test_rows_change_nothing(own: Path) -> None:
    run("boosting_texture")
    first = (place_of(own, "boosting_texture") / "boosting_texture.csv").read_bytes()
    chosen = sidecar(own, "boosting_texture")["chosen"]
    edit_labels(own, sides(own) == "test", {"bad_quality": 1, "cord": pd.NA, "fluid": 0})
    run("boosting_texture")
    assert (place_of(own, "boosting_texture") / "boosting_texture.csv").read_bytes() == first
    values = np.load(own / "data/features/texture/frames.npy")
    on_test = (sides(own).loc[truth_of(own).index] == "test").to_numpy()
    values[on_test] = 1e6
    write_features(own, values)
    before = predicted(own, "boosting_texture")
    run("boosting_texture")
    after = predicted(own, "boosting_texture")
    held = before["split"] == "validation"
    pd.testing.assert_frame_equal(after[held], before[held])
    assert sidecar(own, "boosting_texture")["chosen"] == chosen
    assert not after[~held].equals(before[~held])


def test_unknown_labels_leave_their_frames_out_of_that_label_alone(own: Path) -> None:
    run("tree_texture")
    before = predicted(own, "tree_texture")
    truth, side = truth_of(own), sides(own)
    counted = {label: sidecar(own, "tree_texture")["chosen"][label]["frames"] for label in LABELS}
    known = truth[side.loc[truth.index] == "train"].notna().sum()
    assert counted == known.to_dict()
    some = (side == "train") & (np.arange(len(side)) % 2 == 0)
    edit_labels(own, some, {"cord": pd.NA})
    run("tree_texture")
    after = predicted(own, "tree_texture")
    assert after["fluid"].equals(before["fluid"])
    assert not after["cord"].equals(before["cord"])


@pytest.mark.parametrize(
    ("value", "probability", "said"), [(1, 1.0, "only 1"), (0, 0.0, "only 0"), (pd.NA, 0.5, "no known label")]
)
def test_one_class_in_training_gives_its_prevalence_and_says_so(
    own: Path, capsys: pytest.CaptureFixture[str], value: Any, probability: float, said: str
) -> None:
    edit_labels(own, sides(own) == "train", {"cord": value})
    run("logistic_texture")
    assert set(predicted(own, "logistic_texture")["cord"]) == {probability}
    assert f"logistic_texture: frame 0: cord: training has {said}" in capsys.readouterr().err
    found = sidecar(own, "logistic_texture")["chosen"]["cord"]
    assert (found["constant"], said in found["remark"]) == (probability, True)


def test_where_validation_lacks_a_class_training_patients_choose(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit_labels(own, sides(own) == "validation", {"cord": 0})
    run("knn_texture")
    found = sidecar(own, "knn_texture")["chosen"]
    assert {label: found[label]["chosen_by"] for label in LABELS} == {
        "bad_quality": "validation", "cord": "patients", "fluid": "validation",
    }  # fmt: skip
    assert "cord: validation cannot choose, one class only: patients chose" in capsys.readouterr().err


def test_where_training_patients_cannot_choose_validation_does(own: Path) -> None:
    (own / "params.yaml").write_text(FRAME_ONLY.replace("frame: validation", "frame: patients"))
    table = pd.read_csv(own / "data/label_merge/labels.csv").set_index("frame_id")
    one = table["patient"] == table.groupby("patient")["cord"].sum().idxmax()
    edit_labels(own, ~one & (sides(own) == "train"), {"cord": 0})
    run("tree_texture")
    found = sidecar(own, "tree_texture")["chosen"]
    assert (found["cord"]["chosen_by"], found["fluid"]["chosen_by"]) == ("validation", "patients")
    assert found["cord"]["remark"] == "patients cannot choose, one class only: validation chose"


def test_where_nothing_can_choose_the_first_of_the_grid_is_taken(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    side = sides(own)
    edit_labels(own, side == "validation", {"cord": 0})
    edit_labels(own, side == "train", {"cord": 0})
    edit_labels(own, pd.Series(side.index == side[side == "train"].index[3], side.index), {"cord": 1})
    run("tree_texture")
    found = sidecar(own, "tree_texture")["chosen"]["cord"]
    assert (found["chosen_by"], found["setting"]) == ("nothing", {"max_depth": 1, "min_samples_leaf": 5})
    assert "the first of the grid" in capsys.readouterr().err


def memorised(root: Path, place: str = "leave_one_patient_out/0") -> np.ndarray:
    """Return features as of a network that learnt its training side by heart: they hold those labels, and no others."""
    truth = truth_of(root)
    values = np.random.default_rng(7).normal(size=(len(truth), COLUMNS))
    learnt = (sides(root, place).loc[truth.index] == "train").to_numpy()
    values[learnt, :3] = 9 * truth[list(LABELS)].fillna(0.5).to_numpy()[learnt]
    return values.astype(np.float32)


FOLD, FOLD_ONLY = "leave_one_patient_out/0", PARAMS.replace("{frame: {}, patient: {}}", "{}")


def test_on_a_network_s_features_validation_chooses_and_never_patients_that_it_learnt(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(built, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(FOLD_ONLY.replace("features: texture", "features: resnet18"))
    write_network_features(tmp_path, {place: memorised(tmp_path, place) for place in PLACES[2:]})
    run("tree_texture")
    truth, side = truth_of(tmp_path), sides(tmp_path, FOLD)
    rows = {one: truth["fluid"][side.loc[truth.index] == one].dropna() for one in ("train", "validation")}
    values = memorised(tmp_path).astype(np.float16).astype(np.float32)
    at = {one: truth.index.get_indexer(of.index) for one, of in rows.items()}
    losses = []
    for depth in (1, 3):  # by hand
        tree = DecisionTreeClassifier(max_depth=depth, min_samples_leaf=5, random_state=1)
        said = tree.fit(values[at["train"]], rows["train"]).predict_proba(values[at["validation"]])[:, 1]
        losses.append(log_loss(rows["validation"], said.clip(0.001, 0.999)))
    found = sidecar(tmp_path, "tree_texture", FOLD)
    assert found["params"]["system"]["chosen_by"] == found["chosen"]["fluid"]["chosen_by"] == "validation"
    assert found["chosen"]["fluid"]["scores"] == pytest.approx([-loss for loss in losses], abs=1e-6)
    assert min(losses) > 0.5  # patients that the network learnt would have called it perfect


def test_where_validation_cannot_choose_on_a_network_s_features_the_first_of_the_grid_is_taken_and_said(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(built, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(FOLD_ONLY)
    write_network_features(tmp_path, {place: memorised(tmp_path, place) for place in PLACES[2:]})
    edit_labels(tmp_path, sides(tmp_path, FOLD) == "validation", {"cord": 0})
    run("knn_resnet18")
    found = sidecar(tmp_path, "knn_resnet18", FOLD)["chosen"]["cord"]
    assert (found["chosen_by"], found["setting"]) == ("nothing", {"n_neighbors": 3, "weights": "uniform"})
    said = "cord: validation cannot choose, one class only: the first of the grid"
    assert f"knn_resnet18: leave_one_patient_out 0: {said}" in capsys.readouterr().err


def test_patient_folds_share_no_patient_and_hold_every_frame_once() -> None:
    draws = np.random.default_rng(0)
    patients = np.repeat([f"P{number}" for number in range(7)], 20).astype(object)
    whole = Side(np.arange(140, dtype=np.float32)[:, None], draws.integers(0, 2, 140).astype(np.float32), patients)
    pairs = list(patient_folds(whole, 3))
    assert len(pairs) == 3
    for fit, asked in pairs:
        assert not set(fit.patients) & set(asked.patients)
        assert fit.has_both
        assert asked.has_both
    assert sorted(np.concatenate([asked.values[:, 0] for _, asked in pairs])) == list(range(140))
    one = np.full(140, "P1", dtype=object)
    assert list(patient_folds(Side(whole.values, whole.truth, one), 3)) == []


def test_same_inputs_same_bytes(own: Path) -> None:
    for classifier in CLASSIFIERS:
        run(f"{classifier}_texture")
    files = sorted(path for path in (own / "data/predictions").rglob("*") if path.is_file())
    first = [path.read_bytes() for path in files]
    for classifier in CLASSIFIERS:
        run(f"{classifier}_texture")
    assert [path.read_bytes() for path in files] == first
    assert len(files) == 8


def test_a_network_s_features_are_those_of_the_protocol_and_fold(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(built, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    values = planted(truth_of(tmp_path))
    noise = np.random.default_rng(5).normal(size=values.shape).astype(np.float32)
    gone = {"frame/1": noise, "leave_one_patient_out/3": noise}
    write_network_features(tmp_path, dict.fromkeys(PLACES, noise) | {"patient/0": values} | gone)
    run("knn_resnet18")
    assert min(areas(tmp_path, "knn_resnet18", "patient/0")) > 0.75
    assert np.mean(areas(tmp_path, "knn_resnet18", "frame/0")) < 0.62
    left = sorted(str(path.parent.relative_to(tmp_path / "data/features/resnet18")) for path in tmp_path.rglob("1.npy"))
    assert left == sorted(PLACES)  # folds no longer declared would stay in DVC's hash of the folder


def test_protocols_no_longer_declared_leave_no_predictions(own: Path) -> None:
    (place_of(own, "tree_texture", "patient/0")).mkdir(parents=True)
    run("tree_texture")
    assert [path.name for path in (own / "data/predictions/classify/tree_texture").iterdir()] == ["frame"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros((5, COLUMNS), np.float32), r"frames\.npy: wrong shape: expected \(\d+, features\), got \(5, 8\)"),
        (None, r"frames\.npy: no features"),
    ],
)
def test_unusable_features_are_named(own: Path, values: Any, message: str) -> None:
    path = own / "data/features/texture/frames.npy"
    if values is None:
        path.unlink()
    else:
        np.save(path, values)
    with pytest.raises(PipelineError, match=message):
        run("tree_texture")


def test_activations_that_overflow_are_refused(own: Path) -> None:
    values = np.load(own / "data/features/texture/frames.npy")
    values[3, 0] = np.inf
    write_features(own, values)
    with pytest.raises(PipelineError, match=r"not finite: expected numbers in every row, got 1 rows without.*lower lr"):
        run("tree_texture")


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        (
            "classifier: tree",
            "classifier: forest",
            r"baselines\.tree_texture\.classifier: wrong value: .*'knn', 'tree'",
        ),
        ("tree_texture: {", "tree: {", r"baselines\.tree_texture: missing key"),
        ("score: log_loss", "score: accuracy", r"classify\.score: wrong value"),
        ("max_depth: [1, 3]", "max_depth: []", r"classify\.tree\.max_depth"),
        ("max_depth: [1, 3]", "depth: [1, 3]", r"classify\.tree\.depth: unknown key"),
        ("patient_folds: 3", "patient_folds: 1", r"classify\.patient_folds"),
        ("frame: validation", "frame: test", r"classify\.chosen_by\.frame: wrong value"),
    ],
)
def test_mistakes_in_params_are_named(own: Path, right: str, wrong: str, message: str) -> None:
    assert right in FRAME_ONLY
    (own / "params.yaml").write_text(FRAME_ONLY.replace(right, wrong))
    with pytest.raises(PipelineError, match=message):
        run("tree_texture")
