"""The stage from end to end, on the study's workbook and on several experts; nothing is decoded."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML

from stages import label_merge
from stages.common.core.errors import PipelineError
from tests import workbooks
from tests.workbooks import STUDY, STUDY_CHOICES, Rows, sheet, truth

OUTPUTS = (
    "data/label_merge/labels.csv",
    "metrics/labels.json",
    "metrics/plots/labels.csv",
    "metrics/pictures/labels.png",
)


def write_params(root: Path, **section: Any) -> None:
    content = {"cohort": "mine", "labels": workbooks.LABELS, "label_merge": {**workbooks.SECTION, **section}}
    with (root / "params.yaml").open("w", encoding="utf-8") as file:
        YAML(typ="safe", pure=True).dump(content, file)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def prepare(
    root: Path, books: Mapping[str, dict[str, Rows]], frames: Mapping[str, int], stride: int = 1, **section: Any
) -> pd.DataFrame:
    """Write a cohort, its extracted frames and the parameters; return frames.csv."""
    cohort = root / "data/cohorts/mine"
    workbooks.write_clips(cohort, frames)
    for name, sheets in books.items():
        workbooks.write_workbook(cohort / name, sheets)
    write_params(root, **section)
    return workbooks.write_extracted(root, frames, stride)


def results(root: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    table = pd.read_csv(root / OUTPUTS[0])
    return table, json.loads((root / OUTPUTS[1]).read_text(encoding="utf-8"))


def test_the_study_s_workbook_becomes_one_row_a_frame(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frames = prepare(root, {"labels.xlsx": workbooks.study_workbook()}, STUDY, **STUDY_CHOICES)
    label_merge.main()
    table, metrics = results(root)
    assert list(table) == [
        "frame_id",
        "clip_id",
        "patient",
        "frame_index",
        "bad_quality",
        "cord",
        "fluid",
        "fluid_without_cord",
    ]
    assert len(table) == sum(STUDY.values()) == 3388
    assert table["frame_id"].tolist() == frames["frame_id"].tolist()
    truths = np.concatenate([np.array(labels) for labels in workbooks.study_labels().values()])
    for place, label in enumerate(("bad_quality", "cord", "fluid")):
        known = table[label].notna().to_numpy()
        assert (table[label].to_numpy()[known] == truths[known, place]).all()
        total = metrics["total"]["labels"][label]
        assert total["unknown"] == int((~known).sum())
        assert total["positive"] == int(truths[known, place].sum())
    assert metrics["problems"]["label_without_frame"] == {
        "count": 1, "cases": [{"clip_id": "C002", "expert": "E1", "rows": "375"}],
    }  # fmt: skip
    assert metrics["problems"]["blank_cell"]["count"] == 4
    assert metrics["first_number"]["E1"]["C013"] == 1
    said = capsys.readouterr().out
    assert "label_merge: 3388 frames of 13 clips, 1 expert(s)" in said
    assert "warning: blank_cell: 4, listed in metrics/labels.json" in said
    assert re.search(r"cord: \d+ positive, \d+ negative, 3 unknown", said)


def test_the_study_s_workbook_stops_with_all_problems_and_leaves_no_output(root: Path) -> None:
    prepare(root, {"labels.xlsx": workbooks.study_workbook()}, STUDY)
    with pytest.raises(
        PipelineError, match=r"the labels of cohort 'mine' cannot be used as they are \(5 problems\)"
    ) as error:
        label_merge.main()
    assert "blank cell" not in str(error.value)
    assert not any((root / path).exists() for path in OUTPUTS)


def test_no_name_that_a_person_gave_leaves_the_cohort(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frames = {"Miller Anna 2024": 20, "Jones Ben 2023": 20}
    sheets = {name: sheet(truth(20, seed=len(name)), name) for name in frames}
    sheets["Miller Anna 2024"][3][1:] = [2, None, "Dr Strange"]
    sheets["Anna's legend"] = [["colours"]]
    books = {"labels_Strange.xlsx": sheets, "labels_Who.xlsx": sheets}
    ignored = {f"{expert}/Anna's legend": "no labels" for expert in ("Strange", "Who")}
    prepare(root, books, frames, problems=workbooks.WARN, ignored_sheets=ignored)
    label_merge.main()
    said = capsys.readouterr().out.replace("python -m stages.check data/cohorts/mine", "")
    assert "notes on sheets: 2" in said
    assert "not_binary: " in said
    assert "clip_id C001" in said
    for content in [*((root / path).read_bytes().lower() for path in OUTPUTS), said.lower().encode()]:
        assert not any(word in content for word in (b"miller", b"anna", b"jones", b"strange", b"who", b"2024", b"mine"))


def test_the_same_sheets_give_the_same_bytes(root: Path) -> None:
    frames = {"AM12": 30, "BM12": 20}
    prepare(root, {"labels.xlsx": {name: sheet(truth(count), name) for name, count in frames.items()}}, frames)
    label_merge.main()
    first = [(root / path).read_bytes() for path in OUTPUTS]
    label_merge.main()
    assert first == [(root / path).read_bytes() for path in OUTPUTS]


def test_three_experts_are_united_by_majority(root: Path) -> None:
    heading = list(workbooks.HEADING)
    answers = {
        "labels_a.xlsx": [[0, 1, 1], [0, 0, 1], [1, 0, 0], [0, 0, 0]],
        "labels_b.xlsx": [[0, 1, 1], [0, 1, 1], [0, 0, 1], [0, None, 0]],
        "labels_c.xlsx": [[0, 0, 1], [0, 0, 1], [1, 0, 0], [0, 1, 0]],
    }
    books = {
        name: {"AM12": [heading, *([number, *row] for number, row in enumerate(rows))]}
        for name, rows in answers.items()
    }
    prepare(root, books, {"AM12": 4})
    label_merge.main()
    table, metrics = results(root)
    assert table["cord"].fillna(-1).tolist() == [1, 0, 0, -1]
    assert table["fluid"].tolist() == [1, 1, 0, 0]
    assert table["fluid_without_cord"].tolist() == [0, 1, 0, 0]
    assert table["bad_quality"].tolist() == [0, 0, 1, 0]
    experts = metrics["experts"]
    assert experts["count"] == 3
    assert experts["ties"]["cord"] == 1
    assert experts["agreement"]["cord"]["E1-E2"] == {"frames": 3, "agreement": 0.666667, "kappa": 0.4}
    assert experts["agreement"]["bad_quality"]["E1-E3"] == {"frames": 4, "agreement": 1.0, "kappa": 1.0}


def test_thinning_keeps_numbers_and_only_kept_frames_want_labels(root: Path) -> None:
    labels = truth(50, seed=4)
    prepare(root, {"labels.xlsx": {"AM12": sheet(labels, first=1)}}, {"AM12": 50}, stride=4)
    label_merge.main()
    table, _ = results(root)
    assert table["frame_index"].tolist() == list(range(0, 50, 4))
    assert table["cord"].tolist() == [labels[index][1] for index in range(0, 50, 4)]


def test_the_exploratory_tables_agree_with_the_labels(root: Path) -> None:
    frames = {"AM12": 60, "BM12": 40}
    prepare(
        root, {"labels.xlsx": {name: sheet(truth(count, seed=count), name) for name, count in frames.items()}}, frames
    )
    label_merge.main()
    table, metrics = results(root)
    plot = pd.read_csv(root / OUTPUTS[2])
    names = ["bad_quality", "cord", "fluid"]
    assert len(metrics["total"]["combinations"]) == 2**3 + 1
    for clip_id, rows in [*table.groupby("clip_id"), ("all", table)]:
        part = metrics["total"] if clip_id == "all" else metrics["clips"][clip_id]
        assert part["frames"] == len(rows) == sum(part["combinations"].values())
        assert part["combinations"]["cord+fluid"] == int((rows[names].to_numpy() == [0, 1, 1]).all(axis=1).sum())
        drawn = plot[plot["clip_id"] == clip_id].set_index("label")["share"]
        assert drawn["cord"] == pytest.approx(rows["cord"].mean(), abs=1e-6)
    assert metrics["patients"]["cord"] == {"positive": 1, "negative": 1}


def test_the_picture_shows_a_bar_a_clip_and_label() -> None:
    shares = [{"clip_id": clip, "label": label, "positive": 1, "negative": 2, "unknown": 1, "share": 1 / 3}
              for clip in ("C001", "all") for label in ("cord", "fluid")]  # fmt: skip
    figure = label_merge.draw(pd.DataFrame(shares))
    assert [axes.get_title() for axes in figure.axes] == ["cord", "fluid"]
    assert [bar.get_height() for bar in figure.axes[0].patches] == pytest.approx([25, 25, 25, 25])


def test_other_clips_than_were_extracted_are_refused(root: Path) -> None:
    prepare(root, {"labels.xlsx": {"AM12": sheet(truth(9))}}, {"AM12": 9})
    workbooks.write_clips(root / "data/cohorts/mine", ["AM12", "BM12"])
    with pytest.raises(PipelineError, match=r"they differ in C002\. Run `dvc repro extract_frames`"):
        label_merge.main()


def test_contradictory_parameters_are_refused(root: Path) -> None:
    prepare(root, {"labels.xlsx": {"AM12": sheet(truth(9))}}, {"AM12": 9}, excludes_others="quality")
    with pytest.raises(
        PipelineError, match=r"label_merge\.excludes_others: wrong value: expected bad_quality or cord or fluid"
    ):
        label_merge.main()
