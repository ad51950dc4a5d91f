"""Sentences of the page that must stay true where other params, another cohort or other networks are behind it."""

import re
from pathlib import Path
from typing import Any

import pytest

from stages.bedside.limits import limits
from stages.common.clips.cine import covers
from stages.extract_frames import Params
from stages.report import __main__ as report
from stages.report.card import facts
from stages.report.checklists import filled, read_checklist
from stages.report.inputs import Data, read
from stages.report.page import environment
from stages.report.sections import calibration, comparison, gallery, leakage, verdict
from stages.report.wording import coded
from tests import report_inputs
from tests.report_inputs import Made
from tests.test_report import Tags
from tests.workspace import ROOT, read_params_file

PHANTOM_RUNS_FAST = "Where phantom.scale is below 1, a simulated sweep runs faster than life"


def data_of(root: Path, **made: Any) -> Data:
    return read(Made(root, **made).write(), root)


@pytest.fixture
def data(tmp_path: Path) -> Data:
    return data_of(tmp_path)


def drawn(data: Data, name: str, section: Any) -> str:
    """Return one section's text as the page has it."""
    return " ".join(re.sub(r"<[^>]+>", " ", environment().get_template(f"{name}.html").render(section(data))).split())


def item(data: Data, name: str, number: str) -> dict[str, Any]:
    return next(of for of in filled(read_checklist(name), facts(data))["items"] if of["item"] == number)


@pytest.mark.parametrize("explained", [["frame", "patient"], ["patient"], ["leave_one_patient_out"], []])
def test_the_gallery_says_where_the_headline_s_errors_are_not_in_it(tmp_path: Path, explained: list[str]) -> None:
    data = data_of(tmp_path, protocols=("frame", "patient", "leave_one_patient_out"))
    model = data.results["explain"]["models"][0]
    data.results["explain"]["models"] = [model | {"protocol": name} for name in explained]
    told = f"under protocol {' and '.join(explained)}." if explained and "patient" in explained else None
    said = gallery.left_out(data)
    assert (said is None) == (told is None)
    if told:
        assert said is not None
        assert said.startswith("The errors of the headline, leave one patient out, are not here:")
        assert said.endswith(told)
        assert said in drawn(data, "gallery", gallery.section)


def test_a_simulated_sweep_that_runs_faster_than_life_says_so() -> None:
    said = {cohort: " ".join(limits(cohort, {})) for cohort in ("phantom", "mine")}
    assert PHANTOM_RUNS_FAST in said["phantom"]
    assert PHANTOM_RUNS_FAST not in said["mine"]


@pytest.mark.parametrize("layers", [[], [None, None], [None, "layer4"]])
def test_heatmaps_are_claimed_of_the_networks_that_have_one(data: Data, layers: list[str | None]) -> None:
    models = data.results["explain"]["models"]
    assert [of["model"] for of in models] == ["alexnet", "resnet18"]
    data.results["explain"]["models"] = [of | {"layer": name} for of, name in zip(models, layers, strict=False)]
    for number in ("31", "39"):
        found = item(data, "claim_2024", number)
        if "layer4" in layers:
            assert found["status"] == "filled"
            assert "of resnet18" in found["says"]
            assert "alexnet" not in found["says"]
        else:
            assert found["status"] == "partly"
            assert "heatmaps (no network was explained that has a late convolutional map)" in found["says"]


def test_bundles_are_claimed_of_the_trainings_that_leave_one(tmp_path: Path) -> None:
    data = data_of(tmp_path, protocols=("patient", "leave_one_patient_out"))
    data.params["protocols"], data.params["folds"] = {"patient": {}}, {"0": {}}
    said = item(data, "tripod_ai", "22")["says"]
    assert said.startswith(f"A bundle of each network under protocol patient, seed {data.params['seed']}:")
    assert "Folds and further seeds, where there are any, write predictions alone." in said


@pytest.mark.parametrize("setting", ["auto", "always", "never"])
@pytest.mark.parametrize("cohort", ["phantom", "mine"])
def test_lettering_is_said_to_be_black_where_extract_frames_makes_it_so(
    tmp_path: Path, cohort: str, setting: str
) -> None:
    data = data_of(tmp_path, cohort=cohort)
    data.params["extract_frames"]["cover_lettering"] = setting
    shipped = read_params_file(ROOT / "params.yaml")
    whole = {name: shipped[name] for name in Params.model_fields} | {"extract_frames": data.params["extract_frames"]}
    black = covers(Params.model_validate(whole).extract_frames, cohort)
    assert ("lettering that stands still drawn black" in item(data, "claim_2024", "9")["says"]) == black
    told = "Bright lettering that stands still is drawn black in the pictures."
    assert (told in item(data, "claim_2024", "11")["says"]) == black
    assert ("Bright lettering is not covered." in item(data, "claim_2024", "11")["says"]) != black


@pytest.mark.parametrize(("protocol", "who"), [("patient", "other infants"), ("frame", "validation frames")])
def test_the_reliability_plot_says_what_its_bins_pool(tmp_path: Path, protocol: str, who: str) -> None:
    data = data_of(tmp_path, protocols=(protocol,))
    told = f"Bins pool the frames of all tested infants, each with the temperature that {who} chose."
    assert told in drawn(data, "calibration", calibration.section)
    points = calibration.section(data)["reliability"][0].spec["layer"][-1]
    assert {"field": "patients", "type": "quantitative"} in points["encoding"]["tooltip"]


def test_a_mean_and_its_range_are_not_called_an_interval(data: Data) -> None:
    said = drawn(data, "comparison", comparison.section)
    assert (
        "intervals over infants and diamonds pooled values; of macro F1 they are ranges over infants and means" in said
    )


def test_how_near_changes_lie_stands_beside_how_many_there_are(data: Data) -> None:
    boundaries = data.results["bedside"]["protocols"]["patient"]["models"]["chosen"]["boundaries"]
    boundaries |= {"expert": 16, "model": 236, "matched": 16, "median_frames": 1.0}
    said = drawn(data, "verdict", verdict.section)
    assert "the more often a model changes (236 times for the expert's 16), the nearer by chance" in said
    assert "Frames apart: of matched changes alone" in said


def test_what_stands_in_backticks_is_code_and_escaped_first() -> None:
    assert coded("`a<b>` & `c`") == "<code>a&lt;b&gt;</code> &amp; <code>c</code>"
    assert coded("a ` alone") == "a ` alone"
    assert coded(coded("`a` < b")) == "<code>a</code> &lt; b"
    assert coded(None) is None


def test_no_sentence_of_a_stage_shows_its_backticks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_inputs, "LEFT_OUT", "`seeds` < 2: declare `<more>`")
    html = report.page(data_of(tmp_path, cohort="mine", estimable=False))
    assert "Not shown: <code>seeds</code> &lt; 2: declare <code>&lt;more&gt;</code>." in html  # chance in training
    assert "not estimable: <code>seeds</code> &lt; 2: declare <code>&lt;more&gt;</code>" in html
    assert "set <code>report.patient_pixels: true</code> in params.yaml and run <code>dvc repro report</code>." in html
    tags = Tags(html)
    assert "`" not in "".join(tags.text)
    assert not [of for _, of in tags.found if any("<code>" in (value or "") for value in of.values())]


def test_a_tooltip_keeps_its_backticks(tmp_path: Path) -> None:
    data = data_of(tmp_path, protocols=("frame", "patient"))
    for gaps in data.results["leakage"]["optimism"]["against"].values():
        for figure in (figure for of in gaps.values() for figure in of.values()):
            figure |= {"gap": None, "why": "no `seeds`"}
    assert '<span title="no `seeds`">' in environment().get_template("leakage.html").render(leakage.section(data))
