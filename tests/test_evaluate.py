import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics

from stages.common.core.errors import PipelineError
from stages.evaluate import __main__ as evaluate
from stages.evaluate.comparison import refuse_different_tests
from stages.evaluate.plots import _thinned
from tests.evaluate_workspace import FRAME_ONLY, PARAMS, build, outputs, write_sidecar, write_system
from tests.split_cohort import LABELS

STUDY_ROWS = ["Accuracy", "Precision", "Recall", "F1", "TN", "FP", "FN", "TP"]
MODELS = ["label_copy", "majority", "alexnet", "resnet18", "vgg16"]


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace with protocol frame alone."""
    monkeypatch.chdir(tmp_path)
    build(tmp_path, FRAME_ONLY)
    return tmp_path


@pytest.fixture
def whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace with all three protocols."""
    monkeypatch.chdir(tmp_path)
    build(tmp_path)
    return tmp_path


def read(root: Path, name: str) -> dict:
    return json.loads((root / "metrics" / name).read_text())


def answers(root: Path, protocol: str, fold: str, model: str, side: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return truth and scores of one training's rows on one side, read by other means."""
    table = pd.read_csv(root / f"data/predictions/{protocol}/{fold}/1/{model}.csv")
    table = table[table["split"] == side]
    truth = pd.read_csv(root / "data/label_merge/labels.csv").set_index("frame_id").loc[table["frame_id"]]
    return truth.reset_index(), table.reset_index(drop=True)


def test_the_study_s_rows_come_first_in_its_order_and_agree_with_scikit_learn(small: Path) -> None:
    evaluate.main()
    found = read(small, "models/frame/resnet18.json")
    assert list(found)[:8] == STUDY_ROWS
    assert list(found)[8:15] == [f"{kind} {label}" for label in LABELS for kind in ("FP", "FN")] + [
        "Misclassified images"
    ]
    truth, scores = answers(small, "frame", "0", "resnet18", "test")
    real, said = truth[list(LABELS)].to_numpy(), scores[list(LABELS)].to_numpy() >= 0.5
    known = ~np.isnan(real)
    pooled = metrics.confusion_matrix(real[known], said[known]).ravel().tolist()
    assert [found[name] for name in ("TN", "FP", "FN", "TP")] == pooled
    assert found["Accuracy"] == round(metrics.accuracy_score(real[known], said[known]), 4)
    assert found["Precision"] == round(metrics.precision_score(real[known], said[known]), 4)
    assert found["Recall"] == round(metrics.recall_score(real[known], said[known]), 4)
    assert found["F1"] == round(metrics.f1_score(real[known], said[known]), 4)
    assert found["Misclassified images"] == ((real != said) & known).any(axis=1).sum()
    for column, label in enumerate(LABELS):
        mask = known[:, column]
        area = metrics.roc_auc_score(real[mask, column], scores[label][mask])
        assert found[f"{label} pooled ROC AUC"] == round(area, 4)
        assert found[f"{label} pooled ROC AUC"] != found[f"{label} balanced accuracy"]  # the study's mistake


def test_summary_is_macro_f1_on_test_baselines_first(small: Path) -> None:
    evaluate.main()
    summary = read(small, "summary.json")
    assert list(summary) == ["frame"]
    assert list(summary["frame"]) == MODELS
    truth, scores = answers(small, "frame", "0", "vgg16", "test")
    known = truth[list(LABELS)].notna()
    each = [metrics.f1_score(truth[n][known[n]], scores[n][known[n]] >= 0.5) for n in LABELS]
    assert summary["frame"]["vgg16"] == round(np.mean(each), 4)


def test_every_column_has_the_same_positives(whole: Path) -> None:
    evaluate.main()
    table = pd.read_csv(whole / "metrics/comparison.csv")
    assert table.groupby("protocol", sort=False)["model"].apply(list).to_dict() == dict.fromkeys(
        ["frame", "patient", "leave_one_patient_out"], MODELS
    )
    assert ((table["TP"] + table["FN"]).groupby(table["protocol"]).nunique() == 1).all()
    positive = pd.read_csv(whole / "data/label_merge/labels.csv")[list(LABELS)].sum().sum()
    pooled = table.query("protocol == 'leave_one_patient_out'")
    assert (pooled["TP"] + pooled["FN"] == positive).all()  # every frame is tested once


def test_baselines_have_no_areas(small: Path) -> None:
    evaluate.main()
    copied = read(small, "models/frame/label_copy.json")
    assert copied["cord pooled ROC AUC"] is None
    assert copied["cord pooled average precision"] is None
    page = (small / "metrics/comparison.md").read_text()
    assert "| cord pooled ROC AUC | n/a | n/a |" in page


@pytest.mark.parametrize("threshold", ["{method: fixed, value: 0.5}", "{method: validation_f1, value: 0.5}"])
def test_scrambled_test_rows_change_no_choice(small: Path, threshold: str) -> None:
    (small / "params.yaml").write_text(FRAME_ONLY.replace("{method: fixed, value: 0.5}", threshold))
    evaluate.main()
    first, summary = (small / "metrics/selected.json").read_bytes(), read(small, "summary.json")
    rng = np.random.default_rng(0)
    split = pd.read_csv(small / "data/split/frame.csv")
    labels = pd.read_csv(small / "data/label_merge/labels.csv", dtype=dict.fromkeys(LABELS, "Int8"))
    test = labels["frame_id"].isin(split.loc[split["side"] == "test", "frame_id"])
    labels.loc[test, list(LABELS)] = rng.integers(0, 2, (test.sum(), 3))
    labels.to_csv(small / "data/label_merge/labels.csv", index=False)
    for path in (small / "data/predictions").rglob("*.csv"):
        table = pd.read_csv(path)
        rows = table["split"] == "test"
        table.loc[rows, list(LABELS)] = rng.random((rows.sum(), 3))
        table.to_csv(path, index=False)
    evaluate.main()
    assert (small / "metrics/selected.json").read_bytes() == first
    assert read(small, "summary.json") != summary


def test_a_decision_without_a_stop_has_no_dangerous_go(small: Path) -> None:
    (small / "params.yaml").write_text(FRAME_ONLY.replace("stop: {cord: 1}", "stop: {}"))
    evaluate.main()
    for model in MODELS:
        counts = read(small, f"models/frame/{model}.json")
        assert counts["GO dangerous"] == 0
        assert counts["GO right"] + counts["GO missed"] > 0


def test_thresholds_by_validation_f1_are_used_and_recorded(small: Path) -> None:
    (small / "params.yaml").write_text(FRAME_ONLY.replace("method: fixed", "method: validation_f1"))
    evaluate.main()
    chosen = read(small, "selected.json")["frame"]["models"]["alexnet"]["thresholds"]["0"]
    truth, scores = answers(small, "frame", "0", "alexnet", "validation")
    known = truth["cord"].notna()
    tried = [metrics.f1_score(truth["cord"][known], scores["cord"][known] >= t) for t in np.unique(scores["cord"])]
    best = metrics.f1_score(truth["cord"][known], scores["cord"][known] >= chosen["cord"])
    assert best == pytest.approx(max(tried))
    truth, scores = answers(small, "frame", "0", "alexnet", "test")
    false_positives = ((truth["cord"] == 0) & (scores["cord"] >= chosen["cord"])).sum()
    assert read(small, "models/frame/alexnet.json")["FP cord"] == false_positives


def test_with_folds_an_area_is_a_mean_over_test_patients(whole: Path) -> None:
    evaluate.main()
    areas = []
    for fold in ("0", "1", "2"):
        truth, scores = answers(whole, "leave_one_patient_out", fold, "vgg16", "test")
        for _, rows in truth.groupby("patient"):
            rows = rows[rows["fluid"].notna()]
            if rows["fluid"].nunique() == 2:
                areas.append(metrics.roc_auc_score(rows["fluid"], scores["fluid"][rows.index]))
    found = read(whole, "models/leave_one_patient_out/vgg16.json")
    assert found["fluid ROC AUC"] == round(np.mean(areas), 4)
    assert "leave_one_patient_out" not in set(pd.read_csv(whole / "metrics/plots/roc.csv")["protocol"])


def test_selected_names_the_winner_and_the_literal_rule(small: Path) -> None:
    build(small, FRAME_ONLY, noise={"alexnet": 0.5, "resnet18": 0.05, "vgg16": 0.4})
    path = small / "data/predictions/frame/0/1/alexnet.csv"
    pd.read_csv(path).assign(cord=1.0, fluid=0.0).to_csv(path, index=False)  # always cord, never fluid
    evaluate.main()
    chosen = read(small, "selected.json")["frame"]
    assert chosen["winner"] == "resnet18"
    assert "smallest loss" in chosen["reason"]
    assert chosen["models"]["alexnet"]["loss"] == 0
    assert not chosen["models"]["alexnet"]["eligible"]
    assert chosen["models"]["alexnet"]["literal_count"] == 0
    assert chosen["literal_rule"]["winner"] == "alexnet"
    page = (small / "metrics/comparison.md").read_text()
    assert "**COLLAPSED: alexnet gives the same answer for every validation frame for cord, fluid" in page


def test_the_page_says_what_must_be_said(whole: Path) -> None:
    evaluate.main()
    page = (whole / "metrics/comparison.md").read_text()
    table = read(whole, "models/frame/alexnet.json")
    for said in (
        "Numbers on a phantom are numbers on a phantom",
        "## Protocol leave_one_patient_out",
        "|  | label_copy | majority | alexnet | resnet18 | vgg16 |",
        f"the same in every column: {table['TP'] + table['FN']} (bad_quality ",
        "Unknown labels, left out of every count:",
        "| stop → GO |",
        "not a permission to puncture",
        "would choose",
    ):
        assert said in page
    pooled, apart = "Pooled ROC AUC and average precision are", "scores are not pooled over patients"
    for part in page.split("## Protocol ")[1:]:
        assert (pooled in part, apart in part) == (part.startswith("frame"), not part.startswith("frame"))
    (whole / "params.yaml").write_text(PARAMS.replace("cohort: phantom", "cohort: clinical"))
    evaluate.main()
    assert "phantom" not in (whole / "metrics/comparison.md").read_text()


def test_go_counts_agree_with_a_loop(small: Path) -> None:
    evaluate.main()
    truth, scores = answers(small, "frame", "0", "vgg16", "test")
    dangerous = futile = 0
    for place, row in truth.iterrows():
        said = scores.loc[place, list(LABELS)] >= 0.5
        go = said["fluid"] and not said["cord"] and not said["bad_quality"]
        dangerous += bool(go and row["cord"] == 1)
        futile += bool(go and row["cord"] == 0 and (row["fluid"] == 0 or row["bad_quality"] == 1))
    found = read(small, "models/frame/vgg16.json")
    assert (found["GO dangerous"], found["GO futile"]) == (dangerous, futile)


def test_plots_hold_the_table_s_numbers(whole: Path) -> None:
    evaluate.main()
    folder = whole / "metrics/plots"
    names = ["confusion", "curves", "decisions", "errors", "precision_recall", "roc", "scores"]
    assert sorted(path.stem for path in folder.iterdir()) == names
    table = pd.read_csv(whole / "metrics/comparison.csv").set_index(["protocol", "model"])
    bars = pd.read_csv(folder / "scores.csv").pivot(index=["protocol", "model"], columns="series", values="value")
    assert bars["F1"].to_dict() == table["F1"].to_dict()
    errors = pd.read_csv(folder / "errors.csv")
    assert set(errors["series"]) == {"FP fluid", "FN cord"}
    cells = pd.read_csv(folder / "confusion.csv").query("actual == 'yes' and predicted == 'yes'")
    assert cells.groupby(["protocol", "model"])["count"].sum().to_dict() == table["TP"].to_dict()
    stops = pd.read_csv(folder / "decisions.csv").query("actual == 'stop' and predicted == 'GO'")
    assert stops.set_index(["protocol", "model"])["count"].to_dict() == table["GO dangerous"].to_dict()
    curves = pd.read_csv(folder / "curves.csv")
    assert len(curves) == (1 + 1 + 3) * 3 * 2 * 3  # folds, models, sides, epochs
    roc = pd.read_csv(folder / "roc.csv")
    assert (roc.groupby(["protocol", "model", "label"]).size() <= 200).all()
    assert roc["panel"].str.endswith(", infants pooled").equals(roc["protocol"] != "frame")
    for (protocol, model, label), curve in roc.groupby(["protocol", "model", "label"]):
        area = np.trapezoid(curve["true_positive_rate"], curve["false_positive_rate"])
        truth, scores = answers(whole, protocol, "0", model, "test")  # no folds: their scores share no scale
        known = truth[label].notna()
        assert area == pytest.approx(metrics.roc_auc_score(truth[label][known], scores[label][known]), abs=1e-3)
    frame = table.index.get_level_values("protocol") == "frame"
    for label in LABELS:  # the two areas are different figures, and never stand in one column
        assert (table[f"{label} pooled ROC AUC"].notna() <= frame).all()
        assert (table[f"{label} ROC AUC"].notna() <= ~frame).all()


def test_the_plot_data_of_other_stages_stay(small: Path) -> None:
    other = small / "metrics/plots/labels.csv"
    other.parent.mkdir()
    other.write_text("clip_id\n")
    evaluate.main()
    assert other.exists()


def test_long_curves_are_thinned() -> None:
    many = _thinned(("frame", "m", "cord", "frame: cord"), recall=np.linspace(0, 1, 5000))
    assert len(many) == 200
    assert many["recall"].iloc[[0, -1]].tolist() == [0, 1]


def test_same_inputs_same_bytes(whole: Path) -> None:
    evaluate.main()
    first = outputs(whole)
    evaluate.main()
    assert outputs(whole) == first


def test_a_dropped_model_leaves_the_table_and_the_disk(whole: Path) -> None:
    evaluate.main()
    (whole / "params.yaml").write_text(PARAMS.replace(", vgg16: {}", "").replace(", patient: {}", ""))
    evaluate.main()
    assert list(read(whole, "summary.json")) == ["frame", "leave_one_patient_out"]
    assert list(read(whole, "summary.json")["frame"]) == MODELS[:-1]
    assert not (whole / "metrics/models/frame/vgg16.json").exists()
    left = [path for root in ("predictions", "curves") for path in (whole / "data" / root).rglob("*")]
    assert not [path for path in left if "vgg16" in path.name or path.name == "patient"]
    assert [path for path in left if path.name == "resnet18.csv"]
    assert [path for path in left if path.name == "history.csv"]


def test_missing_files_come_together(small: Path) -> None:
    place = small / "data/predictions/frame/0/1"
    (place / "vgg16.csv").unlink()
    (place / "alexnet.json").unlink()
    with pytest.raises(
        PipelineError, match=r"(?s)2 declared files are missing; run `dvc repro evaluate`.*vgg16\.csv.*alexnet\.json"
    ):
        evaluate.main()


def test_all_mistakes_of_all_tables_come_together(small: Path) -> None:
    place = small / "data/predictions/frame/0/1"
    tables = {model: pd.read_csv(place / f"{model}.csv") for model in MODELS[2:]}
    tables["alexnet"].drop(columns="cord").to_csv(place / "alexnet.csv", index=False)
    bad = tables["resnet18"].drop(index=3)
    bad.loc[5, "cord"], bad.loc[6, "fluid"], bad.loc[7, "split"] = 1.5, np.nan, "train"
    strange = bad.iloc[:1].assign(frame_id="C999_00001")
    pd.concat([bad, bad.iloc[-1:], strange]).to_csv(place / "resnet18.csv", index=False)
    (place / "vgg16.csv").write_text("")
    with pytest.raises(PipelineError) as caught:
        evaluate.main()
    message = str(caught.value)
    frames = tables["resnet18"]["frame_id"]
    for part in (
        "8 problems",
        "alexnet.csv: wrong columns: expected frame_id, split, bad_quality, cord, fluid, got frame_id, split, bad",
        f"resnet18.csv: repeated frames: expected one row a frame, got {frames.iloc[-1]}",
        f"no row for {frames[3]}",
        "frames not asked for: expected only frames that the split puts on validation or test, got C999_00001",
        f"split differs from data/split: expected the side given there, got {frames[7]}",
        f"column cord: expected probabilities in [0, 1], got 1.5 at {frames[5]}",
        f"column fluid: expected probabilities in [0, 1], got nan at {frames[6]}",
        "vgg16.csv: no table",
    ):
        assert part in message


def test_a_mix_of_params_is_refused(small: Path) -> None:
    write_sidecar(small, "frame/0/1/resnet18", lr=0.5)
    with pytest.raises(PipelineError) as caught:
        evaluate.main()
    message = str(caught.value)
    assert "lr = 0.01: frame/0/alexnet, frame/0/vgg16" in message
    assert "lr = 0.5: frame/0/resnet18" in message
    assert "always target `evaluate`" in message
    assert "batch_size" not in message  # what agrees is not listed
    assert not (small / "metrics/summary.json").exists()


def test_a_sidecar_without_params_is_refused(small: Path) -> None:
    (small / "data/predictions/frame/0/1/vgg16.json").write_text("[]")
    with pytest.raises(PipelineError, match=r"vgg16\.json: expected a JSON object with `params`"):
        evaluate.main()


def test_a_split_of_other_labels_is_refused(small: Path) -> None:
    path = small / "data/split/frame.csv"
    path.write_text(path.read_text().replace("C001_00000,0,", "C777_00000,0,").replace(",validation", ",dev"))
    with pytest.raises(
        PipelineError,
        match=r"(?s)column side.*dev, validation.*column frame_id.*C001_00000, C777_00000.*dvc repro split",
    ):
        evaluate.main()


def test_a_workspace_without_predictions_says_so(small: Path) -> None:
    for name in ("predictions", "curves"):
        shutil.rmtree(small / "data" / name)
    with pytest.raises(PipelineError, match="9 declared files are missing"):
        evaluate.main()


def test_different_test_sets_are_refused() -> None:
    with pytest.raises(PipelineError, match="TP \\+ FN differ, so"):
        refuse_different_tests("frame", {"alexnet": {"TP": 737, "FN": 27}, "vgg16": {"TP": 729, "FN": 20}})


def test_names_must_be_names(small: Path) -> None:
    text = FRAME_ONLY.replace("stop: {cord: 1}", "stop: {chord: 1}").replace("{fluid: {sens", "{fluids: {sens")
    (small / "params.yaml").write_text(text.replace("vgg16: {}", "label_copy: {}"))
    with pytest.raises(
        PipelineError, match=r"(?s)3 problems.*decision\.stop.*got 'chord'.*subject_to.*got 'fluids'.*got label_copy"
    ):
        evaluate.main()


@pytest.mark.parametrize(
    ("right", "wrong", "key"),
    [
        ("method: fixed", "method: best", "evaluate.threshold.method"),
        ("value: 0.5", "value: 5", "evaluate.threshold.value"),
        ("cord: false_negative_rate", "cord: sensitivity", "evaluate.rule.minimise.cord"),
        ("{specificity: 0.5}", "{specificity: 50}", "evaluate.rule.subject_to.cord.specificity"),
        ("go: {fluid: 1,", "go: {fluid: 2,", "evaluate.decision.go.fluid"),
    ],
)
def test_params_mistakes_are_named(small: Path, right: str, wrong: str, key: str) -> None:
    (small / "params.yaml").write_text(FRAME_ONLY.replace(right, wrong))
    with pytest.raises(PipelineError, match=key):
        evaluate.main()


def test_a_label_without_positives_on_test_is_not_estimable(small: Path) -> None:
    path = small / "data/label_merge/labels.csv"
    labels, split = pd.read_csv(path), pd.read_csv(small / "data/split/frame.csv")
    test = labels["frame_id"].isin(split.loc[split["side"] == "test", "frame_id"])
    labels.loc[test, "cord"] = 0
    labels.to_csv(path, index=False)
    evaluate.main()
    found = read(small, "models/frame/resnet18.json")
    assert (found["cord recall"], found["cord F1"], found["cord pooled ROC AUC"]) == (None, None, None)
    others = [found["bad_quality F1"], found["fluid F1"]]
    assert found["macro F1"] == pytest.approx(np.mean(others), abs=1e-4)


def test_evaluate_imports_no_torch() -> None:
    loaded = "any(name in sys.modules for name in ('torch', 'torchvision', 'cv2'))"
    code = f"import sys, stages.evaluate.__main__; sys.exit({loaded})"
    root = Path(evaluate.__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


def test_classical_models_and_models_over_time_are_rows_of_the_same_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    systems = PARAMS.replace("baselines: {}", "baselines: {knn_texture: {}}")
    systems = systems.replace("sequences: {}", "sequences: {gru_resnet18: {}}")
    build(tmp_path, systems)
    write_system(tmp_path, "classify", "knn_texture", ("frame", "patient", "leave_one_patient_out"), 0.3)
    write_system(tmp_path, "classify", "tree_texture", ("frame",), 0.3)  # not declared
    write_system(tmp_path, "sequence", "gru_resnet18", ("patient", "leave_one_patient_out"), 0.2)
    evaluate.main()
    rows = pd.read_csv(tmp_path / "metrics/comparison.csv").groupby("protocol")["model"].apply(list)
    networks = ["label_copy", "majority", "alexnet", "resnet18", "vgg16"]
    assert rows["frame"] == [*networks, "knn_texture"]  # a model over time needs whole clips on one side
    assert rows["patient"] == rows["leave_one_patient_out"] == [*networks, "knn_texture", "gru_resnet18"]
    assert not list((tmp_path / "data/predictions").rglob("tree_texture*"))
    selected = json.loads((tmp_path / "metrics/selected.json").read_text())
    assert {"knn_texture", "gru_resnet18"} <= set(selected["patient"]["models"])


def test_a_model_called_as_another_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    build(tmp_path, FRAME_ONLY)
    (tmp_path / "params.yaml").write_text(FRAME_ONLY.replace("baselines: {}", "baselines: {vgg16: {}}"))
    with pytest.raises(PipelineError, match=r"a name of something else: expected a name of its own .* got vgg16"):
        evaluate.main()


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        ("baselines: {}", "baselines: {chosen: {}}", "a name of something else.* got chosen"),
        (
            "baselines: {}",
            "baselines: {knn_x: {features: resnet50}}",
            r"baselines\.knn_x\.features: nothing makes them",
        ),
        ("sequences: {}", "sequences: {gru_x: {features: texture}}", r"sequences\.gru_x\.features: nothing makes them"),
        ("seeds: {}", 'seeds: {"1": {}}', r"seeds: the same seed twice: expected others than `seed`, which is 1"),
    ],
)
def test_what_no_single_entry_shows_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, right: str, wrong: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    build(tmp_path, FRAME_ONLY)
    (tmp_path / "params.yaml").write_text(FRAME_ONLY.replace(right, wrong))
    with pytest.raises(PipelineError, match=message):
        evaluate.main()
