"""The stage on a made-up workspace: what it writes, against other means and by hand."""

import json
import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn import metrics

from stages.common.core.errors import PipelineError
from stages.evidence import __main__ as evidence
from tests.evaluate_workspace import PARAMS, build, write_sidecar, write_system, write_training
from tests.split_cohort import LABELS

SECTION = """
evidence:
  resamples: 300
  permutations: 4096
  all_pairs_from: 10
"""
WHOLE = PARAMS + SECTION
NO_FOLDS = WHOLE.replace('folds: {"0": {}, "1": {}, "2": {}}', "folds: {}")
MODELS = ["label_copy", "majority", "alexnet", "resnet18", "vgg16"]
LOPO = "leave_one_patient_out"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with all three protocols, evidence written; not to be changed."""
    root = tmp_path_factory.mktemp("evidence")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        build(root, WHOLE)
        evidence.main()
    return root


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace without folds, evidence not yet written."""
    root = tmp_path_factory.mktemp("built")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        build(root, NO_FOLDS)
    return root


@pytest.fixture
def own(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, to change."""
    shutil.copytree(built, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def read(root: Path) -> dict[str, Any]:
    return json.loads((root / "metrics/evidence.json").read_text())


def answered(root: Path, protocol: str, model: str) -> pd.DataFrame:
    """Return truth and scores of the test rows of all folds, read by other means."""
    parts = [pd.read_csv(path) for path in sorted((root / f"data/predictions/{protocol}").glob(f"*/1/{model}.csv"))]
    scores = pd.concat(parts).query("split == 'test'")
    truth = pd.read_csv(root / "data/label_merge/labels.csv")
    return scores.merge(truth, on="frame_id", suffixes=("_score", ""))


def test_the_headline_comes_first_and_the_leaking_protocol_is_flagged(shared: Path) -> None:
    found = read(shared)
    assert found["headline"] == LOPO
    assert list(found["protocols"]) == [LOPO, "patient", "frame"]
    flags = {name: (of["honest"], of["flag"]) for name, of in found["protocols"].items()}
    leaking = "not honest: frames of one infant on both sides"
    assert flags == {LOPO: (True, None), "patient": (True, None), "frame": (False, leaking)}
    assert found["protocols"]["frame"]["comparison"]["caveat"] == leaking
    assert any("never enter an interval" in sentence for sentence in found["reading"])


@pytest.mark.parametrize("protocol", [LOPO, "frame"])
def test_proportions_are_pooled_over_the_folds_and_agree_with_scikit_learn(shared: Path, protocol: str) -> None:
    table = answered(shared, protocol, "resnet18")
    found = read(shared)["protocols"][protocol]
    assert (found["frames"], found["patients"]) == (len(table), table["patient"].nunique())
    of = found["models"]["resnet18"]
    for label in LABELS:
        known = table[table[label].notna()]
        said = known[f"{label}_score"] >= 0.5
        tn, fp, fn, tp = metrics.confusion_matrix(known[label], said).ravel().tolist()
        counts = {
            "sensitivity": (tp, fn),
            "specificity": (tn, fp),
            "precision": (tp, fp),
            "accuracy": (tp + tn, fp + fn),
        }
        for name, (hits, others) in counts.items():
            entry = of[f"{label} {name}"]
            assert (entry["numerator"], entry["denominator"]) == (hits, hits + others)
            assert entry["value"] == round(hits / (hits + others), 4)
            assert entry["low"] <= entry["value"] <= entry["high"]


def test_go_rates_and_patients_with_a_dangerous_go_agree_with_a_loop(shared: Path) -> None:
    table = answered(shared, LOPO, "alexnet")
    said = {label: table[f"{label}_score"] >= 0.5 for label in LABELS}
    go = said["fluid"] & ~said["cord"] & ~said["bad_quality"]
    # unknown labels are NaN, which equals nothing; one label can decide though others are unknown
    stop, clear = table["cord"] == 1, table["cord"] == 0
    target = (table["fluid"] == 1) & clear & (table["bad_quality"] == 0)
    no_view = clear & ((table["fluid"] == 0) | (table["bad_quality"] == 1))
    of = read(shared)["protocols"][LOPO]["models"]["alexnet"]
    for name, cases in {"dangerous": stop, "futile": no_view, "false": stop | no_view, "found": target}.items():
        entry = of[f"GO {name}"]
        assert (entry["numerator"], entry["denominator"]) == ((go & cases).sum(), cases.sum())
    infants = of["patients with GO dangerous"]
    assert infants["numerator"] == table[go & stop]["patient"].nunique()
    assert infants["denominator"] == table[stop]["patient"].nunique()
    exact = stats.binomtest(infants["numerator"], infants["denominator"]).proportion_ci(0.95, method="exact")
    assert (infants["low"], infants["high"]) == (
        pytest.approx(exact.low, abs=1e-4),
        pytest.approx(exact.high, abs=1e-4),
    )


def test_areas_are_taken_within_a_patient_then_averaged(shared: Path) -> None:
    table = answered(shared, LOPO, "vgg16")
    of = read(shared)["protocols"][LOPO]["models"]["vgg16"]
    dots = pd.read_csv(shared / "metrics/plots/evidence_patients.csv").query(
        f"protocol == '{LOPO}' and model == 'vgg16'"
    )
    for name, score in {"ROC AUC": metrics.roc_auc_score, "average precision": metrics.average_precision_score}.items():
        areas = {}
        for patient, rows in table[table["fluid"].notna()].groupby("patient"):
            if rows["fluid"].nunique() == 2:
                areas[patient] = score(rows["fluid"], rows["fluid_score"])
        entry = of[f"fluid {name}"]
        assert entry["value"] == round(np.mean(list(areas.values())), 4)
        assert (entry["lowest"], entry["highest"]) == (round(min(areas.values()), 4), round(max(areas.values()), 4))
        assert (entry["patients"], "low" in entry) == (len(areas), False)
        drawn = dots[dots["metric"] == f"fluid {name}"].set_index("patient")["value"].to_dict()
        assert drawn == pytest.approx(areas, abs=1e-6)


def test_baselines_have_intervals_but_no_areas(shared: Path) -> None:
    models = read(shared)["protocols"][LOPO]["models"]
    assert list(models) == MODELS
    area = models["label_copy"]["cord ROC AUC"]
    assert (area["value"], area["why"]) == (None, "a baseline says 0 or 1: it has no scores to rank")
    assert models["label_copy"]["accuracy"]["low"] is not None


def test_no_error_gives_the_bound_over_patients(shared: Path) -> None:
    entry = read(shared)["protocols"][LOPO]["models"]["majority"]["cord specificity"]
    assert (entry["numerator"], entry["method"]) == (entry["denominator"], "exact over patients")
    assert entry["low"] == round(0.025 ** (1 / entry["patients"]), 4)


def test_the_comparison_is_the_winner_against_the_simplest(shared: Path) -> None:
    found = read(shared)["protocols"][LOPO]
    compared = found["comparison"]
    assert compared["models"] == ["resnet18", "alexnet"]
    assert compared["simplest_first"] == ["alexnet", "resnet18", "vgg16"]
    assert compared["better"] + compared["worse"] + compared["ties"] == compared["patients"]
    assert compared["smallest_p"] == round(min(1, 2 / 2 ** (compared["better"] + compared["worse"])), 6)
    assert compared["smallest_p_without_ties"] == round(2 / 2 ** compared["patients"], 6)
    assert compared["p"] >= compared["smallest_p"]
    assert compared["difference"] < 0 < compared["better"]
    assert "test patients helped to choose the winner" in compared["caveat"]
    assert found["all_pairs"]["sentence"] == "this cohort cannot separate three models"
    for side in ("validation", "test"):
        shares = found["win_shares"][side]
        assert sum(shares["shares"].values()) + shares["no_winner"] == pytest.approx(1, abs=1e-3)
        assert max(shares["shares"], key=shares["shares"].get) == "resnet18"


def test_plot_tables_hold_the_json_s_numbers(shared: Path) -> None:
    rows = pd.read_csv(shared / "metrics/plots/evidence_intervals.csv")
    assert list(rows) == ["protocol", "model", "metric", "kind", "value", "low", "high", "patients"]
    found = read(shared)["protocols"]
    assert len(rows) == sum(len(of) for protocol in found.values() for of in protocol["models"].values())
    for row in rows.dropna().itertuples():
        entry = found[row.protocol]["models"][row.model][row.metric]
        ends = ("low", "high") if row.kind == "interval" else ("lowest", "highest")
        assert (row.value, row.low, row.high) == (entry["value"], entry[ends[0]], entry[ends[1]])
    dots = pd.read_csv(shared / "metrics/plots/evidence_patients.csv")
    key = ["protocol", "model", "metric"]
    counted = dots.groupby(key).size().reindex(pd.MultiIndex.from_frame(rows[key]), fill_value=0)
    assert counted.to_numpy().tolist() == rows["patients"].tolist()
    pooled = (dots["value"] * dots["cases"]).groupby([dots[k] for k in key]).sum()
    place = (LOPO, "vgg16", "cord sensitivity")
    assert pooled[place] == pytest.approx(found[LOPO]["models"]["vgg16"]["cord sensitivity"]["numerator"], abs=1e-3)


def test_what_is_not_estimable_is_null_with_a_reason(shared: Path) -> None:
    for protocol in read(shared)["protocols"].values():
        for model in protocol["models"].values():
            for entry in model.values():
                ends = entry.get("low", entry.get("lowest"))
                silent = entry.get("method") == "none from one patient"  # 0 to 1: an interval that says nothing
                assert (entry["value"] is None or ends is None or silent) == (entry["why"] is not None)
                assert not silent or (entry["low"], entry["high"], entry["patients"]) == (0, 1, 1)


def test_one_patient_with_the_cases_has_an_interval_from_0_to_1(own: Path) -> None:
    labels = own / "data/label_merge/labels.csv"
    table, split = pd.read_csv(labels), pd.read_csv(own / "data/split/patient.csv")
    on_test = table["frame_id"].isin(split.loc[split["side"] == "test", "frame_id"])
    one = table.loc[on_test & (table["cord"] == 1), "patient"].iloc[0]
    table.loc[on_test & (table["patient"] != one), "cord"] = 0
    table.astype(dict.fromkeys(LABELS, "Int8")).to_csv(labels, index=False)
    evidence.main()
    entry = read(own)["protocols"]["patient"]["models"]["vgg16"]["cord sensitivity"]
    assert 0 < entry["numerator"] < entry["denominator"]
    assert (entry["low"], entry["high"], entry["patients"]) == (0, 1, 1)
    rows = pd.read_csv(own / "metrics/plots/evidence_intervals.csv").set_index(["protocol", "model", "metric"])
    assert rows.loc[("patient", "vgg16", "cord sensitivity"), ["low", "high", "patients"]].tolist() == [0, 1, 1]


def test_same_inputs_same_bytes(own: Path) -> None:
    evidence.main()
    files = [own / "metrics/evidence.json", *sorted((own / "metrics/plots").glob("evidence_*.csv"))]
    first = [path.read_bytes() for path in files]
    evidence.main()
    assert [path.read_bytes() for path in files] == first
    assert len(files) == 3


def test_without_folds_the_patient_protocol_is_the_headline(own: Path) -> None:
    evidence.main()
    assert read(own)["headline"] == "patient"
    validation = read(own)["protocols"]["patient"]["win_shares"]["validation"]
    assert (validation["patients"], validation["distinct"], validation["shares"]) == (2, 3, None)
    assert "2 patients give 3 resamples" in validation["why"]


def test_the_frame_protocol_alone_stays_flagged(own: Path) -> None:
    (own / "params.yaml").write_text(NO_FOLDS.replace(", patient: {}", ""))
    evidence.main()
    found = read(own)
    assert (found["headline"], found["protocols"]["frame"]["honest"]) == ("frame", False)


def test_other_labels_and_nothing_on_test(own: Path) -> None:
    """Labels are parameters; a test side without any case of the rule ends in reasons, not in a crash."""
    labels = own / "data/label_merge/labels.csv"
    table, split = pd.read_csv(labels), pd.read_csv(own / "data/split/patient.csv")
    on_test = table["frame_id"].isin(split.loc[split["side"] == "test", "frame_id"])
    table.loc[on_test, list(LABELS)] = np.nan
    table.astype(dict.fromkeys(LABELS, "Int8")).rename(columns={"cord": "rib"}).to_csv(labels, index=False)
    for path in (own / "data/predictions").rglob("*.csv"):
        pd.read_csv(path).rename(columns={"cord": "rib"}).to_csv(path, index=False)
    text = NO_FOLDS.replace("cord", "rib").replace("frame: {}, ", "")
    (own / "params.yaml").write_text(text)
    evidence.main()
    found = read(own)["protocols"]["patient"]
    assert found["models"]["vgg16"]["rib sensitivity"]["why"] == "no case among the test frames"
    assert found["models"]["vgg16"]["rib ROC AUC"]["why"] == "no test patient has the cases"
    assert found["win_shares"]["test"]["shares"] is None
    assert found["comparison"]["why"]
    assert found["comparison"]["models"] is None or found["comparison"]["p"] is None


def test_a_decision_without_a_stop_has_no_case_of_a_dangerous_go(own: Path) -> None:
    params = (own / "params.yaml").read_text()
    assert "stop: {cord: 1}" in params
    (own / "params.yaml").write_text(params.replace("stop: {cord: 1}", "stop: {}"))
    evidence.main()
    found = json.dumps(read(own))
    assert "GO dangerous" in found
    assert "NaN" not in found


def test_no_eligible_model_is_said(own: Path) -> None:
    for path in (own / "data/predictions").rglob("*.csv"):
        pd.read_csv(path).assign(cord=1.0, fluid=0.0).to_csv(path, index=False)
    evidence.main()
    for protocol in read(own)["protocols"].values():
        assert protocol["comparison"]["models"] is None
        assert protocol["comparison"]["why"] == "no model is eligible under the doctor's rule on validation rows"


def test_scrambled_test_rows_choose_nothing(own: Path) -> None:
    evidence.main()
    first = read(own)["protocols"]["frame"]
    draws = np.random.default_rng(0)
    for path in (own / "data/predictions").rglob("*.csv"):
        table = pd.read_csv(path)
        rows = table["split"] == "test"
        table.loc[rows, list(LABELS)] = draws.random((rows.sum(), 3))
        table.to_csv(path, index=False)
    evidence.main()
    second = read(own)["protocols"]["frame"]
    assert second["comparison"]["models"] == first["comparison"]["models"]
    assert second["win_shares"]["validation"] == first["win_shares"]["validation"]
    assert second["models"] != first["models"]


def test_ten_test_patients_bring_all_pairs(own: Path) -> None:
    (own / "params.yaml").write_text(NO_FOLDS.replace("all_pairs_from: 10", "all_pairs_from: 9"))
    evidence.main()
    pairs = read(own)["protocols"]["frame"]["all_pairs"]["pairs"]
    assert [pair["models"] for pair in pairs] == [["alexnet", "resnet18"], ["alexnet", "vgg16"], ["resnet18", "vgg16"]]
    assert all(pair["p_holm"] >= pair["p"] for pair in pairs)
    corrected = sorted((pair["p"], pair["p_holm"]) for pair in pairs)
    assert all(first[1] <= second[1] for first, second in pairwise(corrected))


def test_a_dropped_model_leaves_the_file_and_its_predictions(own: Path) -> None:
    (own / "params.yaml").write_text(NO_FOLDS.replace(", vgg16: {}", ""))
    evidence.main()
    assert list(read(own)["protocols"]["frame"]["models"]) == MODELS[:-1]
    assert read(own)["protocols"]["frame"]["all_pairs"]["sentence"] == "this cohort cannot separate two models"
    assert not list((own / "data/predictions").rglob("vgg16.*"))


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        ("resamples: 300", "resamples: 3", r"evidence\.resamples"),
        ("all_pairs_from: 10", "all_pairs: 10", r"evidence\.all_pairs\b.*unknown key"),
        ("protocols: {frame: {}, patient: {}}", "protocols: {}", "nothing to weigh"),
    ],
)
def test_mistakes_in_params_are_named(own: Path, right: str, wrong: str, message: str) -> None:
    (own / "params.yaml").write_text(NO_FOLDS.replace(right, wrong))
    with pytest.raises(PipelineError, match=message):
        evidence.main()


def test_further_seeds_are_noise_beside_the_intervals_and_move_nothing_else(own: Path) -> None:
    evidence.main()
    before = read(own)
    assert before["protocols"]["patient"]["seeds"]["why"].startswith("one training seed")
    for protocol in ("frame", "patient"):
        rows = pd.read_csv(own / f"data/split/{protocol}.csv")
        for model in MODELS[2:]:
            for seed in (2, 3):
                write_training(own, f"{protocol}/0/{seed}/{model}", rows, 0.3)
    (own / "params.yaml").write_text(NO_FOLDS.replace("seeds: {}", 'seeds: {"2": {}}'))
    evidence.main()
    assert not list((own / "data/predictions").glob("*/0/3/*"))  # a seed that is not declared goes
    truth = pd.read_csv(own / "data/label_merge/labels.csv").set_index("frame_id")[list(LABELS)]
    for protocol, of in read(own)["protocols"].items():
        found = of.pop("seeds")
        assert of == {key: value for key, value in before["protocols"][protocol].items() if key != "seeds"}
        assert found["seeds"] == ["1", "2"]
        assert list(found["models"]) == MODELS[2:]
        for model, figures in found["models"].items():
            expected = [macro_f1_by_scikit_learn(own, f"{protocol}/0/{seed}/{model}", truth) for seed in (1, 2)]
            assert figures["macro F1"]["values"] == pytest.approx(expected, abs=1e-4)
            assert figures["macro F1"]["spread"] == pytest.approx(abs(expected[0] - expected[1]), abs=2e-4)


def test_a_seed_trained_with_other_params_is_no_noise_and_refused(own: Path) -> None:
    for protocol in ("frame", "patient"):
        rows = pd.read_csv(own / f"data/split/{protocol}.csv")
        for model in MODELS[2:]:
            write_training(own, f"{protocol}/0/2/{model}", rows, 0.3)
            write_sidecar(own, f"{protocol}/0/2/{model}", lr=0.5)
    (own / "params.yaml").write_text(NO_FOLDS.replace("seeds: {}", 'seeds: {"2": {}}'))
    with pytest.raises(PipelineError, match=r"lr = 0\.01.*\n.*lr = 0\.5"):
        evidence.main()


def test_a_baseline_on_activations_costs_its_network_and_texture_nothing(own: Path) -> None:
    declared = "{tree_x: {features: vgg16}, tree_texture: {features: texture}}"
    (own / "params.yaml").write_text(NO_FOLDS.replace("baselines: {}", f"baselines: {declared}"))
    for system in ("tree_x", "tree_texture"):
        write_system(own, "classify", system, ("frame", "patient"), 0.3)
    evidence.main()
    simplest = read(own)["protocols"]["patient"]["comparison"]["simplest_first"]
    assert simplest == ["tree_texture", "alexnet", "resnet18", "vgg16", "tree_x"]


def macro_f1_by_scikit_learn(root: Path, place: str, truth: pd.DataFrame) -> float:
    said = pd.read_csv(root / f"data/predictions/{place}.csv").query("split == 'test'").set_index("frame_id")
    known = {label: truth.loc[said.index, label].dropna() for label in LABELS}
    return float(np.mean([metrics.f1_score(of, said.loc[of.index, label] >= 0.5) for label, of in known.items()]))


def test_a_sidecar_that_names_no_operations_is_one_message(own: Path) -> None:
    path = own / "data/predictions/frame/0/1/vgg16.json"
    path.write_text(json.dumps({"params": json.loads(path.read_text())["params"]}))
    with pytest.raises(PipelineError, match=r"vgg16\.json: expected a JSON object with .*giga_operations"):
        evidence.main()
