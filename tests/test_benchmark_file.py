"""metrics/benchmark.json holds what `python -m tests.benchmark` measured; the figures are within the stated bounds."""

import json

from tests.benchmark.__main__ import PARTS
from tests.workspace import ROOT

MEASURED = json.loads((ROOT / "metrics/benchmark.json").read_text(encoding="utf-8"))


def test_nothing_is_in_the_file_that_is_no_part_of_the_benchmark() -> None:
    assert MEASURED.keys() - {"machine"} <= PARTS.keys()


def test_speed_and_size_are_within_their_bounds() -> None:
    assert all(found["ratio"] >= 0.95 for found in MEASURED["training"]["architectures"].values())
    assert MEASURED["frames"]["ratio_without_read"] >= 0.8
    assert MEASURED["noop"]["ratio"] <= 3.5
    assert MEASURED["tables"]["evaluate_and_report_s"] < 90
    assert MEASURED["baselines"]["in_bound"]
    assert MEASURED["sequences"]["in_bound"]
    assert MEASURED["laptop"]["wall_min"] <= 20
    assert MEASURED["laptop"]["largest_process_gib"] < 4
