"""The stage from bundles to gallery: what is shown, what is refused, and that masks lie where frames show them."""

import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
from torch import nn

from stages.common.clips.canvas import Placement
from stages.common.core.errors import PipelineError
from stages.common.core.params import read_params
from stages.explain import __main__ as explain
from stages.explain import networks
from stages.explain.findings import NO_MAP
from stages.explain.masks import on_canvas, read_masks
from stages.explain.params import Params
from tests import explain_workspace as workspace
from tests.clip_factory import write_video
from tests.workspace import ROOT, read_params_file

SECTION = read_params_file(ROOT / "params.yaml")["explain"]


ONE, OTHER = workspace.MODELS


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace that no test changes."""
    folder = tmp_path_factory.mktemp("built")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        workspace.build(folder)
    return folder


@pytest.fixture
def small(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(built, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(root: Path) -> dict[str, Any]:
    explain.main()
    found: dict[str, Any] = json.loads((root / "metrics/explain.json").read_text())
    return found | {"entries": json.loads((root / "data/explain/entries.json").read_text())}


def test_a_network_without_a_late_map_is_told_in_words_and_drawn_nowhere(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = networks.target_map

    def none_for_one(module: nn.Module, size: int, smallest: int) -> tuple[str, int] | None:
        return None if type(module).__name__ == "ShuffleNetV2" else real(module, size, smallest)

    whole = run(small)
    monkeypatch.setattr(networks, "target_map", none_for_one)  # as a vision transformer, which wants larger pictures
    found = run(small)
    for line in found["models"]:
        assert (line["layer"] is None) == (line["map_px"] is None) == (line["model"] == ONE)
        assert (line["why"] == NO_MAP) == (line["model"] == ONE)
    for entry, before in zip(found["entries"], whole["entries"], strict=True):
        if entry["model"] == ONE:
            assert (entry["picture"], entry["blank"], entry["why"]) == (None, False, NO_MAP)
            assert (entry["frame_id"], entry["probability"]) == (before["frame_id"], before["probability"])
        else:
            assert entry == before
    assert {line["why"] for line in found["summary"] if line["model"] == ONE} == {NO_MAP}
    drawn = [path.relative_to(small / "data/explain").parts[1] for path in (small / "data/explain").rglob("*.png")]
    assert set(drawn) == {OTHER}


def outputs(root: Path) -> dict[str, bytes]:
    files = [
        *(root / "data/explain").rglob("*"),
        root / "metrics/explain.json",
        root / "metrics/plots/explain_heat.csv",
    ]
    return {str(path.relative_to(root)): path.read_bytes() for path in files if path.is_file()}


def test_what_git_keeps_names_no_frame_that_a_model_disputes(small: Path) -> None:
    entries = run(small)["entries"]
    outs = read_params_file(ROOT / "dvc.yaml")["stages"]["explain"]["outs"]
    kept = [path for out in outs if isinstance(out, dict) for path, of in out.items() if of.get("cache") is False]
    assert kept == ["metrics/explain.json"]
    assert "data/explain" in {path for out in outs for path in out}  # cached, with the entries in it
    text = (small / kept[0]).read_text()
    assert [entry["frame_id"] for entry in entries if entry["frame_id"] in text] == []
    assert not {"entries", "truth", "answer", "frame_id", "frame_index"} & keys_of(json.loads(text))


def keys_of(content: Any) -> set[str]:
    """Return every key at any depth."""
    if isinstance(content, list):
        return set().union(*map(keys_of, content)) if content else set()
    return set(content).union(*map(keys_of, content.values())) if isinstance(content, dict) else set()


def test_the_gallery_repeats_the_predictions_and_the_labels(small: Path) -> None:
    found = run(small)
    assert {(line["protocol"], line["model"]) for line in found["models"]} == {
        (protocol, model) for protocol in ("frame", "patient") for model in workspace.MODELS
    }
    labels = pd.read_csv(small / "data/label_merge/labels.csv").set_index("frame_id")
    assert found["entries"]
    for entry in found["entries"]:
        table = pd.read_csv(small / f"data/predictions/{entry['protocol']}/0/1/{entry['model']}.csv")
        row = table.set_index("frame_id").loc[entry["frame_id"]]
        truth = labels.loc[entry["frame_id"], entry["label"]]
        assert row["split"] == "test"
        assert entry["probability"] == row[entry["label"]]
        assert entry["answer"] == int(row[entry["label"]] >= 0.5)
        assert entry["truth"] == truth
        assert (entry["truth"] != entry["answer"]) == (entry["outcome"] != "right")
        assert entry["frame_id"] == f"{entry['clip_id']}_{entry['frame_index']:05d}"
        picture = cv2.imread(str(small / entry["picture"]))
        assert picture.shape == (SECTION["picture_px"], 2 * SECTION["picture_px"], 3)
    for line in found["models"]:
        table = pd.read_csv(small / f"data/predictions/{line['protocol']}/0/1/{line['model']}.csv").set_index(
            "frame_id"
        )
        test = table[table["split"] == "test"]
        names = ["bad_quality", "cord", "fluid"]
        wrong = (test[names] >= 0.5) != labels.loc[test.index, names].astype(bool)
        wrong &= labels.loc[test.index, names].notna()
        assert line["wrong_answers"] == wrong.to_numpy().sum()
        assert line["misclassified_frames"] == wrong.any(axis=1).sum()
        shown = [entry for entry in found["entries"] if all(entry[key] == line[key] for key in ("protocol", "model"))]
        assert line["shown"] == len(shown) <= SECTION["per_model"] + 3 * SECTION["right_per_label"]


def test_every_picture_that_is_written_is_listed_and_the_second_run_gives_the_same_bytes(small: Path) -> None:
    found = run(small)
    first = outputs(small)
    assert {entry["picture"] for entry in found["entries"]} == {name for name in first if name.endswith(".png")}
    explain.main()
    assert outputs(small) == first


def test_the_share_of_heat_is_told_where_the_structure_is_and_why_elsewhere(small: Path) -> None:
    found = run(small)
    for entry in [*found["entries"], *found["summary"]]:
        told = entry["heat_inside_mask"] is not None
        assert told == (entry["why"] is None)
        assert told or entry["uniform_inside_mask"] is None
        if told:
            assert 0 <= entry["heat_inside_mask"] <= entry["best_inside_mask"] + 1e-6 <= 1 + 1e-6
            assert 0 < entry["uniform_inside_mask"] < 1
        if entry["label"] == "bad_quality":
            assert entry["why"] == "explain.masks names no structure for this label"
    measured = [line for line in found["summary"] if line["frames"]]
    assert measured
    plotted = pd.read_csv(small / "metrics/plots/explain_heat.csv")
    assert len(plotted) == 3 * len(measured)


def test_a_mask_lies_on_the_canvas_where_the_frame_shows_the_structure(small: Path) -> None:
    params = read_params(Params)
    clips = pd.read_csv(small / "data/extract_frames/clips.csv")
    wanted = {clip_id: range(workspace.FRAMES) for clip_id in clips["clip_id"]}
    found = read_masks(small / "data/cohorts/mine", clips, wanted, params)
    assert len(found) == 4 * workspace.FRAMES * 2
    for (clip_id, index, structure), mask in found.items():
        if structure == "cord":  # by far the brightest thing in the picture
            shown = cv2.imread(str(small / f"data/extract_frames/{clip_id}/{index:05d}.png"), cv2.IMREAD_GRAYSCALE)
            moved = {
                (down, right): np.corrcoef(shown.ravel(), np.roll(mask.inside, (down, right), (0, 1)).ravel())[0, 1]
                for down in (-1, 0, 1)
                for right in (-1, 0, 1)
            }
            assert moved[0, 0] == max(moved.values()) > 0.9
    assert clips["scale_source"].nunique() == 2  # with a known depth, and fitted without


def test_the_uniform_share_is_the_structure_s_share_of_the_sector_shown() -> None:
    where = Placement(source=(10, 0, 40, 20), target=(4, 0, 40, 20), size=48, mm_per_px=None, shown_share=1.0)
    inside = np.zeros((30, 60), bool)
    inside[5:10, 20:30] = True
    mask = on_canvas(inside, where)
    assert mask.uniform == pytest.approx(50 / 800)
    assert mask.inside[5:10, 14:24].all()
    assert mask.inside.sum() == 50


def test_without_masks_the_gallery_stands_and_says_why_no_share_does(small: Path) -> None:
    shutil.rmtree(small / "data/cohorts/mine/masks")
    found = run(small)
    whys = {entry["why"] for entry in found["entries"] if entry["label"] != "bad_quality"}
    assert whys == {"the cohort has no mask of this clip"}
    assert pd.read_csv(small / "metrics/plots/explain_heat.csv").empty


def test_a_clip_without_a_mask_is_left_out_of_the_share(small: Path) -> None:
    whole = {(line["protocol"], line["model"], line["label"]): line for line in run(small)["summary"]}
    for name in list(workspace.CLIPS)[:3]:
        (small / f"data/cohorts/mine/masks/{name}.mkv").unlink()
    for line in run(small)["summary"]:
        before = whole[line["protocol"], line["model"], line["label"]]
        assert line["frames"] + line["frames_without"] == before["frames"] + before["frames_without"]
        assert line["patients"] <= 1


def test_other_thresholds_and_no_masks_asked_for(small: Path) -> None:
    workspace.write_params(
        small,
        evaluate=workspace.params_of()["evaluate"] | {"threshold": {"method": "fixed", "value": 0.0}},
        explain=SECTION | {"masks": {}},
    )
    found = run(small)
    assert {entry["outcome"] for entry in found["entries"]} == {"false alarm", "right"}
    assert not any(line["frames"] for line in found["summary"])


def test_one_protocol_alone_and_folds_that_leave_no_bundle(small: Path) -> None:
    workspace.write_params(small, protocols={"patient": {}}, folds={"0": {}, "1": {}})
    found = run(small)
    assert {entry["protocol"] for entry in found["entries"]} == {"patient"}
    assert not (small / "data/train/frame").exists()


def test_a_model_that_is_no_longer_declared_is_not_looked_at_and_its_files_go(small: Path) -> None:
    workspace.write_params(small, architectures={ONE: {}})
    found = run(small)
    assert {line["model"] for line in found["models"]} == {ONE}
    assert not list((small / "data").rglob(f"{OTHER}*"))


def test_a_bundle_that_is_not_the_model_of_the_table_stops_the_run(small: Path) -> None:
    path = small / f"data/predictions/patient/0/1/{ONE}.csv"
    table = pd.read_csv(path)
    table["fluid"] = (table["fluid"] + 0.3) % 1
    table.to_csv(path, index=False)
    expected = (
        rf"patient/0/{ONE}: .*frame C\d+_\d+, label fluid: expected a probability of 0\.\d+ within 0\.0001, "
        r"got 0\.\d+; .* Run `dvc repro explain`"
    )
    with pytest.raises(PipelineError, match=expected):
        explain.main()


def test_on_another_device_the_tolerance_is_that_device_s(small: Path) -> None:
    path = small / f"data/predictions/patient/0/1/{ONE}.csv"
    table = pd.read_csv(path)
    table["fluid"] = (table["fluid"] - 0.01).clip(0, 1)
    table.to_csv(path, index=False)
    with pytest.raises(PipelineError, match=r"within 0\.0001"):
        explain.main()
    workspace.write_params(small, train=workspace.params_of()["train"] | {"device": "cuda"})
    assert run(small)["entries"]


OTHER_LABELS = r"other labels than params.yaml: expected \['fluid', 'cord', 'bad_quality'\], got \['bad_quality'"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size_px": 48}, rf"patient/0/1/{ONE}.safetensors: other size_px than params.yaml: expected 48, got 32"),
        ({"labels": {"fluid": {}, "cord": {}, "bad_quality": {}}}, OTHER_LABELS),
    ],
)
def test_a_bundle_of_other_params_is_refused(small: Path, changes: dict[str, Any], message: str) -> None:
    workspace.write_params(small, protocols={"patient": {}}, architectures={ONE: {}}, **changes)
    with pytest.raises(PipelineError, match=message):
        explain.main()


def test_missing_bundles_are_listed_in_one_message(small: Path) -> None:
    for path in (small / "data/train").rglob(f"{ONE}.safetensors"):
        path.unlink()
    with pytest.raises(PipelineError, match=rf"(?s)2 declared files are missing.*frame/0/1/{ONE}.*patient/0/1/{ONE}"):
        explain.main()


def test_a_mask_for_a_label_that_there_is_not_is_refused(small: Path) -> None:
    workspace.write_params(small, explain=SECTION | {"masks": {"chord": "cord"}})
    with pytest.raises(PipelineError, match=r"explain\.masks: unknown label: expected one of .*, got 'chord'"):
        explain.main()


@pytest.mark.parametrize(
    ("pictures", "message"),
    [
        (np.zeros((3, workspace.HEIGHT, workspace.WIDTH), np.uint8), "other frames: expected 8, as the clip, got 3"),
        (np.zeros((8, 64, 64), np.uint8), "another shape: expected 96 x 128 in grey, as the clip, got 64 x 64"),
        (np.full((8, workspace.HEIGHT, workspace.WIDTH), 9, np.uint8), r"unknown grey value: .*2 \(cord\).*, got 9"),
    ],
)
def test_a_mask_that_cannot_lie_over_its_clip_is_refused(small: Path, pictures: np.ndarray, message: str) -> None:
    for name in workspace.CLIPS:
        write_video(small / f"data/cohorts/mine/masks/{name}.mkv", pictures)
    with pytest.raises(PipelineError, match=message):
        explain.main()
