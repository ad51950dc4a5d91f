"""metrics/benchmark.json holds what `python -m tests.benchmark` measured; the figures are within the stated bounds."""

import json

from tests.benchmark.__main__ import PARTS
from tests.workspace import ROOT

MEASURED = json.loads((ROOT / "metrics/benchmark.json").read_text(encoding="utf-8"))


def test_every_part_of_the_benchmark_was_measured_and_nothing_else() -> None:
    assert MEASURED.keys() - {"machine"} == PARTS.keys()


def test_speed_and_size_are_within_their_bounds() -> None:
    assert all(found["ratio"] >= 0.95 for found in MEASURED["training"]["architectures"].values())
    assert MEASURED["frames"]["ratio_without_read"] >= 0.8
    assert MEASURED["noop"]["ratio"] <= 3.5
    assert MEASURED["tables"]["evaluate_and_report_s"] < 90
    assert MEASURED["baselines"]["in_bound"]
    assert MEASURED["sequences"]["in_bound"]
    assert MEASURED["laptop"]["wall_min"] <= 20
    assert MEASURED["laptop"]["largest_process_gib"] < 4


def test_every_network_learns_from_random_and_from_given_weights() -> None:
    for found in MEASURED["controls"].values():
        assert found["train_loss"][-1] < found["train_loss"][0]
        assert found["collapsed_labels"] == 0
        assert found["auc"] > found["auc_of_control"]
    for found in MEASURED["pretrained"].values():
        assert found["train_loss"][-1] < found["train_loss"][0]
        assert not found["collapsed"]
    assert MEASURED["controls"].keys() == MEASURED["pretrained"].keys() == MEASURED["training"]["architectures"].keys()


def test_every_network_reaches_the_stated_score_at_the_larger_size() -> None:
    networks = MEASURED["training"]["architectures"].keys()
    assert min(MEASURED["larger"]["macro_f1"][name] for name in networks) >= 0.8


def beaten(protocol: str) -> set[str]:
    """Return the systems that rank infants never seen no better than a coin or their twin on swapped labels."""
    systems = MEASURED["swapped"][protocol]["systems"]
    return {name for name, found in systems.items() if found["true"]["auc"] <= max(found["twin"]["auc"], 0.5)}


def test_every_network_beats_its_twin_on_swapped_labels_in_infants_never_seen() -> None:
    networks = MEASURED["training"]["architectures"].keys()
    assert networks <= MEASURED["swapped"]["patient"]["systems"].keys()
    assert not networks & (beaten("patient") | beaten("leave_one_patient_out"))


def test_readme_names_every_system_that_does_not_beat_its_twin() -> None:
    told = (ROOT / "README.md").read_text(encoding="utf-8")
    for protocol in MEASURED["swapped"]:
        for name in beaten(protocol):
            found = MEASURED["swapped"][protocol]["systems"][name]
            figures = " against ".join(f"{found[key]['auc']:.2f}".removeprefix("0") for key in ("true", "twin"))
            assert f"`{name}` under `{protocol}` ({figures})" in " ".join(told.split())
