"""The curves of docs/scale.md against known ones, and its table against the figures that it was made from."""

import json
from pathlib import Path

import pytest

from tests.benchmark import scale, scale_page
from tests.workspace import ROOT


@pytest.mark.parametrize(("a", "b", "p"), [(1.5, 0.02, 1.0), (2.0, 3e-5, 2.0), (0.8, 0.5, 0.5)])
def test_a_curve_is_found_again(a: float, b: float, p: float) -> None:
    found = scale.curve([a + b * clips**p for clips in scale.CLIPS])
    assert found == pytest.approx({"a": a, "b": b, "p": p}, rel=1e-2)


def test_a_constant_cost_stays_constant() -> None:
    found = scale.curve([116.0, 116.1, 116.0])
    assert scale_page.at(found, 10_000) == pytest.approx(116, rel=1e-2)
    assert scale_page.exponent(found, list(scale.CLIPS)) == "-"


def test_a_command_s_memory_is_its_own_and_not_its_parents(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run/small.py").write_text("import time; time.sleep(0.2)")
    (tmp_path / "run/large.py").write_text("held = b'1' * 200_000_000\nfor _ in range(5_000_000): pass")
    ours = b"1" * 300_000_000
    small, large = (scale.cost([module], tmp_path / "run") for module in ("small", "large"))
    assert len(ours) > small.mib * 2**20
    assert 190 < large.mib - small.mib < 200
    assert small.s > 0.2
    assert large.cpu_s > small.cpu_s


def test_a_command_that_fails_says_what_it_said(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run/wrong.py").write_text("import sys; sys.exit('no clips')")
    with pytest.raises(AssertionError, match="no clips"):
        scale.cost(["wrong"], tmp_path / "run")


def test_the_page_shows_the_figures_of_the_last_benchmark() -> None:
    found = json.loads((ROOT / "metrics/benchmark.json").read_text(encoding="utf-8"))["scale"]
    page = scale_page.PAGE.read_text(encoding="utf-8")
    assert page.count(scale_page.table(found)) == 1
    assert set(found["stages"]) >= {"extract_frames", "train", "evaluate", "dvc commit"}


def test_figures_are_written_as_people_write_them() -> None:
    assert [scale_page.seconds(value) for value in (3.14159, 119, 300, 7300, 1e6)] == [
        "3.1 s", "120 s", "5 min", "2 h", "280 h",
    ]  # fmt: skip
    assert [scale_page.mebibytes(value) for value in (116.4, 20480)] == ["120 MiB", "20 GiB"]
