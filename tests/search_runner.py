"""Trials without DVC: a runner that writes the tables a training would, and judges them as a search does."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from experiments.plan import Plan
from experiments.search_score import validation_scores
from stages.common.evaluation.predictions import Training

LABELS = ["bad_quality", "cord", "fluid"]
TRAINING = Training("patient", "0", 1, "resnet18")
SIDES = {"P1": "train", "P2": "validation", "P3": "validation", "P4": "test"}
FRAMES = 12


def write_cohort(root: Path) -> pd.DataFrame:
    """Write labels.csv and the split of four patients below `root`; return the labels with a column `side`."""
    ids = [f"C00{patient[1]}_{index:05d}" for patient in SIDES for index in range(FRAMES)]
    patients = [patient for patient in SIDES for _ in range(FRAMES)]
    table = pd.DataFrame({"frame_id": ids, "clip_id": [name[:4] for name in ids], "patient": patients})
    table["frame_index"] = [int(name[5:]) for name in ids]
    truth = np.random.default_rng(0).integers(0, 2, (len(table), len(LABELS)))
    table[LABELS] = truth
    write(root / "data/label_merge/labels.csv", table)
    table["side"] = table["patient"].map(SIDES)
    write(root / "data/split/patient.csv", table[["frame_id", "side"]].assign(fold=0))
    return table


def write(path: Path, table: pd.DataFrame) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(path, index=False)


def write_predictions(root: Path, table: pd.DataFrame, good: float) -> Path:
    """Write predictions that give `good` to what is true on validation, and 1 - good to what is true on test."""
    held = table[table["side"] != "train"]
    sure = np.where(held["side"] == "validation", good, 1 - good)[:, None]
    said = np.where(held[LABELS] == 1, sure, 1 - sure)
    path = root / "data/predictions/patient/0/1/resnet18.csv"
    columns = {"frame_id": held["frame_id"], "split": held["side"]}
    write(path, pd.DataFrame(columns | dict(zip(LABELS, said.T, strict=True))))
    return path


def delete_test_rows(root: Path) -> None:
    """Delete every test row below `root`: of the predictions, the split and the labels."""
    split = pd.read_csv(root / "data/split/patient.csv")
    tested = set(split.loc[split["side"] == "test", "frame_id"])
    assert tested
    for path in [
        *root.rglob("predictions/**/*.csv"),
        root / "data/split/patient.csv",
        root / "data/label_merge/labels.csv",
    ]:
        table = pd.read_csv(path)
        write(path, table[~table["frame_id"].isin(tested)])


@dataclass
class Tables:
    """Runs trials whose validation is the better, and whose test is the worse, the nearer lr is to 0.003.

    Attributes:
        root: folder of the tables.
        without_test: whether the test rows are deleted before a trial is judged.
        losses: quarter -> validation loss that a trial reports, by its number.
        status: exit status, by trial; 0 where none is given.
        stop_at: a trial that a person interrupts.
    """

    root: Path
    without_test: bool = False
    losses: dict[int, dict[int, float]] = field(default_factory=dict)
    status: dict[int, int] = field(default_factory=dict)
    stop_at: int | None = None
    ran: list[tuple[str, Sequence[str]]] = field(default_factory=list)
    there: set[str] = field(default_factory=set)

    def run(
        self, name: str, planned: Plan, began: Callable[[int, float], None], hopeless: Callable[[int, float], bool]
    ) -> int | None:
        number = int(name.rsplit("-", 1)[1])
        self.ran.append((name, [*planned.overrides, *planned.targets]))
        began(999_999_999, 0.0)
        if number == self.stop_at:
            raise KeyboardInterrupt
        if any(hopeless(quarter, loss) for quarter, loss in self.losses.get(number, {}).items()):
            return None
        good = 0.95 - 0.1 * abs(np.log10(planned.after["lr"] / 0.003))
        write_predictions(self.root, write_cohort(self.root), float(good))
        self.there.add(name)
        return self.status.get(number, 0)

    def log(self, name: str) -> Path:
        return self.root / f"{name}.log"

    def scores(self, name: str) -> dict[str, float]:
        assert name in self.there
        if self.without_test:
            delete_test_rows(self.root)
        return validation_scores(self.root, [TRAINING], LABELS, "log_loss")

    def rename(self, name: str, new: str) -> None:
        self.there = self.there - {name} | {new}

    def remove(self, name: str) -> None:
        self.there = {one for one in self.there if not one.startswith(name)}
