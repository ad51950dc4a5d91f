"""Join the experts' label sheets to the frames, by the number in FILENAME and never by row position.

    python -m stages.label_merge

Reads   data/cohorts/<cohort>/ (clips.csv and label files: forms in stages/common/sheets/files.py)
        data/extract_frames/frames.csv and clips.csv
Writes  data/label_merge/labels.csv   the rows of frames.csv, in its order, with 1, 0 or blank (unknown) a label
        metrics/labels.json           shares, combinations, agreement of experts, and every problem let pass
        metrics/plots/labels.csv      shares per clip, long
        metrics/pictures/labels.png   shares per clip, drawn

The study took labels by row, so one missing frame shifted all that followed. Here every entry that is not certain is
reported, all at once, with its sheet, row and column; the section `label_merge` says which stop the run. Names of
clips, sheets and experts are said where the run stops, and by `stages.check`; all else says C001 and E1.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from stages.common.clips.cohort import Clip, read_clips
from stages.common.clips.folder import CohortName
from stages.common.core.errors import PipelineError, raise_all, run
from stages.common.core.files import replacing, write_json
from stages.common.core.params import read_params
from stages.common.core.tables import FRAME_COLUMNS, LABEL_COLUMNS, read_table, write_table
from stages.common.sheets.findings import Finding, counts
from stages.common.sheets.placement import Frames
from stages.common.sheets.reading import Reading, United, read_labels, unite
from stages.common.sheets.settings import LabelParams, mistakes
from stages.common.sheets.shares import exploratory, patients

COHORTS = Path("data/cohorts")
FRAMES = Path("data/extract_frames/frames.csv")
CLIPS = Path("data/extract_frames/clips.csv")
LABELS = Path("data/label_merge/labels.csv")
METRICS = Path("metrics/labels.json")
PLOT = Path("metrics/plots/labels.csv")
PICTURE = Path("metrics/pictures/labels.png")
TOTAL = "all"  # the row of plot data over all clips
SHOWN = 10  # warned problems printed; the metrics list all


class Params(LabelParams):
    """Parameters of this stage, besides `labels` and `label_merge`.

    Attributes:
        cohort: folder below data/cohorts.
    """

    cohort: CohortName


def frames_of(frames: pd.DataFrame, clips: pd.DataFrame) -> dict[str, Frames]:
    """Return clip_id -> decoded number and kept frame_index, from the two tables of extract_frames."""
    kept = frames.groupby("clip_id")["frame_index"].apply(sorted).to_dict()
    return {
        clip_id: Frames(int(decoded), kept.get(clip_id, []))
        for clip_id, decoded in zip(clips["clip_id"], clips["frames_decoded"], strict=True)
    }


def labels_table(frames: pd.DataFrame, labels: pd.DataFrame) -> pd.DataFrame:
    """Return labels.csv: exactly the rows of `frames`, in their order, with 1, 0 or NA in each label column.

    Args:
        frames: frames.csv.
        labels: nullable booleans indexed by (clip_id, frame_index).
    """
    keys = frames[list(LABEL_COLUMNS)].reset_index(drop=True)
    values = labels.reindex(pd.MultiIndex.from_frame(keys[["clip_id", "frame_index"]]))
    return pd.concat([keys, values.astype("Int8").reset_index(drop=True)], axis=1)


def metrics(table: pd.DataFrame, reading: Reading, united: United, params: Params) -> dict[str, Any]:
    """Return metrics/labels.json: exploratory tables, experts, numbering, and every problem that was let pass."""
    names, derived = list(params.labels), list(params.label_merge.without)
    values = table[params.names].astype("boolean")
    clips = {clip_id: exploratory(values.loc[rows.index], names, derived) for clip_id, rows in table.groupby("clip_id")}
    return {
        "total": exploratory(values, names, derived),
        "clips": clips,
        "patients": patients(values, table["patient"], params.names),
        "experts": {
            "count": len(reading.experts),
            "agreement": united.agreement,
            "ties": united.ties,
            "contradictions_of_majorities": united.contradictions,
        },
        "first_number": reading.first_numbers,
        "problems": problems(reading.warned(params.label_merge)),
    }


def problems(findings: list[Finding]) -> dict[str, Any]:
    """Return kind -> count and cases, by clip_id, expert, label, rows or frames; no name that a person gave."""
    cases: dict[str, list[dict[str, str]]] = {}
    for finding in findings:
        cases.setdefault(finding.kind, []).append(finding.case)
    return {kind: {"count": count, "cases": cases[kind]} for kind, count in counts(findings).items()}


def plot_table(content: Mapping[str, Any]) -> pd.DataFrame:
    """Return one row a clip and label, and a row `all` a label: frames positive, negative, unknown, and the share."""
    parts = {**content["clips"], TOTAL: content["total"]}
    rows = [
        {"clip_id": clip_id, "label": label, **share}
        for clip_id, part in parts.items()
        for label, share in part["labels"].items()
    ]
    return pd.DataFrame(rows, columns=["clip_id", "label", "positive", "negative", "unknown", "share"])


def draw(table: pd.DataFrame) -> Figure:
    """Return bars of the percentage of frames a clip with each label, and above them what is unknown."""
    labels = list(dict.fromkeys(table["label"]))
    clips = list(dict.fromkeys(table["clip_id"]))
    figure = Figure(figsize=(max(6.0, 1.5 + 0.35 * len(clips)), 2.2 * len(labels)), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, label in zip(figure.subplots(len(labels), sharex=True, squeeze=False)[:, 0], labels, strict=True):
        rows = table[table["label"] == label]
        frames = rows[["positive", "negative", "unknown"]].sum(axis=1)
        percent = rows[["positive", "unknown"]].mul(100).div(frames, axis=0)
        axes.bar(rows["clip_id"], percent["positive"], color="#2f6f9f")
        axes.bar(rows["clip_id"], percent["unknown"], bottom=percent["positive"], color="#cccccc", label="unknown")
        axes.set(ylim=(0, 100), ylabel="% of frames", title=label.replace("_", " "))
        axes.tick_params(axis="x", labelrotation=90)
        if rows["unknown"].any():
            axes.legend(loc="upper right", frameon=False)
    return figure


def check_clips(clips: list[Clip], frames: Mapping[str, Frames]) -> None:
    """Raise when the cohort has other clips than were extracted."""
    wanted, found = {clip.clip_id for clip in clips}, set(frames)
    if wanted != found:
        raise PipelineError(
            f"{CLIPS}: expected the {len(wanted)} clips of the cohort, got {len(found)}; "
            f"they differ in {', '.join(sorted(wanted ^ found))}. Run `dvc repro extract_frames`."
        )


def say(content: Mapping[str, Any], reading: Reading, params: Params) -> None:
    """Print what was read, what is unknown and what was let pass; no name, for others read a runner's log."""
    named = f"python -m stages.check {COHORTS / params.cohort}"
    total = content["total"]
    print(f"label_merge: {total['frames']} frames of {len(content['clips'])} clips, {len(reading.experts)} expert(s)")
    for label, share in total["labels"].items():
        print(f"  {label}: {share['positive']} positive, {share['negative']} negative, {share['unknown']} unknown")
    experts = content["experts"]
    for label, ties in experts["ties"].items():
        if ties:
            print(f"  {label}: {ties} unknown because the experts are divided equally")
    if experts["contradictions_of_majorities"]:
        print(f"  {experts['contradictions_of_majorities']} frames unknown because majorities exclude each other")
    if reading.notes:
        print(f"  notes on sheets: {len(reading.notes)}; `{named}` says them")
    warned = reading.warned(params.label_merge)
    for kind, count in counts(warned).items():
        print(f"  warning: {kind}: {count}, listed in {METRICS}")
    for finding in warned[:SHOWN]:
        print(f"    {finding.kind}: " + ", ".join(f"{key} {value}" for key, value in finding.case.items()))
    if warned:
        print(f"  `{named}` says all {len(warned)}, with the names of their sheets")


def main() -> None:
    """Read sheets and frames; stop with all problems, or write labels, metrics and plots."""
    params = read_params(Params)
    raise_all(mistakes(params), "params.yaml has mistakes")
    cohort = COHORTS / params.cohort
    clips = read_clips(cohort)
    frames = read_table(FRAMES, FRAME_COLUMNS)
    frames_by_clip = frames_of(frames, read_table(CLIPS, ("clip_id", "frames_decoded")))
    check_clips(clips, frames_by_clip)
    reading = read_labels(cohort, clips, frames_by_clip, params)
    raise_all(
        [finding.problem for finding in reading.stopping(params.label_merge)],
        f"the labels of cohort '{params.cohort}' cannot be used as they are",
    )
    united = unite(reading, params)
    table = labels_table(frames, united.labels)
    content = metrics(table, reading, united, params)
    say(content, reading, params)
    write_table(LABELS, table)
    write_json(METRICS, content)
    write_table(PLOT, plot_table(content))
    with replacing(PICTURE) as partial:
        # no Software entry: matplotlib's version would change the bytes
        draw(plot_table(content)).savefig(partial, format="png", dpi=100, metadata={"Software": None})


if __name__ == "__main__":
    run(main)
