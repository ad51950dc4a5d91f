"""The ablation: what is queued, and a table that says what a difference is worth."""

import statistics
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from experiments import ablation, compared, profile
from experiments.ablation import ABLATION
from experiments.ablation_table import ablation_table, markdown
from experiments.compared import Compared, Entry, plans, queue, queue_command, table
from experiments.finished import experiments_in
from experiments.overrides import changed
from experiments.plan import read_file, read_profile
from experiments.timing import Rate
from experiments.workload import trainings_of
from stages.common.core.errors import PipelineError
from stages.common.variants import VARIANT_NAMES
from tests.workspace import ROOT, read_params_file

SHIPPED = read_params_file(ROOT / "params.yaml")
AGAINST = {"baseline": None, "preprocess-clahe": "baseline"}


def shipped() -> Compared:
    return read_file(ROOT / "profiles/ablation.yaml", Compared)


# --- profiles/ablation.yaml -----------------------------------------------------------------------------------------


def test_every_augmentation_is_tried_alone_and_left_out_and_every_preprocessing_is_tried() -> None:
    names = set(shipped().experiments)
    seven = [name.replace("_", "-") for name in VARIANT_NAMES if name != "original"]
    assert {f"with-{name}" for name in seven} | {f"without-{name}" for name in seven} <= names
    assert {f"preprocess-{name}" for name in ("clahe", "stretch", "gamma", "log", "none")} <= names


@pytest.mark.usefixtures("project")
def test_every_experiment_is_valid_and_changes_what_its_name_says() -> None:
    experiments = shipped().experiments
    chosen = {name: experiments[name] for name in ("baseline", "with-hue", "all", "without-jpeg", "preprocess-log")}
    found = {name: one.after for name, one in plans(ABLATION, chosen, read_profile("cpu")).items()}
    used = {name: {key for key, on in after["train"]["variants"].items() if on} for name, after in found.items()}
    assert used["with-hue"] == {"original", "hue"}
    assert used["all"] == set(VARIANT_NAMES)
    assert used["without-jpeg"] == set(VARIANT_NAMES) - {"jpeg"}
    assert found["preprocess-log"]["preprocess"]["method"] == "log"
    assert found["baseline"]["preprocess"]["method"] == "equalize"


def test_every_experiment_sees_as_many_pictures_of_a_frame() -> None:
    # otherwise a difference would be one of more training; within a tenth, as epochs are whole
    cpu = read_profile_of_root()
    learnt = {}
    for name, entry in shipped().experiments.items():
        content, problems = changed(SHIPPED, {**cpu, **entry.params}, name)
        assert not problems
        learnt[name] = sum(one.learnt for one in trainings_of(content, 409))
    assert max(learnt.values()) / min(learnt.values()) < 1.15, learnt


def read_profile_of_root() -> dict[str, Any]:
    params: dict[str, Any] = read_params_file(ROOT / "profiles/cpu.yaml")["params"]
    return params


def test_an_experiment_against_an_unknown_one_is_refused(project: Path) -> None:
    path = project / "profiles/ablation.yaml"
    path.write_text("profile: cpu\nexperiments:\n  a: {against: b, params: {}}\n", encoding="utf-8")
    with pytest.raises(PipelineError, match=r"`against` an experiment of this file; unknown: b"):
        read_file(path, Compared)


@pytest.mark.usefixtures("project")
def test_the_mistakes_of_all_experiments_come_together() -> None:
    entries = {
        "a": Entry(against=None, params={"lrr": 1}),
        "b": Entry(against=None, params={"preprocess.method": "equalise"}),
    }
    with pytest.raises(PipelineError, match=r"(?s)ablation.yaml: a: lrr: unknown key.*preprocess.method: wrong value"):
        plans(ABLATION, entries, read_profile("laptop"))


def test_patterns_choose_and_bring_what_is_measured_against() -> None:
    chosen = shipped().chosen(["with-h*", "with-jpeg"])
    assert list(chosen) == ["original-alone", "with-hue", "with-jpeg"]
    with pytest.raises(PipelineError, match=r"--only with-blur: fits none of baseline"):
        shipped().chosen(["with-blur"])


# --- queue ----------------------------------------------------------------------------------------------------------


def entry(name: str, state: str | None, stamp: str, rev: str = "abc", **metrics: Any) -> dict[str, Any]:
    """One experiment as `dvc exp show --json` tells it (seen with DVC 3.67)."""
    content = {"params.yaml": {"data": SHIPPED}}
    data = {"timestamp": stamp, "params": content, "metrics": {}}
    if metrics:
        data["metrics"] = {"metrics/summary.json": {"data": metrics}}
    executor = None if state is None else {"state": state, "name": "dvc-task", "local": None}
    return {"name": name, "revs": [{"rev": rev, "data": data, "error": None}], "executor": executor}


def shown(*entries: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"rev": "workspace", "experiments": None}, {"rev": "f00", "name": "main", "experiments": list(entries)}]


SCORES = {"patient": {"label_copy": 0.3, "majority": 0.2, "resnet18": 0.5}}


def test_a_failed_experiment_has_no_scores_though_dvc_shows_its_parent_s() -> None:
    found = experiments_in(
        shown(
            entry("ablation-a", "success", "2026-01-01T10:00:00", **SCORES),
            entry("ablation-b", "failed", "2026-01-01T10:00:00", **SCORES),
            entry("ablation-c", "queued", "2026-01-01T10:00:00"),
            entry("ablation-d", None, "2026-01-01T10:00:00", **SCORES),
            entry("other", "success", "2026-01-01T10:00:00", **SCORES),
        ),
        "ablation-",
    )
    states = {name: one.state for name, one in found.items()}
    assert states == {"a": "finished", "b": "failed", "c": "queued", "d": "finished"}
    assert found["a"].scores == SCORES
    assert found["b"].scores == {}


def test_of_two_of_a_name_the_later_counts() -> None:
    old, new = (entry("ablation-a", state, f"2026-01-0{day}") for day, state in ((1, "failed"), (2, "queued")))
    for order in ((old, new), (new, old)):
        assert experiments_in(shown(*order), "ablation-")["a"].state == "queued"


@pytest.mark.usefixtures("project")
def test_what_is_there_is_not_queued_again_and_what_failed_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words: list[list[str]] = []
    there = shown(entry("ablation-baseline", "success", "1", **SCORES), entry("ablation-preprocess-log", "failed", "1"))
    monkeypatch.setattr(compared, "exp_show", lambda _: there)
    monkeypatch.setattr(compared, "run_dvc", lambda given: words.append(list(given)) or 0)
    monkeypatch.setattr(compared, "measure", lambda content: dict.fromkeys(content["architectures"], Rate(60.0, 600.0)))
    monkeypatch.setattr(compared, "start_s", lambda: 5.0)
    monkeypatch.setattr(sys, "argv", ["ablation", "queue", "--only", "preprocess-log"])
    ablation.main()
    [only] = words
    assert only[:5] == ["exp", "run", "--queue", "--name", "ablation-preprocess-log"]
    assert "preprocess.method=log" in only
    printed = capsys.readouterr().out
    assert "ablation-baseline is finished: not queued again" in printed
    assert printed.index("estimate:") < printed.index("dvc exp run --queue")


@pytest.mark.usefixtures("project")
def test_queueing_stops_with_dvc_s_status(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compared, "exp_show", lambda _: [])
    monkeypatch.setattr(compared, "run_dvc", lambda _: 255)
    monkeypatch.setattr(compared, "say_estimate", lambda _: None)
    with pytest.raises(SystemExit) as ended:
        queue(ABLATION, shipped(), ["baseline"], dry=False)
    assert ended.value.code == 255


# --- table ----------------------------------------------------------------------------------------------------------


def table_of(mine: dict[str, float], theirs: dict[str, float]) -> pd.DataFrame:
    scores = {
        "baseline": SCORES,
        "preprocess-clahe": {"patient": {"label_copy": 0.3, "majority": 0.2, "resnet18": 0.62}},
    }
    patients = {"baseline": {"patient": {"resnet18": theirs}}, "preprocess-clahe": {"patient": {"resnet18": mine}}}
    return ablation_table(AGAINST, scores, patients)


def test_differences_are_paired_over_the_patients_that_both_have() -> None:
    table = table_of({"P1": 0.7, "P2": 0.5, "P3": 0.9, "P9": 1.0}, {"P1": 0.5, "P2": 0.6, "P3": 0.6, "P4": 0.0})
    assert table["model"].tolist() == ["resnet18", "resnet18"]  # the baselines open no picture: nothing changes them
    row = table.iloc[1]
    apart = [0.2, -0.1, 0.3]
    assert row["difference"] == pytest.approx(0.12)
    assert (row["patients"], row["better in"]) == (3, 2)
    assert row["mean difference"] == pytest.approx(statistics.mean(apart), abs=1e-6)
    assert row["spread"] == pytest.approx(statistics.stdev(apart), abs=1e-6)
    assert (row["smallest"], row["largest"]) == pytest.approx((-0.1, 0.3))
    assert row["separates"] == "nothing"
    assert table.iloc[0][["against", "difference", "patients", "separates"]].isna().all()


def test_only_a_difference_beyond_the_spread_is_a_hint() -> None:
    clear = table_of({"P1": 0.7, "P2": 0.8, "P3": 0.9}, {"P1": 0.5, "P2": 0.5, "P3": 0.6}).iloc[1]
    assert clear["separates"] == "a hint"
    assert table_of({"P1": 0.9}, {"P1": 0.1}).iloc[1]["separates"] == "nothing"  # one patient has no spread
    assert pd.isna(table_of({"P1": 0.9}, {"P2": 0.1}).iloc[1]["separates"])


def test_the_page_says_what_is_not_finished_and_how_to_read_it() -> None:
    page = markdown("ablation", table_of({"P1": 0.7, "P2": 0.5}, {"P1": 0.6, "P2": 0.7}), {"all": "queued"}, "cpu")
    assert "A mean difference below the spread separates nothing." in page
    assert "one training seed, not a proof" in page
    assert "- all: queued" in page
    assert "No experiment is finished." in markdown(
        "ablation", ablation_table(AGAINST, {}, {}), {"baseline": "queued"}, "cpu"
    )


@pytest.mark.usefixtures("project")
def test_an_experiment_of_other_values_than_the_file_s_stops_the_table() -> None:
    there = shown(entry("ablation-preprocess-clahe", "success", "1", **SCORES))
    with pytest.raises(PipelineError) as caught:
        table(ABLATION, shipped(), experiments_in(there, "ablation-"), None)
    message = str(caught.value)
    assert "ablation-preprocess-clahe: preprocess.method: other than profiles/ now says: expected clahe" in message
    assert "got equalize. `dvc exp remove ablation-preprocess-clahe`, and queue it again." in message


@pytest.mark.usefixtures("project")
def test_the_csv_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ablation, "exp_show", lambda _: [])
    monkeypatch.setattr(sys, "argv", ["ablation", "table", "--csv", str(tmp_path / "found.csv")])
    ablation.main()
    assert pd.read_csv(tmp_path / "found.csv").columns[0] == "experiment"


@pytest.mark.usefixtures("project")
def test_queue_and_profile_give_dvc_the_same_changes() -> None:
    planned = plans(ABLATION, {"baseline": shipped().experiments["baseline"]}, read_profile("cpu"))["baseline"]
    words = queue_command(ABLATION, "baseline", planned)
    assert words[:5] == ["exp", "run", "--queue", "--name", "ablation-baseline"]
    assert words[5:] == planned.command()[2:]
    assert profile.minutes(1500) == "25 min"
