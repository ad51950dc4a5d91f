"""The expert's answers: checked, laid over frozen labels, and both results."""

import hashlib
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics

from stages.common.core.errors import PipelineError
from stages.label_review import __main__ as review
from tests.split_cohort import LABELS
from tests.test_label_review import FLIPPED, key, make, seen


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a list to answer, to copy."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        folder = make(tmp_path_factory.mktemp("built"), monkeypatch)
        review.main()
        return folder


@pytest.fixture
def listed(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same as working directory."""
    shutil.copytree(built, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def answer(root: Path, table: pd.DataFrame, sha256: str | None = None) -> None:
    """Hand in `table` as the answers."""
    path = root / "answers.csv"
    table.to_csv(path, index=False)
    sha256 = sha256 or hashlib.sha256(path.read_bytes()).hexdigest()
    params = root / "params.yaml"
    lines = [line for line in params.read_text().splitlines() if not line.startswith("  answers")]
    params.write_text("\n".join([*lines, "  answers: answers.csv", f"  answers_sha256: {sha256}\n"]))


def truthful(root: Path) -> pd.DataFrame:
    """Return the list as an expert who is right fills it in: the labels before they were made wrong."""
    labels = pd.read_csv(root / "data/label_merge/labels.csv").set_index(["clip_id", "frame_index"])
    right = labels.copy()
    for clip, label, first, last in FLIPPED:
        right.loc[(clip, slice(first, last)), label] = 1 - right.loc[(clip, slice(first, last)), label]
    table = seen(root)
    said = []
    for row in table.itertuples():
        values = right.loc[(row.clip_id, slice(row.frame_index, row.last_frame_index)), row.label].unique()
        said.append(int(values[0]) if len(values) == 1 else None)
    return table.assign(answer=pd.array(said, dtype="Int8"))


def test_labels_stay_frozen_and_both_results_are_printed(listed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (listed / "data/label_merge/labels.csv").read_bytes()
    first = key(listed)
    answer(listed, truthful(listed))
    capsys.readouterr()
    review.main()
    assert (listed / "data/label_merge/labels.csv").read_bytes() == before
    found = key(listed)
    assert found["rows"] == first["rows"]  # answers change no question
    for protocol, models in found["results"].items():
        for model, of in models.items():
            assert of["frozen"] == first["results"][protocol][model]["frozen"]
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == sum(len(models) for models in found["results"].values())
    assert all("frozen labels -> reviewed labels: macro F1" in line for line in lines)


def test_reviewed_figures_agree_with_scikit_learn(listed: Path) -> None:
    table = truthful(listed)
    answer(listed, table)
    review.main()
    labels = pd.read_csv(listed / "data/label_merge/labels.csv")
    for row in table.dropna(subset="answer").itertuples():
        rows = (labels["clip_id"] == row.clip_id) & labels["frame_index"].between(row.frame_index, row.last_frame_index)
        labels.loc[rows, row.label] = row.answer
    labels = labels.set_index("frame_id")
    scores = pd.concat(
        pd.read_csv(listed / f"data/predictions/leave_one_patient_out/{fold}/1/resnet18.csv") for fold in range(3)
    )
    scores = scores[scores["split"] == "test"]
    truth = labels.loc[scores["frame_id"], list(LABELS)].to_numpy(float)
    said, known = scores[list(LABELS)].to_numpy() >= 0.5, ~np.isnan(truth)
    f1 = [metrics.f1_score(truth[known[:, c], c], said[known[:, c], c]) for c in range(3)]
    reviewed = key(listed)["results"]["leave_one_patient_out"]["resnet18"]["reviewed"]
    assert reviewed["macro F1"] == round(float(np.mean(f1)), 4)
    assert reviewed["Accuracy"] == round(metrics.accuracy_score(truth[known], said[known]), 4)
    assert reviewed["Misclassified images"] == ((truth != said) & known).any(axis=1).sum()


def test_suspects_are_overturned_and_controls_are_not(listed: Path) -> None:
    answer(listed, truthful(listed))
    review.main()
    found = key(listed)["answers"]
    assert found["suspects"]["overturned"] >= len(FLIPPED)
    assert found["controls"]["overturned"] == 0
    assert found["suspects"]["asked"] == found["controls"]["asked"]
    assert found["labels_changed"]["cord"] > 0
    assert key(listed)["why"] is None


def test_blank_answers_change_nothing(listed: Path) -> None:
    answer(listed, seen(listed))
    review.main()
    found = key(listed)
    assert found["answers"]["suspects"]["answered"] == 0
    assert found["answers"]["labels_changed"] == {}
    for models in found["results"].values():
        assert all(of["reviewed"] == of["frozen"] for of in models.values())


def test_answers_to_an_earlier_list_still_hold(listed: Path) -> None:
    table = truthful(listed)
    path = listed / "params.yaml"
    path.write_text(path.read_text().replace("max_suspects: 12", "max_suspects: 2"))
    answer(listed, table)
    review.main()
    found = key(listed)["answers"]
    assert found["of_earlier_lists"] > 0
    assert found["labels_changed"]["cord"] > 0


def test_every_mistake_in_the_answers_is_in_one_message(listed: Path) -> None:
    table = seen(listed).astype({"answer": object})
    table.loc[0, "answer"] = "yes"
    table.loc[1, "review_id"] = "R00000000"
    table.loc[2, "last_frame_index"] += 1
    table.loc[3, "answer"] = 2
    answer(listed, pd.concat([table, table.iloc[[4]]]))
    with pytest.raises(PipelineError) as caught:
        review.main()
    message = str(caught.value)
    assert "5 problems" in message
    for part in (
        "line 2: wrong answer: expected 1, 0 or blank, got 'yes'",
        "line 3: unknown review_id",
        "got 'R00000000'",
        "line 4: unknown review_id",
        "line 5: wrong answer: expected 1, 0 or blank, got '2'",
        f"repeated review_id: expected one row a question, got {table.loc[4, 'review_id']} 2 times",
    ):
        assert part in message


def test_a_spreadsheet_s_decimals_and_spaces_are_understood(listed: Path) -> None:
    table = seen(listed).astype({"answer": object})
    table.loc[0, "answer"], table.loc[1, "answer"] = "1.0", " 0 "
    answer(listed, table)
    review.main()
    found = key(listed)["answers"]
    assert found["suspects"]["answered"] + found["controls"]["answered"] == 2


def test_other_content_wants_another_hash(listed: Path) -> None:
    answer(listed, truthful(listed), sha256="abc")
    with pytest.raises(PipelineError, match=r"expected the SHA-256 of answers.csv, which is [0-9a-f]{64}, got abc"):
        review.main()


def test_a_file_that_is_not_there_is_named(listed: Path) -> None:
    answer(listed, truthful(listed))
    (listed / "answers.csv").unlink()
    with pytest.raises(PipelineError, match=r"label_review\.answers: answers.csv cannot be read"):
        review.main()
