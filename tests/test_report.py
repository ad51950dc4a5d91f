"""The report page: what it says, what it keeps to itself, and that it stands alone."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from dvc.repo import Repo

from stages.common.core.errors import PipelineError
from stages.common.evaluation import baselines, decision
from stages.common.protocols import PATIENT_DISJOINT
from stages.report import __main__ as report
from stages.report.card import epochs_sentence, facts, ways_of_choosing
from stages.report.charts import MODELS, palette, values
from stages.report.checklists import NAMES, Item, filled, read_checklist
from stages.report.digests import digest, inputs
from stages.report.inputs import BASELINES, Data, pinned_versions, read
from stages.report.learning import learning
from stages.report.page import embedded_json
from stages.report.sections import (
    calibration,
    comparison,
    confusion,
    gallery,
    leakage,
    rates,
    study,
    timelines,
    verdict,
)
from stages.report.wording import count, figure, listed, not_estimable, percent
from tests.report_inputs import LEFT_OUT, Made
from tests.study_page import KINDS, STUDY, entry
from tests.workspace import ROOT, read_params_file

VOID = {"meta", "link", "img", "br", "input", "hr"}


def data_of(root: Path, pixels: bool = False, **made: Any) -> Data:
    return read(Made(root, **made).write(pixels), root)


def page_of(root: Path, pixels: bool = False, **made: Any) -> str:
    return report.page(data_of(root, pixels, **made))


class Tags(HTMLParser):
    """Every tag with its attributes, and whether each closes in its turn."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag, f"</{tag}> closes another tag"

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in {"script", "style"}:
            self.text.append(data)


def pictures(html: str) -> int:
    """Count the pictures of frames: all but the plot of their embedding."""
    images = [dict(attributes) for tag, attributes in Tags(html).found if tag == "img"]
    return sum("as a point" not in image["alt"] for image in images)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    return page_of(tmp_path_factory.mktemp("report"))


def test_the_page_is_well_formed(page: str) -> None:
    tags = Tags(page)
    assert not tags.open
    names = [of["id"] for _, of in tags.found if "id" in of]
    assert len(names) == len(set(names)), "an id stands twice"
    links = {of["href"] for tag, of in tags.found if tag == "a" and of.get("href")}
    assert {link.removeprefix("#") for link in links if link and link.startswith("#")} <= set(names)


def test_every_section_stands_in_reading_order_and_the_verdict_leads(page: str) -> None:
    order = [of["id"] for tag, of in Tags(page).found if tag == "section"]
    assert order == [name for name, *_ in report.SECTIONS]
    assert order[0] == "verdict"


def test_a_decision_without_a_stop_is_told(tmp_path: Path) -> None:
    data = data_of(tmp_path)
    data.params["evaluate"]["decision"]["stop"] = {}
    said = report.page(data)
    assert "GO where the expert says stop (no label says so)" in said
    assert "stop ()" not in said
    assert facts(data)["decision_sentence"].endswith("; no label says stop.")


def test_the_page_names_nothing_outside_itself(page: str) -> None:
    for tag, of in Tags(page).found:
        for name in ("src", "href", "srcset", "action", "poster"):
            assert not re.match(r"(https?:)?//", of.get(name) or ""), f"<{tag} {name}={of[name]}>"
    style = page.split("<style>")[1].split("</style>")[0]
    assert "@import" not in style
    assert "url(" not in style
    assert "default-src 'none'" in page


def test_the_bundle_stands_once(page: str) -> None:
    assert page.count("window.vegaEmbed=") == 1
    assert len(page) < 1_500_000


def test_the_page_of_a_study_stays_small_enough_to_send(tmp_path: Path) -> None:
    html = page_of(tmp_path, **STUDY)
    assert len(html.encode()) < 15_000_000
    assert pictures(html) == 60 + 2  # the gallery and two sheets
    assert html.count("<h4>C013, infant P005: agrees") == 1 + len(STUDY["models"])  # timelines of every network
    points = {"ROC: cord": 5 * 678, "Precision and recall: cord": 5 * 678, "C013, infant P005": 3 * 261}
    for title, count_of in points.items():
        assert html.split(title, 1)[1].split("</script>")[0].count(r"\n") >= count_of, (
            f"{title}: not all points are drawn"
        )


def test_made_up_frames_of_the_study_s_size_pack_no_better_than_the_phantom_s() -> None:
    """Six of the phantom's at 224 px, in the gallery beside themselves under their heat, took 24 to 38 kB."""
    assert all(len(entry(kind)) > 38_000 for kind in range(KINDS))


def test_the_same_inputs_give_the_same_bytes(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    assert page_of(tmp_path / "one") == page_of(tmp_path / "two")


def test_main_writes_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: str) -> None:
    Made(tmp_path).write()
    monkeypatch.chdir(tmp_path)
    report.main()
    assert (tmp_path / "metrics/report.html").read_text() == page


def test_all_missing_inputs_are_named_at_once(tmp_path: Path) -> None:
    params = Made(tmp_path).write()
    for name in ("bedside.json", "plots/roc.csv"):
        (tmp_path / "metrics" / name).unlink()
    with pytest.raises(PipelineError, match=r"(?s)2 problems.*metrics/bedside\.json: missing.*metrics/plots/roc\.csv"):
        read(params, tmp_path)


def test_a_broken_input_is_named(tmp_path: Path) -> None:
    params = Made(tmp_path).write()
    (tmp_path / "metrics/audit.json").write_text("{")
    with pytest.raises(PipelineError, match=r"audit\.json cannot be read as JSON.*dvc repro"):
        read(params, tmp_path)


def test_a_phantom_says_so_and_another_cohort_does_not(tmp_path: Path, page: str) -> None:
    assert "Numbers on a phantom." in page
    assert "Numbers on a phantom." not in page_of(tmp_path, cohort="mine")


def test_patients_pixels_stay_off_the_page_unless_asked_for(tmp_path: Path, page: str) -> None:
    held, shown = tmp_path / "held", tmp_path / "shown"
    held.mkdir()
    shown.mkdir()
    withheld = page_of(held, cohort="mine")
    assert pictures(withheld) == 0
    assert withheld.count("base64,iVBOR") == 1  # how every PNG begins: the embedding's, which is a plot of points
    assert "patient_pixels: true" in withheld
    assert pictures(page_of(shown, cohort="mine", pixels=True)) == pictures(page) == 4  # two sheets, two of the gallery


def test_pictures_past_the_limit_are_listed_in_words(page: str) -> None:
    assert page.count('alt="Frame ') == 2
    assert "All 4 frames in words" in page


def test_hostile_names_are_text(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>"
    html = page_of(
        tmp_path, clips=(evil, "C</script><img src=x onerror=alert(2)>"), patient='"><b>', models=(evil, "b&b")
    )
    assert "<script>alert" not in html
    assert "<img src=x" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    tags = Tags(html)
    assert not tags.open
    assert not [tag for tag, of in tags.found if tag == "b" or "onerror" in of]


def test_json_cannot_break_out_of_its_script() -> None:
    assert "<" not in embedded_json({"a": "</script><!--"})
    assert embedded_json({"a": "\u2028"}) == '{"a":"\\u2028"}'


@pytest.mark.parametrize("protocols", [("frame",), ("patient",), ("frame", "patient", "leave_one_patient_out")])
def test_what_is_not_estimable_says_so_and_why(tmp_path: Path, protocols: tuple[str, ...]) -> None:
    html = page_of(tmp_path, estimable=False, protocols=protocols)
    text = " ".join(Tags(html).text)
    assert f"not estimable: {LEFT_OUT}" in text
    assert "No model may be used:" in text
    assert "That leaves 2 of 2 infants without a chosen model." in " ".join(text.split())
    assert not re.search(r"\b(nan|None|NaN|undefined)\b", text)


def test_other_labels_have_their_place(tmp_path: Path) -> None:
    made = {"labels": ("cord", "lung_sliding"), "protocols": ("patient",), "models": ("resnet18",)}
    assert "lung sliding" in page_of(tmp_path, **made)


def test_the_verdict_reads_as_a_doctor_says_it(tmp_path: Path) -> None:
    said = " ".join(verdict.section(data_of(tmp_path))["sentences"])
    assert "2 infants never seen in training" in said
    assert "GO where the expert says stop (cord) in 1 of the 2 infants at risk (3 frames)" in said
    assert "no target (fluid and no bad quality) in none of the 2 infants at risk" in said
    assert "it reached a correct GO of that length in 1" in said


def test_changes_of_both_sides_and_their_matches_are_on_the_page(page: str) -> None:
    said = " ".join(" ".join(Tags(page).text).split())
    assert "The expert's decision changes 4 times, the model's 7 times; 3 changes match" in said
    assert "1 of the expert's and 4 of the model's match none" in said


def test_what_the_expert_leaves_open_is_said_and_drawn(tmp_path: Path, page: str) -> None:
    said = " ".join(" ".join(Tags(page).text).split())
    assert "7 frames cannot be decided" in said
    assert "the model said GO in 5 of them" in said
    params, path = Made(tmp_path).write(), tmp_path / "metrics/plots/bedside_timelines.csv"
    rows = pd.read_csv(path)
    rows.assign(truth="unknown").to_csv(path, index=False)
    found = timelines.section(read(params, tmp_path))
    assert "unknown" in found["decisions"]
    assert "unknown" in found["strips"][0].spec["layer"][0]["encoding"]["color"]["scale"]["domain"]


def test_another_organ_s_decision_is_said_in_its_own_labels(tmp_path: Path) -> None:
    made, path = Made(tmp_path, labels=("vessel", "nerve")), tmp_path / "metrics/bedside.json"
    params = made.write()
    params["evaluate"]["decision"] = {"go": {"nerve": 1, "vessel": 0}, "stop": {"vessel": 1}}
    found = json.loads(path.read_text())
    found["protocols"]["patient"]["models"]["chosen"]["dangerous"] |= {"infants_at_risk": 1}
    path.write_text(json.dumps(found))
    data = read(params, tmp_path)
    said = " ".join(verdict.section(data)["sentences"])
    assert "says stop (vessel)" in said
    assert "no target (nerve)" in said
    part = report.page(data).split('<section id="verdict"')[1].split("</section>")[0]
    assert not re.search("cord|spin|fluid|punctur(e for|ing)", part.split('class="doubt"')[0])  # doubts are made up
    assert "1 of the 2 infants was at risk" in part


def test_calibration_by_infant_is_a_median_and_says_who_is_left_out(page: str) -> None:
    part = page.split("Calibration by infant")[1].split("</table>")[0]
    assert "0.200" in part
    assert "0.400" not in part
    assert "3 infants: all no" in part


def rows_of(data: Data) -> list[tuple[str, list[str]]]:
    return [(row["model"], row["cells"]) for row in verdict.section(data)["rows"]]


def changed(root: Path, model: str = "chosen", protocol: str = "patient", **parts: dict[str, Any]) -> Data:
    """Return the made inputs with parts of one model's verdict changed, as `dangerous={"infants": 0}`."""
    params, path = Made(root).write(), root / "metrics/bedside.json"
    found = json.loads(path.read_text())
    for name, change in parts.items():
        found["protocols"][protocol]["models"][model][name] |= change
    path.write_text(json.dumps(found))
    return read(params, root)


def test_what_a_model_finds_stands_beside_what_it_gets_wrong(tmp_path: Path) -> None:
    none = {"infants": 0, "frames": 0, "infants_at_risk": 1, "interval_95_at_risk": [0.0, 0.975]}
    silent = {"right_frames": 0, "undecided_frames": 0}
    data = changed(tmp_path, "alexnet", go=silent, dangerous=none, futile=none)
    found = dict(rows_of(data))
    assert found["resnet18"][0] == "24 of 30\n(80\u00a0%)"
    assert found["alexnet"][:2] == ["0 of 30:\nnever says GO", "0 of 1\n(0–98\u00a0%)"]
    assert "never says GO" in report.page(data)
    assert "never says GO" not in found["resnet18"][0]


def test_every_model_s_longest_run_stands_with_its_clip_though_none_is_chosen(tmp_path: Path) -> None:
    harm = {"seconds": 0.52, "longest_run_s": 0.434, "longest_run_clip": "C009"}
    data = changed(tmp_path, "alexnet", dangerous=harm, futile={"seconds": 0.0, "frames": 0, "longest_run_s": 0.0})
    data.results["bedside"]["protocols"]["patient"]["models"]["chosen"] = {"why": LEFT_OUT}
    cells = dict(rows_of(data))["alexnet"]
    assert (cells[2], cells[4]) == ("0.5\n(run 0.43,\nC009)", "0.0")
    assert "0.5\n(run 0.43,\nC009)" in report.page(data)


def test_seconds_of_thinned_clips_are_lower_bounds_wherever_they_stand(tmp_path: Path) -> None:
    thin = {"seconds": 2.0, "span_seconds": 12.4, "thinned_clips": 1}
    params, path = Made(tmp_path).write(), tmp_path / "metrics/bedside.json"
    found = json.loads(path.read_text())
    part = found["protocols"]["patient"]
    part |= {"continuous": False, "continuous_why": "2.0 of 12.4 s looked at"}
    for of in (part, *part["models"].values()):
        of["tested"] |= thin
    path.write_text(json.dumps(found))
    data = read(params, tmp_path)
    assert dict(rows_of(data))["alexnet"][2] == "≥ 0.1\n(run ≥ 0.10,\nC001)"
    said = " ".join(" ".join(Tags(report.page(data)).text).split())
    assert "2.0 of 12.4 s of ultrasound looked at" in said
    assert "at least 0.1 s in all; longest run at least 0.10 s (clip C001)" in said
    assert "2.0 of 12.4 s looked at" in said


def test_a_dash_is_explained_where_the_expert_has_no_sustained_go(tmp_path: Path) -> None:
    data = changed(tmp_path, "alexnet", sustained_go={"clips_with_one": 0, "reached": 0, "never": [], "delay_s": None})
    assert dict(rows_of(data))["alexnet"][5] == "—"
    assert "First sustained GO: the expert has no GO of 0.5 s here." in report.page(data)


@pytest.mark.parametrize(
    ("reached", "delay", "shown"), [(2, {"median": 0.44}, "0.4\n(2 of 5)"), (0, None, "never\n(0 of 5)")]
)
def test_the_first_sustained_go_stands_with_its_clips(
    tmp_path: Path, reached: int, delay: dict[str, float] | None, shown: str
) -> None:
    go = {"clips_with_one": 5, "reached": reached, "never": ["C001"] * (5 - reached), "delay_s": delay}
    data = changed(tmp_path, "alexnet", sustained_go=go, boundaries={"expert": 12, "model": 7, "matched": 3})
    assert dict(rows_of(data))["alexnet"][5] == shown
    assert dict(rows_of(data))["alexnet"][7:9] == ["7", "3 of 12"]


def test_one_reason_for_several_dashes_is_said_once(tmp_path: Path) -> None:
    scattered = {"why": "nothing follows"}
    data = changed(
        tmp_path, "alexnet", flicker_per_s={"mean": None} | scattered, boundaries={"median_frames": None} | scattered,
    )  # fmt: skip
    assert verdict.section(data)["dashes"] == ["first sustained GO, flicker and changes: nothing follows"]


def test_the_card_of_the_first_sustained_go_pairs_clips(page: str) -> None:
    said = " ".join(" ".join(Tags(page).text).split())
    assert "0.4 s behind the expert's median over the 1 clip in which both reach one (0.3 to 0.5 s)" in said
    assert "the expert's own: 0.6 s" not in said


def test_the_verdict_says_who_the_chosen_model_is_and_for_whom_there_is_none(tmp_path: Path) -> None:
    data = data_of(tmp_path)
    assert "It is alexnet for every one of them." in verdict.section(data)["sentences"]
    winner = data.results["bedside"]["protocols"]["patient"]["winner"]
    winner |= {"counts": {"alexnet": 3, "resnet18": 1}, "without": 4}
    said = " ".join(verdict.section(data)["sentences"])
    assert "For 4 of 8 infants no model could be chosen" in said
    assert "several models, each chosen by other infants: alexnet for 3 infants and resnet18 for 1 infant." in said


def test_no_infant_at_risk_is_no_good_news(tmp_path: Path) -> None:
    params, path = Made(tmp_path).write(), tmp_path / "metrics/bedside.json"
    found = json.loads(path.read_text())
    found["protocols"]["patient"]["models"]["chosen"]["dangerous"] |= {
        "infants": 0, "infants_at_risk": 0, "interval_95_at_risk": None,
    }  # fmt: skip
    path.write_text(json.dumps(found))
    data = read(params, tmp_path)
    assert "in no infant, but in none of them it could have" in " ".join(verdict.section(data)["sentences"])
    assert dict(rows_of(data))["chosen"][1] == "none at risk"
    assert facts(data)["dangerous"] is None
    assert "None was at risk" in report.page(data)


def test_a_leaking_protocol_is_never_called_unseen(tmp_path: Path) -> None:
    said = " ".join(verdict.section(data_of(tmp_path, protocols=("frame",)))["sentences"])
    assert "never seen" not in said
    assert "neighbouring frames were in training" in said


def test_probes_stand_beside_the_scores_that_they_doubt(tmp_path: Path, page: str) -> None:
    assert page.count("In doubt:") == 2  # under the verdict and in the comparison
    said = leakage.doubts(data_of(tmp_path), "patient")
    assert said == [
        "cord can be told at least in part without anatomy, by frame index (AUC 0.70), measured in 2 infants "
        "(P001 and P002); this touches the scores of alexnet."
    ]
    assert leakage.doubts(data_of(tmp_path), "frame") == []


def test_a_weak_probe_is_not_said_to_tell_the_label_and_models_stay_with_their_probe(tmp_path: Path) -> None:
    data = data_of(tmp_path)
    flags = data.results["leakage"]["probes"]["flags"]
    other = flags[0] | {"probe": "overlays", "names": ["P002"], "casts_doubt_on": ["resnet18"]}
    weak = flags[0] | {"probe": "clip_mean", "auc": 0.56, "strong": False, "share_of_excess": {"alexnet": 0.75}}
    flags += [other, weak]
    first, second, third = leakage.doubts(data, "patient")
    assert "frame index" in first
    assert "alexnet" in first
    assert "overlays" not in first
    assert second.endswith("measured in 1 infant (P002); this touches the scores of resnet18.")
    assert third == (
        "clip mean is a weak hint of cord by itself (AUC 0.56), measured in 2 infants (P001 and P002), but its excess "
        "over chance is 75\u00a0% of that of alexnet."
    )
    flags[-1] |= {"weak_models": ["alexnet"]}
    assert leakage.doubts(data, "patient")[2].endswith("is 75\u00a0% of that of alexnet (a weak model).")


def test_a_dot_is_an_infant_s_own_difference(tmp_path: Path) -> None:
    chart = comparison.section(data_of(tmp_path))["protocols"][0]["paired"]
    assert chart is not None
    dots = chart.spec["layer"][1]
    drawn = chart.spec["datasets"][dots["data"]["name"]]
    assert drawn == "infant,difference\nP001,-0.05\n"
    assert "own loss" in dots["encoding"]["x"]["title"]


def test_ties_are_named_beside_the_smallest_p(tmp_path: Path) -> None:
    params, path = Made(tmp_path).write(), tmp_path / "metrics/evidence.json"
    found = json.loads(path.read_text())
    found["protocols"]["patient"]["comparison"] |= {
        "patients": 8, "better": 4, "ties": 4, "p": 0.125, "smallest_p": 0.125, "smallest_p_without_ties": 0.0078,
    }  # fmt: skip
    path.write_text(json.dumps(found))
    text = " ".join(Tags(report.page(read(params, tmp_path))).text)
    assert "equal in 4 of 8 infants" in text
    assert "the smallest p that the 4 infants without a tie can give is 0.125 (all 8 without ties: 0.008)" in text


def test_spells_follow_the_decision_and_end_where_frames_are_missing() -> None:
    rows = pd.DataFrame(
        {"time_s": [0.0, 0.1, 0.2, 0.9, 1.0], "duration_s": 0.1, "decision": ["GO", "GO", "stop", "stop", "GO"]}
    )
    found = timelines.spells(rows, "decision")
    assert found["decision"].tolist() == ["GO", "stop", "stop", "GO"]
    assert np.allclose(found["from"], [0, 0.2, 0.9, 1.0])
    assert np.allclose(found["to"], [0.2, 0.3, 1.0, 1.1])


def test_a_clip_without_times_is_counted_in_frames() -> None:
    rows = pd.DataFrame({"time_s": [np.nan] * 3, "duration_s": np.nan, "frame_index": [4, 5, 6], "decision": "GO"})
    timed, unit = timelines.on_a_clock(rows)
    assert unit == "frame"
    assert timelines.spells(timed, "decision")[["from", "to"]].to_numpy().tolist() == [[4, 7]]


@pytest.mark.parametrize(
    ("truth", "decision", "said"),
    [
        (["GO", "stop", "unknown", "no view"], ["GO", "GO", "GO", "no view"], "in 67\u00a0% of 3 frames"),
        (["unknown"], ["GO"], "the expert decides no frame"),
    ],
)
def test_each_clip_says_how_far_the_model_agrees_with_the_expert(
    truth: list[str], decision: list[str], said: str
) -> None:
    assert said in timelines.agreement(pd.DataFrame({"truth": truth, "decision": decision}))


def test_a_model_shown_in_place_of_the_chosen_one_says_why(tmp_path: Path, page: str) -> None:
    assert "as an example and not as the best" not in page
    made = data_of(tmp_path)
    made.results["bedside"]["protocols"]["patient"]["models"]["chosen"] = {"why": LEFT_OUT}
    lines = made.tables["bedside_timelines"]
    data = replace(made, tables={**made.tables, "bedside_timelines": lines[lines["model"] != "chosen"]})
    data.results["selected"]["patient"]["winner"] = "resnet18"
    said = " ".join(" ".join(Tags(report.page(data)).text).split())
    assert "chooses no model for any infant, so here is resnet18, which the study's way of choosing takes" in said
    data.results["selected"]["patient"]["winner"] = None
    said = " ".join(" ".join(Tags(report.page(data)).text).split())
    assert "so here is alexnet, the first declared of the 2 models with timelines, as an example" in said


def test_every_network_has_its_timelines_with_its_own_agreement(tmp_path: Path) -> None:
    params, path = Made(tmp_path).write(), tmp_path / "metrics/plots/bedside_timelines.csv"
    rows = pd.read_csv(path)
    mine = (rows["model"] == "resnet18") & (rows["clip_id"] == "C002")
    rows.loc[mine, "decision"] = rows.loc[mine, "truth"].where(rows.loc[mine, "frame_index"] >= 3, "no view")
    rows.to_csv(path, index=False)
    found = timelines.section(read(params, tmp_path))
    assert (found["model"], list(found["others"])) == ("chosen", ["alexnet", "resnet18"])
    titles = [strip.title for strip in found["others"]["resnet18"]]
    assert "agrees with the expert in 67\u00a0% of 30 frames" in titles[0]  # ten frames late, as all are made
    assert "agrees with the expert in 90\u00a0% of 30 frames" in titles[1]  # 27 of 30


def test_a_caption_of_the_gallery_names_its_protocol_as_one(page: str) -> None:
    captions = page.split('<section id="gallery"')[1].split("</section>")[0].split("<figcaption>")[1:]
    assert captions
    assert all("frame 3, protocol patient" in caption.split("</figcaption>")[0] for caption in captions)


def test_a_figure_of_the_gallery_shows_all_labels_and_both_decisions(page: str) -> None:
    caption = page.split('<section id="gallery"')[1].split("<figcaption>")[1].split("</figcaption>")[0]
    cells = [re.findall(r"<t[hd][^>]*>([^<]*)</t[hd]>", row) for row in caption.split("<tr")[2:]]
    assert cells == [["bad quality", "0", "0", "0.20"], ["cord", "1", "0", "0.20"], ["fluid", "0", "1", "0.80"],
                     ["decision", "stop", "GO", ""]]  # fmt: skip
    assert "cord: missed" in caption


def test_a_frame_stands_once_a_model_however_many_of_its_labels_are_wrong(tmp_path: Path) -> None:
    params, path = Made(tmp_path).write(), tmp_path / "data/explain/entries.json"
    first, *others = json.loads(path.read_text())
    both = first | {"label": "fluid", "outcome": "false alarm", "truth": 0, "answer": 1}
    unknown = others[0] | {"truths": {"bad_quality": 0, "cord": None, "fluid": 1}}
    path.write_text(json.dumps([first, unknown, *others[1:], both]))
    data = read(params, tmp_path)
    figures = gallery.section(data)["figures"]
    assert [len(of["heats"]) for of in figures] == [2, 1, 1, 1]
    assert figures[0]["wrong"] == {"cord", "fluid"}
    assert [of["expert"] for of in figures[:2]] == ["stop", "unknown"]  # unknown cord: it may be a stop
    assert [of["shown"] for of in figures] == [True, False, False, False]  # two pictures are all that have room
    assert "All 4 frames in words" in report.page(data)


def test_whoever_answers_the_review_is_told_to_do_so_before_reading_on(tmp_path: Path, page: str) -> None:
    said = "Answer <code>metrics/label_review.csv</code> before reading this page: the gallery shows disputed frames"
    for name in ("timelines", "gallery", "labels"):
        assert said in page.split(f'<section id="{name}"')[1].split("</section>")[0], name
    params, path = Made(tmp_path).write(), tmp_path / "metrics/label_review.json"
    of = {"asked": 1, "answered": 1, "overturned": 0}
    path.write_text(json.dumps(json.loads(path.read_text()) | {"answers": {"suspects": of, "controls": of}}))
    assert said not in report.page(read(params, tmp_path))


def test_confusion_counts_are_the_tables(tmp_path: Path) -> None:
    of = confusion.section(data_of(tmp_path))["protocols"][0]["models"][0]
    assert of["decisions"][0] == ("GO", [(0, 0.0), (4, 1.0), (0, 0.0)])
    assert of["labels"]["cord"] == [("no", [(5, 0.5), (5, 0.5)]), ("yes", [(5, 0.5), (5, 0.5)])]


def test_the_operating_point_s_decisions_are_the_timelines_counted(tmp_path: Path) -> None:
    found = {of["name"]: of["decisions"] for of in confusion.section(data_of(tmp_path))["operating"]}
    assert found["chosen"] == [("GO", [(30, 1.0), (0, 0.0), (0, 0.0)]), ("stop", [(20, 0.667), (10, 0.333), (0, 0.0)]),
                               ("no view", [(0, 0.0), (0, 0.0), (0, 0.0)])]  # fmt: skip


def test_which_of_the_two_thresholds_is_said(page: str) -> None:
    for name in ("study", "confusion", "gallery"):
        part = page.split(f'<section id="{name}"')[1].split("</section>")[0]
        assert "threshold of <code>evaluate</code> (fixed at 0.5), not at the" in part


def test_every_model_of_the_reliability_plot_has_a_colour(tmp_path: Path) -> None:
    data = data_of(tmp_path)
    chart = calibration.section(data)["reliability"][0]
    scale = chart.spec["layer"][1]["encoding"]["color"]["scale"]
    assert set(data.tables["bedside_calibration"]["model"]) <= set(scale["domain"])
    assert "chosen" in scale["domain"]
    assert len(scale["domain"]) == len(scale["range"])


def points_of(data: Data, **change: Any) -> list[str]:
    """Return the made model's row of the thresholds' table with parts of its operating point changed."""
    bedside = data.results["bedside"]
    bedside["protocols"][bedside["headline_protocol"]]["operating_point"]["alexnet"] |= change
    return calibration.section(data)["points"]["alexnet"]


def label_point(never: int = 0, always: int = 0, middle: float | None = 0.5) -> dict[str, Any]:
    spread = None if middle is None else {"min": middle, "median": middle, "max": middle}
    return {"threshold": spread, "never": never, "always": always}


def test_one_operating_point_has_no_spread_and_says_how_many_infants_chose_it(tmp_path: Path, page: str) -> None:
    assert points_of(data_of(tmp_path)) == ["1.00", "0.50", "0.50", "0.50"]
    part = page.split('<section id="calibration"')[1].split("</section>")[0]
    assert "One operating point a model, chosen on 1 validation infant" in part
    assert "smallest to largest over infants, each chosen" not in part


def test_a_threshold_that_no_score_reaches_is_never(tmp_path: Path) -> None:
    data = data_of(tmp_path, protocols=("leave_one_patient_out",))
    labels = {
        "bad_quality": label_point(never=2, middle=None),
        "cord": label_point(never=1),
        "fluid": label_point(always=1, middle=1.0),
    }
    assert points_of(data, labels=labels)[1:] == [
        "never", "0.50; never for 1 of 2 infants", "> 0.99; always for 1 of 2 infants",
    ]  # fmt: skip


def test_a_temperature_at_the_bound_is_no_estimate(tmp_path: Path) -> None:
    data, bound = data_of(tmp_path, protocols=("leave_one_patient_out",)), ["at the bound of the search"]
    assert (
        points_of(data, temperature=None, temperatures_without_estimate=2, why=bound)[0] == "at the bound, no estimate"
    )
    some = points_of(data, temperature={"min": 2, "median": 2, "max": 2}, temperatures_without_estimate=1, why=bound)
    assert some[0] == "2.00; at the bound, no estimate for 1 of 2 infants"


def test_the_gallery_shows_every_model_before_any_twice() -> None:
    entries = [{"protocol": "patient", "model": model} for model in "aaabbc"]
    assert [entry["model"] for entry in gallery.spread(entries)] == list("abcaba")


def test_charts_know_which_columns_are_numbers() -> None:
    made = values(pd.DataFrame({"clip": ["1"], "point": [1], "share": [0.123456]})).to_dict()
    assert made["format"]["parse"] == {"point": "number", "share": "number"}
    assert made["values"] == "clip,point,share\n1,1,0.1235\n"


def test_a_model_keeps_its_colour_and_baselines_are_grey() -> None:
    found = palette(["label_copy", "a", "b"], BASELINES).to_dict()
    assert dict(zip(found["domain"], found["range"], strict=True))["b"] == MODELS[1]


def test_twelve_models_have_twelve_colours() -> None:
    found = palette([f"model_{number}" for number in range(12)], BASELINES).to_dict()
    assert len(set(found["range"])) == 12 + 2  # and two greys


def test_names_that_this_stage_repeats_are_those_of_the_pipeline() -> None:
    assert tuple(baselines.BASELINES) == BASELINES
    assert confusion.DECISIONS == decision.DECISIONS


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0, "0"), (0.001, "< 1"), (0.999, "> 99"), (1.0, "100"), (0.374, "37")],
)
def test_shares_are_never_rounded_to_a_certainty(value: float, shown: str) -> None:
    assert percent(value) == f"{shown}\u00a0%"


def test_words() -> None:
    assert count(1, "infant") == "1 infant"
    assert count(2, "stretch", "stretches") == "2 stretches"
    assert listed(["a", "b", "c"]) == "a, b and c"
    assert listed(["a"]) == "a"
    assert listed([]) == ""
    assert "not estimable: <b>" not in not_estimable("<b>")
    assert figure({"x": 0.5}, "x") == "0.500"
    assert "not estimable: so" in figure({"x": None, "why": "so"}, "x")


def test_pinned_versions() -> None:
    assert pinned_versions("# a\ntorch==2.1   # x (BSD)\n\n") == {"torch": "2.1"}


def test_areas_over_infants_have_their_range_and_number(tmp_path: Path) -> None:
    found = rates.section(data_of(tmp_path, protocols=("frame", "patient", "leave_one_patient_out")))["protocols"]
    cells = {of["name"]: dict(of["areas"])["alexnet"] for of in found}
    for protocol in PATIENT_DISJOINT:
        assert set(cells[protocol]) == {"0.600 (0.400 to 0.900; 2 infants)"}
    assert not any("infants" in cell for cell in cells["frame"])


def test_an_area_within_one_infant_has_no_range(tmp_path: Path) -> None:
    data = data_of(tmp_path)
    data.results["evidence"]["protocols"]["patient"]["models"]["alexnet"]["cord ROC AUC"] |= {"patients": 1}
    patient = rates.section(data)["protocols"][1]
    assert dict(patient["areas"])["alexnet"][2] == "0.600 (1 infant)"


def test_curves_over_infants_say_that_they_are_pooled_and_no_areas(page: str) -> None:
    part = page.split('<section id="rates"')[1].split("</section>")[0]
    frame, patient = part.split("<h3>Protocol patient</h3>")
    for chart in re.findall(r"<h4>(.*?)</h4>", patient):
        assert chart.endswith("(pooled over infants)")
    assert "not to be read as areas" in patient.split("<figure")[0]
    assert "pooled over infants" not in frame


def test_the_study_s_sentence_on_classical_models_stands_beside_their_rows(tmp_path: Path, page: str) -> None:
    assert "at most 65" not in page.split('<section id="study"')[1].split("</section>")[0]
    params = Made(tmp_path, models=("resnet18", "knn_texture", "logistic_texture")).write()
    params["architectures"] = {"resnet18": {}}
    params["baselines"] = {
        f"{name}_texture": {"classifier": name, "features": "texture"} for name in ("knn", "logistic")
    }
    said = study.section(read(params, tmp_path))["classical"]
    assert said == (
        "The study reports at most 65\u00a0% for k nearest neighbours and decision trees, without saying on which "
        "features or split; here accuracy under protocol frame is 90.0\u00a0% (knn_texture)."
    )
    assert f'<p class="note">{said}</p>' in report.page(read(params, tmp_path))


def test_the_study_s_table_says_that_its_areas_are_pooled(page: str) -> None:
    part = page.split('<section id="study"')[1].split("</section>")[0]
    frame, patient = part.split("<h3>Protocol patient</h3>")
    pooled = "pool the scores of all test frames over infants"
    assert (pooled in frame, pooled in patient) == (True, False)
    assert ("are means over infants" in frame, "are means over infants" in patient) == (False, True)


def test_epochs_are_fixed_beforehand_only_where_the_last_is_kept(tmp_path: Path) -> None:
    data = data_of(tmp_path, protocols=("frame", "patient", "leave_one_patient_out"))
    said = epochs_sentence(data)
    assert "under leave one patient out the last, fixed beforehand" in said
    assert "under frame and patient validation frames chose which is kept" in said
    assert "fixed beforehand" not in epochs_sentence(data_of(tmp_path, protocols=("frame", "patient")))
    for name, number in (("claim_2024", "25"), ("tripod_ai", "12c")):
        items = filled(read_checklist(name), facts(data))["items"]
        assert said in next(item["says"] for item in items if item["item"] == number)


@pytest.mark.parametrize("protocol", ["frame", "patient", "leave_one_patient_out"])
@pytest.mark.parametrize("estimable", [True, False])
def test_who_was_chosen_reads_alike_wherever_it_stands(tmp_path: Path, protocol: str, estimable: bool) -> None:
    params, path = Made(tmp_path, protocols=(protocol,), estimable=estimable).write(), tmp_path / "metrics/bedside.json"
    found = json.loads(path.read_text())
    found["protocols"][protocol]["winner"] |= {"counts": {}, "without": 2}  # as where the verdict says that none may
    path.write_text(json.dumps(found))
    data = read(params, tmp_path)
    said = ways_of_choosing(data)
    assert f"takes {'alexnet' if estimable else 'no model'} under" in said
    assert "takes no model for 2 of the infants" in said
    assert ("out-of-fold test rows" in said) == (protocol == "leave_one_patient_out")
    assert comparison.section(data)["ways"] == said
    for name, number in (("claim_2024", "26"), ("tripod_ai", "12c")):
        items = filled(read_checklist(name), facts(data))["items"]
        assert said in next(item["says"] for item in items if item["item"] == number)
    assert "never on test rows" not in report.page(data)


# ---- the checklists


@pytest.mark.parametrize(("name", "main", "whole"), [("claim_2024", 44, 44), ("tripod_ai", 27, 52)])
def test_a_checklist_is_complete(name: str, main: int, whole: int) -> None:
    items = [item.item for item in read_checklist(name).items]
    assert len(items) == len(set(items)) == whole
    numbers = [int(re.match(r"\d+", item)[0]) for item in items]  # type: ignore[index]
    assert numbers == sorted(numbers)
    assert set(numbers) == set(range(1, main + 1))


def test_every_checklist_file_is_read() -> None:
    assert {path.stem for path in (ROOT / "stages/report/checklists").iterdir()} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("estimable", [True, False])
def test_every_sentence_can_be_filled_in(tmp_path: Path, name: str, estimable: bool) -> None:
    made = filled(read_checklist(name), facts(data_of(tmp_path, estimable=estimable)))
    assert sum(made["counts"].values()) == len(made["items"])
    for item in made["items"]:
        assert item["says"] or item["person"]
        assert "None" not in item["says"]


def test_an_item_without_its_figure_is_only_partly_filled(tmp_path: Path) -> None:
    status = {}
    for estimable in (True, False):
        made = filled(read_checklist("claim_2024"), facts(data_of(tmp_path, estimable=estimable)))
        status[estimable] = next(item["status"] for item in made["items"] if item["item"] == "37")
    assert status == {True: "filled", False: "partly"}


def test_an_item_must_say_where_its_answer_stands() -> None:
    with pytest.raises(ValueError, match="expected"):
        Item(item="1", part="a", topic="b", status="filled", says="c")


def test_the_page_claims_no_compliance(page: str) -> None:
    text = " ".join(Tags(page).text)
    assert "no claim of compliance" in text
    assert not re.search(r"(?i)\b(compliant|complies with|conforms to)\b", text)


@pytest.mark.parametrize(
    ("changes", "loss", "learns", "imbalance"),
    [
        ({}, "Binary cross-entropy", "the head, and a scale", "No resampling and no weights of classes"),
        ({"freeze": True}, "Binary cross-entropy", "the new head alone", "No resampling"),
        ({"focal_gamma": 2.0}, "Focal loss (gamma 2)", "a scale of it", "The focal loss (gamma 2) weighs"),
        ({"pos_weight": True}, "as much as its negatives", "a scale of it", "Positives of a label weigh"),
        ({"balanced_sampling": True}, "Binary cross-entropy", "a scale of it", "Each combination of labels is drawn"),
    ],
    ids=str,
)
def test_the_checklists_say_how_the_networks_learnt(
    changes: dict[str, Any], loss: str, learns: str, imbalance: str
) -> None:
    params = read_params_file(ROOT / "params.yaml")
    params["train"]["freeze"] = changes.pop("freeze", False)
    params["train"]["imbalance"] |= changes
    found = learning(params)
    assert loss in found["loss"]
    assert learns in found["learns"]
    assert imbalance in found["imbalance"]
    assert found["standardised"] == "mean 0.485 and deviation 0.229"
    params["train"]["weights"] = "imagenet"
    assert learning(params)["standardised"].startswith("those that the given weights were learnt with")


# ---- dvc.yaml


def declared() -> set[Path]:
    stage = next(stage for stage in Repo(str(ROOT)).index.stages if stage.name == "report")
    return {Path(dep.fs_path).relative_to(ROOT) for dep in stage.deps if dep.fs_path}


def test_what_is_read_is_what_is_declared_and_digested() -> None:
    assert set(inputs()) == {path for path in declared() if path.parts[0] != "stages"} - {Path("params.yaml")}


def test_a_folders_digest_sees_names_and_bytes(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"1")
    first = digest(tmp_path)
    (tmp_path / "a.png").rename(tmp_path / "b.png")
    second = digest(tmp_path)
    (tmp_path / "b.png").write_bytes(b"2")
    assert len({first, second, digest(tmp_path)}) == 3


def test_the_card_names_every_kind_of_model_and_what_each_sees(tmp_path: Path) -> None:
    params = Made(tmp_path).write()
    alone = facts(read(params, tmp_path))
    assert (alone["model_count"], alone["other_models"], alone["sees"]) == (2, "", "No neighbouring frame")
    params |= {
        "baselines": {"knn_texture": {"classifier": "knn", "features": "texture"}},
        "sequences": {"gru_resnet18": {"model": "gru", "features": "resnet18"}},
    }
    found = facts(read(params, tmp_path))
    assert found["model_count"] == 4
    assert "knn_texture (knn on texture)" in found["other_models"]
    assert "models over frames in time: gru_resnet18 (gru on resnet18)" in found["other_models"]
    assert found["sees"] == "The frame alone, but for gru_resnet18, which see others of its clip"
