"""The stage whole, on made-up predictions: its files, its verdict recounted, and cohorts that leave little to say."""

import contextlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from stages.bedside import __main__ as bedside
from stages.bedside.limits import limits
from stages.common.core.errors import PipelineError
from stages.common.core.params import read_params
from stages.common.core.tables import write_table
from tests.evaluate_workspace import FRAME_ONLY, PARAMS, build
from tests.split_cohort import LABELS
from tests.workspace import ROOT

SECTION = """
bedside:
  operating_point:
    temperature: {min: 0.1, max: 10.0}
    maximise: {cord: sensitivity}
    caps: {cord: {false_positive_rate: 0.2}, fluid: {false_positive_rate: 0.1}}
    fallback: 0.5
  sustained_s: 0.1
  longest_frame_s: 0.2
  boundary_frames: 15
  reliability_bins: 10
"""
BASELINES = ["label_copy", "majority"]
MODELS = [*BASELINES, "alexnet", "resnet18", "vgg16", "chosen"]
PLOTS = ["calibration", "clips", "patient_calibration", "patients", "thresholds", "timelines"]


def built(root: Path, params: str) -> Path:
    """Build what the stage reads in `root`; clips of 60 frames at 30 a second."""
    with contextlib.chdir(root):
        build(root, params + SECTION)
    labels = pd.read_csv(root / "data/label_merge/labels.csv")
    frames = labels[["frame_id", "clip_id", "patient", "frame_index"]]
    write_table(root / "data/extract_frames/frames.csv", frames.assign(time_s=(frames["frame_index"] / 30).round(3)))
    return root


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace of all three protocols; read it, and change copies."""
    return built(tmp_path_factory.mktemp("three"), PARAMS)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, three: Path) -> Path:
    """The same after the stage: to read only."""
    root = shutil.copytree(three, tmp_path_factory.mktemp("done") / "root")
    with contextlib.chdir(root):
        bedside.main()
    return root


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace of protocol frame alone."""
    return built(tmp_path_factory.mktemp("one"), FRAME_ONLY)


@pytest.fixture
def whole(three: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of `three`, as the working directory."""
    monkeypatch.chdir(shutil.copytree(three, tmp_path / "root"))
    return tmp_path / "root"


@pytest.fixture
def small(one: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of `one`, as the working directory."""
    monkeypatch.chdir(shutil.copytree(one, tmp_path / "root"))
    return tmp_path / "root"


def content(root: Path) -> dict:
    return json.loads((root / "metrics/bedside.json").read_text())


def plot(root: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(root / f"metrics/plots/bedside_{name}.csv")


def outputs(root: Path) -> dict[str, bytes]:
    found = [*(root / "data/bedside").rglob("*.csv"), *(root / "metrics").rglob("*bedside*")]
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(found)}


def test_every_protocol_and_model_has_its_files(whole: Path) -> None:
    bedside.main()
    found = content(whole)
    assert found["headline_protocol"] == "leave_one_patient_out"
    assert found["models"] == MODELS
    assert list(found["protocols"]) == ["frame", "patient", "leave_one_patient_out"]
    tables = sorted(str(path.relative_to("data/bedside")) for path in Path("data/bedside").rglob("*.csv"))
    assert tables == sorted(f"{protocol}/{model}.csv" for protocol in found["protocols"] for model in MODELS)
    assert sorted(path.stem.removeprefix("bedside_") for path in Path("metrics/plots").glob("bedside_*.csv")) == PLOTS
    first = outputs(whole)
    bedside.main()
    assert outputs(whole) == first  # same inputs, same bytes


def test_without_a_stop_no_infant_is_at_risk_of_a_dangerous_go(one: Path, tmp_path: Path) -> None:
    root = shutil.copytree(one, tmp_path / "root")
    params = (root / "params.yaml").read_text()
    (root / "params.yaml").write_text(params.replace("stop: {cord: 1}", "stop: {}"))
    with contextlib.chdir(root):
        bedside.main()
    for found in content(root)["protocols"]["frame"]["models"].values():
        harm = found["dangerous"]
        assert (harm["infants"], harm["infants_at_risk"], harm["frames"]) == (0, 0, 0)
        assert "no" in harm["why"]
    assert unexplained(content(root)) == []


def unexplained(found: Any, explained: bool = False, path: str = "") -> list[str]:
    """Return where a figure is null and no `why` stands beside it or above."""
    if isinstance(found, dict):
        explained = explained or bool(found.get("why"))
        parts = {key: value for key, value in found.items() if not str(key).endswith("why")}
        return [place for key, value in parts.items() for place in unexplained(value, explained, f"{path}/{key}")]
    return [path] if found is None and not explained else []


def test_every_null_has_a_reason(done: Path) -> None:
    assert unexplained({"a": None, "why": None}) == ["/a"]
    assert unexplained(content(done)) == []


def test_the_verdict_is_what_the_decisions_table_shows(done: Path) -> None:
    for model in MODELS:
        table = pd.read_csv(done / f"data/bedside/leave_one_patient_out/{model}.csv")
        found = content(done)["protocols"]["leave_one_patient_out"]["models"][model]
        for kind, truth in (("dangerous", "stop"), ("futile", "no view")):
            hit = table[(table["decision"] == "GO") & (table["truth"] == truth)]
            assert found[kind]["infants"] == hit["patient"].nunique()
            assert found[kind]["infants_at_risk"] == table.loc[table["truth"] == truth, "patient"].nunique()
            assert found[kind]["frames"] == len(hit)
            assert found[kind]["seconds"] == pytest.approx(hit["duration_s"].sum(), abs=1e-4)
            table["hit"] = table.index.isin(hit.index)
            spells = [
                sum(row.duration_s for row in rows)
                for _, clip in table.groupby("clip_id")
                for wrong, rows in groupby(clip.itertuples(), key=lambda row: row.hit)
                if wrong
            ]
            assert found[kind]["longest_run_s"] == pytest.approx(max(spells, default=0), abs=1e-4)
        assert found["go"]["unknown_frames"] == (table["truth"] == "unknown").sum()


def test_probabilities_and_answers_follow_from_the_written_operating_points(done: Path) -> None:
    points = plot(done, "thresholds")
    points = points[points["protocol"] == "leave_one_patient_out"]
    assert points["unit"].nunique() == 9
    for model in ("alexnet", "vgg16"):
        table = pd.read_csv(done / f"data/bedside/leave_one_patient_out/{model}.csv")
        mine = points[points["model"] == model].pivot(index="unit", columns="label", values="threshold")
        for label in LABELS:
            threshold = table["patient"].map(mine[label])
            sure = (table[f"{label}_probability"] - threshold).abs() > 1e-5  # the tables are rounded
            said = table[f"{label}_probability"] >= threshold
            assert (said == table[f"{label}_said"].astype(bool))[sure].all()
            spread = content(done)["protocols"]["leave_one_patient_out"]["operating_point"][model]["labels"][label]
            finite = mine.loc[mine[label] < 1, label]  # 1: no frame is called yes
            assert spread["never"] == len(mine) - len(finite)
            assert (spread["threshold"] or {}).get("median") == (
                pytest.approx(finite.median(), abs=1e-4) if len(finite) else None
            )
            cap = {"cord": 0.2, "fluid": 0.1}.get(label, 1.0)
            assert spread["false_positive_rate"]["max"] <= cap


def test_chosen_repeats_the_winner_of_each_infant(done: Path) -> None:
    won = content(done)["protocols"]["leave_one_patient_out"]["winner"]["infants"]
    chosen = pd.read_csv(done / "data/bedside/leave_one_patient_out/chosen.csv")
    assert chosen.groupby("patient")["answered_by"].agg(set).map(lambda who: next(iter(who))).to_dict() == {
        patient: model for patient, model in won.items() if model
    }
    for model in set(filter(None, won.values())):
        own = pd.read_csv(done / f"data/bedside/leave_one_patient_out/{model}.csv").set_index("frame_id")
        rows = chosen[chosen["answered_by"] == model].set_index("frame_id")
        assert rows["decision"].equals(own.loc[rows.index, "decision"])


def test_timelines_hold_the_headline_s_networks_and_chosen(done: Path) -> None:
    lines = plot(done, "timelines")
    assert set(lines["protocol"]) == {"leave_one_patient_out"}
    assert list(lines["model"].unique()) == MODELS[2:]
    assert lines.groupby("model").size().loc["alexnet"] == len(pd.read_csv(done / "data/label_merge/labels.csv"))
    assert {"time_s", "truth", "decision", "cord_probability", "cord_truth"} <= set(lines.columns)


def test_the_frame_protocol_says_that_nothing_lasts_and_that_it_leaks(small: Path) -> None:
    bedside.main()
    found = content(small)
    assert found["headline_protocol"] == "frame"
    part = found["protocols"]["frame"]
    assert part["continuous"] is False
    assert "scattered" in part["models"]["alexnet"]["sustained_go"]["why"]
    assert part["choosing_rows"] == "The validation rows choose for all test rows."
    assert any("stand on both sides" in line for line in found["limits"])
    assert unexplained(content(small)) == []


def test_the_limits_of_the_study_are_said(done: Path) -> None:
    said = " ".join(content(done)["limits"])
    assert "simulated infants" in said
    assert all(words in said for words in ("no vertebral number", "needle are not assessed", "earlier puncture"))
    decided = pd.read_csv(done / "data/bedside/leave_one_patient_out/majority.csv")
    for kind, truth in (("dangerous", "stop"), ("futile", "no view")):
        risk = decided.loc[decided["truth"] == truth, "patient"].nunique()
        line = f"Under protocol leave_one_patient_out {risk} of 9 tested infants can show a {kind} GO"
        assert line in said
        assert f"in up to {100 * (1 - 0.025 ** (1 / risk)):.0f} % of such infants" in said.split(line)[1]
    assert "seen that infant in training" in said


def test_a_kind_of_error_that_no_infant_can_show_is_said_to_be_unknown() -> None:
    said = limits("phantom", {"patient": {"infants": 3, "dangerous": 0, "futile": 1}})
    assert any("none of 3 tested infants can show a dangerous GO" in line for line in said)
    assert any("1 of 3 tested infants can show a futile GO" in line and "up to 98 %" in line for line in said)


def test_without_a_winner_chosen_is_silent_and_the_reasons_stand(small: Path) -> None:
    (small / "params.yaml").write_text(FRAME_ONLY.replace("{sensitivity: 0.5}", "{sensitivity: 1.0}") + SECTION)
    bedside.main()
    part = content(small)["protocols"]["frame"]
    assert part["models"]["chosen"]["why"].startswith("no model met the conditions of the doctor's rule")
    assert set(part["winner"]["infants"].values()) == {None}
    assert "sensitivity of fluid must be at least 1" in part["winner"]["why"]["all"]
    assert len(pd.read_csv("data/bedside/frame/chosen.csv")) == 0
    assert set(plot(small, "clips")["model"]) == set(MODELS) - {"chosen"}
    assert unexplained(content(small)) == []


def constant(labels: pd.DataFrame) -> pd.DataFrame:
    return labels.assign(cord=0.0)


def unknown(labels: pd.DataFrame) -> pd.DataFrame:
    return labels.assign(cord=np.nan, fluid=np.nan)


@pytest.mark.parametrize("change", [constant, unknown])
def test_labels_without_cases_leave_reasons_and_no_crash(whole: Path, change: Callable) -> None:
    path = whole / "data/label_merge/labels.csv"
    write_table(path, change(pd.read_csv(path)))
    bedside.main()
    part = content(whole)["protocols"]["leave_one_patient_out"]
    assert "of cord" in part["operating_point"]["alexnet"]["labels"]["cord"]["why"][0]
    assert part["models"]["alexnet"]["calibration"]["cord"]["slope"] is None
    assert part["models"]["alexnet"]["dangerous"]["infants_at_risk"] == 0
    assert part["models"]["alexnet"]["dangerous"]["interval_95_at_risk"] is None
    assert unexplained(content(whole)) == []


def test_a_collapsed_model_is_judged_and_never_wins(small: Path) -> None:
    path = small / "data/predictions/frame/0/1/resnet18.csv"
    write_table(path, pd.read_csv(path).assign(**dict.fromkeys(LABELS, 0.5)))
    bedside.main()
    part = content(small)["protocols"]["frame"]
    assert "resnet18" not in part["winner"]["counts"]
    assert part["models"]["resnet18"]["calibration"]["cord"]["slope"] is None
    whys = plot(small, "patient_calibration").query("model == 'resnet18'")["why"]
    assert "the same probability for every frame" in set(whys)


def test_a_single_patient_on_test_and_none_to_choose(whole: Path) -> None:
    """One infant per side: the patient-wise bound is nearly everything, and that is what is said."""
    split = pd.read_csv("data/split/patient.csv", dtype=str)
    patients = split["frame_id"].map(pd.read_csv("data/label_merge/labels.csv").set_index("frame_id")["patient"])
    sides = {"P001": "test", "P002": "validation"}
    write_table(Path("data/split/patient.csv"), split.assign(side=patients.map(sides).fillna("train")))
    text = PARAMS.replace("{frame: {}, patient: {}}", "{patient: {}}").replace('{"0": {}, "1": {}, "2": {}}', "{}")
    (whole / "params.yaml").write_text(text + SECTION)
    asked = pd.read_csv("data/split/patient.csv").query("side != 'train'")
    rng = np.random.default_rng(0)
    for model in MODELS[2:-1]:
        scores = pd.DataFrame(rng.random((len(asked), 3)), columns=list(LABELS))
        scores.insert(0, "frame_id", asked["frame_id"].to_numpy())
        scores.insert(1, "split", asked["side"].to_numpy())
        write_table(whole / f"data/predictions/patient/0/1/{model}.csv", scores)
    bedside.main()
    found = content(whole)["protocols"]["patient"]
    assert found["tested"]["infants"] == 1
    assert found["models"]["alexnet"]["dangerous"]["of_infants"] == 1
    assert not (whole / "data/predictions/frame").exists()  # no longer declared


def test_clips_without_times_are_counted_in_frames(small: Path) -> None:
    path = small / "data/extract_frames/frames.csv"
    write_table(path, pd.read_csv(path).assign(time_s=np.nan))
    bedside.main()
    part = content(small)["protocols"]["frame"]
    assert part["tested"]["seconds"] is None
    assert part["models"]["label_copy"]["futile"]["of_infants"] == 9
    assert part["models"]["label_copy"]["futile"]["seconds"] is None
    assert unexplained(content(small)) == []


def test_thinned_clips_are_told_in_the_verdict_and_in_the_text(small: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = small / "data/extract_frames/frames.csv"
    table = pd.read_csv(path)
    write_table(path, table.assign(time_s=table["frame_index"] * 1.0))  # a frame a second, each standing 0.2 s
    bedside.main()
    part = content(small)["protocols"]["frame"]
    tested, said = part["tested"], part["continuous_why"]
    assert tested["thinned_clips"] == tested["clips"] > 0
    assert tested["seconds"] == pytest.approx(0.2 * tested["frames"])
    assert f"{tested['seconds']:.1f} of {tested['span_seconds']:.1f} s looked at" in said
    assert said in capsys.readouterr().out
    assert part["continuous"] is False
    assert plot(small, "clips")["span_s"].sum() > plot(small, "clips")["seconds"].sum()


def test_another_organ_s_labels_run(whole: Path) -> None:
    names = {"bad_quality": "shadow", "cord": "vessel", "fluid": "nerve"}

    def renamed(text: str) -> str:
        return re.sub("|".join(names), lambda found: names[found.group()], text)

    (whole / "params.yaml").write_text(renamed(PARAMS + SECTION))
    for path in [whole / "data/label_merge/labels.csv", *(whole / "data/predictions").rglob("*.csv")]:
        write_table(path, pd.read_csv(path).rename(columns=names))
    bedside.main()
    assert content(whole)["decision"]["vetoes"] == ["shadow"]
    assert "vessel_probability" in pd.read_csv("data/bedside/patient/alexnet.csv").columns


def test_a_dropped_model_leaves_the_outputs(small: Path) -> None:
    bedside.main()
    (small / "params.yaml").write_text(FRAME_ONLY.replace(", vgg16: {}", "") + SECTION)
    bedside.main()
    assert not (small / "data/bedside/frame/vgg16.csv").exists()
    assert "vgg16" not in content(small)["models"]


def test_names_must_be_names(small: Path) -> None:
    text = (FRAME_ONLY.replace("vgg16: {}", "chosen: {}") + SECTION).replace(
        "{cord: sensitivity}", "{chord: sensitivity}"
    )
    (small / "params.yaml").write_text(text.replace("caps: {cord", "caps: {chord"))
    with pytest.raises(PipelineError, match=r"(?s)3 problems.*maximise.*'chord'.*caps.*'chord'.*got chosen"):
        bedside.main()


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        ("caps: {cord: {false_positive_rate: 0.2}, ", "caps: {", "a cap for each label of maximise; none for cord"),
        ("{min: 0.1, max: 10.0}", "{min: 10.0, max: 0.1}", "min below max"),
        ("{false_positive_rate: 0.1}", "{false_positive_rate: 10}", "caps.fluid.false_positive_rate"),
        ("fallback: 0.5", "fallback: 50", "bedside.operating_point.fallback"),
        ("sustained_s: 0.1", "sustained_s: 0", "bedside.sustained_s"),
        ("reliability_bins: 10", "reliability_bins: 1", "bedside.reliability_bins"),
        ("boundary_frames: 15", "boundary_frames: -1", "bedside.boundary_frames"),
        ("longest_frame_s: 0.2", "longest_frame: 0.2", "bedside.longest_frame: unknown key"),
    ],
)
def test_params_mistakes_are_named(small: Path, right: str, wrong: str, message: str) -> None:
    text = FRAME_ONLY + SECTION
    assert right in text
    (small / "params.yaml").write_text(text.replace(right, wrong))
    with pytest.raises(PipelineError, match=re.escape(message)):
        bedside.main()


def test_missing_files_come_together(small: Path) -> None:
    for path in (small / "data/predictions").rglob("*.csv"):
        path.unlink()
    with pytest.raises(PipelineError, match="3 declared files are missing"):
        bedside.main()


def test_the_shipped_section_is_valid() -> None:
    assert read_params(bedside.Params, ROOT / "params.yaml").bedside.operating_point.maximise == {"cord": "sensitivity"}


def test_bedside_imports_no_torch() -> None:
    loaded = "any(name in sys.modules for name in ('torch', 'torchvision', 'cv2'))"
    code = f"import sys, stages.bedside.__main__; sys.exit({loaded})"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
