"""What the check says of patients: one recording under two of them, and too few of them for three sides."""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from stages import check
from stages.common.clips.cohort import Clip
from stages.common.sheets.overview import Size
from stages.split.patient_search import ENOUGH
from tests import workbooks
from tests.test_check import settings, small_cohort
from tests.workbooks import sheet


def test_one_clip_under_two_patients_stops_and_under_one_is_noted(tmp_path: Path) -> None:
    cohort = small_cohort(tmp_path / "mine", patients=4)
    assert not check.check(cohort, settings()).stops
    shutil.copy(cohort / "A.mkv", cohort / "C.mkv")
    report = check.check(cohort, settings())
    assert report.stops
    assert "problems that stop the run (1):" in report.text
    assert (
        "clips.csv: the same recording under several patients: expected one patient a recording, "
        "got clip 'A.mkv' (C001) of P000, clip 'C.mkv' (C003) of P002."
    ) in report.text
    table = pd.read_csv(cohort / "clips.csv")
    table.assign(patient=["P000", "P001", "P000", "P003"]).to_csv(cohort / "clips.csv", index=False)
    report = check.check(cohort, settings())
    assert not report.stops
    assert "C001, C003: the same recording, so it counts 2 times" in report.text


def sizes(_: Any, clips: Sequence[Clip], *__: Any, **___: Any) -> Iterator[tuple[Clip, Size]]:
    """Stand in for decoding: every clip has 20 frames."""
    return ((clip, Size(20, 640, 480, 29.97)) for clip in clips)


@pytest.mark.parametrize(("cords", "clear"), [(6, 6), (5, 9), (9, 5), (3, 3)])
def test_a_label_of_too_few_patients_for_three_sides_is_warned_of_as_split_counts_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cords: int, clear: int
) -> None:
    # some patients have cord in every frame, some in none, the rest in half of them: `cords` with it, `clear` without
    monkeypatch.setattr(check, "in_parallel", sizes)
    names = [f"{letter}M12" for letter in "ABCDEFGHI"[: max(cords, clear)]]
    columns = [[place < cords and not (place < clear and frame % 2) for frame in range(20)] for place in range(9)]
    sheets = {
        name: sheet([(0, int(cord), 1 - int(cord)) for cord in column], name)
        for name, column in zip(names, columns, strict=False)
    }
    rows = [f"{name},{name}.mkv,P{number:03d}" for number, name in enumerate(names)]
    (tmp_path / "clips.csv").write_text("\n".join(["clip,file,patient", *rows]), encoding="utf-8")
    for name in names:
        (tmp_path / f"{name}.mkv").touch()
    workbooks.write_workbook(tmp_path / "labels.xlsx", sheets)
    report = check.check(tmp_path, settings())
    warned = [line for line in report.text.splitlines() if line.startswith("warning: cord is")]
    expected = {"positive": cords, "negative": clear}
    assert [line.split(" patient(s)")[0] for line in warned] == [
        f"warning: cord is {sign} in frames of {count}" for sign, count in expected.items() if count < 3 * ENOUGH
    ]
    assert all(
        "at least 6 are needed: 2 each in train, validation, test of protocol 'patient'" in line for line in warned
    )
    assert not report.stops
    frame_only = settings().model_copy(update={"protocols": {"frame": {}}, "folds": {}})
    assert "warning: cord is" not in check.check(tmp_path, frame_only).text
