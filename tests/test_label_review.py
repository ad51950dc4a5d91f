"""The review list: what is doubted, what the expert sees, and what the key says."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from cleanlab.multilabel_classification.filter import find_multilabel_issues_per_class
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.common.core.errors import PipelineError
from stages.label_review import __main__ as review
from stages.label_review.calibration import calibrated
from stages.label_review.controls import draw_controls, free_starts
from stages.label_review.stretches import Stretch, Timeline, suspected_stretches
from stages.label_review.suspicion import Suspicion, suspicion, wrong_answers
from tests.evaluate_workspace import FRAME_ONLY, PARAMS, build
from tests.split_cohort import LABELS
from tests.workspace import ROOT, read_params_file

SECTION = """
label_review:
  max_suspects: 12
  bridge_frames: 2
  score: self_confidence
  answers: null
  answers_sha256: null
"""
SEEN = ["review_id", "frame_id", "clip_id", "frame_index", "last_frame_index", "label", "question", "answer"]
FLIPPED = [("C002", "cord", 3, 9), ("C004", "fluid", 40, 49), ("C007", "bad_quality", 20, 20), ("C008", "cord", 50, 54)]


def make(folder: Path, monkeypatch: pytest.MonkeyPatch, params: str = PARAMS, section: str = SECTION) -> Path:
    """Build a workspace whose labels turn wrong in FLIPPED after the networks have spoken."""
    monkeypatch.chdir(folder)
    build(folder, params + section, noise={"alexnet": 0.12, "resnet18": 0.1, "vgg16": 0.15})
    path = folder / "data/label_merge/labels.csv"
    labels = pd.read_csv(path)
    for clip, label, first, last in FLIPPED:
        rows = (labels["clip_id"] == clip) & labels["frame_index"].between(first, last)
        labels.loc[rows, label] = 1 - labels.loc[rows, label]
    labels.astype(dict.fromkeys(LABELS, "Int8")).to_csv(path, index=False)
    return folder


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace to copy."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        return make(tmp_path_factory.mktemp("built"), monkeypatch)


@pytest.fixture
def workspace(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace with folds, as working directory."""
    shutil.copytree(built, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def key(root: Path) -> Any:
    """Return label_review.json, and as `rows` the key, which lies elsewhere."""
    table = pd.read_csv(root / "data/label_review/key.csv").astype(object)
    rows = table.where(table.notna(), None).to_dict("records")
    return json.loads((root / "metrics/label_review.json").read_text()) | {"rows": rows}


def seen(root: Path) -> pd.DataFrame:
    return pd.read_csv(root / "metrics/label_review.csv")


def frames_of(row: dict[str, Any]) -> set[tuple[str, str, int]]:
    return {(row["label"], row["clip_id"], index) for index in range(row["frame_index"], row["last_frame_index"] + 1)}


# --- the list ------------------------------------------------------------------------------------------------------


def test_planted_mistakes_are_on_the_list_each_as_one_question(workspace: Path) -> None:
    review.main()
    suspects = [row for row in key(workspace)["rows"] if row["kind"] == "suspect"]
    for clip, label, first, last in FLIPPED:
        mine = [row for row in suspects if (row["clip_id"], row["label"]) == (clip, label)]
        touching = [row for row in mine if row["frame_index"] <= last and row["last_frame_index"] >= first]
        assert len(touching) == 1, (clip, label)
        assert touching[0]["reason"] in ("cleanlab", "all models", "cleanlab and all models")


def test_nothing_that_git_keeps_beside_the_list_is_its_key(workspace: Path) -> None:
    review.main()
    text = (workspace / "metrics/label_review.json").read_text()
    ids = seen(workspace)["review_id"].tolist()
    assert ids
    assert not [name for name in ids if name in text]
    for word in ("rows", "kind", "reason", "score", "given", "mean_probability"):
        assert f'"{word}"' not in text
    assert pd.read_csv(workspace / "data/label_review/key.csv")["review_id"].tolist() == ids
    outs = read_params_file(ROOT / "dvc.yaml")["stages"]["label_review"]["outs"]  # cached, and its cohort's
    assert {
        "data/label_review/key.csv": {"remote": "${cohort}"}
    } in outs  # cached, and pushed to its cohort's or nowhere
    assert "metrics/label_review.json" in {path for out in outs for path in out}


def test_the_expert_sees_neither_label_nor_kind(workspace: Path) -> None:
    review.main()
    table, hidden = seen(workspace), key(workspace)
    assert list(table.columns) == SEEN
    assert table["answer"].isna().all()
    assert table["review_id"].tolist() == [row["review_id"] for row in hidden["rows"]]
    assert table["review_id"].is_unique
    text = (workspace / "metrics/label_review.csv").read_text()
    assert not [word for word in ("suspect", "control", "cleanlab", "models", "given") if word in text]
    kinds = [row["kind"] for row in hidden["rows"]]
    assert kinds.count("suspect") == kinds.count("control") == hidden["suspects"] == hidden["controls"] > 3
    assert kinds != sorted(kinds)
    assert kinds != sorted(kinds, reverse=True)
    shapes = {
        kind: sorted((row["label"], row["frames"]) for row in hidden["rows"] if row["kind"] == kind)
        for kind in ("suspect", "control")
    }
    assert shapes["suspect"] == shapes["control"]  # what is visible of a row tells nothing


def test_rows_overlap_nowhere_and_hold_one_given_value(workspace: Path) -> None:
    review.main()
    labels = pd.read_csv(workspace / "data/label_merge/labels.csv").set_index(["clip_id", "frame_index"])
    asked: set[tuple[str, str, int]] = set()
    for row in key(workspace)["rows"]:
        mine = frames_of(row)
        assert not mine & asked
        asked |= mine
        values = labels.loc[(row["clip_id"], slice(row["frame_index"], row["last_frame_index"])), row["label"]]
        assert set(values) == {row["given"]}


def test_the_same_bytes_again_and_other_controls_with_another_seed(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("label_review.csv", "label_review.json")
    review.main()
    first = {name: (workspace / "metrics" / name).read_bytes() for name in names}
    review.main()
    assert first == {name: (workspace / "metrics" / name).read_bytes() for name in names}
    before = {row["review_id"]: row["kind"] for row in key(workspace)["rows"]}
    monkeypatch.setattr(review, "generator", lambda _, *names: np.random.default_rng(len(names[-1])))
    review.main()
    after = {row["review_id"]: row["kind"] for row in key(workspace)["rows"]}
    suspects = {name for name, kind in before.items() if kind == "suspect"}
    assert suspects == {name for name, kind in after.items() if kind == "suspect"}
    assert set(before) != set(after)


def test_the_list_is_capped_worst_first(workspace: Path) -> None:
    review.main()
    whole = key(workspace)
    scores = sorted(row["score"] for row in whole["rows"] if row["kind"] == "suspect")
    path = workspace / "params.yaml"
    path.write_text(path.read_text().replace("max_suspects: 12", "max_suspects: 3"))
    review.main()
    capped = key(workspace)
    assert sorted(row["score"] for row in capped["rows"] if row["kind"] == "suspect") == scores[:3]
    assert capped["stretches_beyond_the_list"] == whole["stretches_beyond_the_list"] + whole["suspects"] - 3


@pytest.mark.parametrize(
    ("params", "protocol", "sides"),
    [
        (PARAMS, "leave_one_patient_out", ["test"]),
        (PARAMS.replace('{"0": {}, "1": {}, "2": {}}', "{}"), "patient", ["validation", "test"]),
        (FRAME_ONLY, "frame", ["validation", "test"]),
    ],
)
def test_the_most_honest_protocol_declared_is_reviewed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, params: str, protocol: str, sides: list[str]
) -> None:
    make(tmp_path, monkeypatch, params)
    review.main()
    found = key(tmp_path)
    assert (found["protocol"], found["sides"]) == (protocol, sides)
    split = pd.read_csv(tmp_path / f"data/split/{protocol}.csv")
    assert found["frames_asked"] == split["side"].isin(sides).sum()
    assert found["answers"] is None
    assert "label_review.answers" in found["why"]
    asked = set(split.loc[split["side"].isin(sides), "frame_id"])
    assert set(seen(tmp_path)["frame_id"]) <= asked


def test_a_model_that_was_dropped_is_not_asked_and_leaves_the_folder(workspace: Path) -> None:
    path = workspace / "params.yaml"
    path.write_text(path.read_text().replace(", vgg16: {}", ""))
    review.main()
    assert key(workspace)["models"] == ["alexnet", "resnet18"]
    assert not list((workspace / "data/predictions").rglob("vgg16*"))


def test_no_protocol_is_one_message() -> None:
    with pytest.raises(PipelineError, match="nothing to review: expected a protocol"):
        review.reviewed_protocol([])


# --- doubts --------------------------------------------------------------------------------------------------------


def test_doubts_agree_with_cleanlab_s_own_multilabel_filter() -> None:
    rng = np.random.default_rng(3)
    truth = (rng.random((400, 3)) < [0.2, 0.4, 0.7]).astype(int)
    scores = np.clip(0.2 + 0.6 * truth + rng.normal(0, 0.2, truth.shape), 0.001, 0.999)
    given = np.where(rng.random(truth.shape) < 0.05, 1 - truth, truth)
    lists = [list(np.flatnonzero(row)) for row in given]
    theirs = find_multilabel_issues_per_class(lists, scores, n_jobs=1)
    for label in range(3):
        mine = suspicion(given[:, label].astype(float), scores[:, label], np.zeros((400, 0), bool), "self_confidence")
        assert (mine.cleanlab == theirs[:, label]).all()
        assert np.allclose(mine.quality, np.where(given[:, label] == 1, scores[:, label], 1 - scores[:, label]))


def test_unknown_labels_are_never_doubted_and_change_nothing() -> None:
    rng = np.random.default_rng(4)
    truth = (rng.random(200) < 0.4).astype(float)
    scores = np.clip(0.2 + 0.6 * truth + rng.normal(0, 0.25, 200), 0, 1)
    truth[:20] = np.nan
    said = [scores >= 0.5, scores >= 0.4]
    whole = suspicion(truth, scores, wrong_answers(truth, said), "adjusted_self_confidence")
    known = suspicion(truth[20:], scores[20:], wrong_answers(truth[20:], [one[20:] for one in said]), whole_score())
    assert not whole.suspected[:20].any()
    assert np.isnan(whole.quality[:20]).all()
    assert (whole.suspected[20:] == known.suspected).all()


def whole_score() -> Any:
    return "adjusted_self_confidence"


def test_a_class_with_hardly_a_frame_is_said_and_all_models_still_doubt() -> None:
    truth, scores = np.zeros(6), np.array([0.1, 0.9, 0.2, 0.8, 0.1, 0.1])
    said = [scores > 0.5, np.array([False, True, False, False, False, False])]
    found = suspicion(truth, scores, wrong_answers(truth, said), "adjusted_self_confidence")
    assert found.why is not None
    assert "fewer than two known frames" in found.why
    assert found.suspected.tolist() == [False, True, False, False, False, False]
    assert np.allclose(found.quality, 1 - scores)


def test_collapsed_models_make_no_list_of_every_frame(workspace: Path) -> None:
    for path in (workspace / "data/predictions").rglob("*.csv"):
        table = pd.read_csv(path)
        table[list(LABELS)] = 0.3
        table.to_csv(path, index=False)
    review.main()
    found = key(workspace)
    assert found["suspects"] <= 12
    assert all(np.isfinite(row["mean_probability"]) for row in found["rows"])


# --- the scale of each infant --------------------------------------------------------------------------------------


def test_a_network_that_answers_one_infant_alike_does_not_doubt_all_its_labels() -> None:
    rng = np.random.default_rng(6)
    patients = np.repeat(["P001", "P002"], 150).astype(object)
    truth = (rng.random(300) < 0.5).astype(float)
    logit = 3 * (2 * truth - 1) + rng.normal(0, 1, 300) - 6 * (patients == "P002")  # P002: nearly always no
    scores = 1 / (1 + np.exp(-logit))
    wrong = truth.copy()
    wrong[[200, 201]] = 1 - wrong[[200, 201]]
    none = np.zeros((300, 0), dtype=bool)
    raw = suspicion(wrong, scores, none, "self_confidence").suspected
    own = suspicion(wrong, calibrated(wrong, scores, patients), none, "self_confidence").suspected
    assert raw[150:].sum() > 30
    assert own[[200, 201]].all()
    assert own.sum() < 15


def test_calibration_keeps_the_order_within_an_infant_and_ignores_unknown_labels() -> None:
    rng = np.random.default_rng(7)
    truth = (rng.random(60) < 0.4).astype(float)
    scores = np.clip(0.3 * truth + rng.random(60) * 0.6, 0.01, 0.99)
    patients = np.full(60, "P001", dtype=object)
    found = calibrated(truth, scores, patients)
    assert (np.argsort(found) == np.argsort(scores)).all()
    assert abs(found.mean() - truth.mean()) < 1e-3  # a fitted intercept makes the mean right
    more = calibrated(np.r_[truth, np.nan], np.r_[scores, 0.5], np.full(61, "P001", dtype=object))
    assert np.allclose(more[:60], found)
    assert 0 < more[60] < 1


def test_where_a_curve_cannot_be_fitted_or_falls() -> None:
    scores = np.array([0.1, 0.4, 0.9, 0.2, 0.8, 0.3, 0.7, 0.6])
    alone = np.full(8, "P001", dtype=object)
    one_yes = np.array([0, 0, 1, 0, 0, 0, 0, 0.0])
    assert (calibrated(one_yes, scores, alone) == scores).all()
    contrary = (scores < 0.5).astype(float)
    assert np.allclose(calibrated(contrary, scores, alone), 0.5)


# --- stretches and controls, by brute force ------------------------------------------------------------------------

VALUES = st.lists(st.sampled_from([0.0, 1.0, np.nan]), min_size=1, max_size=14)


def timeline_of(clips: list[list[float]], asked: list[bool]) -> Timeline:
    parts = [
        pd.DataFrame(
            {"frame_id": [f"{c}_{i}" for i in range(len(v))], "clip_id": f"C{c}", "frame_index": range(len(v))}
        )
        for c, v in enumerate(clips)
    ]
    frames = pd.concat(parts, ignore_index=True).assign(cord=[value for clip in clips for value in clip])
    return Timeline(frames, np.flatnonzero(np.resize(asked, len(frames))))


@settings(max_examples=100, derandomize=True, deadline=None)
@given(
    st.lists(VALUES, min_size=1, max_size=3),
    st.lists(st.booleans(), min_size=1, max_size=9),
    st.lists(st.booleans(), min_size=1, max_size=9),
    st.integers(0, 3),
)
def test_stretches_join_exactly_what_may_be_joined(
    clips: list[list[float]], asked: list[bool], doubted: list[bool], bridge: int
) -> None:
    timeline = timeline_of(clips, asked)
    values, names = timeline.frames["cord"].to_numpy(), timeline.frames["clip_id"].to_numpy()
    doubt = np.resize(doubted, len(timeline.rows)) & ~np.isnan(values[timeline.rows])
    none = np.zeros(len(doubt), dtype=bool)
    found = list(suspected_stretches(timeline, "cord", Suspicion(np.zeros(len(doubt)), doubt, none, None), bridge))
    places = timeline.rows[doubt].tolist()
    expected: list[list[int]] = []
    for place in places:
        last = expected[-1][-1] if expected else None
        if last is not None and place - last - 1 <= bridge and one_value(values, names, last, place):
            expected[-1].append(place)
        else:
            expected.append([place])
    assert [(of.start, of.stop - 1) for of in found] == [(part[0], part[-1]) for part in expected]


def one_value(values: Any, names: Any, first: int, last: int) -> bool:
    part = values[first : last + 1]
    return len(set(names[first : last + 1])) == 1 and not np.isnan(part).any() and len(set(part)) == 1


@settings(max_examples=100, derandomize=True, deadline=None)
@given(
    st.lists(VALUES, min_size=1, max_size=3),
    st.lists(st.booleans(), min_size=1, max_size=9),
    st.lists(st.booleans(), min_size=1, max_size=9),
    st.integers(1, 5),
)
def test_controls_can_begin_exactly_where_they_fit(
    clips: list[list[float]], asked: list[bool], taken: list[bool], length: int
) -> None:
    timeline = timeline_of(clips, asked)
    values, names = timeline.frames["cord"].to_numpy(), timeline.frames["clip_id"].to_numpy()
    busy, reached = np.resize(taken, len(values)), timeline.asked()
    expected = [
        start
        for start in range(len(values) - length + 1)
        if one_value(values, names, start, start + length - 1)
        and not busy[start : start + length].any()
        and reached[start]
        and reached[start + length - 1]
    ]
    assert free_starts(timeline, "cord", busy, length).tolist() == expected


def test_a_control_that_does_not_fit_is_shorter_or_missing() -> None:
    timeline = timeline_of([[1.0] * 10, [0.0] * 4], [True])
    long = [Stretch("cord", 0, 10, 0.1, "cleanlab")]
    [control] = draw_controls(timeline, long, np.random.default_rng(0))
    assert len(control) == 2  # 10, 5 do not fit into 4 frames; 2 does
    everything = [Stretch("cord", 0, 10, 0.1, "cleanlab"), Stretch("cord", 10, 14, 0.2, "cleanlab")]
    assert draw_controls(timeline, everything, np.random.default_rng(0)) == []
