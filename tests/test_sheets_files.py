"""Every form a label file may have, and every way in which a file can be none."""

import re
import time
import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from stages.common.sheets import workbook
from stages.common.sheets.files import read_files
from tests import workbooks
from tests.workbooks import Rows, messages, read, sheet, truth, values

FRAMES = {"AM12": 9, "01.09.3hrs-0025097": 6}


def rows_of(expert: int = 0) -> dict[str, Rows]:
    return {name: sheet(truth(frames, seed=frames + expert), name) for name, frames in FRAMES.items()}


def csv_text(rows: Rows, delimiter: str = ",") -> str:
    return "".join(delimiter.join("" if entry is None else str(entry) for entry in row) + "\n" for row in rows)


def with_clip(sheets: dict[str, Rows], column: str = "Clip") -> Rows:
    heading = [column, *next(iter(sheets.values()))[0]]
    return [heading, *([name, *row] for name, rows in sheets.items() for row in rows[1:])]


def write(cohort: Path, form: str, expert: str = "", sheets: dict[str, Rows] | None = None) -> None:
    sheets = sheets or rows_of()
    stem = f"labels_{expert}" if expert else "labels"
    cohort.mkdir(exist_ok=True)
    if form == "workbook":
        workbooks.write_workbook(cohort / f"{stem}.xlsx", sheets)
    elif form == "folder":
        (cohort / stem).mkdir()
        (cohort / stem / ".DS_Store").write_bytes(b"\0")
        for name, rows in sheets.items():
            (cohort / stem / f"{name}.csv").write_text(csv_text(rows), encoding="utf-8")
    else:
        delimiter = {"comma": ",", "semicolon": ";", "tab": "\t"}[form]
        (cohort / f"{stem}.csv").write_text(csv_text(with_clip(sheets), delimiter), encoding="utf-8-sig")


FORMS = ("workbook", "comma", "semicolon", "tab", "folder")


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_labels(tmp_path: Path, form: str) -> None:
    write(tmp_path / "reference", "workbook")
    write(tmp_path / "other", form)
    reference, other = read(tmp_path / "reference", FRAMES), read(tmp_path / "other", FRAMES)
    assert not other.findings
    assert other.votes["E1"].equals(reference.votes["E1"])


def test_experts_may_use_different_forms_and_stay_nameless(tmp_path: Path) -> None:
    for number, (expert, form) in enumerate({"smith": "folder", "Adams": "workbook", "jones": "semicolon"}.items()):
        write(tmp_path, form, expert, rows_of(number))
    reading = read(tmp_path, FRAMES)
    assert not reading.findings
    assert reading.experts == {"E1": "Adams", "E2": "jones", "E3": "smith"}
    assert values(reading, "cord", "E3")[:9] == [bool(triple[1]) for triple in truth(9, seed=9)]
    assert values(reading, "cord", "E2")[:9] == [bool(triple[1]) for triple in truth(9, seed=11)]


def test_a_parameter_can_name_the_sheet_of_one_expert(tmp_path: Path) -> None:
    partial = {"AM12": [list(workbooks.HEADING), ["3", 0, 1, 0]]}
    write(tmp_path, "workbook", "a", partial)
    write(tmp_path, "workbook", "b", partial)
    params = workbooks.settings(first_number_of={"AM12": 0, "b/AM12": 1}, problems=workbooks.WARN)
    assert read(tmp_path, {"AM12": 9}, params).first_numbers == {"E1": {"C001": 0}, "E2": {"C001": 1}}


def test_the_csv_row_numbers_are_those_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text(
        "\nclip,filename,bad quality,cord,fluid\n\nAM12,0,0,0,0\nAM12,1,0,2,0\n", encoding="utf-8"
    )
    said = messages(read(tmp_path, {"AM12": 2}))
    assert "labels.csv, clip 'AM12', row 5, column 'cord': not a label: expected 0, 1 or blank, got '2'" in said


OLD_EXCEL = b"\xd0\xcf\x11\xe0" + b"\0" * 600
NO_FILE = [
    (
        "labels.xlsx",
        b"",
        r"labels\.xlsx: label file cannot be used: expected an Excel workbook \(\.xlsx\), got something",
    ),
    (
        "labels.xlsx",
        OLD_EXCEL,
        r"an old \.xls, a file with a password, or an incomplete copy\. Open it in a spreadsheet",
    ),
    ("labels.xls", OLD_EXCEL, r"labels\.xls: label file cannot be used: expected labels\.xlsx.*got a \.xls file"),
    ("labels.csv", b"", r"labels\.csv: label file cannot be used: expected a heading and rows, got an empty file"),
    (
        "labels.csv",
        b"CLIP,FILENAME\n\xe4,1\n",
        r"expected UTF-8 text, got byte 14 that is none\. Save it as 'CSV UTF-8'",
    ),
    ("labels.csv", b'CLIP,FILENAME\n"AM12,1\n', r"expected a CSV table, got unexpected end of data"),
    ("labels.csv", b"FILENAME,CORD\n1,0\n", r"expected one column 'CLIP', got 0 of them among 'FILENAME', 'CORD'"),
    (
        "labels.csv",
        b"CLIP,FILENAME\n,1\n",
        r"row 2, column 'CLIP': row without a clip: expected the clip's name, got blank",
    ),
    ("labels.csv", b"CLIP,FILENAME\n", r"labels\.csv: .* expected the labels of at least one clip, got none\. Fill it"),
    ("labels/.keep", b"", r"labels: label file cannot be used: expected the labels of at least one clip, got none"),
    (
        "labels/AM12.txt",
        b"",
        r"labels/AM12\.txt: label file cannot be used: expected only <clip>\.csv files in this folder",
    ),
    ("notes.txt", b"", r"cohort 'cohort': label file cannot be used: expected labels\.xlsx, .* got none of these"),
]


@pytest.mark.parametrize(("name", "content", "said"), NO_FILE)
def test_a_file_that_is_none_is_one_readable_message(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    path = tmp_path / "cohort" / name
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    reading = read(tmp_path / "cohort", {"AM12": 2})
    assert re.search(said, messages(reading)), messages(reading)
    assert all(finding.kind in {"file", "clip_without_sheet"} for finding in reading.findings)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("labels.xlsx", "labels.csv"), "expected one label file an expert, got 'labels.csv', 'labels.xlsx'"),
        (("labels_a.xlsx", "Labels_A.csv"), "expected one label file an expert, got 'Labels_A.csv', 'labels_a.xlsx'"),
        (("labels.xlsx", "labels_a.xlsx"), "expected either one file named labels or one labels_<expert> each"),
    ],
)
def test_label_files_that_contradict_each_other_are_refused(tmp_path: Path, names: tuple[str, ...], said: str) -> None:
    for name in names:
        (tmp_path / name).touch()
    assert said in messages(read(tmp_path, FRAMES))


def test_excel_s_lock_file_is_no_label_file(tmp_path: Path) -> None:
    write(tmp_path, "workbook")
    (tmp_path / "~$labels.xlsx").write_bytes(b"lock")
    assert not read(tmp_path, FRAMES).findings


def test_a_workbook_that_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "labels.xlsx", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", b"\0" * (workbook.MAX_UNPACKED_BYTES + 2**20))
    assert (tmp_path / "labels.xlsx").stat().st_size < 2**20
    assert "labels.xlsx: label file cannot be used: expected at most 64 MiB when unpacked, got 65 MiB" in messages(
        read(tmp_path, FRAMES)
    )


def test_a_sheet_that_reaches_beyond_all_labels_is_refused(tmp_path: Path) -> None:
    rows = sheet(truth(9))
    path = workbooks.write_workbook(tmp_path / "labels.xlsx", {"AM12": rows})
    book = workbook.load_workbook(path)
    book["AM12"]["XFD1048576"] = 1
    book.save(path)
    assert (
        "sheet 'AM12': label file cannot be used: expected at most 2000000 cells, got 1048576 rows by 16384 columns"
        in messages(read(tmp_path, {"AM12": 9}))
    )


def test_a_part_in_an_encoding_that_nobody_knows_does_no_harm(tmp_path: Path) -> None:
    path = workbooks.write_workbook(tmp_path / "labels.xlsx", {"AM12": sheet(truth(9))})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("customXml/item1.xml", '<?xml version="1.0" encoding="x-mac"?><a/>')
    assert not read(tmp_path, {"AM12": 9}).findings


SHEET = "xl/worksheets/sheet1.xml"


def packed(path: Path, part: str, at: bytes, bomb: str) -> Path:
    """Write a workbook of one sheet with `bomb` put before `at` in a part of it, and return its path."""
    workbooks.write_workbook(path, {"AM12": sheet(truth(9))})
    with zipfile.ZipFile(path) as source:
        members = {name: source.read(name) for name in source.namelist()}
    assert at in members.setdefault(part, b"<sst>" + at)  # short texts may stand in the sheet itself
    members[part] = members[part].replace(at, bomb.encode() + at, 1)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in members.items():
            target.writestr(name, content)
    return path


@pytest.mark.parametrize(
    "bomb",
    [
        '<mergeCells count="1"><mergeCell ref="A1:XFD1048576"/></mergeCells>',
        "<mergeCells>" + "".join(f'<mergeCell ref="A{row}:XFD{row + 99}"/>' for row in (1, 200, 400)) + "</mergeCells>",
        '<hyperlinks><hyperlink ref="A1:XFD1048576" location="A1"/></hyperlinks>',
    ],
    ids=["one range", "several ranges", "a link"],
)
def test_a_small_workbook_that_spans_all_cells_is_refused_at_once(tmp_path: Path, bomb: str) -> None:
    path = packed(tmp_path / "labels.xlsx", SHEET, b"<pageMargins", bomb)
    start = time.process_time()
    assert re.search(
        r"labels.xlsx: label .*: expected at most 2000000 cells, got merged cells or links over \d{7,}",
        messages(read(tmp_path, {"AM12": 9})),
    )
    assert path.stat().st_size < 10_000
    assert time.process_time() - start < 1


@pytest.mark.parametrize(
    ("part", "at", "bomb", "said"),
    [
        (SHEET, b"</sheetData>", f"<row>{'<c/>' * 1_000_000}</row>", "a row of more than 16384 cells"),
        (SHEET, b"</sheetData>", f"<row>{'<c/>' * 10_000}</row>" * 201, "more than 2000000 cells"),
        (SHEET, b"</sheetData>", "<row/>" * 2_000_001, "more than 2000000 cells"),
        ("xl/sharedStrings.xml", b"</sst>", "<si/>" * 2_000_001, "more than 2000000 cells"),
    ],
    ids=["one row", "many rows", "rows of nothing", "texts of nothing"],
)
def test_a_small_workbook_of_countless_cells_is_refused_unloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str, at: bytes, bomb: str, said: str
) -> None:
    path = packed(tmp_path / "labels.xlsx", part, at, bomb)
    assert path.stat().st_size < 100_000
    monkeypatch.setattr(workbook, "load_workbook", lambda _: pytest.fail("loaded"))
    assert f"labels.xlsx: label file cannot be used: expected at most 2000000 cells, got {said}" in messages(
        read(tmp_path, {"AM12": 9})
    )


def test_cells_are_counted_over_all_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workbooks.write_workbook(tmp_path / "labels.xlsx", {name: sheet(truth(9), name) for name in ("AM12", "BM12")})
    frames = {"AM12": 9, "BM12": 9}
    monkeypatch.setattr(workbook, "MAX_CELLS", 2 * 10 * 4)  # two sheets of a heading and nine rows by four columns
    assert not read(tmp_path, frames).findings
    monkeypatch.setattr(workbook, "MAX_CELLS", 2 * 10 * 4 - 1)
    assert "got more than 79 cells" in messages(read(tmp_path, frames))


@hypothesis_settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.booleans())
def test_a_damaged_workbook_never_ends_in_a_traceback(
    tmp_path_factory: pytest.TempPathFactory, seed: int, flips: int, inside: bool
) -> None:
    cohort = tmp_path_factory.mktemp("cohort")
    path = workbooks.write_workbook(cohort / "labels.xlsx", {"AM12": sheet(truth(9))})
    rng = np.random.default_rng(seed)
    path.write_bytes(_flip_members(path, rng, flips) if inside else _flip(path.read_bytes(), rng, flips))
    sheets, findings = read_files(cohort, "CLIP")
    assert sheets or findings


def _flip(content: bytes, rng: np.random.Generator, flips: int) -> bytes:
    damaged = np.frombuffer(content, dtype=np.uint8).copy()
    damaged[rng.integers(0, len(damaged), flips)] = rng.integers(0, 256, flips)
    return damaged.tobytes()


def _flip_members(path: Path, rng: np.random.Generator, flips: int) -> bytes:
    """Damage the XML inside, under checksums that are right."""
    packed = BytesIO()
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(packed, "w") as target:
        names = source.namelist()
        hit = names[int(rng.integers(0, len(names)))]
        for name in names:
            content = source.read(name)
            target.writestr(name, _flip(content, rng, flips) if name == hit else content)
    return packed.getvalue()
