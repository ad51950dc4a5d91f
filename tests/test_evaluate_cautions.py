"""What comparison.md says aloud: too few patients, areas within patients, what there is to beat, whose rule it is."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics

from stages.common.evaluation.rule import Rule
from stages.evaluate import __main__ as evaluate
from stages.evaluate.cautions import cautions, not_estimable
from tests.evaluate_workspace import NOISE, PARAMS, build, write_everything
from tests.split_cohort import LABELS

PATIENT_ONLY = PARAMS.replace("frame: {}, ", "").replace('{"0": {}, "1": {}, "2": {}}', "{}")
RULE = Rule(minimise={"fluid": "false_positive_rate"}, subject_to={"cord": {"specificity": 0.5}})


@pytest.fixture
def apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace with protocol patient alone, in which every patient has frames with and without each label."""
    monkeypatch.chdir(tmp_path)
    build(tmp_path, PATIENT_ONLY)
    path = tmp_path / "data/label_merge/labels.csv"
    labels = pd.read_csv(path)
    for place, label in enumerate(LABELS):
        labels[label] = labels.index // (3 + place) % 2
    labels.to_csv(path, index=False)
    write_everything(tmp_path, NOISE)
    return tmp_path


def leave_one_with_cord(root: Path, side: str) -> str:
    """Take the cord from all patients of a side but one, who is returned."""
    path = root / "data/label_merge/labels.csv"
    labels, split = pd.read_csv(path), pd.read_csv(root / "data/split/patient.csv")
    mine = labels["frame_id"].isin(split.loc[split["side"] == side, "frame_id"])
    keeper = str(labels.loc[mine & (labels["cord"] == 1), "patient"].iloc[0])
    labels.loc[mine & (labels["patient"] != keeper), "cord"] = 0
    labels.to_csv(path, index=False)
    return keeper


def page_of(root: Path) -> tuple[str, dict]:
    evaluate.main()
    return (root / "metrics/comparison.md").read_text(), json.loads((root / "metrics/selected.json").read_text())


def test_where_patients_are_apart_areas_are_means_over_patients(apart: Path) -> None:
    evaluate.main()
    found = json.loads((apart / "metrics/models/patient/vgg16.json").read_text())
    scores = pd.read_csv(apart / "data/predictions/patient/0/1/vgg16.csv").query("split == 'test'")
    truth = pd.read_csv(apart / "data/label_merge/labels.csv")
    both = scores.merge(truth, on="frame_id", suffixes=("_said", ""))
    for label in LABELS:
        known = [part[part[label].notna()] for _, part in both.groupby("patient")]
        each = [part for part in known if part[label].nunique() == 2]
        assert len(each) > 1
        for name, score in (("ROC AUC", metrics.roc_auc_score), ("average precision", metrics.average_precision_score)):
            mean = np.mean([score(part[label], part[f"{label}_said"]) for part in each])
            assert found[f"{label} {name}"] == round(mean, 4)
            assert f"{label} pooled {name}" not in found


def test_a_label_of_one_test_patient_is_marked_in_every_row_about_it(apart: Path) -> None:
    leave_one_with_cord(apart, "test")
    page, chosen = page_of(apart)
    head = "(cord: 1 patient with it, not estimable)"
    for name in ("FP cord", "FN cord", "cord recall", "cord specificity", "cord ROC AUC"):
        assert f"| {name} {head} |" in page
    assert "| fluid recall |" in page
    assert "**NOT ESTIMABLE on test: cord (1 patient with it).**" in page
    assert "TOO FEW PATIENTS" not in page  # validation has enough, and it alone chooses
    assert chosen["patient"]["few_patients"] == {}


def test_a_choice_that_rests_on_one_patient_says_so_where_it_is_named(apart: Path) -> None:
    leave_one_with_cord(apart, "validation")
    page, chosen = page_of(apart)
    assert chosen["patient"]["few_patients"] == {"false_negative_rate of cord": 1}
    sentence = next(line for line in page.splitlines() if line.startswith("Chosen on validation"))
    assert (
        "**TOO FEW PATIENTS: this choice rests on 1 patient for the false negative rate of cord; 2 are needed.**"
        in sentence
    )
    assert "not estimable) |" not in page


def test_enough_patients_are_counted_on_each_side(apart: Path) -> None:
    evaluate.main()
    labels, split = pd.read_csv(apart / "data/label_merge/labels.csv"), pd.read_csv(apart / "data/split/patient.csv")
    test = labels[labels["frame_id"].isin(split.loc[split["side"] == "test", "frame_id"])]
    found = json.loads((apart / "metrics/models/patient/majority.json").read_text())
    for label in LABELS:
        assert found[f"{label} patients with"] == test.loc[test[label] == 1, "patient"].nunique()
        assert found[f"{label} patients without"] == test.loc[test[label] == 0, "patient"].nunique()


@pytest.mark.parametrize(
    ("with_it", "without_it", "why"),
    [
        (2, 2, None),
        (1, 2, "1 patient with it"),
        (5, 1, "1 patient without it"),
        (0, 1, "0 patients with it, 1 patient without it"),
    ],
)
def test_two_patients_with_and_two_without_are_needed(with_it: int, without_it: int, why: str | None) -> None:
    figures = {"cord patients with": with_it, "cord patients without": without_it}
    assert not_estimable(figures, ["cord"]) == ({} if why is None else {"cord": why})


def test_what_is_said_of_label_copy_fits_the_protocol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    build(tmp_path)
    page, chosen = page_of(tmp_path)
    for part in page.split("## How to read")[0].split("## Protocol ")[1:]:
        copied = "label_copy" if part.startswith("frame") else "majority"
        assert f"eat `{copied}` there" in part or f"beats `{copied}` there" in part
        assert f"Above `{copied}` in macro F1" in part
        assert ("no training frame of the clip exists" in part) == (copied == "majority")
    assert chosen["leave_one_patient_out"]["winner_beats"]["baseline"] == "majority"


def test_a_rule_that_is_not_the_study_s_is_not_called_so(apart: Path) -> None:
    assert "The study's literal rule (fewest false positives of fluid" in page_of(apart)[0]
    text = PATIENT_ONLY.replace("fluid: false_positive_rate, cord: false_negative_rate", "cord: false_positive_rate")
    (apart / "params.yaml").write_text(text)
    page, _ = page_of(apart)
    assert "The study's" not in page.split("## How to read")[0].replace("as the study's table", "")
    assert "The same rule, counted literally (fewest false positives of cord) would choose" in page


@pytest.mark.parametrize(
    ("fluid", "cord", "said"), [(0.5, 0.9, None), (0.49, 0.9, "fluid 0.4900"), (0.8, 0.1, "cord 0.1000")]
)
def test_a_winner_worse_than_chance_on_a_label_of_the_rule_is_told(fluid: float, cord: float, said: str | None) -> None:
    figures = {f"{label} patients {kind}": 4 for label in LABELS for kind in ("with", "without")}
    figures |= {"fluid balanced accuracy": fluid, "cord balanced accuracy": cord, "bad_quality balanced accuracy": 0.1}
    found = cautions({"net": figures}, "net", list(LABELS), RULE)
    told = "WORSE THAN CHANCE: net has on test a balanced accuracy below 0.5 of"
    assert found == ([] if said is None else [f"{told} {said}."])
    assert cautions({"net": figures}, None, list(LABELS), RULE) == []
