"""What is derived from a withdrawn patient goes from the workspace; what is left somewhere is named."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from tests.clip_factory import speckle, write_video
from tests.test_operations import run_module
from tests.test_withdraw import FRAMES, contents, digests, write_mine
from tests.workspace import commit, copy_project, dvc, git, set_params, track_cohort

# of other parameters than those of params.yaml, of killed stages, of commands around the pipeline
DERIVED = (
    "data/train/patient/0/9/vgg16.safetensors",
    "data/predictions/leave_one_patient_out/3/1/vgg16.csv",
    "data/extract_frames.partial/C002/0.png",
    "data/gone-extract_frames.partial/C002/0.png",
    "data/augment/original.npy.partial",
    "data/cohorts/mine/labels.xlsx.partial",
    "data/cohorts/gone-mine.partial/clips/a.mkv",
    "metrics/pictures/patient/old.png",
    "metrics/models/patient/new_one.json",
    "metrics/summary.json.partial",
    "dvc_plots/index.html",
    "dvc_plots/static/old.png",
    "docs/model.safetensors.partial",
    ".dvc/tmp/results.patch",
    ".dvc/tmp/exps/celery/broker/in/one",
    ".search/one/trials.csv",
    ".checkpoints/train/one/key.pt",
)
KEPT = (
    "data/cohorts/phantom/clips/a.mkv",
    "data/cohorts/phantom/clips.csv.partial",
    "data/cohorts/phantom.partial/a.mkv",
    "data/external/scanner.csv",  # a .dvc file tracks it
    "metrics/notes.md",  # Git's
    "weights/phantoms/resnet18.safetensors",
)


@pytest.fixture(scope="module")
def tracked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tracked cohort, pushed to its remote; no stage has run. Do not change it."""
    folder = copy_project(tmp_path_factory.mktemp("tracked") / "project")
    write_mine(folder / "data/cohorts/mine")
    set_params(folder, {"cohort": "mine"})
    track_cohort(folder, "mine")
    commit(folder, "our cohort")
    return folder


@pytest.fixture
def project(tracked: Path, tmp_path: Path) -> Path:
    folder = Path(shutil.copytree(tracked, tmp_path / "project", symlinks=True))
    dvc(folder, "remote", "modify", "mine", "url", str(tmp_path / "remote"))
    commit(folder, "its own remote")
    dvc(folder, "push", "-q", "data/cohorts/mine.dvc")
    return folder


def write(folder: Path, name: str) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(f"{name}: learnt from KURT")


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


def test_everything_derived_goes_and_every_input_stays(project: Path) -> None:
    for name in KEPT:
        write(project, name)
    (project / "external.dvc").write_text("outs:\n- path: data/external/scanner.csv\n")
    dvc(project, "commit", "-q", "-f", "external.dvc")
    git(project, "add", "-f", "metrics/notes.md")
    commit(project, "inputs")
    for name in DERIVED:
        write(project, name)
    elsewhere = project.parent / "disk"
    write(elsewhere, "frames.npy")
    (project / "data/features").symlink_to(elsewhere)
    done = run_module(project, "operations.withdraw", "P002", "--do")
    assert done.returncode == 0, done.stderr
    assert [name for name in KEPT if not (project / name).is_file()] == []
    mine = [path for path, content in contents(project) if b"KURT" in content or "KURT" in path.name]
    allowed = {project / name for name in KEPT}
    cached = [path for path in mine if path.is_relative_to(project / ".dvc/cache")]
    assert [md5(path) for path in cached] == [md5(project / "data/external/scanner.csv")]
    # what Git tracks is code and tests, which say KURT themselves
    ours = set(git(project, "ls-files", "-z").split("\0"))
    assert [path for path in set(mine) - allowed - set(cached) if str(path.relative_to(project)) not in ours] == []
    assert sorted(path.name for path in (project / "data").iterdir()) == ["cohorts", "external"]
    assert not (project / "data/cohorts/gone-mine.partial").exists()
    assert f"data/features -> {elsewhere}: only the link is gone" in done.stdout


def test_leftovers_of_broken_transfers_go_from_the_cache_and_the_remote(project: Path) -> None:
    for store in (".dvc/cache", "../remote"):
        write(project, f"{store}/files/md5/ab/.half.tmp")
    assert run_module(project, "operations.withdraw", "P002", "--do").returncode == 0
    assert not list(project.rglob("*.tmp")) + list((project.parent / "remote").rglob("*.tmp"))


def test_a_copy_in_another_cohort_is_named_and_the_own_remote_keeps_none(project: Path) -> None:
    """The clinic's cohort, on a branch of its own, holds the same clip, and may: a person decides."""
    clip = project / "data/cohorts/mine/clips/KURT left.mkv"
    own = md5(clip)
    write_video(project / "data/cohorts/clinic/BORIS.mkv", speckle(FRAMES, 64, 80, seed=9))
    shutil.copy(clip, project / "data/cohorts/clinic/KARL.mkv")
    theirs = digests(project / "data/cohorts/clinic")
    main = git(project, "branch", "--show-current").strip()
    git(project, "switch", "-q", "-c", "clinic")
    track_cohort(project, "clinic")
    commit(project, "the clinic's")
    git(project, "switch", "-q", main)
    shutil.rmtree(project / "data/cohorts/clinic")
    assert own in digests(project.parent / "remote")
    done = run_module(project, "operations.withdraw", "P002", "--do")
    assert done.returncode == 1
    assert "expected nothing of the patient's to be left" in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("  - ")]
    assert line.startswith("  - clips/KURT left.mkv: in the cache (")
    assert line.endswith("kept by data/cohorts/clinic.dvc (refs/heads/clinic)")
    assert own not in digests(project.parent / "remote")
    assert theirs <= digests(project / ".dvc/cache")
    other = run_module(project, "operations.withdraw", "P001")  # what is named stops nobody else's withdrawal
    assert other.returncode == 0, other.stderr
    git(project, "branch", "-q", "-D", "clinic")
    again = run_module(project, "operations.withdraw", "P002", "--do")
    assert again.returncode == 0, again.stderr
    assert own not in digests(project / ".dvc/cache")
    assert not list((project / ".dvc/tmp").glob("withdraw*"))


def test_a_copy_that_lies_about_in_the_workspace_is_named(project: Path) -> None:
    shutil.copy(project / "data/cohorts/mine/clips/KURT right.mkv", project / "docs/figure.bin")
    done = run_module(project, "operations.withdraw", "P002", "--do")
    assert done.returncode == 1
    assert "  - clips/KURT right.mkv: in docs/figure.bin" in done.stderr.splitlines()


def approve(project: Path, **changes: str) -> None:
    approved = {
        "protocol": "patient", "model": "vgg16", "path": "data/train/patient/0/1/vgg16.safetensors", "sha256": "a" * 64,
        "rev": git(project, "rev-parse", "HEAD").strip(), "why": "a person named it",
    }  # fmt: skip
    (project / "approved.json").write_text(json.dumps(approved | changes))


def test_an_approved_model_of_the_cohort_is_named_and_one_of_another_is_not(project: Path) -> None:
    approve(project)
    done = run_module(project, "operations.withdraw", "P002")
    assert (
        "A model that learnt from the patient, and cannot be brought afterwards: approved.json: patient/vgg16 of"
        in done.stdout
    )
    set_params(project, {"cohort": "phantom"})
    commit(project, "the phantom's")
    approve(project)
    set_params(project, {"cohort": "mine"})
    done = run_module(project, "operations.withdraw", "P002", "--do")
    assert done.returncode == 0, done.stderr
    assert "approved.json" not in done.stdout.replace("operations.approved get", "")


def test_what_the_gpu_workflow_publishes_is_told_as_out_of_reach(project: Path) -> None:
    done = run_module(project, "operations.withdraw", "P002", "--do")
    assert done.returncode == 0, done.stderr
    for published in ("branches plots-*", "comments on pull requests", "artifact", "results.patch", "~/gpu-logs"):
        assert published in done.stdout


def test_networks_in_weights_are_named_in_the_end(project: Path) -> None:
    """They may have learnt from the patient, and nobody but a person knows."""
    names = ("weights/own/resnet18.safetensors", "weights/copied.pth")
    for name in names:
        write(project, name)
    (project / "weights/link.safetensors").symlink_to(project / "nowhere")
    done = run_module(project, "operations.withdraw", "P002", "--do")
    assert done.returncode == 0, done.stderr
    _, _, told = done.stdout.partition("What no command here can reach")
    assert [line.strip() for line in told.splitlines() if line.strip().startswith("weights/")] == [
        "weights/copied.pth", "weights/link.safetensors", "weights/own/resnet18.safetensors",
    ]  # fmt: skip
    assert all((project / name).is_file() for name in names)
