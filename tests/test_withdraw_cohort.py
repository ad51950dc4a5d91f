"""What a withdrawal takes out of the cohort's folder and what it leaves there, without DVC: seconds."""

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from openpyxl import Workbook, load_workbook
from openpyxl.workbook.defined_name import DefinedName

from operations import rehearsal, withdraw
from operations.cut_rows import without_rows
from operations.withdrawal import Withdrawal, told
from stages.common.clips.cohort import read_clips
from stages.common.core.errors import PipelineError
from tests.clip_factory import speckle, write_video
from tests.test_withdraw import FRAMES, write_mine
from tests.workbooks import settings, sheet, truth, write_workbook

COLUMN = settings().label_merge.clip_column
Plan = Callable[..., Withdrawal]


@pytest.fixture
def cohort(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """P001 with EVA, P002 with KURT left and right, P003 with MIA; tracked, as far as a plan asks."""
    folder = Path("data/cohorts/mine")
    monkeypatch.chdir(tmp_path)
    write_mine(folder)
    folder.with_name("mine.dvc").touch()
    return folder


@pytest.fixture
def plan() -> Plan:
    """Plan a withdrawal with a section `label_merge` that differs by the keywords."""

    def planned(patient: str = "P002", **section: object) -> Withdrawal:
        content = settings().model_dump()
        content["label_merge"] |= section
        return withdraw.plan(patient, withdraw.Params.model_validate({**content, "cohort": "mine"}))

    return planned


def names(cohort: Path) -> list[str]:
    return sorted(path.relative_to(cohort).as_posix() for path in cohort.rglob("*") if not path.is_dir())


# ---- the table


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_rows_of_others_keep_every_byte_however_they_are_quoted(cohort: Path, plan: Plan, end: str, mark: str) -> None:
    """A blank may stand between a comma and a quote; a plain csv reader would make one cell `"0` of four."""
    lines = [
        "clip, file, patient, crop",
        'MIA, "clips/MIA.mkv", P003, "0, 0, 64, 64"',
        '"KURT left", "clips/KURT left.mkv", P002, ',
        'EVA 2024-05-01,clips/EVA 2024-05-01.mkv ,P001,"1 2 30 40"',
        ' "KURT right" ,clips/KURT right.mkv,P002,',
        "",
    ]
    (cohort / "clips.csv").write_bytes(end.join([mark + lines[0], *lines[1:]]).encode())
    crops = {clip.name: clip.crop for clip in read_clips(cohort)}
    withdraw.leave_cohort(plan(), COLUMN)
    expected = end.join([mark + lines[0], lines[1], lines[3], ""])
    assert (cohort / "clips.csv").read_bytes() == expected.encode()
    left = read_clips(cohort)
    assert {clip.name: clip.crop for clip in left} == {"MIA": (0, 0, 64, 64), "EVA 2024-05-01": (1, 2, 30, 40)}
    assert crops["MIA"] == (0, 0, 64, 64)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_empty_lines_may_stand_above_the_heading(cohort: Path, plan: Plan, delimiter: str) -> None:
    table = cohort / "clips.csv"
    table.write_text("\n" + table.read_text().replace(",", delimiter))
    withdraw.leave_cohort(plan(), COLUMN)
    assert {clip.patient for clip in read_clips(cohort)} == {"P001", "P003"}
    assert table.read_text().startswith(f"\nclip{delimiter}file{delimiter}patient\n")


def test_a_cell_of_several_lines_goes_or_stays_whole() -> None:
    text = 'clip,note\nA,"one\ntwo"\nB,"three\nA,four"\n'
    assert without_rows(text, "clip", ["A"], str.lower) == 'clip,note\nB,"three\nA,four"\n'


def test_nothing_is_written_where_the_result_reads_otherwise(
    cohort: Path, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever goes wrong in between: the cohort's own reader has the last word, before anything is written."""
    before = {path: path.read_bytes() for path in cohort.rglob("*") if path.is_file()}
    found = plan()
    cut = rehearsal.without_rows
    monkeypatch.setattr(rehearsal, "without_rows", lambda *words, **flags: cut(*words, **flags).replace("P003", "P004"))
    with pytest.raises(
        PipelineError, match=r"clips.csv: .*read again: expected 2 other rows.*MIA.*Nothing was changed"
    ):
        withdraw.leave_cohort(found, COLUMN)
    with pytest.raises(PipelineError, match="Nothing was changed"):
        plan()
    assert {path: path.read_bytes() for path in cohort.rglob("*") if path.is_file()} == before


def test_nothing_is_written_where_a_label_file_reads_otherwise(
    cohort: Path, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut = rehearsal.without_sheets

    def spoilt(*words: object) -> dict[Path, bytes | None]:
        contents = dict(cut(*words))  # type: ignore[arg-type]
        other = cohort.parent / "other.xlsx"
        write_workbook(other, {"EVA 2024-05-01": sheet(truth(FRAMES, seed=0), "EVA 2024-05-01"), "MIA": [["FILENAME"]]})
        return {path: other.read_bytes() for path in contents}

    before = (cohort / "labels.xlsx").read_bytes()
    monkeypatch.setattr(rehearsal, "without_sheets", spoilt)
    with pytest.raises(PipelineError, match=r"labels.xlsx: .*sheet 'MIA' as it is.*Nothing was changed"):
        plan()
    assert (cohort / "labels.xlsx").read_bytes() == before


def test_what_is_told_of_cache_and_remote_reads_as_a_sentence(plan: Plan, cohort: Path) -> None:
    found = plan()
    assert found.cohort == cohort
    begin = "  - every output of the pipeline, dvc.lock, and all that the cache (.dvc/cache)"
    alone = told(found, None, ".dvc/cache").splitlines()
    assert f"{begin} holds but cohorts as they now stand" in alone
    assert "  - nothing in a remote: the cohort has none of its own, or `push` is off" in alone
    both = told(found, "mine", ".dvc/cache").splitlines()
    assert f"{begin} and remote mine hold but cohorts as they now stand" in both
    assert not [line for line in both if "nothing in a remote" in line]


# ---- label files


def by_expert(cohort: Path) -> None:
    """Give the cohort two experts, of whom bob labelled KURT alone."""
    (cohort / "labels.xlsx").rename(cohort / "labels_ann.xlsx")
    rows = {name: sheet(truth(FRAMES, seed=1), name) for name in ("KURT left", "KURT right")}
    write_workbook(cohort / "labels_bob.xlsx", rows)


def test_a_workbook_of_the_patient_alone_goes_whole(cohort: Path, plan: Plan) -> None:
    by_expert(cohort)
    found = plan()
    assert "labels_bob.xlsx: all of it, as no sheet remains" in told(found, None, ".dvc/cache")
    withdraw.leave_cohort(found, COLUMN)
    assert [name for name in names(cohort) if name.startswith("labels")] == ["labels_ann.xlsx"]
    assert load_workbook(cohort / "labels_ann.xlsx").sheetnames == ["EVA 2024-05-01", "MIA"]


@pytest.mark.parametrize("form", ["table", "folder"])
def test_so_do_other_label_files(cohort: Path, plan: Plan, form: str) -> None:
    by_expert(cohort)
    (cohort / "labels_bob.xlsx").unlink()
    rows = sheet(truth(FRAMES, seed=1), "KURT left")
    if form == "table":
        lines = [f"CLIP,{','.join(map(str, rows[0]))}", *(f"KURT left,{','.join(map(str, row))}" for row in rows[1:])]
        (cohort / "labels_bob.csv").write_text("\n".join(lines))
    else:
        (cohort / "labels_bob").mkdir()
        (cohort / "labels_bob/.DS_Store").write_text("KURT left")
        (cohort / "labels_bob/KURT left.CSV").write_text("\n".join(",".join(map(str, row)) for row in rows))
    withdraw.leave_cohort(plan(), COLUMN)
    assert [path.name for path in cohort.iterdir() if path.name.startswith("labels")] == ["labels_ann.xlsx"]


def test_a_workbook_of_which_hidden_sheets_alone_would_remain_is_refused(cohort: Path, plan: Plan) -> None:
    by_expert(cohort)
    book = load_workbook(cohort / "labels_bob.xlsx")
    book.create_sheet("notes").sheet_state = "hidden"
    book.save(cohort / "labels_bob.xlsx")
    with pytest.raises(PipelineError, match=r"labels_bob.xlsx: expected a visible sheet .*hidden ones alone: 'notes'"):
        plan(ignored_sheets={"notes": "no labels"})


def test_names_of_cells_that_quote_a_title_go_with_the_sheet(cohort: Path, plan: Plan) -> None:
    book = load_workbook(cohort / "labels.xlsx")
    for name, cells in (("his", "'KURT left'!$A$1"), ("hers", "MIA!$A$1")):
        book.defined_names[name] = DefinedName(name, attr_text=cells)
    book.save(cohort / "labels.xlsx")
    withdraw.leave_cohort(plan(), COLUMN)
    assert list(load_workbook(cohort / "labels.xlsx").defined_names) == ["hers"]


def with_sheet(cohort: Path, title: str) -> None:
    book = load_workbook(cohort / "labels.xlsx")
    for row in sheet(truth(FRAMES, seed=2), title):
        (book[title] if title in book.sheetnames else book.create_sheet(title)).append(row)
    book.save(cohort / "labels.xlsx")


@pytest.mark.parametrize("title", ["K. left again", "kurt-left"])
def test_a_sheet_that_is_settled_for_no_clip_stops_it(cohort: Path, plan: Plan, title: str) -> None:
    with_sheet(cohort, title)
    with pytest.raises(PipelineError, match=rf"(?s)of every label sheet whose it is.*{title}.*ignored_sheets"):
        plan()


def test_ignored_sheets_are_listed_unless_they_are_called_as_a_clip_of_the_patients(cohort: Path, plan: Plan) -> None:
    for title in ("first try", "kurt-left"):
        with_sheet(cohort, title)
    found = plan(ignored_sheets={"first try": "not finished", "kurt-left": "an older one"})
    assert "  - labels.xlsx, sheet 'first try'" in told(found, None, ".dvc/cache").splitlines()
    withdraw.leave_cohort(found, COLUMN)
    assert load_workbook(cohort / "labels.xlsx").sheetnames == ["EVA 2024-05-01", "MIA", "first try"]


# ---- other files


def test_a_linked_clip_goes_with_what_it_leads_to(cohort: Path, plan: Plan) -> None:
    clip, real = cohort / "clips/KURT right.mkv", cohort / ".originals/0815.mkv"
    real.parent.mkdir()
    clip.rename(real)
    (cohort / "clips/step").symlink_to("../.originals/0815.mkv")
    clip.symlink_to("step")
    withdraw.leave_cohort(plan(), COLUMN)
    assert names(cohort) == ["clips.csv", "clips/EVA 2024-05-01.mkv", "clips/MIA.mkv", "labels.xlsx"]
    assert not real.parent.exists()


def test_a_copy_under_another_name_goes_too(cohort: Path, plan: Plan) -> None:
    (cohort / "backup").mkdir()
    (cohort / "backup/0815.bin").write_bytes((cohort / "clips/KURT left.mkv").read_bytes())
    withdraw.leave_cohort(plan(), COLUMN)
    assert "backup/0815.bin" not in names(cohort)


def test_copies_of_the_table_and_the_workbook_go_too_and_what_a_linked_workbook_leads_to(
    cohort: Path, plan: Plan
) -> None:
    for name in ("old/2023", "new"):
        (cohort / name).mkdir(parents=True)
    shutil.copy(cohort / "clips.csv", cohort / "old/2023/table.csv")
    shutil.copy(cohort / "labels.xlsx", cohort / "old/sheets.xlsx")
    (cohort / "labels.xlsx").rename(cohort / "new/all.xlsx")
    (cohort / "labels.xlsx").symlink_to("new/all.xlsx")
    found = plan()
    goes = {"new/all.xlsx", "old/2023/table.csv", "old/sheets.xlsx"}
    assert goes <= {line.removeprefix("  - ") for line in told(found, None, ".dvc/cache").splitlines()}
    assert not goes & {path.relative_to(cohort).as_posix() for path in found.stays}
    withdraw.leave_cohort(found, COLUMN)
    assert names(cohort) == ["clips.csv", "clips/EVA 2024-05-01.mkv", "clips/MIA.mkv", "labels.xlsx"]
    assert load_workbook(cohort / "labels.xlsx").sheetnames == ["EVA 2024-05-01", "MIA"]


@pytest.mark.parametrize("how", ["link", "copy"])
def test_one_file_as_the_clip_of_two_patients_is_refused(cohort: Path, plan: Plan, how: str) -> None:
    mia, kurt = cohort / "clips/MIA.mkv", cohort / "clips/KURT left.mkv"
    content = kurt.read_bytes()
    mia.unlink()
    if how == "link":
        mia.symlink_to("KURT left.mkv")
    else:
        mia.write_bytes(content)
    with pytest.raises(PipelineError, match=r"(?s)expected the clips of P002 to be of nobody else.*MIA.mkv of P003"):
        plan()


def test_files_called_as_the_clip_go_and_every_other_one_is_listed(cohort: Path, plan: Plan) -> None:
    theirs = [
        "clips/KURT left.json",
        "clips/._KURT right.mkv",
        "KURT left.seg.PNG",
        "kurt right.mkv.txt",
        "labels.xlsx.partial",
    ]
    others = ["clips/MIA.json", "notes.txt", "clips/KURT.json", "clips/KURT left 2.json", "clips/.DS_Store"]
    for name in [*theirs, *others]:
        (cohort / name).write_text(f"{name}\n")
    found = plan()
    said = told(found, None, ".dvc/cache").splitlines()
    assert [name for name in others if f"  - {name}" not in said] == []
    goes, _, stays = told(found, None, ".dvc/cache").partition("These stay")
    assert [name for name in theirs if name not in goes or name in stays] == []
    withdraw.leave_cohort(found, COLUMN)
    left = {"clips.csv", "labels.xlsx", "clips/EVA 2024-05-01.mkv", "clips/MIA.mkv", *others}
    assert set(names(cohort)) == left


def test_a_longer_name_of_another_patients_clip_counts_first(cohort: Path, plan: Plan) -> None:
    write_video(cohort / "clips/KURT left.2.mkv", speckle(FRAMES, 64, 80, seed=8))
    with (cohort / "clips.csv").open("a") as file:
        file.write("KURT left.2,clips/KURT left.2.mkv,P003\n")
    with_sheet(cohort, "KURT left.2")
    (cohort / "clips/KURT left.2.json").write_text("P003's")
    withdraw.leave_cohort(plan(), COLUMN)
    assert {"clips/KURT left.2.mkv", "clips/KURT left.2.json"} <= set(names(cohort))


def test_what_is_looked_for_is_what_goes_and_nothing_that_stays(cohort: Path, plan: Plan) -> None:
    (cohort / "masks").mkdir()
    for name, content in {"KURT left": "black", "KURT right": "white", "MIA": "black"}.items():
        (cohort / f"masks/{name}.mkv").write_text(content)
    theirs = ["clips/KURT left.mkv", "clips/KURT right.mkv", "masks/KURT right.mkv", "clips.csv", "labels.xlsx"]
    expected = {hashlib.md5((cohort / name).read_bytes()).hexdigest(): name for name in theirs}
    assert {value: name for value, (name, _) in plan().traces.items()} == expected


@pytest.mark.usefixtures("cohort")
def test_a_workbook_that_cannot_be_saved_again_is_a_message(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise ValueError("no such style")

    monkeypatch.setattr(Workbook, "save", fails)
    with pytest.raises(PipelineError, match=r"labels.xlsx: expected a workbook that can be saved.*Delete these sheets"):
        plan()
    assert not withdraw.JOURNAL.exists()  # it stops no other patient's
