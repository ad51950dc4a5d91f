"""What the expert answered: checked, all mistakes at once, and laid over the labels without touching them."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from stages.common.core.errors import PipelineError, Problem, raise_all
from stages.common.core.tables import read_table
from stages.label_review.stretches import review_id

COLUMNS = ("review_id", "clip_id", "frame_index", "last_frame_index", "label", "answer")
SAID = {"1": 1.0, "0": 0.0, "1.0": 1.0, "0.0": 0.0}  # spreadsheets make 1.0 of a column with blanks


def read_answers_file(path: Path, sha256: str | None, frames: pd.DataFrame, labels: Sequence[str]) -> pd.DataFrame:
    """Return the answered rows: review_id, clip_id, frame_index, last_frame_index, label and answer (1, 0).

    Blank answers are dropped. A row carries its own place, so it stays true when a later list asks other questions.

    Args:
        path: metrics/label_review.csv with its column `answer` filled in, under another name.
        sha256: of that file: DVC does not watch it, so other content must be another parameter.
        frames: labels.csv.
        labels: the label names.

    Raises:
        PipelineError: another hash, or one message with every unknown, altered or repeated id and every wrong answer.
    """
    _refuse_other_content(path, sha256)
    table = read_table(path, COLUMNS, text=COLUMNS)
    table = table.assign(answer=table["answer"].str.strip())
    raise_all([Problem(*of) for of in _mistakes(path, table, frames, labels)], f"{path} cannot be used")
    answered = table[table["answer"].notna() & (table["answer"] != "")]
    whole = {"frame_index": int, "last_frame_index": int}
    answered = answered.assign(answer=answered["answer"].map(SAID)).astype(whole)[list(COLUMNS)]
    raise_all([Problem(*of) for of in _contradictions(path, answered)], f"{path} cannot be used")
    return answered.reset_index(drop=True)


def _refuse_other_content(path: Path, sha256: str | None) -> None:
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise PipelineError(f"params.yaml: label_review.answers: {path} cannot be read: {error}.") from error
    if found != sha256:
        raise PipelineError(
            f"params.yaml: label_review.answers_sha256: expected the SHA-256 of {path.name}, which is {found}, got "
            f"{sha256}. Set it: other answers are another result."
        )


def _mistakes(
    path: Path, table: pd.DataFrame, frames: pd.DataFrame, labels: Sequence[str]
) -> Iterator[tuple[str, str, str, str, str]]:
    """Yield (where, what, expected, got, remedy) of every row that cannot be used."""
    places = set(zip(frames["clip_id"], frames["frame_index"].astype(str), strict=True))
    copy = "Take the row as it stood in metrics/label_review.csv."
    for number, row in enumerate(table.itertuples(index=False), start=2):
        where = f"{path}, line {number}"
        own = review_id(str(row.label), str(row.clip_id), str(row.frame_index), str(row.last_frame_index))
        if row.review_id != own:
            yield where, "unknown review_id", f"{own}, of that label, clip and frames", repr(row.review_id), copy
        elif row.label not in labels or not places.issuperset(
            [(row.clip_id, row.frame_index), (row.clip_id, row.last_frame_index)]
        ):
            got = f"{row.label}, {row.clip_id}, {row.frame_index} to {row.last_frame_index}"
            yield where, "no such label or frames", "those of this cohort", got, copy
        if isinstance(row.answer, str) and row.answer not in (*SAID, ""):
            yield where, "wrong answer", "1, 0 or blank", repr(row.answer), "Correct the cell."
    for name, count in table["review_id"].value_counts(sort=False).items():
        if count > 1:
            yield str(path), "repeated review_id", "one row a question", f"{name} {count} times", "Keep one."


def _contradictions(path: Path, answered: pd.DataFrame) -> Iterator[tuple[str, str, str, str, str]]:
    rows = list(answered.itertuples(index=False))
    for place, one in enumerate(rows):
        for other in rows[place + 1 :]:
            overlap = one.frame_index <= other.last_frame_index and other.frame_index <= one.last_frame_index
            if overlap and one.answer != other.answer and (one.label, one.clip_id) == (other.label, other.clip_id):
                got = f"{one.answer:g} in {one.review_id}, {other.answer:g} in {other.review_id}"
                where = f"{path}, {one.label} of {one.clip_id}"
                yield where, "two answers for the same frames", "one", got, "Look again and correct one."


def reviewed_labels(frames: pd.DataFrame, answered: pd.DataFrame) -> pd.DataFrame:
    """Return a copy of `frames` with the expert's second look in place; `frames` itself stays as it was."""
    reviewed = frames.copy()
    for row in answered.itertuples(index=False):
        asked = (frames["clip_id"] == row.clip_id) & frames["frame_index"].between(
            row.frame_index, row.last_frame_index
        )
        reviewed.loc[asked, row.label] = row.answer
    return reviewed


def summary(key: Sequence[Mapping[str, Any]], answered: pd.DataFrame, frames: pd.DataFrame) -> dict[str, Any]:
    """Return what came of it: of suspects and of controls, how many were answered, and how many answered otherwise."""
    said = dict(zip(answered["review_id"], answered["answer"], strict=True))
    found: dict[str, Any] = {}
    for kind in ("suspect", "control"):
        rows = [row for row in key if row["kind"] == kind]
        told = [row for row in rows if row["review_id"] in said]
        overturned = [row for row in told if said[row["review_id"]] != row["given"]]
        found[f"{kind}s"] = {
            "asked": len(rows),
            "answered": len(told),
            "overturned": len(overturned),
            "frames_overturned": sum(row["frames"] for row in overturned),
        }
    labels = list(dict.fromkeys(answered["label"]))
    reviewed = reviewed_labels(frames, answered)
    changed = (reviewed[labels] != frames[labels]) & ~(reviewed[labels].isna() & frames[labels].isna())
    listed = {row["review_id"] for row in key}
    return found | {
        "of_earlier_lists": int((~answered["review_id"].isin(listed)).sum()),
        "labels_changed": {label: int(changed[label].sum()) for label in labels},
    }
