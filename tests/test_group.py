"""Two processes of torchrun train as one does on the same batches, and end, go on and write as one."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from ruamel.yaml import YAML
from safetensors.torch import load_file

from stages.common.core.errors import PipelineError
from stages.common.core.tables import write_table
from stages.split import __main__ as split
from stages.train.group import Group
from stages.train.loss import masked_loss
from tests.split_cohort import LABELS, cohort_labels, write_cohort
from tests.workspace import ROOT, read_params_file

SIDE = 32
TRAINED = ("patient", "0", "resnet18")  # by name: tests.group_run puts a small network there
TOLERANCE = 1e-5  # of losses and probabilities; sums in another order differed by less than the 1e-6 that tables keep


def build(folder: Path) -> Path:
    """Write all that training reads: frames whose brightness is their first label, some labels unknown."""
    folder.mkdir()
    labels = cohort_labels(patients=5, clips=1, frames=19, unknown=0.1)
    params = read_params_file(ROOT / "params.yaml") | {"epochs": 6, "architectures": {TRAINED[2]: {}}, "folds": {}}
    params["train"] |= {"batch_size": 9, "threads": 1, "variants": {"original": True}}
    params["train"] |= {"clip_norm": 0.3}  # cuts some steps: Adam alone would not notice gradients of half the size
    write_cohort(folder, labels, "")
    with (folder / "params.yaml").open("w", encoding="utf-8") as file:
        YAML().dump(params, file)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        split.main()
    (folder / "data/extract_frames").mkdir()
    frames = labels[["frame_id", "clip_id", "patient", "frame_index"]]
    write_table(folder / "data/extract_frames/frames.csv", frames.assign(time_s=frames["frame_index"] / 30))
    grey = np.random.default_rng(0).integers(0, 120, (len(frames), SIDE, SIDE))
    grey += 100 * labels[LABELS[0]].fillna(0).to_numpy(int)[:, None, None]
    (folder / "data/preprocess").mkdir()
    np.save(folder / "data/preprocess/original.npy", grey.astype(np.uint8))
    return folder


def trained(folder: Path, what: str, processes: int = 2) -> subprocess.CompletedProcess[str]:
    """Train in `folder`; in a group on loopback."""
    group = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"] if processes > 1 else []
    env = os.environ | {"PYTHONPATH": str(ROOT), "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *group, "-m", "tests.group_run", what, *TRAINED]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=120)


def finished(folder: Path, what: str, processes: int = 2) -> Path:
    """Train, and return the folder."""
    done = trained(folder, what, processes)
    assert done.returncode == 0, done.stderr
    return folder


def written(folder: Path) -> dict[str, bytes]:
    """Return every output but DVCLive's, which hold times."""
    folders = [folder / "data" / place for place in ("train", "predictions", "features", "logits", "curves")]
    files = [file for place in folders for file in place.rglob("*.*") if "plots" not in file.parts]
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


def history(folder: Path) -> pd.DataFrame:
    """Return the losses of every epoch."""
    return pd.read_csv(folder / "data/curves/patient/0/1/resnet18/history.csv")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("group") / "made")


@pytest.fixture(scope="module")
def alone(made: Path) -> Path:
    return finished(Path(shutil.copytree(made, made.parent / "alone")), "bare", processes=1)


@pytest.fixture(scope="module")
def two(made: Path) -> Path:
    return finished(Path(shutil.copytree(made, made.parent / "two")), "bare")


def test_two_processes_have_the_loss_curve_of_one(alone: Path, two: Path) -> None:
    one, both = history(alone), history(two)
    assert one["train_loss"].iloc[-1] < 0.8 * one["train_loss"].iloc[0]  # a curve, not a line
    columns = ["train_loss", "validation_loss"]
    assert np.abs(one[columns] - both[columns]).to_numpy().max() < TOLERANCE
    place = "data/predictions/patient/0/1/resnet18.csv"
    said = [pd.read_csv(folder / place).set_index("frame_id")[list(LABELS)] for folder in (alone, two)]
    assert np.abs(said[0] - said[1]).to_numpy().max() < TOLERANCE


def test_the_group_learns_from_all_pictures_and_not_from_a_part(made: Path, alone: Path, two: Path) -> None:
    # else equal curves could be those of a network that hardly moves
    states = [load_file(folder / "data/train/patient/0/1/resnet18.safetensors") for folder in (alone, two)]
    moved = max(float((states[0][name] - states[1][name]).abs().max()) for name in states[0])
    assert moved < 1e-4
    table = pd.read_csv(made / "data/label_merge/labels.csv")
    assert table[list(LABELS)].isna().to_numpy().any()  # unknown labels stand in the batches


def test_one_process_writes_and_says_how_many_there_were(alone: Path, two: Path) -> None:
    assert set(written(two)) == set(written(alone))
    sidecars = [json.loads((at / "data/predictions/patient/0/1/resnet18.json").read_text()) for at in (alone, two)]
    assert sidecars[1] == sidecars[0] | {"processes": 2, "chosen_epoch": sidecars[1]["chosen_epoch"]}
    assert not list((two / ".checkpoints").rglob("*.pt"))


def test_a_process_that_dies_ends_the_group_which_then_goes_on_with_the_same_bytes(made: Path) -> None:
    whole = finished(Path(shutil.copytree(made, made.parent / "whole")), "plain")  # with dropout, drawn a process each
    killed = Path(shutil.copytree(made, made.parent / "killed"))
    done = trained(killed, "dies")
    assert done.returncode != 0
    assert "local_rank: 1" in done.stderr
    assert not list((killed / "data").rglob("*.safetensors"))
    again = trained(killed, "plain")
    assert again.stderr.count("goes on after epoch 2") == 1
    assert written(killed) == written(whole)


def test_processes_that_read_other_files_are_told(made: Path) -> None:
    folder = Path(shutil.copytree(made, made.parent / "here"))
    shutil.copytree(made, folder / "other")
    params = (folder / "other/params.yaml").read_text().replace("lr: 0.01", "lr: 0.02", 1)
    (folder / "other/params.yaml").write_text(params)
    done = trained(folder, "elsewhere")
    assert done.returncode != 0
    assert "expected the same parameters, pictures, code and checkpoint on every machine" in done.stderr


@pytest.mark.parametrize("size", [1, 2, 3])
def test_parts_of_a_batch_hold_each_row_once_and_their_losses_add_up(size: int) -> None:
    torch.manual_seed(0)
    rows, logits, truth = torch.randperm(11), torch.randn(11, 3), torch.randint(0, 2, (11, 3)).float()
    truth[torch.rand(11, 3) < 0.3] = torch.nan
    truth[rows[:4]] = torch.nan  # a whole part may be unknown
    parts = [Group(rank, size).part(rows) for rank in range(size)]
    assert torch.equal(torch.cat(parts), rows)
    losses = [masked_loss(logits[part], truth[part], whole=truth[rows]) for part in parts]
    assert torch.allclose(sum(losses, torch.zeros(())), masked_loss(logits, truth))


def test_a_batch_too_small_for_the_group_is_told() -> None:
    Group(0, 4).refuse_small_batches(pictures=80, batches=10)
    Group().refuse_small_batches(pictures=1, batches=1)
    with pytest.raises(PipelineError, match=r"train.batch_size: expected at least 2 pictures .* 4 processes, got 7"):
        Group(0, 4).refuse_small_batches(pictures=70, batches=10)


def test_a_process_without_a_gpu_of_its_own_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", lambda _: None)
    assert Group(1, 4, 1, 4).device(torch.device("cuda")) == torch.device("cuda", 1)
    assert Group(3, 4, 3, 4).device(torch.device("cpu")) == torch.device("cpu")
    with pytest.raises(PipelineError, match=r"a GPU of its own for each of 4 processes .* got 2 CUDA devices"):
        Group(2, 4, 2, 4).device(torch.device("cuda"))
    with pytest.raises(PipelineError, match=r"train\.device: mps"):
        Group(1, 2, 1, 2).device(torch.device("mps"))


def test_the_processes_of_a_machine_share_its_threads() -> None:
    assert [Group(0, 4, 0, 4).threads(threads) for threads in (1, 8, 10)] == [1, 2, 2]
