"""The checker on the study's table (by other arithmetic), on honest tables, and on tables with one planted flaw."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics

from stages.audit.__main__ import PUBLISHED, check_file
from stages.audit.exact import coincidence, is_rounded
from stages.audit.page import audited, whole_page
from stages.audit.table import Counts, Table, read_table
from stages.common.core.errors import PipelineError

CHANCE = 0.001
NAMES = ("bad_quality", "cord", "fluid")


def findings(table: Table | dict[str, Any], check: str | None = None) -> list[dict[str, Any]]:
    """Return what the audit finds, of one check or of all."""
    table = table if isinstance(table, Table) else Table.model_validate(table)
    found = audited(table, CHANCE)["findings"]
    return [of for of in found if check in (None, of["check"])]


def suspicious(table: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what the audit holds for possible chance."""
    found: list[dict[str, Any]] = audited(Table.model_validate(table), CHANCE)["suspicious"]
    return found


def digits(value: float | None) -> str | None:
    return None if value is None or np.isnan(value) else f"{value:.4f}"


def honest(truth: NDArray[np.float64], scores: dict[str, NDArray[np.float64]]) -> dict[str, Any]:
    """Return the table that scikit-learn makes of real truth (frames, labels; NaN unknown) and scores of each model."""
    columns = {name: column(truth, of) for name, of in scores.items()}
    known = ~np.isnan(truth)
    return {
        "source": "simulated",
        "frames": len(truth),
        "decisions": {name: int(known[:, place].sum()) for place, name in enumerate(NAMES)},
        "positives": {name: int((truth[:, place] == 1).sum()) for place, name in enumerate(NAMES)},
        "columns": columns,
        "claims": [
            {"quote": f"most {row}", "rows": [row], "extreme": "largest", "column": best, "value": str(most)}
            for row in ("TN", "FP")
            for best, most in [max(((n, c["counts"][row]) for n, c in columns.items()), key=lambda pair: pair[1])]
        ],
    }


def column(truth: NDArray[np.float64], scores: NDArray[np.float64]) -> dict[str, Any]:
    said, known = scores >= 0.5, ~np.isnan(truth)
    labels = {}
    for place, name in enumerate(NAMES):
        rows = known[:, place]
        real, yes = truth[rows, place], said[rows, place]
        counts = counted(real, yes)
        balanced = real.size and 0 < real.sum() < real.size
        printed = {
            **figures(real, yes),
            "balanced_accuracy": digits(metrics.balanced_accuracy_score(real, yes)) if balanced else None,
            "roc_auc": digits(metrics.roc_auc_score(real, scores[rows, place])) if balanced else None,
        }
        block = {"counts": counts, "metrics": {key: value for key, value in printed.items() if value}}
        labels[name] = {"FP": counts["FP"], "FN": counts["FN"], "block": block}
    printed = figures(truth[known], said[known])
    return {
        "counts": counted(truth[known], said[known]),
        "metrics": {key: value for key, value in printed.items() if value},
        "labels": labels,
        "misclassified": int(((truth != said) & known).any(axis=1).sum()),
    }


def counted(real: NDArray[np.float64], said: NDArray[np.bool_]) -> dict[str, int]:
    cells = metrics.confusion_matrix(real, said, labels=[0, 1]).ravel() if real.size else np.zeros(4)
    return dict(zip(("TN", "FP", "FN", "TP"), map(int, cells), strict=True))


def figures(real: NDArray[np.float64], said: NDArray[np.bool_]) -> dict[str, str | None]:
    if not real.size:
        return {}
    each = {
        "accuracy": metrics.accuracy_score(real, said),
        "precision": metrics.precision_score(real, said, zero_division=np.nan),
        "recall": metrics.recall_score(real, said, zero_division=np.nan),
        "f1": metrics.f1_score(real, said, zero_division=np.nan),
    }
    return {key: digits(value) for key, value in each.items()}


def simulated(seed: int, frames: int = 300, noise: float = 0.35) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    truth = (rng.random((frames, 3)) < [0.2, 0.3, 0.7]).astype(float)
    scores = {name: np.clip(truth * 0.6 + 0.2 + rng.normal(0, noise, truth.shape), 0, 1) for name in "ABC"}
    return honest(truth, scores)


# --- the study -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def study() -> Table:
    return read_table(PUBLISHED)


def test_the_study_s_test_sets_differ(study: Table) -> None:
    first = findings(study)[0]
    assert first["check"] == "one_test_set"
    assert "The testing dataset was kept common across all the models" in first["what"]
    tp_fn = {
        "AlexNet": 737 + 27,
        "VGG16": 729 + 20,
        "ResNet18": 730 + 13,
        "ResNet34": 720 + 20,
        "DenseNet121": 719 + 11,
    }
    assert list(tp_fn.values()) == [764, 749, 743, 740, 730]  # STUDY.md
    for model, yes in tp_fn.items():
        assert f"{yes} + {678 * 3 - yes} in {model}" in first["got"]


def test_the_study_s_roc_auc_is_the_balanced_accuracy_of_its_answers(study: Table) -> None:
    [found] = findings(study, "area_from_answers")
    assert round((130 / 133 + 545 / 545) / 2, 4) == 0.9887
    assert round((488 / 498 + 180 / 180) / 2, 4) == 0.9900
    assert "ResNet18" in found["where"]
    assert "cord 0.9887" in found["got"]
    assert "fluid 0.9900" in found["got"]


def test_the_study_s_sentences(study: Table) -> None:
    found = findings(study, "extremes")
    assert len(study.claims) == 12
    assert [(of["expected"], of["got"]) for of in found] == [("DenseNet121 with 1294", "ResNet34 with 1282")]


def test_a_sentence_with_another_reading_is_suspicious_and_no_finding(study: Table) -> None:
    (found,) = audited(study, CHANCE)["suspicious"]
    assert (found["expected"], found["got"]) == (f"DenseNet121 with {10 + 11}", f"ResNet18 with {11 + 13}")
    assert "unless it is read as: fewest misclassified images" in found["what"]


def test_the_study_s_clips_do_not_add_up_to_its_frames(study: Table) -> None:
    clips = [373, 373, 67, 288, 221, 108, 108, 180, 180, 373, 373, 371, 373]
    [found] = findings(study, "totals")
    assert (found["expected"], found["got"]) == (str(sum(clips)), "3390")


def test_what_the_study_got_right_is_no_finding(study: Table) -> None:
    assert {of["check"] for of in findings(study)} == {"one_test_set", "area_from_answers", "extremes", "totals"}
    checks = {of["check"]: of["compared"] for of in audited(study, CHANCE)["checks"]}
    assert checks["rounding"] == 5 * 4 + 2 * 3
    assert checks["label_sums"] == 5 * 2
    assert checks["decisions"] == 5 + 2


def test_the_page_names_every_finding(study: Table) -> None:
    found = audited(study, CHANCE)
    page = whole_page(found, {"frame": audited(Table.model_validate(simulated(1)), CHANCE)})
    for of in found["findings"]:
        assert of["got"] in page


# --- honest tables -------------------------------------------------------------------------------------------------


@settings(max_examples=40, derandomize=True, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    frames=st.integers(1, 60),
    shares=st.tuples(*[st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0])] * 3),
    unknown=st.sampled_from([0.0, 0.2]),
    noise=st.sampled_from([0.0, 0.05, 0.4, 2.0]),
    models=st.integers(1, 4),
)
def test_no_table_of_real_confusions_has_a_finding(
    seed: int, frames: int, shares: tuple[float, float, float], unknown: float, noise: float, models: int
) -> None:
    rng = np.random.default_rng(seed)
    truth = (rng.random((frames, 3)) < shares).astype(float)
    clean = truth.copy()
    truth[rng.random(truth.shape) < unknown] = np.nan
    scores = {f"M{m}": np.clip(0.2 + 0.6 * clean + rng.normal(0, noise, clean.shape), 0, 1) for m in range(models)}
    assert findings(honest(truth, scores)) == []


def test_collapsed_and_perfect_models_are_no_finding() -> None:
    truth = np.tile([[0.0, 1.0, 0.0], [1.0, 0.0, 1.0], [0.0, 1.0, 1.0]], (30, 1))
    always = {"no": np.full(truth.shape, 0.1), "yes": np.full(truth.shape, 0.9), "perfect": truth * 0.8 + 0.1}
    assert findings(honest(truth, always)) == []  # AUC .5 = balanced accuracy .5, and 1 = 1


def test_areas_are_caught_in_any_column_of_a_large_table_and_never_by_one_coincidence() -> None:
    rng = np.random.default_rng(5)
    truth = (rng.random((400, 3)) < 0.4).astype(float)
    graded = np.clip(truth * 0.6 + 0.2 + rng.normal(0, 0.35, truth.shape), 0, 1)
    answers = (graded >= 0.5).astype(float)
    assert {of["check"] for of in findings(honest(truth, {"A": graded, "B": answers}))} == {"area_from_answers"}
    mixed = np.column_stack([answers[:, 0], graded[:, 1:]])
    table = honest(truth, {"A": graded, "B": mixed})
    assert findings(table) == []  # one label alone may coincide
    assert [of["where"] for of in suspicious(table)] == ["B, ROC AUC of bad_quality"]
    two = np.column_stack([answers[:, :2], graded[:, 2:]])
    assert [of["where"] for of in findings(honest(truth, {"A": graded, "B": two}))] == [
        "B, ROC AUC of bad_quality, cord"
    ]


def test_a_pooled_area_is_compared_with_the_pooled_counts() -> None:
    rng = np.random.default_rng(5)
    truth = (rng.random((400, 3)) < 0.4).astype(float)
    graded = np.clip(truth * 0.6 + 0.2 + rng.normal(0, 0.35, truth.shape), 0, 1)
    table = honest(truth, {"A": graded})
    printed = table["columns"]["A"]["metrics"]
    printed["roc_auc"] = digits(metrics.roc_auc_score(truth.ravel(), graded.ravel()))
    assert suspicious(table) == []
    printed["roc_auc"] = digits(metrics.balanced_accuracy_score(truth.ravel(), graded.ravel() >= 0.5))
    assert findings(table) == []
    [found] = suspicious(table)
    assert found["where"] == "A, ROC AUC of all labels"
    assert "with a chance below 0.0" in found["expected"]


def test_what_one_column_may_do_by_chance_ten_do_not() -> None:
    """Ten models and a single label on few frames: each area alone could be its balanced accuracy by chance."""
    rng = np.random.default_rng(6)
    truth = (rng.random((12, 3)) < [0.5, 0, 0]).astype(float)  # without positives there is no area
    graded = {f"M{number}": truth * 0.3 + rng.random(truth.shape) * [0.7, 0.4, 0.4] for number in range(10)}
    answers = {name: (of >= 0.5).astype(float) for name, of in graded.items()}
    alone = honest(truth, {"M0": answers["M0"]})
    assert findings(alone) == []
    assert [of["where"] for of in suspicious(alone)] == ["M0, ROC AUC of bad_quality"]
    assert findings(honest(truth, graded)) == []
    [found] = findings(honest(truth, answers))
    assert found["where"].startswith("all columns, ROC AUC of M0 bad_quality, ")


@pytest.mark.parametrize("columns", ["A", "ABCD"])
def test_findings_in_right_tables_are_rarer_than_the_chance_named(columns: str) -> None:
    """Scores that say nothing beyond the threshold; a large chance, so that a few hundred tables can tell."""
    rng = np.random.default_rng(8)
    names, tables = 0, 400
    for _ in range(tables):
        truth = (rng.random((40, 3)) < 0.4).astype(float)
        said = {name: rng.random(truth.shape) < 0.3 + 0.3 * truth for name in columns}
        scores = {name: (of + rng.random(truth.shape)) / 2 for name, of in said.items()}
        found = audited(Table.model_validate(honest(truth, scores)), 0.2)["findings"]
        names += any(of["check"] == "area_from_answers" for of in found)
    assert names / tables <= 0.2


@pytest.mark.parametrize(("positives", "negatives", "shift"), [(6, 9, 0.5), (12, 30, 0.0), (20, 20, 1.0)])
def test_the_bound_of_coincidence_holds_in_simulation(positives: int, negatives: int, shift: float) -> None:
    """Scores that say nothing beyond the threshold coincide no more often than the bound says."""
    rng = np.random.default_rng(11)
    truth = np.r_[np.ones(positives), np.zeros(negatives)]
    said = rng.random(truth.size) < 0.3 + 0.3 * shift * truth
    counts = Counts(**counted(truth, said))
    balanced = digits(metrics.balanced_accuracy_score(truth, said))
    assert balanced is not None
    order = (rng.random((20000, truth.size)) + said).argsort(axis=1).argsort(axis=1) + 1
    wins = order[:, truth == 1].sum(axis=1) - positives * (positives + 1) / 2  # Mann and Whitney's U
    draws = np.round(wins / (positives * negatives), 4) == float(balanced)
    # the normal curve stands for the exact rank sum: allow it a tenth, and the simulation three standard errors
    assert np.mean(draws) <= coincidence(counts, balanced) * 1.1 + 3 * np.sqrt(np.mean(draws) / len(draws))


# --- planted flaws -------------------------------------------------------------------------------------------------


def another_test_set(table: dict[str, Any]) -> None:
    """B was scored on other frames, as many: the table is consistent within each column."""
    table["columns"]["B"] = simulated(99)["columns"]["B"]
    table["positives"] = {}


def wrong_rounding(table: dict[str, Any]) -> None:
    printed = table["columns"]["A"]["metrics"]
    printed["precision"] = f"{float(printed['precision']) + 0.0001:.4f}"


def wrong_block_rounding(table: dict[str, Any]) -> None:
    printed = table["columns"]["C"]["labels"]["cord"]["block"]["metrics"]
    printed["recall"] = f"{float(printed['recall']) - 0.0001:.4f}"


def area_of_answers(table: dict[str, Any]) -> None:
    for label in table["columns"]["B"]["labels"].values():
        label["block"]["metrics"]["roc_auc"] = label["block"]["metrics"]["balanced_accuracy"]


def wrong_label_sum(table: dict[str, Any]) -> None:
    for of in table["columns"].values():  # no blocks: a table that prints errors of labels alone
        for label in of["labels"].values():
            label["block"] = None
    table["columns"]["A"]["labels"]["fluid"]["FP"] += 1


def wrong_block(table: dict[str, Any]) -> None:
    """Two labels swap an error in the rows: sums stay."""
    labels = table["columns"]["A"]["labels"]
    labels["cord"]["FN"] -= 1
    labels["fluid"]["FN"] += 1


def too_few_frames(table: dict[str, Any]) -> None:
    of = table["columns"]["C"]
    of["misclassified"] = max(label["FP"] + label["FN"] for label in of["labels"].values()) - 1


def too_many_frames(table: dict[str, Any]) -> None:
    of = table["columns"]["C"]
    of["misclassified"] = of["counts"]["FP"] + of["counts"]["FN"] + 1


def wrong_extreme(table: dict[str, Any]) -> None:
    claim = table["claims"][0]
    claim["column"] = next(name for name in table["columns"] if name != claim["column"])
    claim["value"] = None


def wrong_number(table: dict[str, Any]) -> None:
    table["claims"][0]["value"] = str(int(table["claims"][0]["value"]) + 1)


def wrong_decisions(table: dict[str, Any]) -> None:
    table["decisions"]["cord"] += 1


def wrong_positives(table: dict[str, Any]) -> None:
    table["positives"]["cord"] += 1


def wrong_total(table: dict[str, Any]) -> None:
    table["totals"] = [{"quote": "in all", "total": 10, "parts": {"one": 4, "other": 5}}]


COUNTS = {"TN": 60, "FP": 10, "FN": 10, "TP": 21}  # 101


@pytest.mark.parametrize(
    ("pooled", "of_label", "where"),
    [
        ({"TN": 260, "FP": 10, "FN": 10, "TP": 21}, None, ["A, all labels"]),  # 301 answers, 3 x 100 at most
        ({"TN": 259, "FP": 10, "FN": 10, "TP": 21}, None, []),
        ({"TN": 100, "FP": 10, "FN": 10, "TP": 21}, COUNTS, ["A, cord"]),
        ({"TN": 100, "FP": 10, "FN": 10, "TP": 21}, {**COUNTS, "TN": 59}, []),
    ],
    ids=["all labels", "as many as there can be", "one label", "one label, as many as there can be"],
)
def test_no_label_has_more_answers_than_there_are_frames(
    pooled: dict[str, int], of_label: dict[str, int] | None, where: list[str]
) -> None:
    cord = {"FP": 10, "FN": 10} | ({"block": {"counts": of_label}} if of_label else {})
    labels = {"cord": cord, "fluid": {"FP": 0, "FN": 0}, "bad_quality": {"FP": 0, "FN": 0}}
    table = {"source": "made up", "frames": 100, "columns": {"A": {"counts": pooled, "labels": labels}}}
    assert [of["where"] for of in findings(table, "frames")] == where


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize(
    ("plant", "check"),
    [
        (another_test_set, "one_test_set"),
        (wrong_rounding, "rounding"),
        (wrong_block_rounding, "rounding"),
        (area_of_answers, "area_from_answers"),
        (wrong_label_sum, "label_sums"),
        (wrong_block, "label_blocks"),
        (too_few_frames, "misclassified"),
        (too_many_frames, "misclassified"),
        (wrong_extreme, "extremes"),
        (wrong_number, "extremes"),
        (wrong_decisions, "decisions"),
        (wrong_positives, "decisions"),
        (wrong_total, "totals"),
    ],
)
def test_each_planted_flaw_yields_exactly_its_finding(
    plant: Callable[[dict[str, Any]], None], check: str, seed: int
) -> None:
    table = simulated(seed)
    assert findings(table) == []
    if plant is another_test_set:
        table["claims"] = []
    plant(table)
    assert {of["check"] for of in findings(table)} == {check}


# --- small parts ---------------------------------------------------------------------------------------------------


def test_rounding_is_to_the_digits_printed_and_a_tie_may_go_either_way() -> None:
    from fractions import Fraction

    assert is_rounded("0.67", Fraction(2, 3))
    assert not is_rounded("0.670", Fraction(2, 3))
    assert is_rounded("0.12", Fraction(1, 8))
    assert is_rounded("0.13", Fraction(1, 8))
    assert not is_rounded("0.5", None)


def test_a_file_that_is_no_table_is_one_message(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("source: x\ncolumns: {A: {counts: {TN: 1, FP: -1, FN: 2}, metrics: {accuracy: 0.97}}}\n")
    with pytest.raises(PipelineError) as caught:
        read_table(path)
    for part in ("columns.A.counts.TP: Field required", "columns.A.counts.FP", "columns.A.metrics.accuracy", "'0.97'"):
        assert part in str(caught.value)
    path.write_text("columns: [")
    with pytest.raises(PipelineError, match="cannot be read as YAML"):
        read_table(path)


def test_metrics_in_per_cent_are_refused_one_by_one_before_the_arithmetic(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    block = "{FP: 10, FN: 5, block: {counts: {TN: 40, FP: 10, FN: 5, TP: 45}, metrics: {recall: '90'}}}"
    metrics = "{accuracy: '85.0', precision: '0.82', f1: '1.000', specificity: '120'}"
    counts = "counts: {TN: 40, FP: 10, FN: 5, TP: 45}"
    path.write_text(f"source: x\ncolumns: {{A: {{{counts}, metrics: {metrics}, labels: {{cord: {block}}}}}}}\n")
    with pytest.raises(PipelineError) as caught:
        read_table(path)
    said = str(caught.value)
    assert "columns.A.metrics.accuracy: Value error, as a share of 1: 0.850, got '85.0'" in said
    assert "columns.A.labels.cord.block.metrics.recall: Value error, as a share of 1: 0.90, got '90'" in said
    assert "columns.A.metrics.specificity: Value error, a share of 1, got '120'" in said
    assert said.count("Value error") == 3
    assert "does not follow" not in said


def test_a_claim_on_a_row_that_is_not_there_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    counts = "counts: {TN: 1, FP: 1, FN: 2, TP: 3}"
    claim = "claims: [{quote: best, rows: [f1], extreme: largest, column: A}]"
    path.write_text(f"source: x\ncolumns: {{A: {{{counts}}}}}\n{claim}\n")
    with pytest.raises(PipelineError, match="'f1' of 'A' in a claim"):
        read_table(path)


def test_any_table_can_be_checked_from_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        check_file(PUBLISHED, CHANCE)
    assert caught.value.code == 1
    assert "4 findings" in capsys.readouterr().out
