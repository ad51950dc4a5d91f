"""Shortcuts are planted and the right probe is flagged; without one, none is."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from stages.common.evaluation.scores import roc_auc
from stages.leakage.cohort import Cohort, Fold, Pictures
from stages.leakage.doubt import doubt, flags_of, reached, results
from stages.leakage.params import Probes
from stages.leakage.pictures import PERCENTS, brightness, grey_of, histogram, look
from stages.leakage.probes import Found, inputs, judged, patient_aucs, probe_folds
from stages.leakage.standing import standing, still_and_sector
from tests.leakage_workspace import BORDER, SIDE, pictures, settings

PATIENTS, CLIPS, FRAMES = 8, 2, 30  # clips a patient, frames a clip
COUNT = PATIENTS * CLIPS * FRAMES
PROBES: Probes = settings().probes
STRONG = Found({"P1": 0.97, "P2": 0.95}, None)  # a model that finds what there is


@dataclass
class Planted:
    """A cohort in the making: one label, grey pictures, and where each frame stands."""

    truth: np.ndarray
    grey: Pictures
    index: np.ndarray
    clip: np.ndarray


def plain(seed: int) -> Planted:
    """Return a cohort whose label has nothing to do with anything."""
    rng = np.random.default_rng(seed)
    number = np.arange(COUNT)
    truth = (rng.random(COUNT) < 0.4).astype(float)
    return Planted(truth, pictures(COUNT, seed), number % FRAMES, number // FRAMES)


def flagged(planted: Planted) -> tuple[set[str], dict[str, Found]]:
    """Return the probes flagged beside a strong model, and all that they reach; two folds of whole patients."""
    patient = planted.clip // CLIPS
    frames = pd.DataFrame(
        {
            "frame_id": [f"C{clip:03d}_{index:05d}" for clip, index in zip(planted.clip, planted.index, strict=True)],
            "clip_id": [f"C{clip:03d}" for clip in planted.clip],
            "patient": [f"P{number:03d}" for number in patient],
            "frame_index": planted.index,
        }
    )
    cohort = Cohort(frames, planted.truth[:, None])
    folds = [
        Fold("patient", str(fold), {"train": np.flatnonzero(patient % 2 != fold), "validation": np.array([], int),
                                    "test": np.flatnonzero(patient % 2 == fold)})
        for fold in range(2)
    ]  # fmt: skip
    colour = np.repeat(planted.grey[..., None], 3, axis=-1)
    looks = look(colour, 8, PROBES.side_px)
    levels = np.stack([histogram(picture) for picture in planted.grey])
    left = standing(cohort, colour, PROBES.side_px, PROBES.sector)
    found = probe_folds(cohort, folds, inputs(cohort, looks, levels, left), 1, PROBES)
    named = {probe: of for (_, _, probe), of in found.items()}
    return {probe for probe, of in named.items() if doubt(of, {"net": STRONG}, PROBES)["flagged"]}, named


@pytest.mark.parametrize("seed", range(4))
def test_without_a_shortcut_no_probe_is_flagged(seed: int) -> None:
    names, found = flagged(plain(seed))
    assert names == set()
    assert all(len(of.patients) == PATIENTS for of in found.values())


def test_brightness_that_goes_with_the_label_is_flagged_and_nothing_else() -> None:
    planted = plain(10)
    inside = planted.grey > 0
    lifted = planted.grey + inside * (planted.truth[:, None, None] == 1) * 40
    planted.grey = lifted.astype(np.uint8)
    assert flagged(planted)[0] == {"brightness", "brightness_preprocessed"}


def test_a_corner_mark_that_comes_and_goes_with_the_label_is_seen_with_the_sector_blanked() -> None:
    planted = plain(11)
    planted.grey[planted.truth == 1, :2, :2] = 150
    assert flagged(planted)[0] == {"sector_blanked"}


def test_a_mark_that_stands_through_the_clips_with_the_label_is_seen_in_the_overlays() -> None:
    planted = plain(12)
    marked = planted.clip % 2 == 0  # one clip of each patient
    planted.truth = (np.random.default_rng(0).random(COUNT) < np.where(marked, 0.9, 0.1)).astype(float)
    planted.grey[marked, :2, :2] = 150
    names = flagged(planted)[0]
    assert {"overlays", "sector_blanked"} <= names  # both see the corner, and the clip's mean picture may
    assert not names & {"brightness", "brightness_preprocessed", "frame_index"}


def test_a_label_that_follows_the_frames_number_is_flagged_and_nothing_else() -> None:
    planted = plain(13)
    middle = (planted.index > FRAMES / 3) & (planted.index < 2 * FRAMES / 3)  # no straight line finds it
    planted.truth = middle.astype(float)
    assert flagged(planted)[0] == {"frame_index"}


def test_clips_that_look_alike_where_the_label_is_are_seen_in_their_means() -> None:
    planted = plain(14)
    bright = planted.clip % 2 == 0
    planted.truth = (np.random.default_rng(0).random(COUNT) < np.where(bright, 0.9, 0.1)).astype(float)
    planted.grey[bright, BORDER : SIDE // 2, BORDER:-BORDER] //= 2  # a shadow over the near half, all clip long
    assert "clip_mean" in flagged(planted)[0]


def test_what_is_the_same_all_clip_is_judged_in_infants_with_several_clips() -> None:
    planted = plain(15)
    alone = (planted.clip // CLIPS) % 2 == 1  # every second infant has one long clip
    planted.index[alone] += FRAMES * (planted.clip[alone] % CLIPS)
    planted.clip[alone] -= planted.clip[alone] % CLIPS
    _, found = flagged(planted)
    for probe, of in found.items():
        expected = range(0, PATIENTS, 2) if probe in ("overlays", "clip_mean") else range(PATIENTS)
        assert sorted(of.patients) == [f"P{number:03d}" for number in expected], probe
    planted.clip -= planted.clip % CLIPS  # now all have one clip, or what looks like one
    planted.index = np.tile(np.arange(CLIPS * FRAMES), PATIENTS)
    found = flagged(planted)[1]
    assert found["overlays"].mean is None
    assert "test patients with two clips" in str(found["overlays"].why)
    assert found["brightness"].mean is not None


def test_unknown_labels_are_left_out_and_a_label_without_cases_is_null_with_a_reason() -> None:
    planted = plain(1)
    planted.truth[::3] = np.nan
    assert all(of.mean is not None for of in flagged(planted)[1].values())
    planted.truth[planted.truth == 1] = 0
    for of in flagged(planted)[1].values():
        assert of.mean is None
        assert str(of.as_json()["why"]).endswith("folds whose training side has one class: 2")


def test_one_patient_is_no_mean_over_patients() -> None:
    assert judged({"P1": 0.9}, 2).mean is None
    assert judged({"P1": 0.9}, 2).as_json()["lowest"] == 0.9
    assert judged({"P1": 0.9, "P2": 0.7}, 2).mean == pytest.approx(0.8)
    assert "2 are needed" in str(judged({}, 2).why)


def test_patients_of_one_class_have_no_area() -> None:
    planted = plain(2)
    planted.truth[planted.clip // CLIPS == 3] = 1
    assert all(set(of.patients) == {f"P{n:03d}" for n in range(PATIENTS)} - {"P003"}
               for of in flagged(planted)[1].values())  # fmt: skip


def test_a_clip_that_stands_still_or_is_too_short_has_no_sector_and_tells_nothing() -> None:
    still = [pictures(1)[0]] * 10
    assert still_and_sector(still, PROBES.sector) is None
    assert still_and_sector(list(pictures(3)), PROBES.sector) is None
    planted = plain(3)
    planted.grey[:] = planted.grey[0]
    for probe in ("overlays", "sector_blanked"):
        assert set(flagged(planted)[1][probe].patients.values()) == {0.5}


def test_the_sector_is_what_moves_and_a_mark_on_it_stands_still() -> None:
    grey = pictures(40)
    grey[:, 14:19, 14:19] = 200  # burnt into the tissue
    grey[:, :3, :3] = 150  # on the canvas
    found = still_and_sector(list(grey), PROBES.sector)
    assert found is not None
    still, sector = found
    inside = np.zeros((SIDE, SIDE), bool)
    inside[BORDER - 1 : 1 - BORDER, BORDER - 1 : 1 - BORDER] = True  # dilated by one pixel
    assert (sector == inside).all()
    assert still[:3, :3].all()
    assert still[15:18, 15:18].all()
    assert not still[6:12, 6:12].any()


def test_brightness_statistics_are_those_that_numpy_computes() -> None:
    grey = np.random.default_rng(0).integers(0, 256, (3, 40, 50), dtype=np.uint8)
    said = brightness(np.stack([histogram(picture) for picture in grey]))
    flat = grey.reshape(3, -1)
    expected = np.column_stack(
        [flat.mean(axis=1), flat.std(axis=1),
         *np.percentile(flat, PERCENTS, axis=1, method="inverted_cdf"),
         (flat < 10).mean(axis=1), (flat >= 245).mean(axis=1)]
    )  # fmt: skip
    np.testing.assert_allclose(said, expected)


def test_grey_of_a_grey_picture_in_colour_is_the_picture() -> None:
    grey = pictures(1)[0]
    assert (grey_of(np.repeat(grey[..., None], 3, axis=-1)) == grey).all()
    assert (grey_of(grey) == grey).all()


def test_the_patient_wise_area_is_the_one_that_evaluate_reports_for_folds() -> None:
    rng = np.random.default_rng(0)
    truth, scores = rng.choice([0, 1, np.nan], 200), rng.random(200)
    patients = rng.choice(["P1", "P2", "P3"], 200).astype(object)
    mean = Found(patient_aucs(truth, scores, patients), None).mean
    assert mean == pytest.approx(roc_auc(truth[:, None], scores[:, None], patients)[0])


def areas(mean: float | None) -> Found:
    return Found({} if mean is None else {"P1": mean}, None if mean is not None else "no case")


@pytest.mark.parametrize(
    ("probe", "models", "doubted"),
    [
        (0.65, {"a": 0.97, "b": 0.55}, ["a", "b"]),  # strong in itself: whoever has a score is in doubt
        (0.6499, {"a": 0.97}, []),
        (0.60, {"a": 0.70, "b": 0.71}, ["a"]),  # exactly half of a's excess, less of b's
        (0.60, {"a": 0.50, "b": 0.40}, []),  # no excess, nothing to reach
        (0.57, {"a": 0.504, "b": 0.5749}, ["a", "b"]),  # next to none is an excess too: weak models
        (0.502, {"a": 0.504, "b": 0.5041}, ["a"]),
        (0.5375, {"a": 0.575}, ["a"]),  # half of what flags a probe is enough
        (0.45, {"a": 0.70}, []),
        (0.40, {"a": 0.30}, []),
        (None, {"a": 0.70}, []),
        (0.90, {"a": None}, []),
        (0.70, {}, []),
    ],
)
def test_doubt_falls_on_the_models_whose_excess_a_probe_explains(
    probe: float | None, models: dict[str, float | None], doubted: list[str]
) -> None:
    said = doubt(areas(probe), {name: areas(mean) for name, mean in models.items()}, PROBES)
    assert said["casts_doubt_on"] == doubted
    assert said["flagged"] == (bool(doubted) or (probe or 0) >= 0.65)
    assert said["strong"] == ((probe or 0) >= 0.65)
    assert bool(said["reasons"]) == said["flagged"]


def test_the_share_explained_is_of_the_excess_over_chance() -> None:
    assert reached(areas(0.6), areas(0.9)) == pytest.approx(0.25)
    assert reached(areas(0.4), areas(0.9)) == pytest.approx(-0.25)
    assert reached(areas(0.6), areas(0.504)) == pytest.approx(25)
    assert reached(areas(0.6), areas(0.5)) is None


def test_a_model_at_or_below_chance_is_named_with_its_own_area_and_not_cleared() -> None:
    models = {"good": areas(0.62), "coin": areas(0.5), "worst": areas(0.3821), "none": areas(None)}
    said = doubt(areas(0.591), models, PROBES)
    assert said["casts_doubt_on"] == ["good"]
    assert said["no_better_than_chance"] == {"coin": 0.5, "worst": 0.3821}
    assert doubt(areas(0.591), {"good": areas(0.5002)}, PROBES)["no_better_than_chance"] == {}


def test_a_flag_has_the_range_over_patients_beside_its_mean() -> None:
    probed = {("patient", 0, "brightness"): Found({"P1": 0.7, "P2": 0.95}, None)}
    found = results({("patient", 0, "a"): areas(0.4)}, probed, ["cord"], ["patient"], PROBES)
    flag = flags_of(found)[0]
    assert (flag["lowest"], flag["auc"], flag["highest"], flag["patients"]) == (0.7, 0.825, 0.95, 2)
    assert flag["no_better_than_chance"] == {"a": 0.4}


def test_a_model_with_less_than_half_of_a_flag_s_excess_is_called_weak() -> None:
    said = doubt(areas(0.57), {"a": areas(0.5749), "b": areas(0.575), "c": areas(None)}, PROBES)
    assert said["weak_models"] == ["a"]  # 0.075 is half of 0.65 - 0.5
    assert said["reasons"] == ["reaches 93% of a's excess over 0.5 (weak model)", "reaches 93% of b's excess over 0.5"]
