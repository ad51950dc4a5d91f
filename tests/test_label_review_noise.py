"""The list finds planted mistakes far better than chance, from scores made up; `python -m tests.label_noise` trains."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from stages.common.evaluation.answers import Answers, Rows
from stages.common.evaluation.reading import Protocoled
from stages.label_review.controls import draw_controls
from stages.label_review.doubts import doubts, worst_first
from stages.label_review.listing import key_of
from stages.label_review.suspicion import Score
from tests.label_mistakes import SHARE, Mistake, plant, simulated_scores
from tests.label_noise import Found, measure
from tests.split_cohort import LABELS, cohort_labels
from tests.workspace import ROOT, read_params_file

RATE = 3  # every third frame of the clips was kept, so a shift of 3 to 15 frames is one to five rows


def frames_of(seed: int) -> pd.DataFrame:
    """Return sorted labels of 13 clips whose values last about 20 kept frames."""
    frames = cohort_labels(patients=13, clips=1, frames=100, seed=seed)
    return frames.assign(frame_index=frames["frame_index"] * RATE)


def shipped_score() -> Score:
    """Return the score of label_review that the repository's params.yaml names."""
    score: Score = read_params_file(ROOT / "params.yaml")["label_review"]["score"]
    return score


def listed(frames: pd.DataFrame, seed: int, skill: float, cap: int = 40) -> Found:
    """Return what the list is worth with two networks of `skill`."""
    labels = list(LABELS)
    noisy, mistakes = plant(frames, labels, np.random.default_rng(seed))
    scores = [simulated_scores(frames, labels, np.random.default_rng([seed, model]), skill) for model in range(2)]
    rows = Rows(noisy.drop(columns=labels).assign(fold="0", side="test"), noisy[labels].to_numpy(float))
    models = {f"model {place}": Answers(one >= 0.5, one, {}) for place, one in enumerate(scores)}
    found = doubts(Protocoled(rows, models), ["test"], noisy, labels, shipped_score())
    suspects = worst_first(found, bridge=2)[:cap]
    everything = [*suspects, *draw_controls(found.timeline, suspects, np.random.default_rng(seed))]
    return measure(noisy, mistakes, key_of(found.timeline, everything, np.arange(len(everything)), found.means), labels)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_planted_noise_is_what_it_is_said_to_be(seed: int) -> None:
    frames = frames_of(seed)
    noisy, mistakes = plant(frames, LABELS, np.random.default_rng(seed))
    changed = noisy[list(LABELS)].to_numpy() != frames[list(LABELS)].to_numpy()
    assert changed.sum() == sum(len(mistake.rows) for mistake in mistakes)  # none twice
    assert 0.7 * SHARE <= changed.mean() <= SHARE
    assert {mistake.kind for mistake in mistakes} == {"flip", "shift"}
    for mistake in mistakes:
        assert changed[mistake.rows, LABELS.index(mistake.label)].all()
        values = frames.loc[mistake.rows, mistake.label]
        assert values.nunique() == 1
        assert frames.loc[mistake.rows, "clip_id"].nunique() == 1
        if mistake.kind == "shift":
            assert len(mistake.rows) <= 15 // RATE + 1
        else:  # a whole spell: the frames beside it carry another value, or belong to another clip
            for beside in (mistake.rows[0] - 1, mistake.rows[-1] + 1):
                if beside in frames.index and frames.at[beside, "clip_id"] == frames.at[mistake.rows[0], "clip_id"]:
                    assert frames.at[beside, mistake.label] != values.iloc[0]


def test_the_made_up_networks_are_no_oracle() -> None:
    frames = frames_of(1)
    scores = simulated_scores(frames, LABELS, np.random.default_rng(0), skill=1.2)
    areas = [roc_auc_score(frames[label], scores[:, place]) for place, label in enumerate(LABELS)]
    assert min(areas) > 0.85
    assert max(areas) < 0.99


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_precision_and_recall_beat_chance_by_far(seed: int) -> None:
    found = listed(frames_of(seed), seed, skill=1.6)
    assert found.planted < 0.031
    assert found.precision > 10 * found.planted
    assert found.of_controls < 3 * found.planted
    assert found.recall > 10 * found.listed
    assert found.recall > 0.5
    hits, asked = found.rows_right
    assert hits > asked / 2


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_networks_of_a_realistic_skill_still_beat_chance(seed: int) -> None:
    frames, skill = frames_of(seed), 0.6
    scores = [simulated_scores(frames, LABELS, np.random.default_rng([seed, model]), skill) for model in range(2)]
    mean = np.mean(scores, axis=0)
    area = np.mean([roc_auc_score(frames[label], mean[:, place]) for place, label in enumerate(LABELS)])
    assert 0.83 < area < 0.90
    found = listed(frames, seed, skill)
    assert found.precision > 3 * found.planted
    assert found.recall > 3 * found.listed
    assert found.precision < 0.5  # what docs/label_review.md warns of: most questions are about right labels


def test_networks_that_know_nothing_find_no_more_than_chance() -> None:
    found = [listed(frames_of(seed), seed, skill=0.0) for seed in range(6)]
    ratio = np.mean([one.recall for one in found]) / np.mean([one.listed for one in found])
    assert 0.4 < ratio < 2.5


def test_measured_by_hand() -> None:
    frames = pd.DataFrame({"clip_id": ["C1"] * 10, "frame_index": range(10), "cord": [0.0] * 10})
    mistakes = [Mistake("cord", "flip", np.arange(2, 6)), Mistake("cord", "shift", np.arange(8, 9))]
    rows = [
        {"kind": "suspect", "label": "cord", "clip_id": "C1", "frame_index": 4, "last_frame_index": 6},
        {"kind": "control", "label": "cord", "clip_id": "C1", "frame_index": 7, "last_frame_index": 9},
    ]
    found = measure(frames, mistakes, rows, ["cord"])
    assert (found.planted, found.listed) == (0.5, 0.3)
    assert (found.precision, found.recall, found.of_controls) == (2 / 3, 2 / 5, 1 / 3)
    assert found.touched == {"flip": (1, 1), "shift": (0, 1)}
    assert found.rows_right == (1, 1)
