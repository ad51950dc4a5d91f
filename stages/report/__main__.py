"""One page that a doctor, a reviewer and an engineer can each read: every number with its protocol and its infants.

Reads   metrics/*.json, metrics/comparison.csv, metrics/plots/*.csv   what the stages before found, not recomputed
        metrics/pictures/*.png, data/explain/**.png                  pictures, where they may be shown
        data/label_merge/labels.csv                                  how many infants, clips and frames there are
        requirements.txt, stages/report/templates, stages/report/checklists
Writes  metrics/report.html    one file that fetches nothing: text by Jinja, charts by Vega-Lite, both inside

The verdict leads. Pictures of patients stand on the page only where `report.patient_pixels` says so; the phantom's do
always. The same inputs give the same bytes: no time, no path, no lock of DVC is read.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from stages.common.core.errors import run
from stages.common.core.files import write_text
from stages.common.core.params import read_params
from stages.report.card import facts
from stages.report.inputs import Data, read
from stages.report.page import Section, render
from stages.report.params import Params
from stages.report.sections import audit as published_table
from stages.report.sections import (
    augmentation,
    calibration,
    card,
    checklists,
    comparison,
    confusion,
    curves,
    gallery,
    labels,
    leakage,
    rates,
    study,
    timelines,
    verdict,
)

OUT = Path("metrics/report.html")
# In reading order: what a doctor needs, what a reviewer asks, what an engineer checks
SECTIONS: tuple[tuple[str, str, Callable[[Data], dict[str, Any]]], ...] = (
    ("verdict", "At the bedside", verdict.section),
    ("comparison", "Which model, and how sure", comparison.section),
    ("study", "The study's table and figures", study.section),
    ("curves", "Training curves", curves.section),
    ("confusion", "What was taken for what", confusion.section),
    ("rates", "ROC and precision-recall", rates.section),
    ("calibration", "Calibration and operating point", calibration.section),
    ("timelines", "Clip by clip", timelines.section),
    ("gallery", "Errors worth looking at", gallery.section),
    ("leakage", "Leakage certificate and probes", leakage.section),
    ("audit", "The published table, audited", published_table.section),
    ("labels", "Label statistics", labels.section),
    ("augmentation", "Augmentation and preprocessing", augmentation.section),
    ("card", "Model card", card.section),
    ("checklists", "Reporting checklists", checklists.section),
)


def head(data: Data) -> dict[str, Any]:
    """Return what stands above the first section."""
    known = facts(data)
    shown = {
        "cohort": known["cohort"],
        "infants": known["infants"],
        "clips": known["clips"],
        "frames": known["frames"],
        "models": known["model_count"],
        "headline protocol": known["headline"],
    }
    return {"cohort": known["cohort"], "phantom": data.is_phantom, "facts": shown.items()}


def page(data: Data) -> str:
    """Return the whole page of these inputs."""
    return render(head(data), [Section(name, title, section(data)) for name, title, section in SECTIONS])


def main() -> None:
    """Read, fill in, write."""
    params = read_params(Params)
    write_text(OUT, page(read(params.model_dump())))


if __name__ == "__main__":
    run(main)
