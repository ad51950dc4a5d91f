"""The stage as a whole: its files, the optimism gap against evaluate's own figures, other labels than the study's."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from stages.common.core.errors import PipelineError
from stages.leakage import __main__ as leakage
from stages.leakage.gap import gap_table, gaps, read_comparison
from stages.leakage.probes import ABOUT, Found
from tests import leakage_workspace
from tests.evaluate_workspace import PARAMS
from tests.split_cohort import LABELS

MODELS = ["label_copy", "majority", "alexnet", "resnet18", "vgg16"]
PROTOCOLS = ["frame", "patient", "leave_one_patient_out"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        leakage_workspace.build(root)
        leakage.main()
    return root


@pytest.fixture
def content(finished: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((finished / "metrics/leakage.json").read_text())
    return found


def test_every_gap_is_the_difference_of_what_evaluate_wrote(finished: Path, content: dict[str, Any]) -> None:
    table = pd.read_csv(finished / "metrics/comparison.csv").set_index(["protocol", "model"])
    assert list(content["optimism"]["against"]) == PROTOCOLS[1:]
    for honest, models in content["optimism"]["against"].items():
        assert list(models) == MODELS
        for model, figures in models.items():
            for shown, column in (("macro F1", "macro F1"), ("cord sensitivity", "cord recall")):
                leaky, fair = table.loc[("frame", model), column], table.loc[(honest, model), column]
                assert figures[shown]["gap"] == pytest.approx(leaky - fair, abs=1e-4)


def test_label_copy_stands_beside_every_model_and_has_no_area(finished: Path, content: dict[str, Any]) -> None:
    copied = content["optimism"]["against"]["patient"]["label_copy"]
    assert copied["macro F1"]["gap"] > 0.3  # memory of the neighbouring frame
    assert copied["cord patient-wise ROC AUC"]["gap"] is None
    assert copied["cord patient-wise ROC AUC"]["why"] == "a baseline says 0 or 1 and has no scores"
    rows = pd.read_csv(finished / "metrics/plots/leakage_gap.csv")
    beside = rows[(rows["figure"] == "macro F1") & (rows["against"] == "patient")]
    assert set(beside["model"]) == set(MODELS)
    assert set(beside["label_copy_gap"]) == {copied["macro F1"]["gap"]}


def test_every_protocol_label_and_probe_has_a_figure_or_a_reason(content: dict[str, Any]) -> None:
    results = content["probes"]["results"]
    assert list(results) == PROTOCOLS
    for labels in results.values():
        assert list(labels) == list(LABELS)
        for parts in labels.values():
            assert list(parts["probes"]) == list(ABOUT)
            assert list(parts["models"]) == MODELS[2:]
            for entry in (*parts["probes"].values(), *parts["models"].values()):
                assert (entry["auc"] is None) == bool(entry["why"])
    flags = [(flag["protocol"], flag["label"], flag["probe"]) for flag in content["probes"]["flags"]]
    assert flags == [
        (protocol, label, probe)
        for protocol, labels in results.items()
        for label, parts in labels.items()
        for probe, entry in parts["probes"].items()
        if entry["flagged"]
    ]


def test_patients_apart_hold_and_near_counts_rise_with_the_bits(finished: Path, content: dict[str, Any]) -> None:
    assert {name: of["holds"] for name, of in content["certificate"].items()} == dict(
        zip(PROTOCOLS, (False, True, True), strict=True)
    )
    near = pd.read_csv(finished / "metrics/plots/leakage_near.csv")
    assert (near.groupby(["protocol", "kind"])["frames"].diff().dropna() >= 0).all()
    limit = content["pictures"]["within_bits"]
    for protocol, of in content["certificate"].items():
        at = near[(near["protocol"] == protocol) & (near["bits"] == limit)].set_index("kind")["frames"]
        assert {kind: entry["frames"] for kind, entry in of["near_duplicates"].items()} == at.to_dict()


def test_other_labels_and_only_patient_disjoint_folds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    params = PARAMS.replace("protocols: {frame: {}, patient: {}}", "protocols: {patient: {}}")
    leakage_workspace.build(tmp_path, params)
    path = tmp_path / "params.yaml"
    path.write_text(path.read_text().replace("cord: {column: CORD}, fluid: {column: FLUID}", "cord: {column: CORD}"))
    for table in [*tmp_path.rglob("data/predictions/**/*.csv"), tmp_path / "metrics/comparison.csv"]:
        frame = pd.read_csv(table)
        frame[[name for name in frame if "fluid" not in name]].to_csv(table, index=False)
    leakage.main()
    found = json.loads((tmp_path / "metrics/leakage.json").read_text())
    assert found["optimism"]["why"]
    assert list(found["probes"]["results"]["leave_one_patient_out"]) == ["bad_quality", "cord"]


def test_a_table_without_a_declared_model_is_refused(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(finished)
    with pytest.raises(PipelineError, match=r"rows missing: vgg19 of frame\. Run `dvc repro evaluate`"):
        read_comparison(list(LABELS), [("frame", "alexnet"), ("frame", "vgg19")])


def test_a_figure_that_one_protocol_cannot_give_has_no_gap(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(finished)
    table = read_comparison(list(LABELS), [])
    table.loc[("patient", "alexnet"), "cord recall"] = np.nan
    areas = {("frame", 0, "alexnet"): Found({"P1": 0.9}, None), ("patient", 0, "alexnet"): Found({"P1": 0.7}, None)}
    found = gaps(table, areas, list(LABELS), ["frame", "patient"], ["alexnet"])
    figures = found["against"]["patient"]["alexnet"]
    assert figures["cord sensitivity"]["gap"] is None
    assert figures["cord sensitivity"]["why"] == "not estimable under patient"
    assert figures["bad_quality patient-wise ROC AUC"]["gap"] == pytest.approx(0.2)
    assert gap_table(found)["gap"].isna().sum() > 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"known_pairs": {"C001": "one clip"}}, "leakage.known_pairs.C001"),
        ({"same_picture_of_two_patients": "ignore"}, "'stop' or 'warn'"),
        ({"blank_below": -1}, "greater than or equal to 0"),
        ({"near_duplicates": {"hash_side": 8, "within_bits": 64, "twin_share": 0.5, "examples": 5}}, "hash_side"),
    ],
)
def test_mistakes_in_the_section_are_named(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, object], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text((finished / "params.yaml").read_text())
    leakage_workspace.write_section(tmp_path, **change)
    with pytest.raises(PipelineError, match=said):
        leakage.main()
