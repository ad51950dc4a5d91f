"""DVC's plots as pictures."""

import json
import re
from pathlib import Path
from typing import Any

import vl_convert

from experiments.run_dvc import dvc
from stages.common.core.errors import PipelineError

SCALE = 1.5  # of the pictures: sharp on a screen of double density, small enough to load


def make_folder(pictures: Path) -> None:
    """Make the folder for the plots.

    Raises:
        PipelineError: it cannot be made.
    """
    try:
        pictures.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PipelineError(
            f"--pictures {pictures}: expected a folder, or a name for a new one, got {type(error).__name__}: "
            f"{error.strerror}. Give another."
        ) from error


def draw_plots(folder: Path) -> list[Path]:
    """Write each of DVC's plots as a PNG; return the files in DVC's order."""
    shown: dict[str, Any] = json.loads(dvc("plots", "show", "--json"))["data"]
    files = []
    for title, drawn in shown.items():
        spec = next((plot["content"] for plot in drawn if plot["type"] == "vega"), None)
        if spec is not None:  # a picture is no chart, and may show a patient
            files.append(folder / f"{re.sub(r'[^a-z0-9]+', '_', title.lower()).strip('_')}.png")
            files[-1].write_bytes(vl_convert.vegalite_to_png(spec, scale=SCALE))
    return files
