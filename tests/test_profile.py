"""Profiles: what they change, what is refused before anything runs, how the time is reckoned, what DVC is given."""

import copy
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments import mistakes, profile, timing
from experiments.overrides import changed, checked_overrides, overrides_of, parse_assignment
from experiments.plan import changes_text, plan, read_profile
from experiments.timing import Rate, estimate
from experiments.workload import Cohort, Training, cohort_of, trainings_of
from stages.common.core.errors import PipelineError
from stages.common.core.yaml_file import load_yaml
from tests.clip_factory import speckle, write_video
from tests.workspace import ROOT, read_params_file

SHIPPED = read_params_file(ROOT / "params.yaml")
NAMES = ("cpu", "study", "laptop")


# --- -S -------------------------------------------------------------------------------------------------------------

TEXT = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=8).filter(
    lambda text: "${" not in text
)
VALUES = st.one_of(st.booleans(), st.integers(-9, 9), st.integers(-999, 999).map(lambda whole: whole / 100), TEXT)
KEYS = st.from_regex(r"[ab]_?[01]?", fullmatch=True)
LEAVES = VALUES | st.lists(st.integers(), max_size=2)
SECTIONS = st.recursive(LEAVES, lambda part: st.dictionaries(KEYS, part, max_size=3), max_leaves=6)
TREES = st.dictionaries(KEYS, SECTIONS, max_size=4)


@settings(deadline=None, max_examples=60)
@given(before=TREES, after=TREES)
def test_dvc_itself_makes_the_one_of_the_other(before: dict[str, Any], after: dict[str, Any]) -> None:
    checked_overrides(before, after)  # raises unless DVC's own code turns `before` into `after`


def test_what_does_not_change_is_not_set() -> None:
    assert overrides_of(SHIPPED, copy.deepcopy(SHIPPED)) == []


def test_folds_are_text_and_other_networks_go() -> None:
    after, problems = changed(SHIPPED, {"folds": 2, "architectures": {"vgg16": {"backbone_scale": 0.5}}}, "test")
    assert not problems
    assert after["folds"] == {"0": {}, "1": {}}
    given_to_dvc = checked_overrides(SHIPPED, after)
    assert {"++folds.0={}", "++folds.1={}", "~architectures.alexnet"} <= set(given_to_dvc)
    assert "architectures.vgg16.backbone_scale=0.5" in given_to_dvc


def test_a_key_that_hydra_cannot_write_is_named() -> None:
    after, _ = changed(SHIPPED, {"label_merge.aliases": {"LPP SITTING2": "LPILOT SITTING2"}}, "test")
    with pytest.raises(PipelineError, match=r"label_merge.aliases.LPP SITTING2: .* cannot name this key"):
        checked_overrides(SHIPPED, after)


def test_text_that_hydra_would_look_up_is_named() -> None:
    after, _ = changed(SHIPPED, {"train.weights": "${seed}.pth"}, "test")
    with pytest.raises(PipelineError, match=r"would look up what '\$\{seed\}.pth' names"):
        checked_overrides(SHIPPED, after)


@pytest.mark.parametrize(
    ("text", "parsed"),
    [("folds=8", ("folds", 8)), ("lr=1e-3", ("lr", 0.001)), ("augment.hue={shift: 1}", ("augment.hue", {"shift": 1}))],
)
def test_assignments_are_yaml(text: str, parsed: tuple[str, Any]) -> None:
    assert parse_assignment(text) == parsed


@pytest.mark.parametrize(("text", "match"), [("folds", "expected key=value"), ("lr={", "cannot be read as YAML")])
def test_a_broken_assignment_is_named(text: str, match: str) -> None:
    with pytest.raises(PipelineError, match=match):
        parse_assignment(text)


# --- profiles -------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("name", NAMES)
def test_every_shipped_profile_passes_every_stage(name: str) -> None:
    planned = plan(read_profile(name), name, {}, "-S")
    assert planned.command()[-len(planned.targets) :] == list(planned.targets)


@pytest.mark.usefixtures("project")
def test_the_cpu_profile_is_one_network_without_one_patient_and_epochs_fixed_beforehand() -> None:
    after = plan(read_profile("cpu"), "cpu", {}, "-S").after
    assert list(after["architectures"]) == ["resnet18"]
    assert list(after["folds"]) == [str(fold) for fold in range(8)]
    assert list(after["protocols"]) == ["frame", "patient"]
    assert after["train"]["kept_epoch"]["leave_one_patient_out"] == "last"


def test_all_mistakes_come_in_one_message_before_anything_runs(project: Path) -> None:
    params = "{lrr: 1, epochs: 0, train.batch_size: x, folds: 8, extract_frames.stride: 0}"
    text = f"targets: [evaluate, reprot]\nparams: {params}\n"
    (project / "profiles/wrong.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(PipelineError) as caught:
        plan(read_profile("wrong"), "profiles/wrong.yaml", {"preprocess.method": "equalise"}, "-S")
    message = str(caught.value)
    assert "6 problems" in message
    for part in (
        "profiles/wrong.yaml: lrr: unknown key: expected a key of params.yaml, got none such. Is lr meant?",
        "params.yaml: epochs: wrong value: expected greater than or equal to 1, got 0",
        "params.yaml: train.batch_size: wrong value",
        "params.yaml: extract_frames.stride: wrong value",
        "params.yaml: preprocess.method: wrong value",
        "profiles/wrong.yaml: targets: unknown stage: expected one of phantom,",
    ):
        assert part in message


def test_an_absent_and_a_malformed_profile_are_named(project: Path) -> None:
    with pytest.raises(
        PipelineError, match=r"profiles/cpuu.yaml: expected a profile, got no file. There are: cpu, laptop"
    ):
        read_profile("cpuu")
    (project / "profiles/bad.yaml").write_text("target: [evaluate]\nparams: {}\n", encoding="utf-8")
    with pytest.raises(PipelineError, match=r"(?s)bad.yaml: targets: missing key.*bad.yaml: target: unknown key"):
        read_profile("bad")


ADD = "Add it; params.yaml in Git shows the shipped value."
FAN_OUTS = {"baselines": {"any": {}}, "sequences": {"any": {}}}  # empty as shipped: nothing to ask


@pytest.mark.usefixtures("project")
def test_every_stage_of_dvc_yaml_is_asked() -> None:
    for name, stage in mistakes.entries(load_yaml(Path("dvc.yaml"))):
        classes = mistakes.classes_of(stage, SHIPPED | FAN_OUTS)
        assert [found for found in classes if found.__name__ != "Mapping"], name


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("section", ["augment", "baselines", "sequences"])
def test_a_section_that_is_fanned_out_must_be_a_mapping(section: str) -> None:
    missing = {key: value for key, value in SHIPPED.items() if key != section}
    said = list(map(str, mistakes.mistakes(missing, [], "test")))
    assert said == [f"params.yaml: {section}: missing key: expected a value, got none. {ADD}"]
    said = list(map(str, mistakes.mistakes(SHIPPED | {section: 3}, [], "test")))
    assert said == [f"params.yaml: {section}: wrong value: expected a valid dictionary, got 3. Correct the value."]


@pytest.mark.usefixtures("project")
def test_a_label_that_the_decision_names_must_be_there() -> None:
    decision = {"go": {"fluid": 1, "chord": 0}, "stop": {"cord": True}}
    evaluate = SHIPPED["evaluate"] | {"decision": decision}
    said = list(map(str, mistakes.mistakes(SHIPPED | {"evaluate": evaluate}, [], "test")))
    assert said == [
        "params.yaml: evaluate.decision.stop.cord: wrong value: expected a valid integer, got True. Correct the value."
    ]
    decision["stop"] = {"cord": 1}
    (said,) = map(str, mistakes.mistakes(SHIPPED | {"evaluate": evaluate}, [], "test"))
    assert (
        "params.yaml: evaluate.decision.go: unknown label: expected one of bad_quality, cord, fluid, got 'chord'"
        in said
    )


@pytest.mark.usefixtures("project")
def test_folds_alone_are_refused_by_every_profile() -> None:
    folds = {"folds": {"0": {}, "1": {}}}
    assert mistakes.mistakes(SHIPPED | folds, [], "test") == []
    (said,) = map(str, mistakes.mistakes(SHIPPED | folds | {"protocols": {}}, [], "test"))
    assert said.startswith("params.yaml: protocols: none: expected a protocol beside folds")
    assert said.endswith("Declare `patient: {}` beside folds.")


def test_changes_are_a_line_each() -> None:
    after, _ = changed(SHIPPED, {"folds": 2, "epochs": 9, "architectures": {"vgg16": {"backbone_scale": 0.5}}}, "test")
    assert changes_text(SHIPPED, after).splitlines() == [
        f"  epochs: {SHIPPED['epochs']} -> 9",
        "  architectures: alexnet, vgg16, resnet18, resnet34, densenet121 -> vgg16",
        f"  architectures.vgg16.backbone_scale: {SHIPPED['architectures']['vgg16']['backbone_scale']} -> 0.5",
        "  folds: none -> 0, 1",
    ]
    assert changes_text(SHIPPED, SHIPPED) == "  nothing"


# --- how much -------------------------------------------------------------------------------------------------------


def test_the_study_has_3388_frames_of_8_patients_in_13_clips() -> None:
    content, _ = changed(SHIPPED, {"phantom.scale": 1.0}, "test")
    assert cohort_of(content) == Cohort(clips=13, patients=8, frames=3388, decoded=3388)
    thinned, _ = changed(content, {"extract_frames.max_frames": 40}, "test")
    assert cohort_of(thinned) == Cohort(clips=13, patients=8, frames=520, decoded=3388)


def test_a_cohort_of_ones_own_is_counted_by_decoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "data/cohorts/mine"
    folder.mkdir(parents=True)
    for name, count in (("a", 9), ("b", 5)):
        write_video(folder / f"{name}.mkv", speckle(count, 96, 120))
    (folder / "clips.csv").write_text("clip,file,patient\na,a.mkv,P001\nb,b.mkv,P002\n", encoding="utf-8")
    content, _ = changed(SHIPPED, {"cohort": "mine", "extract_frames.max_frames": 6}, "test")
    assert cohort_of(content) == Cohort(clips=2, patients=2, frames=11, decoded=14)
    (folder / "b.mkv").write_bytes(b"no clip")
    with pytest.raises(PipelineError, match=r"cohort mine cannot be counted; python -m stages.check data/cohorts/mine"):
        cohort_of(content)


def test_trainings_and_their_pictures_are_those_of_the_split() -> None:
    content, _ = changed(SHIPPED, {"folds": 4, "epochs": 5}, "test")
    found = trainings_of(content, frames=800)
    assert len(found) == 5 * (1 + 1 + 4)
    assert {one.protocol for one in found} == {"frame", "patient", "leave_one_patient_out"}
    frame, fold = found[0], found[-1]
    assert (frame.learnt, frame.looked_at) == (560 * 3 * 5, 80 * 6 + 160)  # three variants, five epochs
    assert (fold.learnt, fold.looked_at) == (525 * 3 * 5, 75 * 6 + 200)  # 600 frames as 70 to 10; 200 tested


def test_the_estimate_is_the_sum_of_its_parts() -> None:
    work = [Training("frame", "a", 100, 10), Training("patient", "a", 200, 0), Training("frame", "b", 300, 0)]
    rates = {"a": Rate(learning=10, looking=20), "b": Rate(learning=5, looking=1)}
    found = estimate(Cohort(1, 1, 50, 100), True, work, rates, start=2.0)
    each = 2.0 + timing.STAGE_S
    assert found.training == {"a": pytest.approx(30.5 + 2 * each), "b": pytest.approx(60 + each)}
    assert found.preparing == pytest.approx(
        timing.PREPARING_STAGES * timing.STAGE_S + 50 * timing.FRAME_S + 100 * timing.RENDER_S
    )
    assert found.whole == pytest.approx(found.preparing + 90.5 + 3 * each)


def test_a_network_is_measured_by_real_steps() -> None:
    content, _ = changed(
        SHIPPED,
        {"architectures": {"alexnet": {"backbone_scale": 0.1}}, "train.threads": 1, "train.batch_size": 4},
        "test",
    )
    rate = timing.measure(content)["alexnet"]
    assert 0 < rate.learning < 100_000
    assert 0 < rate.looking < 100_000


# --- the command ----------------------------------------------------------------------------------------------------


@pytest.fixture
def asked(project: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What DVC would have been asked, with nothing measured and nothing run."""
    assert (project / "params.yaml").is_file()
    words: list[list[str]] = []
    monkeypatch.setattr(profile, "run_dvc", lambda given_words: words.append(list(given_words)) or 3)
    monkeypatch.setattr(profile, "measure", lambda content: dict.fromkeys(content["architectures"], Rate(60.0, 600.0)))
    monkeypatch.setattr(profile, "start_s", lambda: 5.0)
    return words


def command(monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
    monkeypatch.setattr(sys, "argv", ["profile", *words])
    profile.main()


def test_the_estimate_comes_first_and_dvc_s_status_last(
    asked: list[list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        command(monkeypatch, "cpu", "-S", "lr=0.003")
    assert ended.value.code == 3
    [words] = asked
    assert words[:2] == ["exp", "run"]
    assert words[-1] == "report"
    assert "lr=0.003" in words
    printed = capsys.readouterr().out
    places = [
        printed.index(part) for part in ("folds: none -> 0, 1, 2", "10 trainings: frame 1", "estimate: ", "dvc exp run")
    ]
    assert places == sorted(places)


@pytest.mark.parametrize(("load", "said"), [(99.0, "this machine is busy (load 99.0"), (0.1, "not done again.")])
def test_an_estimate_from_a_busy_machine_says_so(
    load: float, said: str, asked: list[list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("os.getloadavg", lambda: (load, load, load))
    command(monkeypatch, "cpu", "--estimate")
    assert said in capsys.readouterr().out
    assert not asked


def test_what_was_made_elsewhere_is_fetched_where_asked(
    asked: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    for more, word in (([], "-S"), (["--pull"], "--pull")):
        with pytest.raises(SystemExit):
            command(monkeypatch, "cpu", *more)
        assert asked.pop()[:3] == ["exp", "run", word]


@pytest.mark.parametrize("option", ["--estimate", "--dry"])
def test_nothing_is_run_when_only_asked_about(
    option: str, asked: list[list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command(monkeypatch, "cpu", option)
    assert not asked
    printed = capsys.readouterr().out
    assert "dvc exp run -S epochs=10" in printed
    assert ("estimate:" in printed) == (option == "--estimate")


def test_one_override_turns_on_leave_one_patient_out(asked: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit):
        command(monkeypatch, "laptop", "-S", "folds=8")
    assert asked[0][2:-1] == [word for fold in range(8) for word in ("-S", f"++folds.{fold}={{}}")]


def test_a_device_that_is_not_there_stops_before_dvc(asked: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profile, "measure", timing.measure)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(PipelineError, match=r"train.device: expected one of cpu.* got cuda"):
        command(monkeypatch, "study")
    assert not asked


def test_no_stage_imports_what_stands_above_the_stages() -> None:
    for file in sorted((ROOT / "stages").rglob("*.py")):
        assert "experiments" not in {
            line.split()[1].split(".")[0]
            for line in file.read_text().splitlines()
            if line.startswith(("import ", "from "))
        }
