"""A withdrawn patient is nowhere any more: not in the cohort, the workspace, the cache or the remote."""

import hashlib
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import pandas as pd
import pytest
from dvc.repo import Repo
from openpyxl import load_workbook
from pydantic import ValidationError

from operations import withdraw
from operations.cut_rows import without_rows
from operations.files_of import named_after
from operations.labels_of import sheets_of, without_sheets
from operations.own_remote import remote_of
from operations.rehearsal import write
from stages.common.clips.cohort import Clip, read_clips
from stages.common.core.errors import PipelineError
from tests.clip_factory import speckle, write_video
from tests.test_operations import run_module
from tests.workbooks import settings, sheet, truth, write_workbook
from tests.workspace import commit, copy_project, dvc, git, set_params, track_cohort

FRAMES = 6
CLIPS = {"EVA 2024-05-01": "P001", "KURT left": "P002", "KURT right": "P002", "MIA": "P003"}


def write_mine(cohort: Path) -> Path:
    """Write three patients, one of them with two clips, and their workbook."""
    for number, name in enumerate(CLIPS):
        write_video(cohort / f"clips/{name}.mkv", speckle(FRAMES, 64, 80, seed=number))
    rows = [{"clip": name, "file": f"clips/{name}.mkv", "patient": patient} for name, patient in CLIPS.items()]
    pd.DataFrame(rows).to_csv(cohort / "clips.csv", index=False)
    sheets = {name: sheet(truth(FRAMES, seed=number), name) for number, name in enumerate(CLIPS)}
    write_workbook(cohort / "labels.xlsx", sheets)
    return cohort


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tracked cohort whose frames and labels are read, pushed to a remote."""
    folder = copy_project(tmp_path_factory.mktemp("withdraw") / "project")
    write_mine(folder / "data/cohorts/mine")
    set_params(folder, {"cohort": "mine", "size_px": 32})
    dvc(folder, "remote", "modify", "mine", "url", str(folder.parent / "remote"))
    track_cohort(folder, "mine")
    dvc(folder, "repro", "-q", "label_merge", "augment@original")
    commit(folder, "our cohort")
    dvc(folder, "push", "-q", "-r", "mine", "--run-cache")
    return folder


@pytest.fixture
def project(finished: Path, tmp_path: Path) -> Path:
    shutil.copytree(finished.parent / "remote", tmp_path / "remote")
    folder = Path(shutil.copytree(finished, tmp_path / "project", symlinks=True))
    dvc(folder, "remote", "modify", "mine", "url", str(tmp_path / "remote"))
    commit(folder, "its own remote")
    return folder


def contents(*folders: Path) -> Iterator[tuple[Path, bytes]]:
    for folder in folders:
        yield from (
            (path, path.read_bytes()) for path in folder.rglob("*") if path.is_file() and ".git" not in path.parts
        )


def digests(*folders: Path) -> set[str]:
    return {hashlib.md5(content).hexdigest() for _, content in contents(*folders)}


def test_without_do_it_says_what_would_go_and_changes_nothing(project: Path) -> None:
    before = digests(project / "data", project / ".dvc/cache", project.parent / "remote")
    done = run_module(project, "operations.withdraw", "P002")
    assert done.returncode == 0, done.stderr
    for line in ("clips.csv: KURT left, KURT right", "clips/KURT left.mkv", "labels.xlsx: KURT left, KURT right"):
        assert line in done.stdout
    assert "the cache (.dvc/cache) and remote mine hold" in done.stdout
    assert "Nothing was changed" in done.stdout
    assert digests(project / "data", project / ".dvc/cache", project.parent / "remote") == before


def test_nothing_of_a_withdrawn_patient_is_left_and_the_rest_runs(project: Path) -> None:
    extracted = project / "data/extract_frames"
    own = digests(extracted / "C002", extracted / "C003") | {
        hashlib.md5((project / f"data/cohorts/mine/clips/{name}.mkv").read_bytes()).hexdigest()
        for name in ("KURT left", "KURT right")
    }
    others = digests(project / "data/cohorts/mine/clips") - own
    half_trained = project / ".checkpoints/train/patient-0-1-resnet18/key.pt"
    half_trained.parent.mkdir(parents=True)
    half_trained.write_bytes(b"learnt from KURT")
    names = ("data", "metrics", ".dvc", ".checkpoints")
    site = project.parent / ".project/site"  # where DVC remembers hashes and folders' lists, outside of the project
    everywhere = (*(project / name for name in names), project.parent / "remote", site)
    assert own <= digests(project.parent / "remote")  # the search would find them, and they were pushed
    dvc(project, "data", "status")  # DVC's memory of this copy: the names are in it
    runs = (project / ".dvc/cache/runs", project.parent / "remote/runs")
    for folder in (site, *runs):
        assert any(folder.rglob("*"))
    assert b"KURT" in b"".join(content for _, content in contents(site))
    done = run_module(project, "operations.withdraw", "P002", "--do")
    assert done.returncode == 0, done.stderr
    left = digests(*everywhere)
    assert not own & left
    assert others <= left
    named = [path for path, content in contents(*everywhere) if b"KURT" in content or "KURT" in path.name]
    assert named == []
    assert load_workbook(project / "data/cohorts/mine/labels.xlsx").sheetnames == ["EVA 2024-05-01", "MIA"]
    assert not [path for folder in runs for path in folder.rglob("*") if path.is_file()]
    dvc(project, "repro", "-q", "label_merge")
    labels = pd.read_csv(project / "data/label_merge/labels.csv")
    assert labels.groupby("patient")["frame_id"].count().to_dict() == {"P001": FRAMES, "P003": FRAMES}
    assert run_module(project, "operations.cache").returncode == 0


def track_clinic(project: Path, at: Path, told: bool) -> None:
    """Track another cohort on a branch of its own, and push it to a folder; return to the first branch.

    Args:
        project: the clone.
        at: the folder.
        told: whether the first branch knows the remote, too.
    """
    write_video(project / "data/cohorts/clinic/BORIS.mkv", speckle(FRAMES, 64, 80, seed=9))
    main = git(project, "branch", "--show-current").strip()
    git(project, "switch", "-q", "-c", "clinic")
    dvc(project, "remote", "add", "clinic", str(at))
    track_cohort(project, "clinic")
    dvc(project, "push", "-q", "data/cohorts/clinic.dvc")
    commit(project, "the clinic's")
    git(project, "switch", "-q", main)
    if told:
        config = (project / ".dvc/config").read_text()
        (project / ".dvc/config").write_text(f"{config}['remote \"clinic\"']\n    url = {at}\n")


def test_other_cohorts_keep_their_remotes_and_their_clips_in_the_cache(project: Path) -> None:
    track_clinic(project, at=project.parent / "clinic", told=True)
    phantoms = project.parent / "infant-spine-remote"
    (phantoms / "files/md5/ab").mkdir(parents=True)
    (phantoms / "files/md5/ab" / ("c" * 30)).write_text("the team's")
    clip = hashlib.md5((project / "data/cohorts/clinic/BORIS.mkv").read_bytes()).hexdigest()
    theirs = digests(project.parent / "clinic")
    assert clip in theirs
    before = digests(project.parent / "clinic", phantoms)
    done = run_module(project, "operations.withdraw", "P002", "--do")
    assert done.returncode == 0, done.stderr
    assert digests(project.parent / "clinic", phantoms) == before
    assert theirs <= digests(project / ".dvc/cache")  # of a branch that is not checked out


def test_a_withdrawal_that_broke_at_the_remote_is_ended_by_the_same_command(project: Path) -> None:
    own = hashlib.md5((project / "data/cohorts/mine/clips/KURT left.mkv").read_bytes()).hexdigest()
    remote = project.parent / "remote"
    dvc(project, "remote", "modify", "mine", "url", "ssh://127.0.0.1:9/nobody")
    broken = run_module(project, "operations.withdraw", "P002", "--do")
    assert broken.returncode == 1
    assert "remote mine: " in broken.stderr
    assert "`python -m operations.withdraw P002 --do` goes on" in broken.stderr
    other = run_module(project, "operations.withdraw", "P001", "--do")
    assert "expected no other withdrawal half done, got that of P002" in other.stderr
    assert own in digests(remote)
    dvc(project, "remote", "modify", "mine", "url", str(remote))
    done = run_module(project, "operations.withdraw", "P002", "--do")
    assert done.returncode == 0, done.stderr
    assert own not in digests(remote, project / ".dvc")
    assert not list((project / ".dvc/tmp").glob("withdraw*"))
    again = run_module(project, "operations.withdraw", "P002", "--do")
    assert "expected P002 among other patients, got P001, P003" in again.stderr


@pytest.mark.parametrize(("call", "step"), [("replace", 2), ("replace", 3), ("unlink", 1), ("unlink", 2)])
def test_broken_off_anywhere_in_the_cohort_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, step: int
) -> None:
    """The journal is renamed first, then the workbook and the table; then two clips are removed."""
    cohort = write_mine(tmp_path / "data/cohorts/mine")
    cohort.with_name("mine.dvc").touch()
    monkeypatch.chdir(tmp_path)
    params = withdraw.Params.model_validate({**settings().model_dump(), "cohort": "mine"})
    found, column = withdraw.plan("P002", params), params.label_merge.clip_column
    done, calls = getattr(Path, call), []

    def breaks(path: Path, *words: object, **flags: object) -> object:
        if ".partial" not in path.name or call == "replace":
            calls.append(path)
            if len(calls) == step:
                raise OSError("no space")
        return done(path, *words, **flags)

    with monkeypatch.context() as patch:
        patch.setattr(Path, call, breaks)
        with pytest.raises(PipelineError, match=r"no space.*`python -m operations.withdraw P002 --do` goes on"):
            withdraw.withdraw(found, column)
    left = withdraw.begun("P002", Path("data/cohorts/mine"))
    assert left == found
    withdraw.leave_cohort(left, column)
    assert load_workbook(cohort / "labels.xlsx").sheetnames == ["EVA 2024-05-01", "MIA"]
    assert not [path for path, content in contents(cohort) if b"KURT" in content or "KURT" in path.name]
    assert {clip.patient for clip in read_clips(cohort)} == {"P001", "P003"}


def test_a_branch_with_another_state_of_the_cohort_is_named_and_loses_nothing(project: Path) -> None:
    main = git(project, "branch", "--show-current").strip()
    git(project, "switch", "-q", "-c", "more")
    write_video(project / "data/cohorts/mine/clips/NORA.mkv", speckle(FRAMES, 64, 80, seed=7))
    dvc(project, "add", "-q", "data/cohorts/mine")
    commit(project, "one more")
    git(project, "switch", "-q", main)
    dvc(project, "checkout", "-q", "data/cohorts/mine.dvc")
    before = digests(project / "data", project / ".dvc/cache", project.parent / "remote")
    done = run_module(project, "operations.withdraw", "P002", "--do")
    assert done.returncode == 1
    assert "refs/heads/more: " in done.stderr
    assert "--other-states" in done.stderr
    assert digests(project / "data", project / ".dvc/cache", project.parent / "remote") == before
    done = run_module(project, "operations.withdraw", "P002", "--do", "--other-states")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("url", ["{}/remote", "{}/link", "{}/other/../remote/", "file://{}/remote"])
def test_two_cohorts_in_one_place_are_refused(project: Path, url: str) -> None:
    (project.parent / "link").symlink_to(project.parent / "remote")
    dvc(project, "remote", "add", "clinic", url.format(project.parent))
    done = run_module(project, "operations.withdraw", "P002", "--do")
    assert done.returncode == 1
    assert "remote 'mine': expected a place of its own, got that of clinic" in done.stderr


@pytest.mark.parametrize(
    ("mine", "clinic", "same"),
    [
        ("ssh://host/a", "ssh://host/a/runs/clinic", True),
        ("ssh://host/a", "ssh://host/ab", False),
        ("ssh://host/a/mine", "ssh://host/a", False),  # around it: of mine alone is removed
        ("s3://bucket", "s3://bucket/a", True),
        ("/srv/mine", "/srv/mine/files/md5/clinic", True),
        ("ssh://host/a", "ssh://me@HOST:22/a/", True),
        ("ssh://host/a", "ssh://host//b/../a", True),
        ("ssh://host/a", "ssh://host:2222/a", False),
        ("ssh://host/a", "ssh://other/a", False),
        ("s3://bucket/a", "s3://bucket//a/", True),
        ("s3://bucket/a", "s3://other/a", False),
        ("s3://bucket/a", "gs://bucket/a", False),  # of a kind that is not installed
    ],
)
def test_a_place_is_the_same_however_it_is_spelt(tmp_path: Path, mine: str, clinic: str, same: bool) -> None:
    assert_place(tmp_path, {"url": mine}, {"url": clinic}, same)


def assert_place(folder: Path, mine: Mapping[str, str], clinic: Mapping[str, str], same: bool) -> None:
    """See whether two remotes, given by their settings, are said to lie in one place."""
    with Repo.init(str(folder), no_scm=True) as repo:
        repo.config["remote"].update({"mine": {**mine}, "clinic": {**clinic}})
        if not same:
            assert remote_of(repo, Path("data/cohorts/mine")) == "mine"
            return
        with pytest.raises(PipelineError, match="expected a place of its own, got that of clinic"):
            remote_of(repo, Path("data/cohorts/mine"))


@pytest.mark.parametrize(
    ("mine", "clinic", "environment", "same"),
    [
        ("https://one:9000", "https://two:9000", "", False),
        ("https://one:9000", "https://one:9001", "", False),
        ("https://one", "https://ONE:443/", "", True),
        ("https://one:9000", "", "", False),
        ("https://one:9000", "", "https://one:9000", True),
        ("https://s3.eu-central-1.amazonaws.com", "", "", True),
    ],
)
def test_one_bucket_on_two_servers_is_two_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mine: str, clinic: str, environment: str, same: bool
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", environment)
    settings = [{"url": "s3://bucket/a"} | ({"endpointurl": server} if server else {}) for server in (mine, clinic)]
    assert_place(tmp_path, settings[0], settings[1], same)


def test_what_another_cohort_has_in_the_remote_is_its_only_copy_and_stays(project: Path) -> None:
    """The clinic's remote is configured on its own branch alone, so that no url tells that they are one place."""
    track_clinic(project, at=project.parent / "remote", told=False)
    shutil.rmtree(project / "data/cohorts/clinic")
    before = digests(project.parent / "remote")
    for _ in range(2):
        done = run_module(project, "operations.withdraw", "P002", "--do")
        assert done.returncode == 1
        assert "  - data/cohorts/clinic.dvc (refs/heads/clinic): 2 objects" in done.stderr.splitlines()
        assert "`python -m operations.withdraw P002 --do` goes on" in done.stderr
        assert digests(project.parent / "remote") == before
    dvc(project, "remote", "modify", "mine", "url", str(project.parent / "own"))
    done = run_module(project, "operations.withdraw", "P002", "--do")
    assert done.returncode == 0, done.stderr
    assert digests(project.parent / "remote") == before


def test_a_file_of_the_same_bytes_in_two_cohorts_is_no_reason_to_stop(project: Path) -> None:
    """Nor is one that only an earlier state of the cohort had, of which no ref tells any more."""
    old = project / "data/cohorts/mine/note.txt"
    for content in ("of two cohorts", None):
        old.write_text(content) if content else old.unlink()
        dvc(project, "add", "-q", "data/cohorts/mine")
        dvc(project, "push", "-q", "data/cohorts/mine.dvc")
    clinic = project / "data/cohorts/clinic"
    clinic.mkdir()
    (clinic / "note.txt").write_text("of two cohorts")
    track_cohort(project, "clinic")
    commit(project, "the clinic's")
    done = run_module(project, "operations.withdraw", "P002", "--do")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("patient", "message"), [("P009", "expected P009 among other patients, got P001, P002, P003")])
def test_a_patient_who_is_not_there_is_named(project: Path, patient: str, message: str) -> None:
    done = run_module(project, "operations.withdraw", patient, "--do")
    assert done.returncode == 1
    assert message in done.stderr


def test_a_cohort_that_is_not_tracked_is_refused(project: Path) -> None:
    set_params(project, {"cohort": "phantom"})
    done = run_module(project, "operations.withdraw", "P001", "--do")
    assert done.returncode == 1
    assert "data/cohorts/phantom.dvc: expected a cohort that `dvc add` tracks" in done.stderr


@pytest.mark.parametrize("form", ["table", "folder", "experts"])
def test_sheets_go_from_every_form_of_label_file(tmp_path: Path, form: str) -> None:
    cohort = write_mine(tmp_path / "mine")
    rows = {name: sheet(truth(FRAMES, seed=number), name) for number, name in enumerate(CLIPS)}
    if form == "experts":
        (cohort / "labels.xlsx").rename(cohort / "labels_ann.xlsx")
        write_workbook(cohort / "labels_bob.xlsx", {name: rows[name] for name in ("MIA", "KURT left")})
    else:
        (cohort / "labels.xlsx").unlink()
    if form == "table":
        lines = [";".join(["CLIP", *map(str, rows["MIA"][0])])]
        lines += [";".join([name, *map(str, row)]) for name, table in rows.items() for row in table[1:]]
        (cohort / "labels.csv").write_text("\n".join(lines) + "\n")
    elif form == "folder":
        (cohort / "labels").mkdir()
        for name, table in rows.items():
            (cohort / f"labels/{name}.csv").write_text("\n".join(",".join(map(str, row)) for row in table))
    clips, section = read_clips(cohort), settings().label_merge
    own = [clip for clip in clips if clip.patient == "P002"]
    write(without_sheets(sheets_of(cohort, clips, own, section), section.clip_column))
    left = sheets_of(cohort, clips, clips, section)
    expected = {"MIA"} if form == "experts" else {"EVA 2024-05-01", "MIA"}
    assert {title for path, titles in left.items() for title in titles if path.name != "labels_ann.xlsx"} == expected
    assert not [path for path, content in contents(cohort) if b"KURT" in content and path.name != "clips.csv"
                and path.suffix != ".mkv"]  # fmt: skip


def test_masks_go_with_their_clip_whatever_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cohort = tmp_path / "data/cohorts/mine"
    write_mine(cohort)
    (cohort / "clips/KURT left.mkv").rename(cohort / "clips/KURT [left].mkv")  # brackets are a pattern's, too
    table = cohort / "clips.csv"
    table.write_text(table.read_text().replace("clips/KURT left.mkv", "clips/KURT [left].mkv"))
    cohort.with_name("mine.dvc").touch()
    (cohort / "masks").mkdir()
    for name in ("KURT [left].mkv", "KURT l.mkv", "MIA.mkv"):
        (cohort / "masks" / name).touch()
    monkeypatch.chdir(tmp_path)
    params = withdraw.Params.model_validate({**settings().model_dump(), "cohort": "mine"})
    found = withdraw.plan("P002", params)
    assert [path.name for path in found.files if path.parent.name == "masks"] == ["KURT [left].mkv"]


def test_a_mask_of_another_clip_with_the_same_file_name_stays(tmp_path: Path) -> None:
    def clip(number: int, name: str, file: str) -> Clip:
        return Clip(f"C00{number}", name, tmp_path / file, f"P00{number}", None, None, None)

    one, other = clip(1, "ANNA", "a/1.mkv"), clip(2, "BERT", "b/1.mkv")
    for name in ("1", "ANNA", "BERT", "a/1", "b/1"):
        (tmp_path / f"masks/{name}").parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / f"masks/{name}.mkv").touch()
    found = named_after(tmp_path, sorted((tmp_path / "masks").rglob("*.mkv")), [one, other], [one])
    assert [path.relative_to(tmp_path / "masks").as_posix() for path in found] == ["ANNA.mkv", "a/1.mkv"]


@pytest.mark.parametrize("cohort", ["../mine", "/etc", "a/b"])
def test_a_cohort_outside_the_data_is_refused(cohort: str) -> None:
    with pytest.raises(ValidationError, match="cohort"):
        withdraw.Params.model_validate({**settings().model_dump(), "cohort": cohort})


def test_other_cells_of_a_csv_stay_as_they_are() -> None:
    text = 'Clip,note\nA,"one, two"\nB, 01.0 \n'
    assert without_rows(text, "clip", ["A"], str.lower) == "Clip,note\nB, 01.0 \n"
