"""What the page is made of: the small results of the stages before it, read once and never recomputed."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from stages.common.core.errors import PipelineError, Problem, raise_all
from stages.common.core.tables import read_table

METRICS = Path("metrics")
PLOTS = METRICS / "plots"
COMPARISON = METRICS / "comparison.csv"
LABELLED = Path("data/label_merge/labels.csv")
REQUIREMENTS = Path("requirements.txt")
PICTURES = (METRICS / "pictures/augment.png", METRICS / "pictures/preprocess.png")
EMBEDDING = METRICS / "pictures/embedding.png"
HEATMAPS = Path("data/explain")
ENTRIES = HEATMAPS / "entries.json"  # which frames the gallery shows
OTHERS = (COMPARISON, LABELLED, REQUIREMENTS, EMBEDDING, *PICTURES)
BASELINES = ("label_copy", "majority")  # rows that open no picture, as evaluate writes them
RESULTS = (
    "selected", "labels", "augment", "bedside", "evidence", "leakage", "audit", "label_review", "embedding", "explain",
)  # fmt: skip
# table -> the columns that the page draws
TABLES: dict[str, Sequence[str]] = {
    "scores": ("protocol", "model", "series", "value"),
    "errors": ("protocol", "model", "series", "value"),
    "curves": ("protocol", "fold", "model", "side", "epoch", "loss"),
    "confusion": ("protocol", "model", "label", "actual", "predicted", "count"),
    "decisions": ("protocol", "model", "actual", "predicted", "count"),
    "roc": ("protocol", "model", "label", "point", "false_positive_rate", "true_positive_rate"),
    "precision_recall": ("protocol", "model", "label", "point", "recall", "precision"),
    "labels": ("clip_id", "label", "positive", "negative", "unknown", "share"),
    "evidence_intervals": ("protocol", "model", "metric", "kind", "value", "low", "high", "patients"),
    "evidence_patients": ("protocol", "model", "metric", "patient", "value", "cases"),
    "bedside_calibration": (
        "protocol",
        "model",
        "label",
        "stage",
        "mean_probability",
        "observed",
        "frames",
        "patients",
    ),
    "bedside_timelines": (
        "protocol",
        "model",
        "clip_id",
        "patient",
        "frame_index",
        "time_s",
        "duration_s",
        "truth",
        "decision",
    ),
}


@dataclass(frozen=True)
class Data:
    """Everything that the sections read.

    Attributes:
        params: the content of params.yaml that this stage declares.
        results: name -> the JSON of that stage.
        entries: the answers that the gallery shows.
        tables: name -> the table of metrics/plots with that name.
        comparison: metrics/comparison.csv: a row a protocol and model, the figures as columns.
        labelled: the frames that carry labels: clip_id, patient.
        pinned: library -> its pinned version, of requirements.txt.
        folder: where the project's files lie: pictures are read from there.
    """

    params: Mapping[str, Any]
    results: Mapping[str, Any]
    entries: Sequence[Mapping[str, Any]]
    tables: Mapping[str, pd.DataFrame]
    comparison: pd.DataFrame
    labelled: pd.DataFrame
    pinned: Mapping[str, str]
    folder: Path

    @property
    def models(self) -> list[str]:
        """Return the models of the tables, baselines first."""
        return [
            *BASELINES,
            *(name for kind in ("architectures", "baselines", "sequences") for name in self.params[kind]),
        ]

    def models_under(self, protocol: str) -> list[str]:
        """Return those that the comparison has under a protocol: models over time are not asked where clips are cut."""
        there = set(self.comparison.loc[self.comparison["protocol"] == protocol, "model"])
        return [model for model in self.models if model in there]

    @property
    def protocols(self) -> list[str]:
        """Return the protocols in the order of the comparison."""
        return list(dict.fromkeys(self.comparison["protocol"]))

    @property
    def labels(self) -> list[str]:
        """Return the declared labels."""
        return list(self.params["labels"])

    @property
    def is_phantom(self) -> bool:
        """Return whether nobody's patient is behind these numbers."""
        return bool(self.params["cohort"] == "phantom")

    @property
    def shows_pixels(self) -> bool:
        """Return whether pictures of frames may stand on the page."""
        return self.is_phantom or bool(self.params["report"]["patient_pixels"])

    def cell(self, protocol: str, model: str, name: str) -> Any:
        """Return one figure of the comparison; None where it is undefined or was never computed."""
        if name not in self.comparison.columns:
            return None
        table = self.comparison
        found = table.loc[(table["protocol"] == protocol) & (table["model"] == model), name]
        return None if found.empty or pd.isna(found.iloc[0]) else found.iloc[0]


def threshold_words(data: Data) -> str:
    """Return at which threshold the answers of `evaluate` are given: `fixed at 0.5`; the verdict's are others."""
    found = data.params["evaluate"]["threshold"]
    return f"fixed at {found['value']:g}" if found["method"] == "fixed" else str(found["method"]).replace("_", " ")


def result_files() -> dict[str, Path]:
    """Return where each stage's JSON lies."""
    return {name: METRICS / f"{name}.json" for name in RESULTS}


def table_files() -> dict[str, Path]:
    """Return where each plot's table lies."""
    return {name: PLOTS / f"{name}.csv" for name in TABLES}


def read(params: Mapping[str, Any], folder: Path = Path()) -> Data:
    """Read every input below `folder`.

    Raises:
        PipelineError: files are missing (all in one message), or one cannot be read.
    """
    files = [*result_files().values(), *table_files().values(), *OTHERS, ENTRIES]
    raise_all(
        [
            Problem(str(file), "missing", "an output of an earlier stage", "no file", "Run `dvc repro report`.")
            for file in files
            if not (folder / file).is_file()
        ],
        "the report's inputs cannot be read",
    )
    return Data(
        params=params,
        results={name: _read_json(folder / path) for name, path in result_files().items()},
        entries=_read_json(folder / ENTRIES),
        tables={name: _read_plot(folder / path, TABLES[name]) for name, path in table_files().items()},
        comparison=read_table(folder / COMPARISON, ("protocol", "model"), text=("protocol", "model")),
        labelled=read_table(folder / LABELLED, ("clip_id", "patient"), text=("clip_id", "patient")),
        pinned=pinned_versions((folder / REQUIREMENTS).read_text(encoding="utf-8")),
        folder=folder,
    )


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise PipelineError(f"{path} cannot be read as JSON: {error}. Run `dvc repro` to make it again.") from error


def _read_plot(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    text = [name for name in columns if name in {"protocol", "fold", "model", "label", "clip_id", "patient", "series"}]
    return read_table(path, columns, text=text)


def pinned_versions(requirements: str) -> dict[str, str]:
    """Return library -> version of the lines `name==version  # ...`."""
    lines = [line.split("#")[0].strip() for line in requirements.splitlines()]
    return dict(line.split("==", 1) for line in lines if "==" in line)
