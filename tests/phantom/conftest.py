"""Small, quick phantoms: parameters and one rendered cohort that the tests share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stages.phantom.__main__ import write_cohort
from stages.phantom.params import Layout, Params, Phantom, Prevalence, Range


def make_params(seed: int = 3, **changes: Any) -> Params:
    """Parameters of a study cohort in small pictures; `changes` replace fields of `phantom`."""
    phantom = Phantom(
        layout="study", scale=1.0, messy_labels=False, frame_rate_hz=30, width_px=160, height_px=130,
        depth_cm=Range(min=2.0, max=4.0), dynamic_range_db=80.0, gain_db=Range(min=-5.0, max=5.0),
        collection_share=0.25, mimic_share=0.25, sweep_candidates=60,
        prevalence=Prevalence(cord=0.196, fluid=0.735, bad_quality=0.165, cord_and_fluid=0.105),
    )  # fmt: skip
    return Params(seed=seed, phantom=phantom.model_copy(update=changes))


@pytest.fixture(scope="session")
def small() -> Params:
    return make_params(layout=Layout(patients=3, clips_per_patient=1, frames_per_clip=240), scale=0.05)


@pytest.fixture(scope="session")
def cohort(small: Params, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a cohort of three clips with twelve frames each."""
    out = tmp_path_factory.mktemp("phantom") / "cohort"
    write_cohort(small, out)
    return out
