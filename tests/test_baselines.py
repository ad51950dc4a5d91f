import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.common.evaluation.baselines import label_copy, majority
from tests.split_cohort import LABELS, cohort_labels


def nearest_by_hand(training: pd.DataFrame, clip_id: str, frame_index: int, label: str) -> bool:
    """Return what label_copy must say, one frame and one label at a time."""
    known = training[training[label].notna()]
    clip = known[known["clip_id"] == clip_id]
    if clip.empty:
        return len(known) > 0 and 2 * int((known[label] == 1).sum()) > len(known)
    best = min(
        zip(clip["frame_index"], clip[label], strict=True), key=lambda pair: (abs(pair[0] - frame_index), pair[0])
    )
    return best[1] == 1


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10_000), share=st.sampled_from([0.02, 0.3, 0.8]), unknown=st.sampled_from([0.0, 0.3]))
def test_label_copy_agrees_with_brute_force(seed: int, share: float, unknown: float) -> None:
    frames = cohort_labels(patients=2, clips=2, frames=12, unknown=unknown, seed=seed)
    rng = np.random.default_rng(seed)
    chosen = rng.random(len(frames)) < share
    training, asked = (
        frames[chosen].sample(frac=1, random_state=seed),
        frames[~chosen].sample(frac=1, random_state=seed),
    )
    said = label_copy(training, asked, LABELS)
    expected = [
        [nearest_by_hand(training, clip_id, frame_index, label) for label in LABELS]
        for clip_id, frame_index in zip(asked["clip_id"], asked["frame_index"], strict=True)
    ]
    assert said.tolist() == expected


def test_ties_go_to_the_earlier_frame() -> None:
    training = pd.DataFrame({"clip_id": "C001", "frame_index": [0, 4], "cord": [1.0, 0.0]})
    asked = pd.DataFrame({"clip_id": "C001", "frame_index": [1, 2, 3]})
    assert label_copy(training, asked, ["cord"]).ravel().tolist() == [True, True, False]


def test_an_unseen_clip_gets_the_majority() -> None:
    training = pd.DataFrame(
        {"clip_id": "C001", "frame_index": range(4), "fluid": [1, 1, 1, 0.0], "cord": [1, 0, 1, 0.0]}
    )
    asked = pd.DataFrame({"clip_id": "C002", "frame_index": [0, 9]})
    assert label_copy(training, asked, ["fluid", "cord"]).tolist() == [[True, False]] * 2  # a tie says no
    assert majority(training, ["fluid", "cord"], 2).tolist() == [[True, False]] * 2


def test_majority_without_a_known_label_says_no() -> None:
    training = pd.DataFrame({"cord": [np.nan, np.nan], "fluid": [1.0, np.nan]})
    assert majority(training, ["cord", "fluid"], 1).tolist() == [[False, True]]


def test_a_frame_split_makes_label_copy_good_and_a_patient_split_makes_it_the_majority() -> None:
    frames = cohort_labels(patients=8, clips=2, frames=60)
    rng = np.random.default_rng(0)
    by_frame = rng.random(len(frames)) < 0.7
    by_patient = frames["patient"] <= "P006"
    right = {}
    for name, training in (("frame", by_frame), ("patient", by_patient.to_numpy())):
        said = label_copy(frames[training], frames[~training], LABELS)
        right[name] = (said == (frames.loc[~training, list(LABELS)] == 1).to_numpy()).mean()
        if name == "patient":
            assert (said == majority(frames[training], LABELS, len(said))).all()
    assert right["frame"] > 0.95 > right["patient"]
