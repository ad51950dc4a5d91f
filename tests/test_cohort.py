"""clips.csv against its files: what is right is read, and what is wrong is listed all at once."""

import unicodedata
from pathlib import Path

import pytest

from stages.common.clips.cohort import check_clips, read_clips
from stages.common.core.errors import PipelineError
from tests.clip_factory import probe, speckle, write_dicom

HEADER = "clip,file,patient"


def cohort_of(folder: Path, table: str, *files: str) -> Path:
    """Write a cohort of a table and of empty files."""
    cohort = folder / "mine"
    for file in files:
        (cohort / file).parent.mkdir(parents=True, exist_ok=True)
        (cohort / file).touch()
    cohort.mkdir(exist_ok=True)
    (cohort / "clips.csv").write_text(table, encoding="utf-8")
    return cohort


def message(cohort: Path) -> str:
    with pytest.raises(PipelineError) as caught:
        read_clips(cohort)
    return str(caught.value)


def test_rows_become_clips_in_their_order(tmp_path: Path) -> None:
    table = "\n".join(
        [
            "clip,file,patient,position,depth_cm,crop",
            'LPILOT LAT2,videos/b b.MKV,P007,left lateral,3.5,"10,20,300,200"',
            "AM12,a.dcm,P0012,,,1 2 3 4",
        ]
    )
    beside = ("labels.xlsx", "README.md", "masks/AM12.mkv")
    first, second = read_clips(cohort_of(tmp_path, table, "videos/b b.MKV", "a.dcm", *beside))
    assert (first.clip_id, first.name, first.patient) == ("C001", "LPILOT LAT2", "P007")
    assert first.path == tmp_path / "mine/videos/b b.MKV"
    assert (first.position, first.depth_cm, first.crop) == ("left lateral", 3.5, (10, 20, 300, 200))
    assert (second.clip_id, second.position, second.depth_cm, second.crop) == ("C002", None, None, (1, 2, 3, 4))


def test_the_byte_order_mark_of_a_spreadsheet_is_no_part_of_a_name(tmp_path: Path) -> None:
    assert read_clips(cohort_of(tmp_path, f"\ufeff{HEADER}\nA,a.mp4,P001\n", "a.mp4"))[0].name == "A"


def test_a_name_that_macos_decomposed_is_found(tmp_path: Path) -> None:
    file = "Säugling.mp4"
    cohort = cohort_of(tmp_path, f"{HEADER}\nA,{file},P001\n", unicodedata.normalize("NFD", file))
    assert read_clips(cohort)[0].path.is_file()


def test_every_problem_is_in_the_one_message(tmp_path: Path) -> None:
    table = "\n".join(
        [
            "clip,file,patient,depth_cm,crop,position",
            "A,a.mp4,Erika,3,,",
            "A,gone.mp4,P001,35 mm,,",
            ",a.mp4,P001,41,1 2 3,",
            "D,film.wmv,P001,,0 0 0 5,born 2024-02-29",
            'E,../other/e.mp4,P001,"1,2,3",,',
            "F,/etc/f.mp4,P01,nan,1 2 3 4 5,",
            "G,,,-1,,",
        ]
    )
    cohort = cohort_of(tmp_path, table, "a.mp4", "film.wmv", "forgotten.AVI", "old/home.flv")
    text = message(cohort)
    assert text.startswith("the clips of cohort 'mine' cannot be used (")
    for expected in (
        "clips.csv, row 2, column 'patient': no pseudonym: expected a pseudonym such as P001, never guessed, got 'Eri",
        "row 3, column 'file': no such file",
        "row 3, column 'depth_cm': no number: expected a number up to 40, got '35 mm'",
        "row 4, column 'clip': no name",
        "row 4, column 'depth_cm': impossible depth",
        "row 4, column 'crop': wrong crop: expected x y width height in px, four whole numbers, got '1 2 3'",
        "row 5, column 'file': unknown container: expected a file of the cohort (.avi, .dcm, .mkv, .mov, .mp4, .mpeg, ",
        "row 5, column 'crop': empty crop",
        "row 5, column 'position': wrong position",
        "row 6, column 'file': path must stay inside the cohort",
        "row 6, column 'depth_cm': no number",
        "row 7, column 'file': path must stay inside the cohort",
        "row 7, column 'patient': no pseudonym",
        "row 7, column 'depth_cm': impossible depth",
        "row 7, column 'crop': wrong crop",
        "row 8, column 'file': no file",
        "row 8, column 'patient': no pseudonym",
        "row 8, column 'depth_cm': impossible depth",
        "clips.csv: clip named twice: expected one row a clip, got 2 rows 'A'",
        "clips.csv: file listed twice: expected one row a file, got 2 rows 'a.mp4'",
        "forgotten.AVI: clip without a row",
        "old/home.flv: unknown container",
    ):
        assert expected in text
    assert f"({text.count(chr(10))} problems)" in text
    assert text.count("film.wmv") == 1  # named in its row, not once more as a stray file


def test_clips_with_a_file_are_handed_on_beside_the_problems(tmp_path: Path) -> None:
    cohort = cohort_of(tmp_path, f"{HEADER}\nA,gone.mp4,P001\nB,b.mp4,P002\n", "b.mp4")
    listing = check_clips(cohort)
    assert [(clip.clip_id, clip.name) for clip in listing.clips] == [("C002", "B")]
    assert [clip.name for clip in listing.rows] == ["A", "B"]
    assert len(listing.problems) == 1


@pytest.mark.parametrize(
    "table",
    [
        "Clip,File,PATIENT,Depth_cm\nA,a.mp4,P001,3.5\n",
        "\ufeffclip;file;patient;depth_cm;crop\nA;a.mp4;P001;3,5;1,2,3,4\n",
    ],
)
def test_tables_of_any_spreadsheet_program_are_read(tmp_path: Path, table: str) -> None:
    (clip,) = read_clips(cohort_of(tmp_path, table, "a.mp4"))
    assert (clip.name, clip.patient, clip.depth_cm) == ("A", "P001", 3.5)


def test_nothing_that_lies_in_a_cohort_is_passed_over_in_silence(tmp_path: Path) -> None:
    beside = ("clip.dicom", "clip.h264", "masks_of_A.mkv", "old/masks/A.mkv", "notes.odt", "IM_0002", "README.md")
    silent = ("masks/A.mkv", "masks/x.bin", ".DS_Store", "._a.mp4", "truth.csv", "boxes.csv", "labels.xlsx", "a.pdf")
    cohort = cohort_of(tmp_path, f"{HEADER}\nA,a.mp4,P001\n", "a.mp4", *beside, *silent)
    (cohort / "IM_0001").write_bytes(b"\0" * 128 + b"DICM")
    (cohort / "gone").symlink_to(cohort / "nowhere")
    listing = check_clips(cohort)
    assert [(problem.where, problem.what) for problem in listing.problems] == [
        ("IM_0001", "clip without a row"),
        ("clip.dicom", "unknown container"),
        ("clip.h264", "unknown container"),
        ("masks_of_A.mkv", "clip without a row"),
        ("old/masks/A.mkv", "clip without a row"),
    ]
    assert listing.notes == [
        "1 file without a suffix, no clip, table or document, left out: 'IM_0002'",
        "1 file behind links, no clip, table or document, left out: 'gone'",
        "1 file with suffix .odt, no clip, table or document, left out: 'notes.odt'",
    ]


def test_a_dicom_file_may_have_any_name(tmp_path: Path) -> None:
    table = f"{HEADER}\nA,IM_0001,P001\nB,1.2.840.113,P002\nC,IM_0003,P003\n"
    cohort = cohort_of(tmp_path, table, "IM_0003")
    for name in ("IM_0001", "1.2.840.113"):
        write_dicom(cohort / name, speckle(4, 16, 16))
        assert probe(cohort / name).frames == 4
    text = message(cohort)
    assert "row 4, column 'file': unknown container: expected a file of the cohort (.avi, .dcm, " in text
    assert "DICOM under any name), got 'IM_0003'" in text
    assert text.count("\n") == 1


def test_a_link_may_not_lead_out_of_the_cohort(tmp_path: Path) -> None:
    (tmp_path / "secret.mp4").touch()
    cohort = cohort_of(tmp_path, f"{HEADER}\nA,a.mp4,P001\n")
    (cohort / "a.mp4").symlink_to(tmp_path / "secret.mp4")
    assert "row 2, column 'file': link leads out of the cohort" in message(cohort)


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("clip|file|patient\nA|a.mp4|P001\n", r"column missing: expected clip, got clip\|file\|patient"),
        ("clip,file,patient,Clip\nA,a.mp4,P001,B\n", "column twice: expected one column clip"),
        ("clip,file\nA,a.mp4\n", "column missing: expected patient, got clip, file"),
        (f"{HEADER},depht_cm\nA,a.mp4,P001,3\n", "unknown column: expected .*depth_cm, crop, got 'depht_cm'"),
        (f"{HEADER}\n", "no clips: expected a row a clip"),
        ("", "cannot be read as a CSV"),
        (f"{HEADER}\nA,a.mp4,P001,1,2,3,4\n", "more cells than the header|cannot be read as a CSV"),
    ],
)
def test_a_table_without_its_columns_is_refused(tmp_path: Path, table: str, expected: str) -> None:
    with pytest.raises(PipelineError, match=expected):
        read_clips(cohort_of(tmp_path, table, "a.mp4"))


@pytest.mark.parametrize("above", [0, 2])
def test_blank_rows_count_as_a_spreadsheet_counts_them_and_are_no_clips(tmp_path: Path, above: int) -> None:
    rows = ["", f"{HEADER},position", "A,a.mp4,P001,", "", ",,,", "B,gone.mp4,P002,", " , ,,", "C,c.mp4,P003,", ""]
    cohort = cohort_of(tmp_path, "\r\n" * above + "\r\n".join(rows[1:]), "a.mp4", "c.mp4")
    assert [clip.clip_id for clip in check_clips(cohort).rows] == ["C001", "C002", "C003"]
    text = message(cohort)
    assert f"row {rows.index('B,gone.mp4,P002,') + above}, column 'file': no such file" in text
    assert text.count("Correct the cell") == 1


def test_pseudonyms_that_differ_in_zeros_alone_are_asked_about(tmp_path: Path) -> None:
    digits = "1" * 5000  # longer than Python turns into a number
    table = f"{HEADER}\nA,a.mp4,P001\nB,b.mp4,P0001\nC,c.mp4,P1001\nD,d.mp4,P{digits}\nE,e.mp4,P000\n"
    text = message(cohort_of(tmp_path, table, *(f"{name}.mp4" for name in "abcde")))
    assert "pseudonyms of one number: expected one spelling an infant, got P0001 and P001." in text
    assert "P1001" not in text
    assert "P000 " not in text


def test_no_cohort_says_where_it_was_sought(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=r"clips.csv: expected a table .* Check `cohort` in params.yaml"):
        read_clips(tmp_path / "nowhere")


@pytest.mark.parametrize("suffix", [".m2v", ".mpe", ".divx", ".ogg", ".rm", ".f4v", ".zip", ".qt", ".3g2"])
def test_a_video_or_an_archive_that_nothing_here_reads_stops(tmp_path: Path, suffix: str) -> None:
    cohort = cohort_of(tmp_path, f"{HEADER}\nA,a.mp4,P001\n", "a.mp4", f"b{suffix.upper()}")
    assert f"b{suffix.upper()}: unknown container: expected .avi, .dcm" in message(cohort)


def test_a_row_that_names_a_mask_says_that_it_is_one(tmp_path: Path) -> None:
    text = message(cohort_of(tmp_path, f"{HEADER}\nA,a.mp4,P001\nB,masks/b.mkv,P002\n", "a.mp4", "masks/b.mkv"))
    assert "clips.csv, row 3, column 'file': a mask, no clip" in text
    assert "no such file" not in text
