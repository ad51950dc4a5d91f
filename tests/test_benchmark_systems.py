"""The benchmark of baselines and models over time: it runs from end to end at a tiny size; its figures are no test."""

import numpy as np
import pytest

from tests.benchmark import systems
from tests.benchmark.__main__ import PARTS


def test_baselines_are_timed_with_texture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")  # no further processes: each takes a second to start
    found = systems.baselines(scale=0.03, size_px=32, asked=("logistic_texture",))
    assert found["s"].keys() == {"texture", "logistic_texture"}
    assert found["whole_s"] == pytest.approx(sum(found["s"].values()), abs=0.2)
    assert found["in_bound"]


def test_learnt_models_over_time_are_timed_and_smoothers_left_out() -> None:
    found = systems.sequences(scale=0.03, size_px=32, asked=("gru_resnet18", "median_resnet18"))
    assert found["s"].keys() == {"gru_resnet18"}
    assert found["in_bound"]


def test_the_made_up_cohort_is_of_the_study_s_size() -> None:
    labels = systems.made_labels()
    assert (len(labels), labels["clip_id"].nunique(), labels["patient"].nunique()) == (3388, 13, 8)
    assert (labels[["bad_quality", "cord", "fluid"]].mean().between(0.05, 0.95)).all()


def test_every_kind_of_system_is_asked_for() -> None:
    """As the README names them."""
    kinds = {of["classifier"] for of in systems.params_for("baselines", None)["baselines"].values()}
    assert kinds == {"knn", "tree", "logistic", "boosting"}
    kinds = {of["model"] for of in systems.params_for("sequences", None)["sequences"].values()}
    assert kinds >= {"gru", "lstm", "transformer"}
    assert {"baselines", "sequences"} <= PARTS.keys()


def test_speckle_is_bright_where_the_echo_is() -> None:
    """Near the skin: further down the dark half is cut at black."""
    plain, bright = (systems.speckle(np.random.default_rng(0), 64, by)[:8, 8:-8].mean() for by in (1, 3))
    assert bright == pytest.approx(plain + 20 * np.log10(3) * 255 / 80, abs=1)
