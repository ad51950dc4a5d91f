"""What the report reads, written by the stages before it themselves, on made-up predictions and under any params."""

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
from ruamel.yaml import YAML

from stages.audit import __main__ as audit
from stages.bedside import __main__ as bedside
from stages.common.core.tables import write_table
from stages.evaluate import __main__ as evaluate
from stages.evidence import __main__ as evidence
from stages.label_review import __main__ as label_review
from stages.report import __main__ as report
from stages.report.inputs import Data, read
from tests.evaluate_workspace import NOISE, PARAMS, write_everything
from tests.report_inputs import Made
from tests.split_cohort import LABELS, cohort_labels, write_cohort
from tests.workspace import ROOT, read_params_file

STAGES = (evaluate, evidence, bedside, audit, label_review)  # those that need no picture; Made stands for the others
Change = Callable[[dict[str, Any]], None]


def params_of(change: Change) -> dict[str, Any]:
    """Return the workspace's params, changed, with the shipped sections of the stages; few resamples."""
    shipped = read_params_file(ROOT / "params.yaml")
    own: dict[str, Any] = YAML(typ="safe").load(PARAMS)
    own |= {"architectures": {"alexnet": {}, "resnet18": {}}, "folds": {"0": {}, "1": {}}}
    change(own)
    sections = {name: shipped[name] for name in ("bedside", "audit", "label_review")} | own
    return sections | {"evidence": {"resamples": 100, "permutations": 1000, "all_pairs_from": 10}}


def data_of(root: Path, change: Change, patients: int = 9) -> Data:
    """Run the stages below `root` on params that `change` has changed; return what the report reads."""
    params = params_of(change)
    protocols = [*params["protocols"], *(["leave_one_patient_out"] if params["folds"] else [])]
    labels = tuple(params["labels"])
    made = Made(root, models=tuple(params["architectures"]), protocols=tuple(protocols), labels=labels).write()
    with contextlib.chdir(root):
        write_cohort(root, cohort_labels(patients=patients, clips=1, unknown=0.03), json.dumps(params))
        write_everything(root, NOISE)
        keep_labels(root, labels)
        frames = pd.read_csv("data/label_merge/labels.csv")[["frame_id", "clip_id", "patient", "frame_index"]]
        write_table(Path("data/extract_frames/frames.csv"), frames.assign(time_s=(frames["frame_index"] / 30).round(3)))
        for stage in STAGES:
            stage.main()
    return read({name: (made | params)[name] for name in report.Params.model_fields}, root)


def keep_labels(root: Path, labels: tuple[str, ...]) -> None:
    """Take the labels that are not declared out of the workspace."""
    for path in [root / "data/label_merge/labels.csv", *(root / "data/predictions").rglob("*.csv")]:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        write_table(path, table.drop(columns=[label for label in LABELS if label not in labels]))
