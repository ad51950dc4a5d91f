"""The approved model: named in Git by its SHA-256, and nothing else passes for it."""

import hashlib
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from operations.approval import read_approved
from operations.approved import chosen, get
from stages.common.core.errors import PipelineError
from tests.remotes.conftest import objects
from tests.remotes.server import stored
from tests.test_operations import run_module
from tests.workspace import commit, dvc, git

TRAIN = """stages:
  train:
    matrix:
      model: [resnet18, vgg16]
    cmd: mkdir -p data/train/patient/0/1 && echo weights of ${item.model} > ${bundles}/${item.model}.safetensors
    outs:
    - ${bundles}/${item.model}.safetensors:
        remote: ${cohort}
  bedside:
    cmd: cp judged.json metrics/bedside.json
    deps: [judged.json]
    outs:
    - metrics/bedside.json:
        cache: false
"""
BUNDLE = "data/train/patient/0/1/resnet18.safetensors"
WEIGHTS = b"weights of resnet18\n"


def bedside(**infants: str | None) -> dict[str, Any]:
    """Return what metrics/bedside.json says of the choice, as the shipped one does."""
    winner = {"infants": infants, "why": {"all": "sensitivity of fluid must be at least 0.5, is 0.4"}}
    return {"headline_protocol": "patient", "protocols": {"patient": {"winner": winner}, "frame": {"winner": {}}}}


@pytest.fixture(scope="module")
def trained(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two trained networks, pushed, the doctor's rule having chosen one. Do not change it."""
    folder = Path(shutil.copytree(made, tmp_path_factory.mktemp("trained") / "project", symlinks=True))
    (folder / "dvc.yaml").write_text(TRAIN, encoding="utf-8")
    (folder / "params.yaml").write_text("cohort: phantom\nbundles: data/train/patient/0/1\n", encoding="utf-8")
    (folder / "dvc.lock").unlink()
    (folder / "judged.json").write_text(json.dumps(bedside(P001="resnet18", P002="resnet18")))
    dvc(folder, "repro", "-q")
    dvc(folder, "push", "-q")
    commit(folder, "trained")
    assert run_module(folder, "operations.approved", "approve").returncode == 0
    commit(folder, "approved")
    return folder


@pytest.fixture
def project(trained: Path, tmp_path: Path) -> Path:
    shutil.copytree(trained.parent / "infant-spine-remote", tmp_path / "infant-spine-remote")
    return Path(shutil.copytree(trained, tmp_path / "project", symlinks=True))


@pytest.fixture
def colleague(project: Path) -> Path:
    git(project.parent, "clone", "-q", str(project), "colleague")
    return project.with_name("colleague")


def test_the_model_that_the_rule_chose_for_every_infant_is_the_one() -> None:
    assert chosen(bedside(P001="vgg16", P002="vgg16")) == ("patient", "vgg16")


@pytest.mark.parametrize("infants", [{"P001": None}, {"P001": "vgg16", "P002": None}, {"P001": "vgg16", "P002": "x"}])
def test_no_model_is_approved_where_the_rule_chose_none_or_several(infants: dict[str, str | None]) -> None:
    message = (
        r"expected one model for every infant, got .*sensitivity of fluid.*name one with --model, as your decision"
    )
    with pytest.raises(PipelineError, match=message):
        chosen(bedside(**infants))


def test_approved_json_says_what_which_bytes_from_where_and_why(trained: Path) -> None:
    approved = json.loads((trained / "approved.json").read_text())
    assert approved == {
        "protocol": "patient",
        "model": "resnet18",
        "path": BUNDLE,
        "sha256": hashlib.sha256(WEIGHTS).hexdigest(),
        "rev": git(trained, "rev-parse", "HEAD~1").strip(),
        "why": "the doctor's rule chose it for every infant of protocol patient",
    }


def test_a_person_may_name_another_and_it_says_so(project: Path) -> None:
    assert run_module(project, "operations.approved", "approve", "--model", "patient/vgg16").returncode == 0
    approved = json.loads((project / "approved.json").read_text())
    assert approved["model"] == "vgg16"
    assert approved["why"] == "a person named it"
    done = run_module(project, "operations.approved", "approve", "--model", "patient/alexnet")
    assert done.returncode == 1
    assert "expected a bundle of patient/alexnet, got patient/resnet18, patient/vgg16" in done.stderr


def test_nothing_is_approved_that_the_commit_does_not_hold(project: Path) -> None:
    lock = (project / "dvc.lock").read_text()
    (project / "dvc.lock").write_text(lock + "# changed\n")
    assert "Commit it, then approve" in run_module(project, "operations.approved", "approve").stderr
    (project / "dvc.lock").write_text(lock)
    (project / BUNDLE).unlink()
    (project / BUNDLE).write_bytes(b"other weights")
    assert "expected the bytes of dvc.lock" in run_module(project, "operations.approved", "approve").stderr


def test_a_judgement_edited_by_hand_approves_nothing(project: Path) -> None:
    judged = project / "metrics/bedside.json"
    judged.write_text(json.dumps(bedside(P001="vgg16", P002="vgg16")))
    before = (project / "approved.json").read_bytes()
    done = run_module(project, "operations.approved", "approve")
    assert done.returncode == 1
    assert "metrics/bedside.json: expected the bytes of dvc.lock, got others" in done.stderr
    commit(project, "by hand, and committed")
    assert run_module(project, "operations.approved", "approve").returncode == 1
    assert (project / "approved.json").read_bytes() == before


def test_what_dvc_has_against_it_is_said(project: Path, colleague: Path) -> None:
    shutil.rmtree(project.parent / "infant-spine-remote")
    done = run_module(colleague, "operations.approved", "get", "model.safetensors")
    assert done.returncode == 1
    assert "failed: ERROR: " in done.stderr
    assert BUNDLE in done.stderr or "Missing" in done.stderr or "missing" in done.stderr
    assert "Having any troubles" not in done.stderr


def test_a_colleague_gets_the_approved_bytes(colleague: Path) -> None:
    done = run_module(colleague, "operations.approved", "get", "model.safetensors")
    assert done.returncode == 0, done.stderr
    assert (colleague / "model.safetensors").read_bytes() == WEIGHTS
    assert hashlib.sha256(WEIGHTS).hexdigest() in done.stdout


def test_other_bytes_on_the_remote_never_become_the_model(project: Path, colleague: Path) -> None:
    (name,) = [name for name, content in objects(project).items() if content == WEIGHTS]
    remote, forged = project.parent / "infant-spine-remote" / name, b"Weights" + WEIGHTS[7:]
    remote.chmod(0o644)
    remote.write_bytes(forged)
    (colleague / "model.safetensors").write_bytes(b"the last approved one")
    done = run_module(colleague, "operations.approved", "get", "model.safetensors")
    assert done.returncode == 1
    assert f"expected SHA-256 {hashlib.sha256(WEIGHTS).hexdigest()} of approved.json, got" in done.stderr
    assert "python -m operations.cache" in done.stderr
    assert (colleague / "model.safetensors").read_bytes() == b"the last approved one"
    assert forged not in stored(colleague).values()  # nor does it lie in the cache, or half moved


@pytest.mark.parametrize("name", ["mine", ".", "..", "gone/..", "mine/../mine"])
def test_a_folder_is_no_place_for_the_model_and_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    kept = tmp_path / "clone/mine/notes.txt"
    kept.parent.mkdir(parents=True)
    kept.write_text("the only copy")
    monkeypatch.chdir(tmp_path / "clone")
    with pytest.raises(PipelineError, match="expected a file to write, got a folder"):
        get(Path(name))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [kept]


DAMAGED = {
    "a merge conflict": (lambda text: f"<<<<<<< HEAD\n{text}=======\n{text}>>>>>>> branch\n", "the file: Invalid JSON"),
    "fields missing": (lambda _: '{"model": "resnet18"}', "sha256: Field required"),
    "one too many": (lambda text: text.replace("{", '{"by": "me",', 1), "by: Extra inputs are not permitted"),
    "half a hash": (lambda text: re.sub(r'("sha256": ".{9}).*?"', r'\1"', text), "sha256: String should match pattern"),
    "no commit": (lambda text: re.sub(r'"rev": ".*?"', '"rev": "main"', text), "rev: String should match pattern"),
    "another path": (lambda text: text.replace("data/train/patient", "data/../patient"), "path: expected data/train/"),
    "another's path": (
        lambda text: text.replace("1/resnet18.saf", "1/vgg16.saf"),
        "path: expected data/train/patient/",
    ),
    "no text": (lambda text: text.replace('"why": ', '"why": 1, "x": '), "why: Input should be a valid string"),
}


@pytest.mark.parametrize("how", DAMAGED)
def test_a_damaged_approved_json_is_a_message_that_says_what_to_do(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    damage, message = DAMAGED[how]
    text = (trained / "approved.json").read_text()
    assert damage(text) != text
    (tmp_path / "approved.json").write_text(damage(text))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PipelineError, match=rf"(?s)approved.json: .*{message}.*Resolve the conflict.*or approve again"):
        read_approved()


def test_nor_does_get_show_a_traceback_for_it(colleague: Path) -> None:
    (colleague / "approved.json").write_text("<<<<<<< HEAD\n")
    done = run_module(colleague, "operations.approved", "get", "model.safetensors")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "Resolve the conflict" in done.stderr


def test_where_nothing_is_approved_nothing_is_brought(colleague: Path) -> None:
    (colleague / "approved.json").unlink()
    done = run_module(colleague, "operations.approved", "get", "model.safetensors")
    assert done.returncode == 1
    assert "Nothing is approved" in done.stderr
    assert not (colleague / "model.safetensors").exists()
