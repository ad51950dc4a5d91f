"""Pictures inside the page, as data: one file, nothing to fetch. Patients' pixels only where they are allowed."""

import base64
from pathlib import Path

from stages.report.inputs import Data

WITHHELD = (
    "Pictures of patients are left out of this page. Inside the hospital, set `report.patient_pixels: true` in "
    "params.yaml and run `dvc repro report`."
)


def data_uri(data: Data, path: str | Path) -> str | None:
    """Return a PNG below the project as a data URI; None where patients' pixels are withheld.

    Every picture of frames goes through here, so that there is one place that can forget the rule, and it is tested.

    Raises:
        OSError: the picture is not there.
    """
    return plot_uri(data, path) if data.shows_pixels else None


def plot_uri(data: Data, path: str | Path) -> str:
    """Return a PNG that holds no pixel of a frame, such as a plot of points, as a data URI."""
    content = (data.folder / path).read_bytes()
    return f"data:image/png;base64,{base64.b64encode(content).decode('ascii')}"
