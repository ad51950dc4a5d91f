"""Transfer against scratch: what is queued for which weights, and what a pretraining leaves."""

import hashlib
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from experiments import compared, pretrain, transfer
from experiments.compared import Compared, plans, queue_command
from experiments.finished import Experiment
from experiments.plan import Profile, read_file, read_profile
from experiments.pretrain import Size, keep, planned_of
from experiments.timing import Rate
from experiments.transfer import TRANSFER, digest_of, label_of, weights_in, with_weights
from experiments.workload import cohort_of, trainings_of
from stages.common.core.errors import PipelineError
from stages.common.networks.bundle import Bundle, write_bundle
from stages.common.networks.models import build
from stages.common.networks.weights import load_weights
from stages.train.params import Train
from tests.workspace import ROOT, read_params_file

SHIPPED = read_params_file(ROOT / "params.yaml")


def shipped() -> Compared:
    return read_file(ROOT / TRANSFER.file, Compared)


def rungs(*weights: tuple[str, str, str | None]) -> Compared:
    return with_weights(shipped(), weights)


# --- queue ----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("project")
def test_the_rungs_differ_in_what_their_names_say() -> None:
    entries = rungs(("imagenet", "imagenet", None)).experiments
    planned = plans(TRANSFER, entries, read_profile("cpu"))
    train = {name: one.after["train"] for name, one in planned.items()}
    assert list(train) == ["scratch", "scratch-augmented", "head-imagenet", "full-imagenet"]
    assert [one["weights"] for one in train.values()] == ["random", "random", "imagenet", "imagenet"]
    assert [one["freeze"] for one in train.values()] == [False, False, True, False]
    assert [sum(one["variants"].values()) for one in train.values()] == [1, 3, 3, 3]
    against = {name: entry.against for name, entry in entries.items()}
    assert against["head-imagenet"] == against["full-imagenet"] == "scratch-augmented"
    learnt = {name: sum(one.learnt for one in trainings_of(plan.after, 409)) for name, plan in planned.items()}
    assert len(set(learnt.values())) == 1, learnt  # a difference is not one of more training


def test_several_weights_stand_in_one_table_and_are_told_apart_by_what_was_run() -> None:
    given = [("imagenet", "imagenet", None), ("phantom-30-7", "weights/phantom-30-7", "ab")]
    entries = rungs(*given).experiments
    assert len(entries) == 6
    assert entries["full-phantom-30-7"].params["train.weights_sha256"] == "ab"
    there = {}
    for name, entry in entries.items():
        train = {"weights": entry.params["train.weights"], "weights_sha256": entry.params["train.weights_sha256"]}
        there[name] = Experiment("abc", "finished", {"train": train}, {})
    assert weights_in(shipped(), there) == given
    assert weights_in(shipped(), {name: there[name] for name in ("scratch", "scratch-augmented")}) == []


def test_weights_are_named_and_hashed(tmp_path: Path) -> None:
    file = tmp_path / "VGG16_features.fp16.safetensors"
    file.write_bytes(b"weights")
    digest = digest_of(str(file))
    assert digest == hashlib.sha256(b"weights").hexdigest()
    assert label_of(str(file), digest) == f"vgg16-features-fp16-{digest[:7]}"
    assert label_of("imagenet", digest_of("imagenet")) == "imagenet"
    same = {label_of(f"weights/{name}", None) for name in ("a/Phantom_30", "b/phantom-30")}
    apart = {label_of(f"weights/{name}", sha) for name, sha in (("a/Phantom_30", "1" * 64), ("b/phantom-30", "2" * 64))}
    assert (len(same), len(apart)) == (1, 2)  # of one name, told apart by their hash
    assert digest_of("imagenet") is None
    for wrong in (str(tmp_path), str(tmp_path / "none.pth"), "random"):
        with pytest.raises(PipelineError, match=r"expected imagenet, a file, or a folder with SHA256SUMS"):
            digest_of(wrong)


@pytest.mark.parametrize(
    ("said", "refused"),
    [("seed: 1\ncohort: phantom", True), ("seed: 7\ncohort: phantom", False), ("seed: 1\ncohort: mine", False)],
)
@pytest.mark.parametrize("given", ["weights/a", "weights/a/resnet18.safetensors"])
def test_weights_that_know_the_infants_of_the_phantom_are_refused(
    project: Path, monkeypatch: pytest.MonkeyPatch, said: str, refused: bool, given: str
) -> None:
    (project / "weights/a").mkdir(parents=True)
    for name, text in {"params.yaml": said, "resnet18.safetensors": "", "SHA256SUMS": ""}.items():
        (project / "weights/a" / name).write_text(text)
    queued: list[object] = []
    monkeypatch.setattr(transfer, "queue", lambda *words: queued.append(words))
    monkeypatch.setattr(sys, "argv", ["transfer", "queue", "--weights", given])
    message = r"other infants .* weights/a/params.yaml cohort phantom with seed 1"
    with pytest.raises(PipelineError, match=message) if refused else nullcontext():
        transfer.main()
    assert len(queued) == (not refused)


@pytest.mark.usefixtures("project")
def test_this_cohorts_own_networks_are_no_weights_to_begin_from(monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = Path("data/train/frame/0/1/resnet18.safetensors")
    bundle.parent.mkdir(parents=True)
    bundle.write_bytes(b"")
    monkeypatch.setattr(transfer, "queue", lambda *_: pytest.fail("it was queued"))
    monkeypatch.setattr(sys, "argv", ["transfer", "queue", "--weights", str(bundle)])
    with pytest.raises(PipelineError, match=r"other infants .* below data/train: it learnt from the cohort"):
        transfer.main()


def test_weights_of_this_folder_go_where_the_experiment_runs(project: Path) -> None:
    (project / "weights/mine").mkdir(parents=True)
    planned = plans(TRANSFER, rungs(("mine", "weights/mine", "ab")).experiments, read_profile("cpu"))
    words = queue_command(TRANSFER, "full-mine", planned["full-mine"])
    assert words[2:7] == ["--queue", "--name", "transfer-full-mine", "--copy-paths", "weights/mine"]
    assert "train.weights=weights/mine" in [word.replace("'", "") for word in words]
    assert "--copy-paths" not in queue_command(TRANSFER, "scratch", planned["scratch"])


@pytest.mark.usefixtures("project")
def test_the_commands_queue_and_read(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    words: list[list[str]] = []
    for module in (compared, transfer):
        monkeypatch.setattr(module, "exp_show", lambda _: [])
    monkeypatch.setattr(compared, "run_dvc", lambda given: words.append(list(given)) or 0)
    monkeypatch.setattr(compared, "measure", lambda content: dict.fromkeys(content["architectures"], Rate(60.0, 600.0)))
    monkeypatch.setattr(compared, "start_s", lambda: 5.0)
    monkeypatch.setattr(sys, "argv", ["transfer", "queue", "--weights", "imagenet", "--only", "head-*"])
    transfer.main()
    assert [one[4] for one in words] == ["transfer-scratch-augmented", "transfer-head-imagenet"]
    monkeypatch.setattr(sys, "argv", ["transfer", "table"])
    transfer.main()
    said = capsys.readouterr().out
    assert "Transfer under profile `cpu`" in said
    assert "have seen no infant" in said
    assert "- scratch: not queued" in said


# --- pretrain -------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("project")
def test_a_pretraining_is_a_larger_phantom_of_other_infants() -> None:
    more = {"architectures": {"resnet18": {}}, "epochs": 3}
    planned = planned_of(Profile(targets=["report"], params={"folds": 8}), Size(30, 2, 40), 7, more)
    after = planned.after
    found = cohort_of(after)
    assert (found.patients, found.clips, found.frames) == (30, 60, 2400)
    assert (after["seed"], after["folds"], list(after["protocols"])) == (7, {}, ["patient"])
    assert planned.targets == ["train@patient-resnet18"]
    assert after["epochs"] == 3
    with pytest.raises(PipelineError, match=r"--seed 1: expected another than seed of params.yaml, got the same"):
        planned_of(Profile(targets=["report"], params={}), Size(30, 2, 40), SHIPPED["seed"], {})
    with pytest.raises(PipelineError, match=r"-S seed=1: expected another than seed of params.yaml, got the same"):
        planned_of(Profile(targets=["report"], params={}), Size(30, 2, 40), 7, {"seed": SHIPPED["seed"]})


def test_bundles_are_kept_with_hashes_that_sha256sum_and_train_accept(tmp_path: Path) -> None:
    source, target, params = tmp_path / "trained", tmp_path / "weights/mine", tmp_path / "params.yaml"
    params.write_text("seed: 7\n")
    train = Train.model_validate(SHIPPED["train"])
    content: dict[str, Any] = {
        "architecture": "resnet18",
        "labels": ["cord"],
        "size": 64,
        "mean": train.mean,
        "std": 0.2,
    }
    bundle = Bundle.model_validate(content | {"std": train.std, "preprocess": SHIPPED["preprocess"]})
    learnt = build("resnet18", 1)
    write_bundle(source / "resnet18.safetensors", learnt, bundle)
    keep(source, ["resnet18"], target, params)
    assert sorted(path.name for path in target.iterdir()) == ["SHA256SUMS", "params.yaml", "resnet18.safetensors"]
    subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=target, check=True)
    network = build("resnet18", 3)
    said = load_weights(network, "resnet18", str(target), digest_of(str(target)))
    assert "random: fc;" in said
    assert network.state_dict()["conv1.weight"].equal(learnt.state_dict()["conv1.weight"])


def test_weights_of_that_name_and_changed_files_are_refused(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretrain, "changed_files", lambda: ["params.yaml"])
    monkeypatch.setattr(sys, "argv", ["transfer", "pretrain", "--seed", "7", "--patients", "2"])
    with pytest.raises(PipelineError, match=r"params.yaml: changed since the last commit, which is what is cloned"):
        transfer.main()
    (project / "weights/phantom-2-7").mkdir(parents=True)
    with pytest.raises(PipelineError, match=r"weights/phantom-2-7: expected no such folder yet, got one"):
        transfer.main()
