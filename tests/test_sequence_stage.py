"""The stage on a made-up workspace: its tables are read beside the networks', and its mistakes are named."""

import json
import shutil
import sys
from collections.abc import Collection
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML
from scipy.special import logit
from sklearn.metrics import roc_auc_score

from stages.common.core.errors import PipelineError
from stages.common.core.tables import write_table
from stages.common.evaluation.reading import Declared, read_answers
from stages.common.evaluation.thresholds import Threshold
from stages.evidence import __main__ as evidence
from stages.sequence import __main__ as sequence
from tests.closure import ROOT, closure, entry_of, folded
from tests.evaluate_workspace import PARAMS, build
from tests.sequence_data import SECTION
from tests.split_cohort import LABELS
from tests.test_evidence import SECTION as EVIDENCE

MODELS = ("gru", "lstm", "transformer", "median", "hmm")
SYSTEMS = ", ".join(f"{model}_resnet18: {{model: {model}, features: resnet18}}" for model in MODELS)
SMALL = SECTION | {"epochs": 2, "components": 4, "dropout": 0.1, "noise": 0.1}
TRAIN = "train: {imbalance: {pos_weight: false, focal_gamma: 0.0, balanced_sampling: false}}\n"
WHOLE = (
    PARAMS.replace("sequences: {}", f"sequences: {{{SYSTEMS}}}") + f"sequence: {json.dumps(SMALL)}\n" + EVIDENCE + TRAIN
)
PLACES = ["patient/0", *(f"leave_one_patient_out/{fold}" for fold in range(3))]
OUT = Path("data/predictions/sequence")


def write_inputs(root: Path, blind: Collection[str] = ()) -> None:
    """Write what extract_frames, preprocess and train would have, with features that the truth shines through.

    Args:
        root: of the workspace.
        blind: places, protocol and fold, whose network says nothing of the truth.
    """
    labels = pd.read_csv(root / "data/label_merge/labels.csv")
    keys = ["frame_id", "clip_id", "patient", "frame_index"]
    write_table(root / "data/extract_frames/frames.csv", labels[keys].assign(time_s=labels["frame_index"] / 10))
    (root / "data/preprocess").mkdir(exist_ok=True)
    np.save(root / "data/preprocess/original.npy", np.zeros((len(labels), 64, 64), np.uint8))
    rng = np.random.default_rng(0)
    real = labels[list(LABELS)].fillna(0.5).to_numpy()
    said = np.clip(0.2 + 0.6 * real + rng.normal(0, 0.25, real.shape), 0.02, 0.98)
    idle = rng.uniform(0.1, 0.9, real.shape)
    for place in [*PLACES, "frame/0"]:
        seen = idle if place in blind else said
        for kind, values in (("logits", logit(seen).astype(np.float32)), ("features", seen.repeat(3, axis=1))):
            path = root / f"data/{kind}/resnet18/{place}/1.npy"
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, values.astype(np.float16 if kind == "features" else np.float32))


def run(monkeypatch: pytest.MonkeyPatch, *systems: str) -> None:
    for system in systems:
        monkeypatch.setattr(sys, "argv", ["stages.sequence", system])
        sequence.main()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace in which all five systems have run; not to be changed."""
    root = tmp_path_factory.mktemp("sequence")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        build(root, WHOLE)
        write_inputs(root)
        run(patch, *(f"{model}_resnet18" for model in MODELS))
    return root


@pytest.fixture
def own(shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, to change."""
    shutil.copytree(shared, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def tables(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted((root / OUT).rglob("*.csv"))}


def test_every_patient_disjoint_fold_has_a_table_and_frame_has_none(shared: Path) -> None:
    wanted = {f"{OUT}/{model}_resnet18/{place}/1/{model}_resnet18.csv" for model in MODELS for place in PLACES}
    assert set(tables(shared)) == wanted


def test_the_tables_are_read_beside_the_networks(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(shared)
    content = YAML(typ="safe").load(WHOLE)
    params = Declared.model_validate({name: content[name] for name in Declared.model_fields})
    answers = read_answers(params, Threshold(method="fixed", value=0.5))
    assert "hmm_resnet18" not in answers["frame"].models
    for model in MODELS:
        assert answers["patient"].models[f"{model}_resnet18"].scores is not None


def test_a_sidecar_says_what_the_system_was_made_from(shared: Path) -> None:
    said = json.loads((shared / f"{OUT}/hmm_resnet18/patient/0/1/hmm_resnet18.json").read_text())
    assert said["params"]["seed"] == 1
    assert said["params"]["system"] | {"model": "hmm", "features": "resnet18", "gap_s": 1.0} == said["params"]["system"]
    assert set(said["params"]["split"]) == {"patient"}
    assert (said["stretches"], said["frames_alone"]) == (9, 0)  # a clip an infant
    assert said["chosen"]["temperature"] >= 1
    heavier = json.loads((shared / f"{OUT}/gru_resnet18/patient/0/1/gru_resnet18.json").read_text())
    assert heavier["giga_operations"] > said["giga_operations"] > 0.1  # the network's own come first


@pytest.mark.parametrize("system", [f"{model}_resnet18" for model in MODELS])
def test_twice_gives_the_same_bytes_and_garbled_test_labels_too(
    own: Path, monkeypatch: pytest.MonkeyPatch, system: str
) -> None:
    (own / "params.yaml").write_text(WHOLE.replace('folds: {"0": {}, "1": {}, "2": {}}', "folds: {}"))
    run(monkeypatch, system)
    first = (own / f"{OUT}/{system}/patient/0/1/{system}.csv").read_bytes()
    labels = pd.read_csv(own / "data/label_merge/labels.csv")
    split = pd.read_csv(own / "data/split/patient.csv").set_index("frame_id")["side"]
    test = (labels["frame_id"].map(split) == "test").to_numpy()
    labels.loc[test, list(LABELS)] = 1 - labels.loc[test, list(LABELS)]
    write_table(own / "data/label_merge/labels.csv", labels.astype(dict.fromkeys(LABELS, "Int8")))
    run(monkeypatch, system)
    assert (own / f"{OUT}/{system}/patient/0/1/{system}.csv").read_bytes() == first
    assert not (own / f"{OUT}/{system}/leave_one_patient_out").exists()  # folds no longer declared are gone
    assert not (own / "data/features/resnet18/leave_one_patient_out").exists()
    assert (own / "data/features/resnet18/frame/0/1.npy").exists()  # others read those


def auc(root: Path, system: str, place: str) -> float:
    """Return the mean over labels of the ROC AUC of what a system says of a fold's unseen frames."""
    said = pd.read_csv(root / f"{OUT}/{system}/{place}/1/{system}.csv").set_index("frame_id")
    truth = pd.read_csv(root / "data/label_merge/labels.csv").set_index("frame_id").loc[said.index]
    known = {label: truth[label].dropna() for label in LABELS}
    return float(np.mean([roc_auc_score(of, said.loc[of.index, label]) for label, of in known.items()]))


@pytest.mark.parametrize("system", ["gru_resnet18", "hmm_resnet18"])  # one reads features, the other logits
def test_a_network_s_numbers_are_those_of_the_protocol_and_fold(
    own: Path, monkeypatch: pytest.MonkeyPatch, system: str
) -> None:
    blind = [place for place in PLACES if place != "leave_one_patient_out/1"]
    write_inputs(own, blind)
    run(monkeypatch, system)
    areas = {place: auc(own, system, place) for place in PLACES}
    assert areas.pop("leave_one_patient_out/1") > 0.8
    assert max(areas.values()) < 0.65


def test_evidence_says_whether_time_helps(own: Path) -> None:
    evidence.main()
    found = json.loads((own / "metrics/evidence.json").read_text())["protocols"]
    assert found["frame"]["time"] == []
    told = found["leave_one_patient_out"]["time"]
    assert [each["models"] for each in told] == [[f"{model}_resnet18", "resnet18"] for model in MODELS]
    assert all("time" in each["sentence"] for each in told)


def test_only_the_frame_protocol_is_refused(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = WHOLE.replace(", patient: {}", "").replace('folds: {"0": {}, "1": {}, "2": {}}', "folds: {}")
    (own / "params.yaml").write_text(alone)
    shutil.rmtree(own / OUT)
    with pytest.raises(PipelineError, match=r"no patient-disjoint protocol: expected `patient` .* got frame\. Declare"):
        run(monkeypatch, "gru_resnet18")
    assert not (own / OUT).exists()


def test_a_split_that_cuts_a_clip_is_refused(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    split = pd.read_csv(own / "data/split/patient.csv")
    split.loc[0, "side"] = "test" if split.loc[0, "side"] != "test" else "train"
    write_table(own / "data/split/patient.csv", split)
    with pytest.raises(PipelineError, match=r"patient\.csv, fold 0: a clip on several sides: .* got C001"):
        run(monkeypatch, "median_resnet18")


def test_features_that_fit_no_frames_are_refused(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.save(own / "data/features/resnet18/patient/0/1.npy", np.zeros((3, 2)))
    (own / "data/features/resnet18/leave_one_patient_out/1/1.npy").unlink()
    with pytest.raises(PipelineError, match=r"(?s)resnet18, a key of `architectures`.*wrong shape.*no features"):
        run(monkeypatch, "gru_resnet18")


def test_frames_far_apart_are_warned_of(
    own: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (own / "params.yaml").write_text(WHOLE.replace('"gap_s": 1.0', '"gap_s": 0.05'))
    run(monkeypatch, "median_resnet18")
    assert "frames are further than sequence.gap_s (0.05 s) from any other" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        ('"hidden": 16', '"hidden": 10', r"sequence: wrong value: .*hidden a multiple of twice heads \(4\)"),
        ('"window_s": 2.0', '"window_s": 0.0', r"sequence\.window_s: wrong value"),
        ('"gap_s": 1.0', '"gap": 1.0', r"(?s)sequence\.gap_s: missing key.*sequence\.gap: unknown key"),
        ("model: gru,", "model: rnn,", r"sequences\.gru_resnet18\.model: wrong value: expected 'gru', 'lstm'"),
        ('"patient": "validation"', '"patient": "best"', r"sequence\.chosen_by\.patient"),
    ],
)
def test_mistakes_in_params_are_named(
    own: Path, monkeypatch: pytest.MonkeyPatch, right: str, wrong: str, message: str
) -> None:
    (own / "params.yaml").write_text(WHOLE.replace(right, wrong))
    with pytest.raises(PipelineError, match=message):
        run(monkeypatch, "gru_resnet18")


def test_declared_code_is_the_import_closure() -> None:
    """`sequences` is empty as shipped, so that DVC's own index holds no such stage to look at."""
    stage = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text())["stages"]["sequence"]["do"]
    declared = {ROOT / dep for dep in stage["deps"] if dep.startswith("stages/")}
    assert declared == folded(closure(entry_of("stages.sequence")))
