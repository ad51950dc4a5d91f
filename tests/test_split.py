import itertools
import json
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedGroupKFold

from stages.common.allocation import allocate, stratified_sides
from stages.common.core.errors import PipelineError
from stages.common.core.tables import SIDES
from stages.common.protocols import ENOUGH
from stages.split import __main__ as split
from stages.split import patient_search
from stages.split.patient_folds import assign_folds
from stages.split.patient_search import (
    Search,
    best_assignment,
    deviation_of,
    deviations,
    patient_counts,
    shortage,
    side_sums,
)
from stages.split.proof import describe, prove, refuse_leaks
from tests.split_cohort import LABELS, cohort_labels, write_cohort

SHARES = (70, 10, 20)
SEARCH = Search(exhaustive_up_to=100_000, restarts=5)
PARAMS = """
seed: 1
labels: {bad_quality: {column: BAD QUALITY}, cord: {column: CORD}, fluid: {column: FLUID}}
protocols: {frame: {}, patient: {}}
folds: {"0": {}, "1": {}, "2": {}}
split:
  shares: {train: 70, validation: 10, test: 20}
  search: {exhaustive_up_to: 100000, restarts: 5}
"""


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_cohort(tmp_path, cohort_labels(unknown=0.05), PARAMS)
    return tmp_path


# --- allocation ------------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=60)
@given(
    sizes=st.lists(st.integers(1, 400), min_size=1, max_size=27),
    shares=st.tuples(st.integers(1, 90), st.integers(1, 90), st.integers(1, 90)),
)
def test_allocation_is_within_one_frame_in_every_combination_and_in_every_total(
    sizes: list[int], shares: tuple[int, ...]
) -> None:
    counts = allocate(sizes, shares)
    wanted = np.outer(sizes, shares) / sum(shares)
    assert counts.sum(axis=1).tolist() == sizes
    assert (np.abs(counts - wanted) < 1).all()
    assert (np.abs(counts.sum(axis=0) - wanted.sum(axis=0)) < 1).all()


def test_the_study_s_3390_frames_give_2373_339_and_678() -> None:
    sizes = [560, 310, 355, 2101, 61, 2, 1]  # odd combinations of any kind; only their sum is the study's
    assert sum(sizes) == 3390
    assert allocate(sizes, SHARES).sum(axis=0).tolist() == [2373, 339, 678]


@settings(deadline=None, max_examples=25)
@given(
    data=st.lists(st.tuples(*[st.sampled_from([0.0, 1.0, np.nan])] * 3), min_size=10, max_size=200),
    seed=st.integers(0, 99),
)
def test_stratified_sides_hold_for_gaps_too(data: list[tuple[float, ...]], seed: int) -> None:
    labels = np.array(data)
    sides = stratified_sides(labels, SHARES, np.random.default_rng(seed))
    for _, rows in pd.DataFrame(labels).fillna(2).assign(side=sides).groupby([0, 1, 2]):
        for side, share in zip(SIDES, SHARES, strict=True):
            assert abs((rows["side"] == side).sum() - len(rows) * share / 100) < 1


# --- patients --------------------------------------------------------------------------------------------------------


def counts_of(labels: pd.DataFrame) -> np.ndarray:
    index, names = pd.factorize(labels["patient"], sort=True)
    return patient_counts(labels[list(LABELS)].to_numpy(float), index, len(names))


def cost(assignment: tuple[int, ...], counts: np.ndarray) -> tuple[float, float]:
    """The objective again, slowly and by another way: (missing classes, deviation and a tenth of patients short)."""
    missing, short, frames, apart = 0, 0, [], []
    for side, share in enumerate(SHARES):
        mine = counts[[place for place, chosen in enumerate(assignment) if chosen == side]].sum(axis=0)
        if mine[0] == 0:
            return np.inf, np.inf
        frames.append(abs(mine[0] / counts[:, 0].sum() - share / 100))
        theirs = counts[np.flatnonzero(np.array(assignment) == side), 1:]
        bearers = [sum(1 for number in kind if number) for kind in theirs.T]
        short += sum(max(2 - number, 0) for number in bearers)
        for label in range(3):
            positive, negative = mine[1 + label], mine[4 + label]
            missing += (positive == 0) + (negative == 0)
            whole = counts[:, 1 + label].sum() / (counts[:, 1 + label].sum() + counts[:, 4 + label].sum())
            apart.append(abs(positive / (positive + negative) - whole) if positive + negative else 1)
    return missing, round(0.1 * short + np.mean(frames) + np.mean(apart), 10)


@pytest.mark.parametrize("seed", range(3))
def test_the_exhaustive_search_finds_what_brute_force_finds(seed: int) -> None:
    counts = counts_of(cohort_labels(patients=6, clips=1, unknown=0.1, seed=seed))
    found = best_assignment(counts, SHARES, SEARCH, np.random.default_rng(seed))
    best = min(cost(assignment, counts) for assignment in itertools.product(range(3), repeat=6))
    assert cost(tuple(found), counts) == best
    reported, bearers = deviation_of(found, counts, SHARES), (counts[:, 1:] > 0).astype(float)
    short = shortage(side_sums(found[None], bearers, 3), ENOUGH)[0]
    assert (reported.missing, round(0.1 * short + reported.frames + reported.labels, 10)) == best


@pytest.mark.parametrize("patients", [9, 70])  # 70: a search takes the neighbours in several lots
def test_a_step_is_the_best_of_all_moves_and_swaps(patients: int) -> None:
    counts = counts_of(cohort_labels(patients=patients, clips=1, frames=20, unknown=0.1))
    brought = patient_search._with_bearers(counts)
    current = np.random.default_rng(1).integers(0, 3, patients).astype(np.int8)
    found, steps = patient_search._best_step(current, brought, SHARES, ENOUGH)
    after = current.copy()
    for patient, side in steps:
        after[patient] = side
    moved = [(one, side, None) for one in range(patients) for side in range(3)]
    swapped = [(one, None, other) for one, other in itertools.combinations(range(patients), 2)]
    every = []
    for one, side, other in [*moved, *swapped]:
        every.append(current.copy())
        every[-1][one] = current[other] if side is None else side
        if other is not None:
            every[-1][other] = current[one]
    costs = patient_search._costs(side_sums(np.stack(every), brought, 3), SHARES, ENOUGH)
    assert found == costs.min()
    assert np.array_equal(after, every[int(costs.argmin())])  # the first of equals


def test_six_hundred_patients_are_split_without_writing_out_every_assignment() -> None:
    rng = np.random.default_rng(0)
    positive, negative = rng.integers(0, 9, (2, 600, 3)).astype(float)
    counts = np.column_stack([rng.integers(9, 20, 600), positive, negative])
    tracemalloc.start()
    found = best_assignment(counts, SHARES, Search(exhaustive_up_to=1, restarts=1), rng)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6  # 600 patients have 100,000 neighbours: 60 MB as assignments alone, eight times that as sums
    assert deviation_of(found, counts, SHARES).frames < 1e-3


def test_two_patients_validate_and_two_test_where_the_frames_nearly_allow_it() -> None:
    # eight alike infants: by frames alone (70/10/20) one would validate, and its figures would rest on it alone
    counts = np.tile([100.0, 20, 50, 70, 80, 50, 30], (8, 1))
    found = best_assignment(counts, SHARES, SEARCH, np.random.default_rng(0))
    assert np.bincount(found).tolist() == [4, 2, 2]


@pytest.mark.parametrize("seed", range(5))
def test_the_local_search_comes_as_far_as_the_exhaustive_one(seed: int) -> None:
    counts = counts_of(cohort_labels(patients=8, clips=1, seed=seed))
    local = best_assignment(counts, SHARES, Search(exhaustive_up_to=1, restarts=10), np.random.default_rng(seed))
    exact = best_assignment(counts, SHARES, SEARCH, np.random.default_rng(seed))
    assert cost(tuple(local), counts) == cost(tuple(exact), counts)


def test_fifty_patients_come_near_their_targets() -> None:
    counts = counts_of(cohort_labels(patients=50, clips=1))
    found = deviation_of(best_assignment(counts, SHARES, SEARCH, np.random.default_rng(1)), counts, SHARES)
    assert found.missing == 0
    assert found.frames < 0.005
    assert found.labels < 0.01


def test_every_side_gets_both_classes_where_one_assignment_can() -> None:
    # P1..P3 alone have cords, in few frames: shares by themselves would put all three into training
    cord = np.array([2, 2, 2, 0, 0, 0, 0, 0])
    counts = np.column_stack([np.full(8, 100), cord, 100 - cord]).astype(float)
    found = best_assignment(counts, SHARES, SEARCH, np.random.default_rng(0))
    assert sorted(found[:3].tolist()) == [0, 1, 2]
    assert deviations(side_sums(found[None], counts, 3), SHARES)[0, 2] == 0


def test_a_side_without_patients_is_never_chosen() -> None:
    counts = counts_of(cohort_labels(patients=3, clips=1))
    assert sorted(best_assignment(counts, (98, 1, 1), SEARCH, np.random.default_rng(0))) == [0, 1, 2]


# --- folds -----------------------------------------------------------------------------------------------------------


def folds_of(frames: pd.DataFrame, count: int, search: Search = SEARCH, seed: int = 0) -> dict[str, str]:
    return assign_folds(frames, LABELS, [str(key) for key in range(count)], search, np.random.default_rng(seed))


def worth(chosen: dict[str, str], frames: pd.DataFrame) -> tuple[int, float]:
    """The deviation of folds from even ones: (classes missing, frames and labels)."""
    numbers = np.array([int(chosen[patient]) for patient in sorted(chosen)], dtype=np.int8)
    found = deviation_of(numbers, counts_of(frames), [1] * len(set(chosen.values())))
    return found.missing, round(found.frames + found.labels, 10)


@settings(deadline=None, max_examples=30)
@given(sizes=st.lists(st.integers(1, 50), min_size=3, max_size=12), data=st.data())
def test_every_patient_is_tested_once_and_no_fold_is_empty(sizes: list[int], data: st.DataObject) -> None:
    count = data.draw(st.integers(1, len(sizes)))
    truth = np.random.default_rng(sum(sizes)).integers(0, 2, (sum(sizes), 3)).astype(float)
    frames = pd.DataFrame(truth, columns=list(LABELS)).assign(
        patient=np.repeat([f"P{place:03d}" for place in range(len(sizes))], sizes)
    )
    chosen = folds_of(frames, count, Search(exhaustive_up_to=1, restarts=1))
    assert sorted(chosen) == sorted(frames["patient"].unique())
    assert set(chosen.values()) == {str(key) for key in range(count)}


@pytest.mark.parametrize("seed", range(3))
def test_grouped_folds_are_the_evenest_that_brute_force_finds(seed: int) -> None:
    frames = cohort_labels(patients=7, clips=1, unknown=0.1, seed=seed)
    patients = sorted(frames["patient"].unique())
    best = min(
        worth(dict(zip(patients, map(str, numbers), strict=True)), frames)
        for numbers in itertools.product(range(3), repeat=7)
        if len(set(numbers)) == 3
    )
    assert worth(folds_of(frames, 3), frames) == best


@pytest.mark.parametrize("seed", range(4))
def test_grouped_folds_are_at_least_as_even_as_scikit_learn_s(seed: int) -> None:
    frames = cohort_labels(patients=40, clips=1, seed=seed)
    combination = frames[list(LABELS)].to_numpy() @ [1, 2, 4]  # scikit-learn stratifies one label: their combination
    peer = StratifiedGroupKFold(n_splits=5, shuffle=True, random_state=seed)
    theirs = {
        patient: str(fold)
        for fold, (_, test) in enumerate(peer.split(frames, combination, frames["patient"]))
        for patient in frames["patient"].iloc[test].unique()
    }
    assert worth(folds_of(frames, 5), frames) < worth(theirs, frames)


def test_folds_are_the_same_again_and_numbered_by_their_first_patient() -> None:
    frames = cohort_labels(patients=20, clips=1)
    chosen = folds_of(frames, 4)
    assert chosen == folds_of(frames.sample(frac=1, random_state=3), 4)  # the order of rows says nothing
    assert list(dict.fromkeys(chosen[patient] for patient in sorted(chosen))) == ["0", "1", "2", "3"]


def test_a_fold_a_patient_is_the_patients_in_their_order() -> None:
    assert list(folds_of(cohort_labels(patients=5), 5).items()) == [(f"P{n + 1:03d}", str(n)) for n in range(5)]


def test_more_folds_than_patients_is_refused(workspace: Path) -> None:
    write_cohort(workspace, cohort_labels(patients=3), PARAMS.replace('"2": {}', '"2": {}, "3": {}'))
    with pytest.raises(PipelineError, match=r"folds: 4 folds, but the cohort has 3 patients.*Remove 1"):
        split.main()


def test_a_fold_must_leave_patients_to_train_and_validate(workspace: Path) -> None:
    write_cohort(workspace, cohort_labels(patients=4), PARAMS.replace('"0": {}, "1": {}, "2": {}', '"0": {}'))
    with pytest.raises(PipelineError, match=r"fold 0 leaves 0 of 4 patients.*Declare more folds"):
        split.main()


# --- the whole stage -------------------------------------------------------------------------------------------------


def read(root: Path, protocol: str) -> pd.DataFrame:
    table = pd.read_csv(root / f"data/split/{protocol}.csv", dtype={"fold": str})
    assert table.columns.tolist() == ["frame_id", "fold", "side"]
    labels = pd.read_csv(root / "data/label_merge/labels.csv")
    return table.merge(labels, on="frame_id", validate="many_to_one")


def test_frame_split_is_complete_and_stratified(workspace: Path) -> None:
    split.main()
    table = read(workspace, "frame")
    assert len(table) == len(cohort_labels())
    assert set(table["fold"]) == {"0"}
    for _, rows in table.fillna(2).groupby(list(LABELS)):
        for side, share in zip(SIDES, SHARES, strict=True):
            assert abs((rows["side"] == side).sum() - len(rows) * share / 100) < 1


@pytest.mark.parametrize("protocol", ["patient", "leave_one_patient_out"])
def test_patient_protocols_keep_a_patient_on_one_side_of_a_fold(workspace: Path, protocol: str) -> None:
    split.main()
    table = read(workspace, protocol)
    for _, rows in table.groupby("fold"):
        assert len(rows) == len(cohort_labels())
        assert set(rows["side"]) == set(SIDES)
        assert (rows.groupby("patient")["side"].nunique() == 1).all()


def test_folds_test_every_frame_once(workspace: Path) -> None:
    split.main()
    tested = read(workspace, "leave_one_patient_out").query("side == 'test'")
    assert sorted(tested["frame_id"]) == sorted(cohort_labels()["frame_id"])
    assert set(tested["fold"]) == {"0", "1", "2"}


def test_proof_counts_what_a_loop_counts(workspace: Path) -> None:
    split.main()
    proof = json.loads((workspace / "metrics/split.json").read_text())
    rows = read(workspace, "frame")
    side = dict(zip(zip(rows["clip_id"], rows["frame_index"], strict=True), rows["side"], strict=True))
    beside = sum(
        chosen == "test" and "train" in (side.get((clip, index - 1)), side.get((clip, index + 1)))
        for (clip, index), chosen in side.items()
    )
    counted = proof["frame"]["0"]
    assert counted["test_frames_with_a_neighbour_in_training"] == beside > 0
    assert counted["test_frames_with_a_derived_picture_in_training"] == 0
    assert counted["patients_on_two_sides"] == rows["patient"].nunique()
    cord = rows.loc[rows["side"] == "test", "cord"].dropna()
    assert counted["sides"]["test"]["label_shares"]["cord"] == round(cord.mean(), 4)
    assert counted["sides"]["train"]["frames"] == (rows["side"] == "train").sum()
    for fold in proof["leave_one_patient_out"].values():
        assert fold["patients_on_two_sides"] == 0
        assert fold["test_frames_with_a_neighbour_in_training"] == 0


def test_a_fold_s_deviation_is_measured_without_its_test_patients(workspace: Path) -> None:
    split.main()
    found = json.loads((workspace / "metrics/split.json").read_text())["leave_one_patient_out"]["0"]
    train, validation = (found["sides"][side]["frames"] for side in ("train", "validation"))
    assert found["deviation"]["frames"] == round(abs(train / (train + validation) - 70 / 80), 4)


def test_neighbours_are_neighbours_among_the_frames_kept() -> None:
    # every second frame was kept: 0, 2, 4; in order of time, whatever the order of the rows
    frames = cohort_labels(patients=1, clips=1, frames=6).query("frame_index in [0, 2, 4]").iloc[::-1]
    proof = prove(
        frames.assign(side=["validation", "test", "train"]),
        LABELS,
        deviation_of(np.zeros(1, np.int8), np.ones((1, 7)), (1,)),
    )
    assert proof["test_frames_with_a_neighbour_in_training"] == 1


def test_a_dropped_protocol_leaves_no_file(workspace: Path) -> None:
    split.main()
    (workspace / "params.yaml").write_text(
        PARAMS.replace("frame: {}, ", "").replace('{"0": {}, "1": {}, "2": {}}', "{}")
    )
    patient = (workspace / "data/split/patient.csv").read_bytes()
    split.main()
    assert [path.name for path in (workspace / "data/split").iterdir()] == ["patient.csv"]
    assert list(json.loads((workspace / "metrics/split.json").read_text())) == ["patient"]
    assert (workspace / "data/split/patient.csv").read_bytes() == patient  # the others keep their draws


def test_same_seed_same_bytes_and_another_seed_another_split(workspace: Path) -> None:
    def outputs() -> list[bytes]:
        split.main()
        return [
            path.read_bytes()
            for path in [*sorted((workspace / "data/split").iterdir()), workspace / "metrics/split.json"]
        ]

    first = outputs()
    assert outputs() == first
    (workspace / "params.yaml").write_text(PARAMS.replace("seed: 1", "seed: 2"))
    assert outputs()[0] != first[0]


def test_too_few_patients_for_a_figure_are_said_aloud(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_cohort(workspace, cohort_labels(patients=3), PARAMS)
    split.main()
    printed = capsys.readouterr().out
    assert "  validation: not estimable: bad_quality (1 positive, 1 negative), cord (1 positive, 1 negative)" in printed
    assert "frame, fold 0: train" in printed
    proof = json.loads((workspace / "metrics/split.json").read_text())
    assert "cord" in proof["patient"]["0"]["not_estimable"]["test"]
    assert proof["frame"]["0"]["not_estimable"]["train"] == []


def test_two_patients_are_too_few(workspace: Path) -> None:
    write_cohort(workspace, cohort_labels(patients=2), PARAMS)
    with pytest.raises(
        PipelineError, match=r"has 2 patients, and a patient-disjoint split needs 3.*keep only protocol `frame`"
    ):
        split.main()
    write_cohort(
        workspace,
        cohort_labels(patients=2),
        PARAMS.replace(", patient: {}", "").replace('{"0": {}, "1": {}, "2": {}}', "{}"),
    )
    split.main()


def test_five_frames_are_too_few(workspace: Path) -> None:
    write_cohort(
        workspace,
        cohort_labels(patients=3, clips=1).iloc[:4],
        PARAMS.replace(", patient: {}", "").replace('{"0": {}, "1": {}, "2": {}}', "{}"),
    )
    with pytest.raises(PipelineError, match="4 frames are too few"):
        split.main()


def test_nothing_declared_is_refused(workspace: Path) -> None:
    (workspace / "params.yaml").write_text(
        PARAMS.replace("frame: {}, patient: {}", "").replace('"0": {}, "1": {}, "2": {}', "")
    )
    with pytest.raises(PipelineError, match="no split protocol is declared"):
        split.main()


def test_params_mistakes_come_together(workspace: Path) -> None:
    text = (
        PARAMS.replace("frame: {}", "clip: {}")
        .replace('"0"', "0")
        .replace("train: 70", "train: 0.7")
        .replace("restarts: 5", "restart: 5")
    )
    (workspace / "params.yaml").write_text(text)
    with pytest.raises(PipelineError) as caught:
        split.main()
    for key in ("protocols.clip", "folds.0", "split.shares.train", "split.search.restart:", "split.search.restarts"):
        assert key in str(caught.value)


def test_folds_without_a_protocol_beside_them_are_refused_before_anything_is_trained(workspace: Path) -> None:
    (workspace / "params.yaml").write_text(PARAMS.replace("{frame: {}, patient: {}}", "{}"))
    with pytest.raises(PipelineError, match=r"protocols: none: expected a protocol.*`patient: \{\}` beside folds"):
        split.main()


def test_shares_that_are_no_per_cents_of_a_whole_are_refused(workspace: Path) -> None:
    (workspace / "params.yaml").write_text(PARAMS.replace("test: 20", "test: 30"))
    with pytest.raises(
        PipelineError, match=r"split\.shares: wrong value: expected per cent that add up to 100, not 110"
    ):
        split.main()


def test_a_label_that_is_no_label_is_named(workspace: Path) -> None:
    labels = pd.read_csv(workspace / "data/label_merge/labels.csv", dtype={"cord": object})
    labels.loc[3, "cord"] = "2"
    labels.loc[5, "cord"] = "yes"
    labels.to_csv(workspace / "data/label_merge/labels.csv", index=False)
    with pytest.raises(PipelineError, match=r"(?s)2 problems.*C001_00003, column cord.*got '2'.*C001_00005.*got 'yes'"):
        split.main()


def test_a_leak_stops_the_stage() -> None:
    frames = cohort_labels(patients=3, clips=1)
    sides = np.resize(["train", "validation", "test"], len(frames))
    twice = pd.concat([frames.assign(side=sides), frames.assign(side="train").iloc[2:3]])  # one test frame trains too
    proof = prove(twice, LABELS, deviation_of(np.zeros(1, np.int8), np.ones((1, 7)), (1,)))
    with pytest.raises(
        PipelineError,
        match=r"(?s)2 problems.*derived picture in training: expected 0, got 1.*on two sides: expected 0, got 3",
    ):
        refuse_leaks({"patient": {"0": proof}}, ["patient"])
    with pytest.raises(PipelineError, match="1 problem"):
        refuse_leaks({"frame": {"0": proof}}, ["patient"])
    assert "frame, fold 0" in describe("frame", "0", proof)
