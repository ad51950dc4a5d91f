"""Which answers the gallery shows: the rule, held against made-up answers and counted by other means."""

from collections import Counter
from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.common.evaluation.answers import Answers, Rows
from stages.explain.choice import FALSE_ALARM, MISSED, RIGHT, choose, evenly, wrong
from stages.explain.params import Explain
from tests.workspace import ROOT, read_params_file

LABELS = ["cord", "fluid"]
SECTION = read_params_file(ROOT / "params.yaml")["explain"]


def section(**changes: object) -> Explain:
    return Explain.model_validate(SECTION | changes)


def answers_of(truth: np.ndarray, scores: np.ndarray, clips: list[str], side: str | list[str] = "test") -> tuple:
    frames = pd.DataFrame({"fold": "0", "frame_id": [f"F{row}" for row in range(len(truth))], "side": side,
                           "clip_id": clips, "patient": "P001", "frame_index": range(len(truth))})  # fmt: skip
    thresholds = {"0": dict.fromkeys(LABELS, 0.5)}
    return Rows(frames, truth), Answers(scores >= 0.5, scores, thresholds)


def test_errors_come_in_turn_from_every_group_and_the_most_confident_first() -> None:
    truth = np.array([[1, 0], [1, 0], [0, 0], [0, 1], [0, 1]], float)
    scores = np.array([[0.4, 0.1], [0.1, 0.1], [0.9, 0.1], [0.1, 0.3], [0.2, 0.2]])
    rows, answers = answers_of(truth, scores, ["A", "B", "C", "D", "E"])
    found = [(shown.row, shown.column, shown.outcome) for shown in choose(rows, answers, LABELS, section())]
    assert found == [(1, 0, MISSED), (2, 0, FALSE_ALARM), (4, 1, MISSED), (0, 0, MISSED), (3, 1, MISSED)]


def test_a_clip_fills_no_group_alone() -> None:
    truth, scores = np.ones((6, 2)), np.full((6, 2), 0.9)
    scores[:, 0] = [0.1, 0.2, 0.3, 0.4, 0.05, 0.45]
    rows, answers = answers_of(truth, scores, ["A", "A", "A", "A", "B", "B"])
    for per_clip, expected in ((1, [4, 0]), (2, [4, 0, 1, 5])):
        found = choose(rows, answers, LABELS, section(per_clip=per_clip, right_per_label=0))
        assert [shown.row for shown in found] == expected


def test_rightly_found_positives_follow_for_contrast() -> None:
    truth = np.array([[1, 1], [1, 1], [0, 0]], float)
    scores = np.array([[0.8, 0.6], [0.9, 0.7], [0.1, 0.1]])
    found = choose(*answers_of(truth, scores, ["A", "B", "C"]), LABELS, section(right_per_label=1))
    assert [(shown.row, shown.column, shown.outcome) for shown in found] == [(1, 0, RIGHT), (1, 1, RIGHT)]


def test_equally_confident_errors_stand_in_the_order_of_the_frames() -> None:
    rows, answers = answers_of(np.ones((4, 2)), np.full((4, 2), 0.25), ["A", "B", "C", "D"])
    assert [shown.row for shown in choose(rows, answers, LABELS, section())] == [0, 0, 1, 1, 2, 2, 3, 3]


def test_validation_rows_and_unknown_labels_are_never_errors() -> None:
    truth = np.array([[1, np.nan], [1, 0]])
    rows, answers = answers_of(truth, np.zeros((2, 2)), ["A", "B"], ["test", "validation"])
    assert wrong(rows, answers).tolist() == [[True, False], [False, False]]
    assert [(shown.row, shown.column) for shown in choose(rows, answers, LABELS, section())] == [(0, 0)]


def test_a_model_without_errors_has_no_gallery_of_them() -> None:
    rows, answers = answers_of(np.zeros((3, 2)), np.zeros((3, 2)), ["A", "B", "C"])
    assert choose(rows, answers, LABELS, section()) == []


@given(seed=st.integers(0, 10_000), per_model=st.integers(0, 9), per_clip=st.integers(1, 3))
@settings(max_examples=60, deadline=None)
def test_the_rule_holds_for_any_answers(seed: int, per_model: int, per_clip: int) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.choice([0.0, 1.0, np.nan], (40, 2), p=[0.45, 0.45, 0.1])
    clips = list(rng.choice(["A", "B", "C"], 40))
    rows, answers = answers_of(truth, rng.random((40, 2)), clips, list(rng.choice(["test", "validation"], 40)))
    shown = choose(rows, answers, LABELS, section(per_model=per_model, per_clip=per_clip, right_per_label=1))
    errors = [one for one in shown if one.outcome != RIGHT]
    assert len({(one.row, one.column) for one in shown}) == len(shown)
    assert all(rows.frames["side"].iloc[one.row] == "test" for one in shown)
    for one in shown:
        said = bool(answers.said[one.row, one.column])
        assert (truth[one.row, one.column], said) == {MISSED: (1, False), FALSE_ALARM: (0, True), RIGHT: (1, True)}[
            one.outcome
        ]
    of_clip = Counter((one.column, one.outcome, clips[one.row]) for one in errors)
    assert max(of_clip.values(), default=0) <= per_clip
    available = 0  # counted by brute force: what the clips' limits leave of each group
    for column, said, clip in product(range(2), (False, True), "ABC"):
        hits = [row for row in range(40) if rows.frames["side"].iloc[row] == "test" and clips[row] == clip
                and truth[row, column] == 1 - said and answers.said[row, column] == said]  # fmt: skip
        available += min(per_clip, len(hits))
    assert len(errors) == min(per_model, available)


@pytest.mark.parametrize(("count", "most", "expected"), [(3, 5, [0, 1, 2]), (9, 3, [0, 4, 8]), (5, 0, []), (0, 4, [])])
def test_frames_to_measure_are_evenly_spaced(count: int, most: int, expected: list[int]) -> None:
    assert evenly(np.ones(count, bool), most).tolist() == expected


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"masks": {"cord": "spine"}}, r"keys of structures \(sac, cord, bone\); unknown: spine"),
        ({"per_clip": 0}, "per_clip"),
    ],
)
def test_a_section_that_cannot_be_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        section(**changes)


def test_the_shipped_structures_are_the_phantom_s() -> None:
    from stages.phantom.truth import CLASSES

    assert section().structures == CLASSES
