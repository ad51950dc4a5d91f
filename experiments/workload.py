"""How much a params.yaml asks for: frames counted, trainings listed, pictures summed. Nothing is timed here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from stages.check import look
from stages.common.clips.cine import CutParams, covers, kept_indices
from stages.common.clips.cohort import check_clips
from stages.common.core.errors import Problem, raise_all
from stages.common.core.progress import in_parallel
from stages.common.protocols import LEAVE_ONE_OUT, declared
from stages.phantom.params import Params as PhantomParams
from stages.phantom.plan import list_clips, thin

COHORTS = Path("data/cohorts")


@dataclass(frozen=True)
class Cohort:
    """What will be cut from the clips.

    Attributes:
        clips, patients: how many.
        frames: kept after thinning.
        decoded: before thinning.
    """

    clips: int
    patients: int
    frames: int
    decoded: int


@dataclass(frozen=True)
class Training:
    """One network under one protocol and fold.

    Attributes:
        protocol, architecture: which.
        learnt: pictures that pass forward and backward, over all epochs.
        looked_at: pictures that only pass forward: validation after every epoch, then validation and test.
    """

    protocol: str
    architecture: str
    learnt: int
    looked_at: int


def cohort_of(content: Mapping[str, Any]) -> Cohort:
    """Return the size of the cohort that params.yaml names; another than the phantom is decoded to be counted.

    Raises:
        PipelineError: its clips cannot be read.
    """
    cut = CutParams.model_validate({key: content[key] for key in CutParams.model_fields})
    counts = _phantom(content) if content["cohort"] == "phantom" else _decoded(COHORTS / content["cohort"], cut)
    section = cut.extract_frames
    kept = [len(kept_indices(count, section.stride, section.max_frames)) for _, count in counts]
    return Cohort(len(counts), len({patient for patient, _ in counts}), sum(kept), sum(count for _, count in counts))


def _phantom(content: Mapping[str, Any]) -> list[tuple[str, int]]:
    phantom = PhantomParams.model_validate({key: content[key] for key in PhantomParams.model_fields}).phantom
    return [(patient, len(thin(frames, phantom.scale))) for _, patient, frames in list_clips(phantom.layout)]


def _decoded(cohort: Path, cut: CutParams) -> list[tuple[str, int]]:
    listing = check_clips(cohort.resolve())  # worker processes may have been started in another folder
    raise_all(listing.problems, f"cohort {cohort.name} cannot be counted; python -m stages.check {cohort} says all")
    section = cut.extract_frames
    work = partial(look, params=section.model_copy(update={"buffer_mb": 0}), covered=covers(section, cohort.name))
    found = list(in_parallel(work, listing.clips, "count frames", unit="clip", threads=False))
    damaged = [size for _, size in found if isinstance(size, Problem)]
    raise_all(damaged, f"cohort {cohort.name} cannot be counted; python -m stages.check {cohort} says all")
    return [(clip.patient, size.frames) for clip, size in found]


def trainings_of(content: Mapping[str, Any], frames: int) -> list[Training]:
    """Return every training that params.yaml declares, `frames` shared out as `split` is asked to.

    Args:
        content: of params.yaml, valid.
        frames: kept in the whole cohort; a fold tests an equal share of them.
    """
    variants = sum(content["train"]["variants"].values())
    found, runs = [], 1 + len(content["seeds"])
    for protocol, folds in declared(content["protocols"], content["folds"]).items():
        train, validation, test = _sides(frames, len(folds), protocol, content["split"]["shares"])
        learnt = round(train * variants * content["epochs"])
        looked_at = round(validation * (content["epochs"] + 1) + test)
        found += [
            Training(protocol, name, learnt, looked_at) for name in content["architectures"] for _ in folds
        ] * runs
    return found


def _sides(frames: int, folds: int, protocol: str, shares: Mapping[str, int]) -> tuple[float, float, float]:
    train, validation, test = (shares[side] for side in ("train", "validation", "test"))
    if protocol != LEAVE_ONE_OUT:
        whole = train + validation + test
        return frames * train / whole, frames * validation / whole, frames * test / whole
    tested = frames / folds
    left = frames - tested
    return left * train / (train + validation), left * validation / (train + validation), tested


def listed(trainings: Sequence[Training]) -> str:
    """Return how many trainings each protocol has, for a sentence."""
    counts: dict[str, int] = {}
    for training in trainings:
        counts[training.protocol] = counts.get(training.protocol, 0) + 1
    return ", ".join(f"{protocol} {count}" for protocol, count in counts.items())
