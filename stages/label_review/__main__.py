"""List the labels that an expert should look at again, mixed blind with random controls.

Reads   data/predictions/<protocol>/<fold>/<seed>/<model>.csv, .json   of networks that never saw the frame
        data/label_merge/labels.csv, data/split/<protocol>.csv
        the file `label_review.answers`, once there is one
Writes  metrics/label_review.csv    for the expert: review_id, frame_id, clip_id, frame_index, last_frame_index, label,
                                    question, answer (blank); says neither the label given nor which row is a control
        data/label_review/key.csv   what the list hides, in its order: review_id, kind (suspect | control), reason
                                    (cleanlab | all models | cleanlab and all models | blank), score (0 worst to 1,
                                    blank for controls), label, clip_id, frame_index, last_frame_index, frames, given
                                    (0 | 1), mean_probability. Not in Git, where it would end the blindness; nor
                                    are the frames of the report's gallery (data/explain/entries.json)
        metrics/label_review.json   how many of each kind, and both results

Why: some 'errors' of a model are errors of the expert (the study's own doctor said so of 'bad quality'). Doubted are
labels that cleanlab or every model disputes, from the probabilities for frames that no network of the fold trained on:
the test rows of leave-one-patient-out where folds are declared, else validation and test rows of `patient`, else of
`frame`. The mean probability over models is refitted within each infant before cleanlab sees it: a network that fails
in one infant would else fill the list with it. That refit uses the very labels under review: a mistake made throughout
an infant goes unseen (docs/label_review.md, which also says what the list is worth). Labels stay frozen: answers never
go back into labels.csv, and both results are printed. label_review.json:

    protocol, sides, models, frames_asked
    labels: {<label>: {known, doubted, stretches, listed, why (null, or why cleanlab could not be asked)}}
    suspects, controls (rows of the list), stretches_beyond_the_list
    answers: null, or {suspects, controls: {asked, answered, overturned, frames_overturned}, of_earlier_lists,
        labels_changed: {<label>: frames}}
    results: {<protocol>: {<model>: {frozen, reviewed (null without answers): {macro F1, Accuracy, Wrong answers,
        Misclassified images}}}}
    why: null, or why there is no reviewed result; caveat: what the reviewed result cannot show
"""

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from stages.common.core.errors import PipelineError, run
from stages.common.core.files import write_json
from stages.common.core.params import Strict, read_params
from stages.common.core.tables import write_table
from stages.common.evaluation.reading import LABELS, Declared, Protocoled, clear_undeclared, read_answers
from stages.common.evaluation.thresholds import Threshold
from stages.common.protocols import LEAVE_ONE_OUT
from stages.common.truth import read_labels
from stages.label_review.answers import read_answers_file, reviewed_labels, summary
from stages.label_review.controls import draw_controls
from stages.label_review.doubts import counts_of, doubts, worst_first
from stages.label_review.listing import KEY_COLUMNS, blind_list, key_of
from stages.label_review.results import CAVEAT, both_results, printed
from stages.label_review.suspicion import Score

OUT = Path("metrics")
KEY = Path("data/label_review/key.csv")


class LabelReview(Strict):
    """The section `label_review`."""

    max_suspects: Annotated[int, Field(ge=1)]  # stretches asked about; as many controls come on top
    bridge_frames: Annotated[int, Field(ge=0)]  # undoubted frames that do not end a stretch
    score: Score  # how cleanlab scores a label
    answers: str | None  # the filled-in list; null before there is one
    answers_sha256: str | None  # of that file


class OfEvaluate(BaseModel):
    """The entry of the section `evaluate` that makes answers of probabilities."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")

    threshold: Threshold


class Params(Declared):
    """What this stage reads of params.yaml."""

    evaluate: OfEvaluate
    label_review: LabelReview


def generator(seed: int, *names: str) -> np.random.Generator:
    """Return a generator of its own for each purpose."""
    return np.random.default_rng([seed, *(zlib.crc32(name.encode()) for name in names)])


def reviewed_protocol(protocols: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """Return the protocol whose answers are reviewed, and the sides: the most honest that is declared.

    Raises:
        PipelineError: none is declared.
    """
    if LEAVE_ONE_OUT in protocols:
        return LEAVE_ONE_OUT, ("test",)  # every frame once; a validation row would be a second time
    for protocol in ("patient", "frame"):
        if protocol in protocols:
            return protocol, ("validation", "test")
    raise PipelineError("params.yaml: protocols and folds: nothing to review: expected a protocol, e.g. `frame: {}`.")


def read(params: Params) -> dict[str, Protocoled]:
    """Return what every declared model answered; files of others go first, or DVC would hash them with the folder."""
    clear_undeclared(params)
    return read_answers(params.networks_alone(), params.evaluate.threshold)


def main() -> None:
    """Doubt, draw controls, list; with answers, both results."""
    params = read_params(Params)
    section, labels = params.label_review, list(params.labels)
    answers = read(params)
    protocol, sides = reviewed_protocol(list(answers))
    frames = read_labels(LABELS, labels).sort_values(["clip_id", "frame_index"], ignore_index=True)
    found = doubts(answers[protocol], sides, frames, labels, section.score)
    stretches = worst_first(found, section.bridge_frames)
    suspects = stretches[: section.max_suspects]
    controls = draw_controls(found.timeline, suspects, generator(params.seed, "label_review", "controls"))
    everything = [*suspects, *controls]
    order = generator(params.seed, "label_review", "order").permutation(len(everything))
    key = key_of(found.timeline, everything, order, found.means)
    answered = None
    if section.answers is not None:
        answered = read_answers_file(Path(section.answers), section.answers_sha256, frames, labels)
    reviewed = None if answered is None else reviewed_labels(frames, answered)
    results = both_results(answers, reviewed, labels)
    content = {
        "protocol": protocol,
        "sides": list(sides),
        "models": list(params.architectures),
        "frames_asked": len(found.timeline.rows),
        "labels": counts_of(found, stretches, suspects),
        "suspects": len(suspects),
        "controls": len(controls),
        "stretches_beyond_the_list": len(stretches) - len(suspects),
        "answers": None if answered is None else summary(key, answered, frames),
        "results": results,
        "why": "no answers yet: params.yaml, label_review.answers" if answered is None else None,
        "caveat": CAVEAT,
    }
    write_table(KEY, pd.DataFrame(key, columns=list(KEY_COLUMNS)))
    write_table(OUT / "label_review.csv", blind_list(found.timeline, everything, order))
    write_json(OUT / "label_review.json", content, sort_keys=False)
    if answered is not None:
        print(printed(results))


if __name__ == "__main__":
    run(main)
