"""What the report says aloud beside its comparison: few infants, no interval, no better than chance."""

from math import comb
from pathlib import Path
from typing import Any

import pytest
import vl_convert

from stages.report import __main__ as report
from stages.report.bounds import unbounded
from stages.report.card import facts, ways_of_choosing
from stages.report.checklists import filled, read_checklist
from stages.report.inputs import Data, read
from stages.report.page import environment
from stages.report.sections import comparison, leakage, study
from stages.report.sections.cautions import cautions, not_estimable
from tests.report_inputs import Made


@pytest.fixture
def data(tmp_path: Path) -> Data:
    return read(Made(tmp_path).write(), tmp_path)


def with_counts(data: Data, protocol: str, **figures: float) -> None:
    """Write figures of one protocol, `cord_patients_with` for `cord patients with`, into the comparison."""
    for name, value in figures.items():
        rows = data.comparison["protocol"] == protocol
        data.comparison.loc[rows, name.replace("_", " ")] = value


def drawn(data: Data, name: str, section: Any) -> str:
    """Return one section as the page has it."""
    return environment().get_template(f"{name}.html").render(section.section(data))


def test_a_choice_that_rests_on_one_infant_says_so_wherever_it_is_named(data: Data) -> None:
    data.results["selected"]["patient"]["few_patients"] = {"false_negative_rate of cord": 1}
    rests = "1 infant for the false negative rate of cord"
    assert f"takes alexnet under patient, WHICH RESTS ON {rests}: too few." in ways_of_choosing(data)
    assert f"<strong>Too few infants: the choice of alexnet rests on {rests}.</strong>" in drawn(
        data, "comparison", comparison
    )
    assert f"<strong>which rests on {rests}: too few</strong>" in drawn(data, "study", study)
    items = filled(read_checklist("claim_2024"), facts(data))["items"]
    assert rests in next(item["says"] for item in items if item["item"] == "26")
    assert cautions(data, "frame") == []


@pytest.mark.parametrize(
    ("with_it", "without_it", "why"),
    [(2, 2, None), (1, 2, "1 infant with it"), (0, 1, "0 infants with it and 1 infant without it")],
)
def test_a_label_of_too_few_infants_is_marked_beside_its_counts(
    data: Data, with_it: int, without_it: int, why: str | None
) -> None:
    with_counts(data, "patient", cord_patients_with=with_it, cord_patients_without=without_it)
    assert not_estimable(data, "patient") == ({} if why is None else {"cord": why})
    assert not_estimable(data, "frame") == {}
    marked = drawn(data, "study", study).count(f"{why}, not estimable")
    assert marked == (0 if why is None else 2)  # FP cord and FN cord of protocol patient
    told = f"Not estimable on test: cord ({why}); what is shown is of these infants alone."
    assert (told in cautions(data, "patient")) == (why is not None)


@pytest.mark.parametrize(("fluid", "worse"), [(0.5, False), (0.43, True)])
def test_a_winner_worse_than_chance_on_a_label_of_the_rule_is_told(data: Data, fluid: float, worse: bool) -> None:
    with_counts(data, "patient", fluid_balanced_accuracy=fluid, cord_balanced_accuracy=0.9)
    told = (
        "Worse than chance: alexnet, which the rule chooses, has on test a balanced accuracy below 0.5 of fluid (0.43)."
    )
    assert cautions(data, "patient") == ([told] if worse else [])


def test_a_model_at_chance_is_not_cleared_of_doubt(data: Data) -> None:
    flags = data.results["leakage"]["probes"]["flags"]
    own = {**flags[0], "protocol": "patient", "strong": False, "no_better_than_chance": {"resnet18": 0.3821}}
    data.results["leakage"]["probes"]["flags"] = [own]
    assert leakage.doubts(data, "patient")[0].endswith(" resnet18 (AUC 0.38) itself is no better than chance.")
    own["no_better_than_chance"] |= {"vgg16": 0.5}
    own["strong"] = True
    both = " resnet18 (AUC 0.38) and vgg16 (AUC 0.50) themselves are no better than chance."
    assert leakage.doubts(data, "patient")[0].endswith(both)
    page = drawn(data, "leakage", leakage)
    assert "resnet18 itself: AUC 0.38, no better than chance" in page
    flagged = page.split("<caption>Flagged</caption>")[1]
    assert flagged.index('<th scope="col">range</th>') < flagged.index("0.61 to 0.83")


@pytest.mark.parametrize("patients", [5, 8])
def test_shares_of_wins_say_how_many_infants_and_resamples_they_come_from(data: Data, patients: int) -> None:
    distinct = comb(2 * patients - 1, patients)
    data.results["evidence"]["protocols"]["patient"]["win_shares"]["test"] |= {
        "patients": patients,
        "distinct": distinct,
    }
    told = f"Share of wins on test rows: drawn from {patients} infants, who can be drawn in {distinct} ways"
    assert told in drawn(data, "comparison", comparison)


def test_withheld_shares_leave_a_sentence_and_no_chart(data: Data) -> None:
    why = "2 patients give 3 resamples, however many are drawn: shares are shown from 5 patients on"
    none = {"shares": None, "no_winner": None, "patients": 2, "distinct": 3, "why": why}
    data.results["evidence"]["protocols"]["patient"]["win_shares"] = {"validation": none, "test": none}
    first = comparison.section(data)["protocols"][0]
    assert (first["name"], first["wins"]) == ("patient", None)
    assert drawn(data, "comparison", comparison).count(why) >= 2


@pytest.mark.parametrize("alone", [True, False])
def test_a_line_that_rests_on_one_infant_is_dashed_and_says_so(data: Data, alone: bool) -> None:
    table = data.tables["evidence_intervals"]
    rows = (table["metric"] == "cord sensitivity") & (table["protocol"] == "patient") & (table["model"] == "alexnet")
    table.loc[rows, ["low", "high", "patients"]] = [0.0, 1.0, 1 if alone else 2]
    chart = comparison._intervals(data, "patient", "cord sensitivity")
    assert chart is not None
    picture = vl_convert.vegalite_to_svg({"width": 300, **chart.spec})
    assert picture.count("1 infant</text>") == (1 if alone else 0)
    assert picture.count('stroke-dasharray="4,3"') == (1 if alone else 0)


def test_simplest_is_said_with_its_order(data: Data) -> None:
    said = "Simplest = fewest multiply-adds a picture; order: resnet18, alexnet."
    assert drawn(data, "comparison", comparison).count(said) == 2  # a protocol each


@pytest.mark.parametrize(
    ("change", "lacking"),
    [
        ({}, None),
        ({"patients": 1, "low": 0.0, "high": 1.0}, "cord sensitivity (1 infant)"),
        ({"patients": 0, "low": None, "high": None}, "cord sensitivity (0 infants)"),
    ],
)
def test_accuracy_is_filled_in_only_with_bounds_from_two_infants(
    data: Data, change: dict[str, Any], lacking: str | None
) -> None:
    models = data.results["evidence"]["protocols"]["patient"]["models"]
    models["alexnet"]["cord sensitivity"] = models["alexnet"]["cord sensitivity"] | change
    assert unbounded(data) == lacking
    items = filled(read_checklist("claim_2024"), facts(data))["items"]
    item = next(item for item in items if item["item"] == "38")
    assert item["status"] == ("filled" if lacking is None else "partly")
    assert (f"Not estimable here: {lacking}." == item["says"]) == (lacking is not None)


def test_the_page_takes_all_of_it(data: Data) -> None:
    data.results["selected"]["patient"]["few_patients"] = {"sensitivity of fluid": 1}
    with_counts(data, "patient", cord_patients_with=1, cord_patients_without=1, cord_balanced_accuracy=0.2)
    assert report.page(data).count('<p class="note warning"><strong>') >= 3
