"""Check a cohort before anything is trained: clips, label sheets and patients, in under a minute.

    python -m stages.check data/cohorts/mine

Reads   the cohort's folder, and of params.yaml what decides whether the stages take it (`Params`)
Prints  a table of clips, patients and labels, every problem, and lines to paste into params.yaml

Exit status 1 when something would stop the pipeline. Writes nothing; no stage depends on it. Clips are surveyed and
sheets read by the functions of `extract_frames` and `label_merge`, under the same parameters.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from stages.common.clips.cine import CineParams, CutParams, covers, kept_indices, survey
from stages.common.clips.cohort import TABLE, Clip, Listing, check_clips, of_clip
from stages.common.clips.decode import ClipError
from stages.common.clips.folder import folder_name
from stages.common.clips.same import same_recordings
from stages.common.core.errors import PipelineError, Problem, raise_all, run
from stages.common.core.params import read_params
from stages.common.core.progress import in_parallel
from stages.common.core.tables import SIDES
from stages.common.demands import named_labels, unfilled
from stages.common.labels import unknown_labels
from stages.common.protocols import FoldKey, Nothing, Protocol, without_bundles
from stages.common.sheets import overview
from stages.common.sheets.overview import Size, titled
from stages.common.sheets.placement import Frames
from stages.common.sheets.reading import Reading, read_labels, unite
from stages.common.sheets.settings import LabelParams, mistakes


class Params(LabelParams, CutParams):
    """What decides whether the stages take a cohort, besides `labels`, `label_merge`, `size_px` and `extract_frames`.

    Attributes:
        protocols: splits; `patient` needs a patient a side.
        folds: leave-one-patient-out; needs a patient a fold.
        split: its `shares`; `frame` needs frames for three sides.
        evaluate, bedside, explain: looked at for the labels that they name alone.
    """

    protocols: dict[Protocol, Nothing]
    folds: dict[FoldKey, Nothing]
    split: dict[str, Any]
    evaluate: dict[str, Any]
    bedside: dict[str, Any]
    explain: dict[str, Any]


@dataclass(frozen=True)
class Report:
    """What a check found.

    Attributes:
        text: all of it, to be read.
        stops: whether the pipeline would stop.
    """

    text: str
    stops: bool


def look(clip: Clip, params: CineParams, covered: bool) -> Size | Problem:
    """Return a clip's size, counted by decoding, or why `extract_frames` would refuse it."""
    try:
        surveyed = survey(clip.path, clip.crop, clip.depth_cm, params, covered)
    except ClipError as error:
        return of_clip(clip, error.problem)
    _, _, width, height = surveyed.whole
    header = surveyed.header
    return Size(len(surveyed.times_s), width, height, header.frame_rate_hz, surveyed.recording, surveyed.view)


def misnamed(params: Params) -> list[Problem]:
    """Return the labels that other sections name and `labels` does not declare."""
    sections = {"evaluate": params.evaluate, "bedside": params.bedside, "explain": params.explain}
    return unknown_labels(params.labels, named_labels(sections))


def wrong_name(cohort: Path) -> list[Problem]:
    """Return why the cohort's folder cannot stand in params.yaml, if so."""
    name = cohort.resolve().name
    try:
        folder_name(name)
    except ValueError as error:
        return [Problem("the cohort's folder", "name of a cohort", str(error), repr(name), "Rename the folder.")]
    return []


def too_few(clips: Sequence[Clip], params: Params) -> list[Problem]:
    """Return what the declared splits lack in patients."""
    patients = {clip.patient for clip in clips}
    if "" in patients or not ("patient" in params.protocols or params.folds):
        return []
    got = f"{len(patients)}: {', '.join(sorted(patients))}"
    problems = []
    if len(patients) < len(SIDES):
        expected = f"at least {len(SIDES)} for a patient-disjoint split: one each to train, validate and test"
        remedy = "Add patients, or keep only protocol `frame` in params.yaml and set `folds: {}`."
        problems.append(Problem(TABLE, "too few patients", expected, got, remedy))
    if len(patients) < len(params.folds):
        expected = f"at least {len(params.folds)}, as params.yaml declares so many folds"
        problems.append(Problem(TABLE, "too few patients", expected, got, "Remove folds from params.yaml."))
    return problems


def too_few_frames(labels: pd.DataFrame, params: Params) -> list[Problem]:
    """Return why protocol `frame`, if it is declared, cannot fill its sides from these labelled frames."""
    known = labels[list(params.labels)].to_numpy(float, na_value=np.nan)
    return unfilled(known, params.split.get("shares")) if "frame" in params.protocols else []


def check(cohort: Path, params: Params) -> Report:
    """Return what is to be said about a cohort.

    Raises:
        PipelineError: clips.csv cannot be read or lacks columns, so that nothing else can be told.
    """
    listing, section = check_clips(cohort), params.extract_frames
    # pictures are not drawn here, so none is kept
    work = partial(
        look, params=section.model_copy(update={"buffer_mb": 0}), covered=covers(section, cohort.resolve().name)
    )
    # processes: decoding is FFmpeg's work, but a picture's way into numpy is Python's
    pairs = in_parallel(work, listing.clips, "decode", unit="clip", threads=False)
    looked = {clip.clip_id: found for clip, found in pairs}
    sizes = {clip_id: found for clip_id, found in looked.items() if isinstance(found, Size)}
    frames = {
        clip_id: Frames(size.frames, kept_indices(size.frames, section.stride, section.max_frames).tolist())
        for clip_id, size in sizes.items()
    }
    # clips without a file still claim their sheets, else these would seem to be of no clip
    reading = read_labels(cohort, [clip for clip in listing.rows if clip.name], frames, params)
    decoded = [clip for clip in listing.rows if clip.clip_id in sizes]
    doubles, twice = same_recordings((clip, sizes[clip.clip_id].recording) for clip in decoded)
    stopping = [*wrong_name(cohort), *misnamed(params), *without_bundles(params.protocols, params.folds)]
    stopping += [*listing.problems, *too_few(listing.rows, params), *doubles]
    stopping += [found for found in looked.values() if isinstance(found, Problem)]
    stopping += [finding.problem for finding in reading.stopping(params.label_merge)]
    labels = unite(reading, params).labels if reading.votes else None
    if labels is not None and len(decoded) == len(listing.rows):  # else frames are missing from the count
        stopping += too_few_frames(labels, params)
    listing = replace(listing, notes=[*listing.notes, *twice, *overview.scale_notes(sizes)])
    return Report(_text(cohort, listing, sizes, reading, labels, stopping, params), bool(stopping))


def _text(
    cohort: Path,
    listing: Listing,
    sizes: Mapping[str, Size],
    reading: Reading,
    labels: pd.DataFrame | None,
    stopping: Sequence[Problem],
    params: Params,
) -> str:
    clips, section = listing.rows, params.label_merge
    patients = {clip.patient for clip in clips} - {""}
    warned = [str(found.problem) for found in reading.warned(section)]
    parts = [
        f"cohort {cohort.resolve().name}: {len(clips)} clips of {len(patients)} patients",
        overview.clip_table(clips, sizes, reading, labels, params),
        overview.patient_lines(clips),
        "" if labels is None else overview.label_lines(labels, clips, params, "patient" in params.protocols),
        titled("notes", [*listing.notes, *reading.notes]),
        titled("warnings: unknown in labels.csv, or left out", warned),
        titled("problems that stop the run", [str(problem) for problem in stopping]),
        overview.proposals(reading.findings, section),
        "" if stopping else "Nothing stops the run.",
    ]
    return "\n\n".join(part for part in parts if part)


def main() -> None:
    """Check the cohort named on the command line; exit status 1 when something would stop the pipeline."""
    parser = argparse.ArgumentParser(description="Check a cohort's clips, label sheets and patients without training.")
    parser.add_argument("cohort", type=Path, help="the folder, e.g. data/cohorts/mine")
    cohort = parser.parse_args().cohort
    if not cohort.is_dir():
        raise PipelineError(f"{cohort}: expected the folder of a cohort, got none. Give its path, or run `dvc pull`.")
    params = read_params(Params)
    if contradicting := mistakes(params):  # sheets cannot be read by such parameters
        raise_all([*contradicting, *misnamed(params)], "params.yaml has mistakes")
    report = check(cohort, params)
    print(report.text)
    if report.stops:
        sys.exit(1)


if __name__ == "__main__":
    run(main)
