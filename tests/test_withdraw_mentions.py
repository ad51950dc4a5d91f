"""What label files that stay say of a withdrawn patient: what stands beside their cells goes, and the rest is named."""

import io
import zipfile
from pathlib import Path

import pytest
from openpyxl import load_workbook
from openpyxl.cell.rich_text import CellRichText, TextBlock
from openpyxl.cell.text import InlineFont
from openpyxl.chart import BarChart, Reference
from openpyxl.comments import Comment
from openpyxl.packaging.custom import StringProperty
from openpyxl.worksheet.datavalidation import DataValidation
from openpyxl.worksheet.header_footer import HeaderFooter, HeaderFooterItem, _HeaderFooterPart

from operations import mentions, withdraw
from operations.parts import SAID, texts_of
from operations.withdrawal import LOOSE, NAMED, told
from stages.common.core.errors import PipelineError
from tests.clip_factory import speckle, write_video
from tests.test_withdraw import FRAMES
from tests.test_withdraw_cohort import COLUMN, Plan, by_expert, cohort, plan, with_sheet
from tests.workbooks import sheet, truth

__all__ = ["cohort", "plan"]  # fixtures


def annotate(path: Path, title: str = "MIA") -> None:
    """Name KURT left in everything that stands beside the cells of a sheet."""
    book = load_workbook(path)
    book[title]["A1"].comment = Comment("same exam as KURT left", "who labelled KURT left")
    for name in ("oddHeader", "evenHeader", "firstFooter"):
        getattr(book[title], name).left.text = "KURT left"
    graph, chart = book.create_chartsheet("graph"), BarChart()
    chart.add_data(Reference(book[title], min_col=3, min_row=1, max_row=FRAMES))
    graph.add_chart(chart)
    graph.HeaderFooter = HeaderFooter(oddFooter=HeaderFooterItem(center=_HeaderFooterPart("KURT left")))
    book.properties.title = book.properties.creator = book.properties.description = "KURT left"
    book.custom_doc_props.append(StringProperty(name="KURT left", value="kurt left"))
    book.save(path)


def parts_with(path: Path, name: bytes) -> list[str]:
    with zipfile.ZipFile(path) as archive:
        return [part for part in archive.namelist() if name in archive.read(part).lower()]


def named(told_of: list[str]) -> list[str]:
    """Return what is said to name clips of the patient's."""
    return [line.removeprefix("  - ") for line in told_of[told_of.index(NAMED) + 1 :]] if NAMED in told_of else []


def test_comments_headers_and_properties_go_from_a_workbook_that_is_made_anew(cohort: Path, plan: Plan) -> None:
    annotate(cohort / "labels.xlsx")
    assert len(parts_with(cohort / "labels.xlsx", b"kurt left")) > 5
    found = plan()
    said = told(found, None, ".dvc/cache").splitlines()
    assert f"  - labels.xlsx: {LOOSE}" in said
    assert named(said) == []
    withdraw.leave_cohort(found, COLUMN)
    assert parts_with(cohort / "labels.xlsx", b"kurt") == []
    assert load_workbook(cohort / "labels.xlsx").sheetnames == ["EVA 2024-05-01", "MIA", "graph"]


def test_what_names_the_patient_in_a_workbook_that_stays_is_told_by_sheet_or_part(cohort: Path, plan: Plan) -> None:
    """Ann's has none of the patient's sheets left to take out: it is not made anew."""
    by_expert(cohort)
    book = load_workbook(cohort / "labels_ann.xlsx")
    for title in ("KURT left", "KURT right"):
        book.remove(book[title])
    book.save(cohort / "labels_ann.xlsx")
    annotate(cohort / "labels_ann.xlsx")
    said = named(told(plan(), None, ".dvc/cache").splitlines())
    assert [line for line in said if not line.startswith("labels_ann.xlsx, ")] == []
    places = {line.removeprefix("labels_ann.xlsx, ").split(":")[0] for line in said}
    assert places == {
        "sheet 'MIA'", "sheet 'graph'", "docProps/core.xml", "docProps/custom.xml", "xl/comments/comment1.xml",
    }  # fmt: skip


def test_what_stays_in_a_workbook_that_is_made_anew_is_told_by_sheet(cohort: Path, plan: Plan) -> None:
    with_sheet(cohort, "notes")
    book = load_workbook(cohort / "labels.xlsx")
    for row, text in enumerate(("as in kurt-LEFT_12.jpg", "KURT left.mkv", "KURT", "left", "xKURT left"), start=1):
        book["notes"].cell(row, 9).value = text
    book["MIA"]["J1"] = "='KURT right'!A1+KU12"
    asked = DataValidation(type="list", formula1='"a,b"', prompt="KURT right?")
    book["MIA"].add_data_validation(asked)
    asked.add("K1")
    book["EVA 2024-05-01"]["A2"].hyperlink = "file:///exams/KURT%20left/KURT right.pdf"
    book.save(cohort / "labels.xlsx")
    found = plan(ignored_sheets={"notes": "not labels"})
    assert list(found.named) == [
        "labels.xlsx, sheet 'MIA': 'KURT right', 2 times",
        "labels.xlsx, sheet 'notes': 'KURT left', 2 times",
        "labels.xlsx, xl/worksheets/_rels/sheet1.xml.rels: 'KURT left'",
        "labels.xlsx, xl/worksheets/_rels/sheet1.xml.rels: 'KURT right'",
    ]
    withdraw.leave_cohort(found, COLUMN)
    assert sorted(parts_with(cohort / "labels.xlsx", b"kurt right")) == [
        "xl/worksheets/_rels/sheet1.xml.rels", "xl/worksheets/sheet2.xml",
    ]  # fmt: skip


def test_a_name_in_pieces_of_different_looks_is_found(cohort: Path, plan: Plan) -> None:
    book = load_workbook(cohort / "labels.xlsx")
    book["MIA"]["J1"] = CellRichText("of KU", TextBlock(InlineFont(b=True), "RT le"), "ft")
    book.save(cohort / "labels.xlsx")
    assert list(plan().named) == ["labels.xlsx, sheet 'MIA': 'KURT left'"]


def called(cohort: Path, names: dict[str, str]) -> None:
    """Give the cohort clips of these names too, with their sheets."""
    for number, (name, patient) in enumerate(names.items()):
        write_video(cohort / f"clips/{name}.mkv", speckle(FRAMES, 64, 80, seed=20 + number))
        with (cohort / "clips.csv").open("a") as file:
            file.write(f"{name},clips/{name}.mkv,{patient}\n")
        with_sheet(cohort, name)


def test_a_longer_name_of_another_patient_and_a_cell_of_that_name_are_not_reported(cohort: Path, plan: Plan) -> None:
    """AM1 is a cell, too; and the sheet goes as far to the right."""
    called(cohort, {"AM1": "P002", "12": "P002", "AM12": "P003", "AM1 left": "P003"})
    book = load_workbook(cohort / "labels.xlsx")
    book["AM12"]["AM1"] = "=SUM(AM1:AM2)+AM1"
    book["AM12"].merge_cells("AM1:AN1")
    book.save(cohort / "labels.xlsx")
    assert list(plan().named) == []
    book["AM12"]["AN3"] = "AM1"
    book.save(cohort / "labels.xlsx")
    assert list(plan().named) == ["labels.xlsx, sheet 'AM12': 'AM1'"]


def test_what_two_patients_clips_are_called_tells_nothing(cohort: Path, plan: Plan) -> None:
    for folder, patient in (("a", "P002"), ("b", "P003")):
        write_video(cohort / folder / "sitting.mkv", speckle(FRAMES, 64, 80, seed=ord(folder)))
        with (cohort / "clips.csv").open("a") as file:
            file.write(f"{folder} one,{folder}/sitting.mkv,{patient}\n")
        with_sheet(cohort, f"{folder} one")
    book = load_workbook(cohort / "labels.xlsx")
    book["MIA"]["J1"] = "sitting"
    book.save(cohort / "labels.xlsx")
    assert list(plan().named) == []


@pytest.mark.parametrize("form", ["table", "folder"])
def test_so_are_lines_of_csvs_and_of_the_table(cohort: Path, plan: Plan, form: str) -> None:
    (cohort / "labels.xlsx").unlink()
    rows = {name: sheet(truth(FRAMES), name) for name in ("EVA 2024-05-01", "KURT left", "KURT right", "MIA")}
    rows["MIA"] = [[*row, "note" if row[0] == "FILENAME" else "like KURT right"] for row in rows["MIA"]]
    if form == "folder":
        (cohort / "labels").mkdir()
        for name, table in rows.items():
            (cohort / f"labels/{name}.csv").write_text("\n".join(",".join(map(str, row)) for row in table))
    else:
        lines = [f"{name},{','.join(map(str, row))}" for name, table in rows.items() for row in table[1:]]
        (cohort / "labels.csv").write_text("\n".join([f"CLIP,{','.join(map(str, rows['MIA'][0]))}", *lines]) + "\n")
    found = plan()
    where = "labels.csv" if form == "table" else "labels/MIA.csv"
    assert list(found.named) == [f"{where}: 'KURT right', {FRAMES} times"]
    assert f"  - {where}: 'KURT right', {FRAMES} times" in told(found, None, ".dvc/cache").splitlines()


def test_hidden_copies_in_a_folder_of_labels_go_or_are_listed(cohort: Path, plan: Plan) -> None:
    (cohort / "labels.xlsx").unlink()
    hidden = ("labels/.old/KURT left.csv", "labels/.ipynb_checkpoints/KURT left-checkpoint.csv", "labels/.notes")
    for name in ("EVA 2024-05-01", "KURT left", "KURT right", "MIA"):
        lines = [",".join(map(str, row)) for row in sheet(truth(FRAMES), name)]
        for path in (f"labels/{name}.csv", *(hidden if name == "KURT left" else ())):
            (cohort / path).parent.mkdir(parents=True, exist_ok=True)
            (cohort / path).write_text("\n".join(lines))
    found = plan()
    gone = {path.relative_to(cohort).as_posix() for path in found.files}
    stays = "\n".join(told(found, None, ".dvc/cache").splitlines())
    assert all(name in gone or name in stays for name in hidden), (gone, stays)
    assert {hidden[0], hidden[1]} <= gone


def test_a_part_that_cannot_be_read_is_a_message(cohort: Path, plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: bytes) -> list[tuple[str, str]]:
        raise zipfile.BadZipFile("Bad CRC-32 for file 'xl/media/one.bin'")

    monkeypatch.setattr(mentions, "texts_of", fails)
    with pytest.raises(PipelineError, match=r"clips.csv: expected a label file .*BadZipFile: Bad CRC.*Nothing was"):
        plan()
    assert cohort.joinpath("clips/KURT left.mkv").is_file()


def test_a_picture_is_searched_as_bytes_and_in_both_widths() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("xl/printerSettings/1.bin", "KURT left".encode("utf-16-le") + b"\xff")
    ((place, text),) = texts_of(file.getvalue())
    assert place == "xl/printerSettings/1.bin"
    assert "KURT left" in text


@pytest.mark.timeout(60)
def test_a_formula_is_read_once_however_long() -> None:
    assert SAID.findall("A" * 1_000_000) == []
    assert SAID.findall("SUM(AM12!A1,'KURT left'!B2,\"x y\")+A1-ab!C") == ["AM12", "'KURT left'", '"x y"', "ab"]


def test_a_part_in_an_encoding_that_nobody_knows_is_read_as_bytes() -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("customXml/item1.xml", '<?xml version="1.0" encoding="x-mac"?><a>KURT left</a>')
    assert any("KURT left" in text for _, text in texts_of(packed.getvalue()))
