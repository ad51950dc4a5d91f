"""The comment on a pull request: its parts, and whole, on a small DVC repository with two commits."""

import html
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from markdown_it import MarkdownIt
from ruamel.yaml import YAML

from operations import comment
from tests.workspace import ROOT, commit, dvc, environment, git, read_params_file

KINDS = ("aliases", "column_aliases", "confirmed_headings", "definitions", "first_number_of", "ignored_sheets")
SHOWN_PLOTS = ("Performance of the models", "Losses")  # two of the shipped ones, with the shipped templates
SCORES = "protocol,model,series,value\npatient,resnet18,macro F1,0.5\npatient,vgg16,macro F1,0.4\n"
CURVES = "protocol,model,side,fold,epoch,loss\n" + "".join(
    f"patient,resnet18,{side},0,{epoch},{loss}\n"
    for side, losses in (("train", (0.7, 0.5)), ("validation", (0.8, 0.6)))
    for epoch, loss in enumerate(losses)
)
PROPORTION = {"value": 0.75, "low": 0.3491, "high": 0.9682, "patients": 8, "why": None}
RANGE = {"value": 0.5231, "lowest": 0.4348, "highest": 0.6114, "patients": 2, "why": None}
EVIDENCE = {
    "headline": "patient",
    "confidence": 0.95,
    "protocols": {
        "patient": {"patients": 8, "models": {"resnet18": {"cord sensitivity": PROPORTION, "macro F1": RANGE}}},
        "frame": {"patients": 9, "models": {"leaking": {}}},
    },
}


# ---- its parts


def test_a_figure_stands_with_its_interval() -> None:
    assert comment.cell({"value": 0.5, "low": 0.0126, "high": 0.9874}) == "0.500 (0.013 to 0.987)"
    assert comment.cell({"value": 0.5, "low": None, "high": None}) == "0.500"
    assert comment.cell({"value": 0.5, "lowest": 0.25, "highest": 0.75}) == "0.500 (range 0.250 to 0.750)"
    one = {"value": 0.5, "low": None, "high": None, "why": "one patient"}
    assert comment.cell(one) == "0.500 (no interval: one patient)"
    assert comment.cell({"value": None}) == comment.cell(None) == "-"


def test_the_comparison_is_the_headline_protocols() -> None:
    evidence = {
        "headline": "patient",
        "confidence": 0.9,
        "protocols": {
            "frame": {"patients": 8, "models": {"wrong": {}}},
            "patient": {"patients": 2, "models": {"resnet18": {"cord sensitivity": {"value": 0.75}}}},
        },
    }
    text = comment.comparison(evidence, ["cord"])
    assert "Protocol `patient`, 2 test patients" in text
    assert "90 % intervals over patients" in text
    assert "| resnet18 | - | - | - | 0.750 | - |" in text
    assert "wrong" not in text


def test_names_of_sheets_and_clips_stay_out_of_the_comment(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    dvc(tmp_path, "init", "-q")
    before = {
        "lr": 0.1,
        "label_merge": {"first_number": "auto", **{key: {} for key in KINDS}},
        "leakage": {"blank_below": 1, "known_pairs": {}},
        "label_review": {"answers": None, "answers_sha256": None},
        "train": {"weights": "random", "weights_sha256": None},
    }
    (tmp_path / "params.yaml").write_text(json.dumps(before))
    commit(tmp_path, "before")
    named = {kind: {f"KURT 2019 | {kind}": "NORA: left", "EVA\n2019": "MIA\nBORIS\n"} for kind in KINDS}
    after = {
        "lr": 0.2,
        "note": "one\ntwo | three",
        "label_merge": {"first_number": 1, **named},
        "leakage": {"blank_below": 2, "known_pairs": {"C003 C009": "KURT and NORA are twins"}},
        "label_review": {"answers": "reviews/EVA, answers of MIA.csv", "answers_sha256": "ab12"},
        "train": {"weights": "weights/BORIS 2019.pth", "weights_sha256": "cd34"},
    }
    with (tmp_path / "params.yaml").open("w") as file:
        YAML().dump(after, file)
    (tmp_path / "params.yaml").write_text((tmp_path / "params.yaml").read_text() + "\nwords: |\n  of two\n  lines\n")
    changed = json.loads(dvc(tmp_path, "params", "diff", "--json", "HEAD").stdout)
    assert str(changed).count("KURT 2019") == len(KINDS)  # DVC says all of them
    assert str(changed).count("BORIS") == len(KINDS) + 1
    text = comment.parameters(changed)
    for name in ("KURT", "NORA", "EVA", "MIA", "BORIS", "2019"):
        assert name not in text
    assert "| `params.yaml` | `lr` | `0.1` | `0.2` |" in text.splitlines()
    assert r"| `params.yaml` | `note` | - | `one two \| three` |" in text.splitlines()
    assert "| `params.yaml` | `words` | - | `of two lines` |" in text.splitlines()
    for shown in ("label_merge.first_number", "leakage.blank_below", "label_review.answers_sha256"):
        assert f"| `{shown}` |" in text
    assert "| `params.yaml` | `train.weights_sha256` | - | `cd34` |" in text.splitlines()
    assert (
        f"{2 * len(KINDS) + 3} entries that may name sheets, clips or patients are left out: see params.yaml." in text
    )
    assert comment.parameters({}) == "No difference."


def test_a_table_of_names_alone_shows_none() -> None:
    text = comment.parameters({"params.yaml": {"label_merge.aliases.KURT": {"old": None, "new": "EVA"}}})
    assert text.strip() == "1 entry that may name sheets, clips or patients is left out: see params.yaml."


def test_weights_that_are_no_file_are_shown() -> None:
    changed = {"params.yaml": {"train.weights": {"old": "random", "new": "imagenet"}}}
    assert "| `params.yaml` | `train.weights` | `random` | `imagenet` |" in comment.parameters(changed).splitlines()


@pytest.mark.parametrize(
    "value",
    [
        "<img src=https://example.org/a.png>",
        "@everyone and #7",
        "[x](https://example.org)",
        "www.example.org",
        "*a* ~~b~~",
        "a | <b>c</b> | d",
        "`<b>`` d",
        "``` <b>",
        "<b>\\",
        "",
    ],
)
def test_a_value_of_a_parameter_is_shown_letter_by_letter(value: str) -> None:
    """As another library renders it; GitHub makes no mention of what is code."""
    changed = {"params.yaml": {f"baselines.{value}": {"old": value, "new": 1}}}
    rendered = MarkdownIt("gfm-like", {"linkify": False}).render(comment.parameters(changed))
    cells = [html.unescape(cell) for cell in re.findall(r"<td>(?:<code>)?(.*?)(?:</code>)?</td>", rendered)]
    assert cells == ["params.yaml", f"baselines.{value}", value or '""', "1"]
    assert rendered.count("<code>") == len(cells)


@pytest.mark.parametrize("value", ["a\\| <b>", "\\\\| <b>"])
def test_a_backslash_before_a_bar_opens_no_cell(value: str) -> None:
    """Renderers differ in which backslash belongs to the bar; so none of the value's own stands beside it."""
    assert comment.code(value) == "`" + value.replace("|", " \\|") + "`"


def test_every_map_of_label_merge_that_names_sheets_is_known_to_the_comment() -> None:
    section = read_params_file(ROOT / "params.yaml")["label_merge"]
    maps = {key for key, value in section.items() if isinstance(value, dict)} - {
        "without",
        "problems",
    }  # of labels, kinds
    assert maps == set(KINDS)
    assert all(comment.NAMES.search(f"label_merge.{key}.KURT") for key in maps)


# ---- the whole


STAGES = {
    "label_merge": {"cmd": "echo ${cohort} > labels.csv", "params": ["cohort"], "outs": ["labels.csv"]},
    "evidence": {
        "cmd": f"cp judged.json {comment.EVIDENCE}",
        "deps": ["labels.csv", "judged.json"],
        "outs": [{str(comment.EVIDENCE): {"cache": False}}],
    },
    "evaluate": {
        "cmd": f"cp scored.json {comment.SUMMARY}",
        "deps": ["labels.csv", "scored.json"],
        "outs": [{comment.SUMMARY: {"cache": False}}],
    },
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the comment reads, with the shipped plots' definitions, in two commits: another lr, another macro F1."""
    folder = tmp_path_factory.mktemp("comment") / "repository"
    for name in ("metrics/plots", "metrics/pictures"):
        (folder / name).mkdir(parents=True)
    git(folder, "init", "-q")
    dvc(folder, "init", "-q")
    shutil.copytree(ROOT / ".dvc/plots", folder / ".dvc/plots")
    plots = [plot for plot in read_params_file(ROOT / "dvc.yaml")["plots"] if set(plot) & set(SHOWN_PLOTS)]
    picture: list[Any] = ["metrics/pictures/patient.png"]
    with (folder / "dvc.yaml").open("w", encoding="utf-8") as file:
        YAML().dump({"stages": STAGES, "metrics": [comment.SUMMARY], "plots": plots + picture}, file)
    (folder / "metrics/plots/scores.csv").write_text(SCORES)
    (folder / "metrics/plots/curves.csv").write_text(CURVES)
    cv2.imwrite(str(folder / picture[0]), np.zeros((4, 4), np.uint8))
    (folder / "judged.json").write_text(json.dumps(EVIDENCE))
    for lr, score in ((0.01, 0.4641), (0.003, 0.4812)):
        (folder / "params.yaml").write_text(f"cohort: phantom\nlr: {lr}\nlabels: {{cord: {{}}, fluid: {{}}}}\n")
        (folder / "scored.json").write_text(json.dumps({"patient": {"resnet18": score, "vgg16": 0.4}}))
        dvc(folder, "repro", "-q")
        commit(folder, f"lr {lr}")
    return folder


@pytest.fixture
def repository(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "repository", symlinks=True))


def said(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m operations.comment` of this project in another repository."""
    env = environment(folder) | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "operations.comment", *words]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)


def rows(text: str, section: str) -> list[list[str]]:
    """Return the cells of a section's table, its head first."""
    (part,) = [part for part in text.split("### ")[1:] if part.startswith(f"{section}\n")]
    lines = [line for line in part.splitlines() if line.startswith("|") and not re.fullmatch(r"[|\s:-]+", line)]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_comment_says_what_changed_and_what_the_patients_allow(repository: Path) -> None:
    done = said(repository, "HEAD~1", "--pictures", "plots", "--link", "../raw/plots-7/")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("## Against `HEAD~1`, cohort `phantom`\n\n_Numbers on a phantom")
    assert rows(done.stdout, "Macro F1")[1:] == [[comment.SUMMARY, "patient.resnet18", "0.4641", "0.4812", "0.0171"]]
    assert rows(done.stdout, "Parameters")[1:] == [["`params.yaml`", "`lr`", "`0.01`", "`0.003`"]]
    head, *models = rows(done.stdout, "What the patients allow to say")
    (found,) = [dict(zip(head, cells, strict=True)) for cells in models]
    assert found["model"] == "resnet18"
    assert found["cord sensitivity"] == "0.750 (0.349 to 0.968)"
    assert found["macro F1"] == "0.523 (range 0.435 to 0.611)"
    assert found["fluid sensitivity"] == "-"
    assert "No difference." not in done.stdout


def test_the_plots_are_pictures_and_no_picture_of_a_patient_is_among_them(repository: Path) -> None:
    shown = said(repository, "HEAD~1", "--pictures", "plots", "--link", "../raw/plots-7/").stdout
    names = ["performance_of_the_models.png", "losses.png"]
    assert re.findall(r"!\[\w+\]\((.+)\)", shown) == [f"../raw/plots-7/{name}" for name in names]
    assert {path.name for path in (repository / "plots").iterdir()} == set(names)
    for name in names:
        drawn = cv2.imread(str(repository / "plots" / name))
        assert drawn is not None, f"{name}: no PNG"
        assert min(drawn.shape[:2]) > 100
        assert drawn.std() > 1, f"{name}: nothing is drawn"


def test_where_nothing_changed_it_says_so_in_words(repository: Path) -> None:
    done = said(repository, "HEAD")
    assert done.returncode == 0, done.stderr
    for section in ("Macro F1", "Parameters"):
        assert f"### {section}\n\nNo difference.\n\n" in done.stdout
        assert rows(done.stdout, section) == []
    assert "### Plots" not in done.stdout


@pytest.mark.parametrize("key", ["cohort", "labels"])
def test_params_that_lack_what_the_comment_reads_are_one_message(repository: Path, key: str) -> None:
    params = read_params_file(repository / "params.yaml")
    del params[key]
    (repository / "params.yaml").write_text(json.dumps(params))
    done = said(repository, "HEAD")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("error: params.yaml has mistakes (1 problem):\n")
    assert f"params.yaml: {key}: missing key" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_base_that_is_no_commit_is_said_in_dvcs_words(repository: Path) -> None:
    done = said(repository, "nowhere")
    assert done.returncode == 1
    assert done.stdout == ""
    assert re.match(r"error: `dvc metrics diff --md nowhere .*` failed: ERROR: unknown Git revision", done.stderr)


@pytest.mark.parametrize(
    ("content", "got"),
    [
        (None, "no such file"),
        ("{", "JSONDecodeError: .*"),
        ('{"protocols": {"patient": {}}}', "KeyError: 'headline'"),
        ("[]", "TypeError: .*"),
    ],
)
def test_without_the_evidence_it_says_what_writes_it(repository: Path, content: str | None, got: str) -> None:
    """As after a withdrawal, which takes every output."""
    path = repository / comment.EVIDENCE
    path.write_text(content) if content else path.unlink()
    done = said(repository, "HEAD")
    assert done.returncode == 1
    expected = rf"error: {comment.EVIDENCE}: expected what `dvc repro report` writes, got {got}. Run it first\.\n"
    assert re.fullmatch(expected, done.stderr), done.stderr


def test_figures_that_dvc_lock_does_not_name_are_refused(repository: Path) -> None:
    text = (repository / comment.EVIDENCE).read_text()
    (repository / comment.EVIDENCE).write_text(text.replace("0.75", "0.99"))
    done = said(repository, "HEAD")
    assert done.returncode == 1
    assert done.stdout == ""
    assert f"{comment.EVIDENCE}: expected the bytes of dvc.lock, got others" in done.stderr


def test_nor_do_another_cohorts_figures_pass_for_this_ones(repository: Path) -> None:
    params = repository / "params.yaml"
    params.write_text(params.read_text().replace("cohort: phantom", "cohort: mine"))
    done = said(repository, "HEAD")
    assert done.returncode == 1
    assert done.stdout == ""
    assert f"{comment.EVIDENCE}: expected it of cohort mine, as params.yaml has it" in done.stderr
    assert "was made of phantom" in done.stderr


def test_nor_do_those_of_an_earlier_run(repository: Path) -> None:
    params = repository / "params.yaml"
    params.write_text(params.read_text().replace("cohort: phantom", "cohort: mine"))
    dvc(repository, "repro", "-q", "evaluate")  # labels and scores are mine's; the evidence still is the phantom's
    done = said(repository, "HEAD")
    assert done.returncode == 1
    assert done.stdout == ""
    assert f"{comment.EVIDENCE}: expected it of what {comment.SUMMARY} was made of, got other labels.csv" in done.stderr


@pytest.mark.parametrize("place", ["params.yaml", "params.yaml/plots"])
def test_a_file_where_the_pictures_should_go_is_a_message(repository: Path, place: str) -> None:
    done = said(repository, "HEAD", "--pictures", place)
    assert done.returncode == 1
    assert re.fullmatch(
        rf"error: --pictures {place}: expected a folder, or a name for a new one, got .+\n", done.stderr
    )


def test_no_figure_of_a_finished_run_stands_alone() -> None:
    evidence = json.loads((ROOT / comment.EVIDENCE).read_text(encoding="utf-8"))  # as the stage wrote it
    for found in evidence["protocols"][evidence["headline"]]["models"].values():
        shown = {name: comment.cell(figure) for name, figure in found.items()}
        assert all(re.fullmatch(r"-|[\d.]+ \(.+\)", text) for text in shown.values()), shown
        assert f" (range {found['macro F1']['lowest']:.3f} to " in shown["macro F1"]
