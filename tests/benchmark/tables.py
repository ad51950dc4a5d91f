"""The stages that read tables alone, at the study's size: five networks, three protocols, 3388 frames, 8 infants."""

import contextlib
import io
import tempfile
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tests import evaluate_workspace
from tests.benchmark.frames import run_stage
from tests.report_inputs import Made
from tests.split_cohort import cohort_labels
from tests.study_page import INFANTS, STUDY
from tests.workspace import ROOT, read_params_file


def measure() -> dict[str, Any]:
    """Time evaluate and evidence on made-up predictions, with the shipped params, and report on made-up inputs."""
    with tempfile.TemporaryDirectory() as name:
        folder, page = Path(name) / "tables", Path(name) / "page"
        folder.mkdir()
        page.mkdir()
        with contextlib.chdir(folder), contextlib.redirect_stderr(io.StringIO()):  # what split says of these
            _predictions(folder)
        times = {stage: run_stage(folder, stage) for stage in ("evaluate", "evidence")}
        made = Made(page, **STUDY)
        with contextlib.chdir(page):
            made.write()
        _with_code(page)
        times["report"] = run_stage(page, "report")
        mib = (page / "metrics/report.html").stat().st_size / 2**20
    figures: dict[str, Any] = {f"{stage}_s": round(seconds, 1) for stage, seconds in times.items()}
    return figures | {"evaluate_and_report_s": round(times["evaluate"] + times["report"], 1), "page_mib": round(mib, 2)}


def _predictions(folder: Path) -> None:
    """Write labels, splits and predictions of all networks; frames of several infants, as the study's clips have."""
    shipped = read_params_file(ROOT / "params.yaml")
    shipped |= {"folds": {str(fold): {} for fold in range(INFANTS)}, "protocols": {"frame": {}, "patient": {}}}
    labels = cohort_labels(patients=INFANTS, clips=1, frames=420)
    evaluate_workspace.write_cohort(folder, labels, "")
    with (folder / "params.yaml").open("w", encoding="utf-8") as file:
        YAML().dump(shipped, file)
    evaluate_workspace.write_everything(folder, dict.fromkeys(shipped["architectures"], 0.3))
    _with_code(folder)


def _with_code(folder: Path) -> None:
    (folder / "stages").symlink_to(ROOT / "stages")
