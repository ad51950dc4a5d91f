"""The audit of our own tables: evaluate's outputs as they are, and with a mistake put in."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from stages.audit import __main__ as audit
from stages.common.core.errors import PipelineError
from stages.evaluate import __main__ as evaluate
from tests.evaluate_workspace import FRAME_ONLY, PARAMS, build, write_system

SECTION = "audit: {chance: 0.001}\n"
COLUMNS = ["label_copy", "majority", "alexnet", "resnet18", "vgg16"]


def evaluated(folder: Path, params: str) -> Path:
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(folder)
        build(folder, params + SECTION)
        evaluate.main()
    return folder


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace with all three protocols, evaluated."""
    evaluated(tmp_path, PARAMS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with protocol frame alone, evaluated, to copy."""
    return evaluated(tmp_path_factory.mktemp("built"), FRAME_ONLY)


@pytest.fixture
def small(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same as working directory."""
    shutil.copytree(built, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def read(root: Path) -> Any:
    return json.loads((root / "metrics/audit.json").read_text())


def change(path: Path, edit: Callable[[Any], None]) -> None:
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))


def test_every_check_that_can_runs_on_every_protocol_and_finds_nothing(workspace: Path) -> None:
    audit.main()
    found = read(workspace)
    assert list(found["own"]) == ["frame", "patient", "leave_one_patient_out"]
    assert found["summary"]["own_findings"] == 0
    assert found["summary"]["published_findings"] == len(found["published"]["findings"]) == 4
    for protocol, of in found["own"].items():
        assert of["columns"] == COLUMNS
        compared = {check["check"]: check["compared"] for check in of["checks"]}
        assert compared.pop("totals") == 0
        # where patients are apart areas are means over patients: they cannot be held to pooled counts
        assert (compared.pop("area_from_answers") > 0) == (protocol == "frame")
        assert min(compared.values()) > 0
        assert compared["rounding"] > 5 * 15
        assert all(check["why"] for check in of["checks"] if not check["compared"])
    page = (workspace / "metrics/audit.md").read_text()
    assert "764 + 1270 in AlexNet" in page
    assert "leave_one_patient_out" in page


def test_one_protocol_alone_and_the_same_bytes_again(small: Path) -> None:
    audit.main()
    first = {name: (small / "metrics" / name).read_bytes() for name in ("audit.json", "audit.md")}
    audit.main()
    assert first == {name: (small / "metrics" / name).read_bytes() for name in first}
    assert list(read(small)["own"]) == ["frame"]


def add_to(key: str, amount: float) -> Callable[[Any], None]:
    def edit(content: Any) -> None:
        content[key] = round(content[key] + amount, 4)

    return edit


@pytest.mark.parametrize(
    ("edit", "match"),
    [
        (add_to("TP", 1), r"TP \+ FN and TN \+ FP of all labels: the columns do not come from one test set"),
        (add_to("Accuracy", 0.0001), "resnet18, accuracy: does not follow from the counts"),
        (add_to("macro F1", -0.0001), "resnet18, macro_f1: does not follow from the counts"),
        (add_to("cord F1", 0.0001), "resnet18, cord, f1: does not follow from the counts"),
        (add_to("FP cord", 1), "resnet18, FP: the labels do not add up"),
        (add_to("Misclassified images", 500), "resnet18, misclassified frames: .* expected from"),
    ],
)
def test_a_mistake_of_ours_stops_the_stage_with_one_message(
    small: Path, edit: Callable[[Any], None], match: str
) -> None:
    change(small / "metrics/models/frame/resnet18.json", edit)
    with pytest.raises(PipelineError, match=rf"(?s)our own tables contradict themselves.*protocol frame, {match}"):
        audit.main()
    assert not (small / "metrics/audit.json").exists()


def test_areas_of_ours_that_come_from_answers_stop_the_stage(small: Path) -> None:
    def edit(content: Any) -> None:
        for label in ("bad_quality", "cord", "fluid"):
            content[f"{label} pooled ROC AUC"] = content[f"{label} balanced accuracy"]

    change(small / "metrics/models/frame/vgg16.json", edit)
    with pytest.raises(PipelineError, match=r"vgg16, ROC AUC of bad_quality, cord, fluid: .* computed without scores"):
        audit.main()


def test_a_winner_without_the_smallest_loss_stops_the_stage(small: Path) -> None:
    def edit(content: Any) -> None:
        models = content["frame"]["models"]
        winner = content["frame"]["winner"]
        models[winner]["loss"] = 9.0

    change(small / "metrics/selected.json", edit)
    with pytest.raises(PipelineError, match="has not the smallest loss on validation"):
        audit.main()


def test_labels_that_evaluate_did_not_count_stop_the_stage(small: Path) -> None:
    split = pd.read_csv(small / "data/split/frame.csv")
    test = split.loc[split["side"] == "test", "frame_id"]
    path = small / "data/label_merge/labels.csv"
    labels = pd.read_csv(path)
    place = labels.index[labels["frame_id"].isin(test) & (labels["fluid"] == 1)][0]
    labels.loc[place, "fluid"] = 0  # after evaluate has run
    labels.to_csv(path, index=False)
    with pytest.raises(PipelineError, match=r"fluid: TP \+ FN is not the number of positives that the labels have"):
        audit.main()


def test_a_figure_that_is_not_there_is_named(small: Path) -> None:
    change(small / "metrics/models/frame/resnet18.json", lambda content: content.pop("cord recall"))
    with pytest.raises(PipelineError, match=r"resnet18.json and confusion.csv: .* got none for 'cord recall'"):
        audit.main()


def test_without_a_winner_there_is_one_claim_less(small: Path) -> None:
    def edit(content: Any) -> None:
        content["frame"]["winner"] = None
        for of in content["frame"]["models"].values():
            of["eligible"] = False

    change(small / "metrics/selected.json", edit)
    audit.main()
    extremes = next(check for check in read(small)["own"]["frame"]["checks"] if check["check"] == "extremes")
    assert extremes["compared"] == 1


def test_two_tables_on_the_command_line_are_one_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["stages.audit", "one.yaml", "two.yaml"])
    with pytest.raises(PipelineError, match=r"usage: python -m stages.audit \[TABLE.yaml\]"):
        audit.command()


def test_a_tree_whose_scores_are_yes_and_no_is_no_mistake_and_a_network_s_is(small: Path) -> None:
    rows = pd.read_csv(small / "data/split/frame.csv")
    asked = rows[rows["side"] != "train"]
    for declared, refused in (("tree", False), ("knn", True)):
        entry = f"baselines: {{few: {{classifier: {declared}, features: texture}}}}"
        (small / "params.yaml").write_text((FRAME_ONLY + SECTION).replace("baselines: {}", entry))
        write_system(small, "classify", "few", ("frame",), 0.3)
        path = small / "data/predictions/classify/few/frame/0/1/few.csv"
        table = pd.read_csv(path)
        assert len(table) == len(asked)
        table.iloc[:, 2:] = (table.iloc[:, 2:] >= 0.5).astype(float)
        table.to_csv(path, index=False)
        evaluate.main()
        if refused:
            with pytest.raises(PipelineError, match=r"few, ROC AUC of .*balanced accuracies"):
                audit.main()
        else:
            audit.main()
            assert read(small)["summary"]["own_findings"] == 0
