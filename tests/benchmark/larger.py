"""Macro F1 of the five networks from random weights under the study's own protocol, at a size that teaches them."""

import json
import tempfile
from pathlib import Path
from typing import Any

from tests.workspace import copy_project, dvc, set_params

LARGER = {
    "phantom.scale": 0.15,  # about 500 frames
    "epochs": 8,
    "protocols": {"frame": {}},
    "train.variants": {"original": True, "flip_left_right": True},
}


def measure() -> dict[str, Any]:
    """Run the pipeline to the table in a copy of the project and return the settings and the scores."""
    with tempfile.TemporaryDirectory() as name:
        folder = copy_project(Path(name) / "larger")
        set_params(folder, LARGER)
        dvc(folder, "repro", "evaluate")
        summary = json.loads((folder / "metrics/summary.json").read_text(encoding="utf-8"))
        return {"params": LARGER, "macro_f1": summary["frame"]}
