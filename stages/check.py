"""Check a cohort before anything is trained: clips, label sheets and patients, in under a minute.

    python -m stages.check data/cohorts/mine

Reads   the cohort's folder, and `labels` and `label_merge` of params.yaml
Prints  a table of clips, patients and labels, every problem, and lines to paste into params.yaml

Exit status 1 when something would stop the pipeline. Writes nothing; no stage depends on it. Every decoded frame wants
a label here, also those that `extract_frames` would leave out.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stages.common.clips.cohort import Clip, read_clips
from stages.common.clips.decode import ClipError, Probe, probe
from stages.common.errors import PipelineError, Problem, raise_all, run
from stages.common.params import read_params
from stages.common.progress import in_parallel
from stages.common.sheets.overview import clip_table, label_lines, patient_lines, proposals
from stages.common.sheets.placement import Frames
from stages.common.sheets.reading import read_labels, unite
from stages.common.sheets.settings import LabelParams, mistakes


@dataclass(frozen=True)
class Report:
    """What a check found.

    Attributes:
        text: all of it, to be read.
        stops: whether the pipeline would stop.
    """

    text: str
    stops: bool


def decode(clip: Clip) -> Probe | Problem:
    """Return a clip's size, counted by decoding, or why it cannot be decoded."""
    try:
        return probe(clip.path)
    except ClipError as error:
        return error.problem


def check(cohort: Path, params: LabelParams) -> Report:
    """Return what is to be said about a cohort.

    Raises:
        PipelineError: clips.csv cannot be used, so that nothing else can be told.
    """
    clips = read_clips(cohort)
    # processes: decoding is FFmpeg's work, but a picture's way into numpy is Python's
    probed = {clip.clip_id: found for clip, found in in_parallel(decode, clips, "decode", unit="clip", threads=False)}
    sizes = {clip_id: found for clip_id, found in probed.items() if isinstance(found, Probe)}
    damaged = [found for found in probed.values() if isinstance(found, Problem)]
    frames = {clip_id: Frames(size.frames, range(size.frames)) for clip_id, size in sizes.items()}
    reading = read_labels(cohort, clips, frames, params)
    labels = unite(reading, params).labels if reading.votes else None
    section = params.label_merge
    stopping = damaged + [finding.problem for finding in reading.stopping(section)]
    parts = [
        f"cohort {cohort.name}: {len(clips)} clips of {len({clip.patient for clip in clips})} patients",
        clip_table(clips, sizes, reading, labels, params),
        patient_lines(clips),
        *([] if labels is None else [label_lines(labels, clips, params)]),
        _list("notes", reading.notes),
        _list(
            "warnings: unknown in labels.csv, or left out", [str(found.problem) for found in reading.warned(section)]
        ),
        _list("problems that stop the run", [str(problem) for problem in stopping]),
        proposals(reading.findings, section),
        "" if stopping else "Nothing stops the run.",
    ]
    return Report("\n\n".join(part for part in parts if part), bool(stopping))


def _list(title: str, items: Sequence[str]) -> str:
    return "\n".join([f"{title} ({len(items)}):", *(f"  - {item}" for item in items)]) if items else ""


def main() -> None:
    """Check the cohort named on the command line; exit status 1 when something would stop the pipeline."""
    parser = argparse.ArgumentParser(description="Check a cohort's clips, label sheets and patients without training.")
    parser.add_argument("cohort", type=Path, help="the folder, e.g. data/cohorts/mine")
    cohort = parser.parse_args().cohort
    if not cohort.is_dir():
        raise PipelineError(f"{cohort}: expected the folder of a cohort, got none. Give its path, or run `dvc pull`.")
    params = read_params(LabelParams)
    raise_all(mistakes(params), "params.yaml has mistakes")
    report = check(cohort, params)
    print(report.text)
    if report.stops:
        sys.exit(1)


if __name__ == "__main__":
    run(main)
