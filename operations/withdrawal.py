"""What goes with a patient: planned from the cohort as it is, and said to a person before it goes."""

from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel

from operations.approval import approved_of
from operations.derived import COHORTS
from operations.files_of import copies_of, files_of
from operations.keepers import state_of, tracked
from operations.labels_of import Contents, Sheets, labels_of
from operations.left_of import Traces, traces_of
from operations.mentions import mentions
from operations.rehearsal import contents_without
from stages.common.clips.cohort import TABLE, read_clips
from stages.common.clips.folder import CohortName
from stages.common.core.errors import PipelineError
from stages.common.sheets.settings import LabelParams

LOOSE = "every comment, header, footer and document property, of others' sheets, too"
STAYS = "These stay in the cohort: neither their names nor equal bytes make them the patient's. See that they are not:"
NOTHING_ELSE = "Nothing else lies in the cohort but clips, clips.csv and label sheets of others."
NAMED = (
    "These stay, and name clips of the patient's. Take the names out before --do: of what is mended later, cache and "
    "remote keep the older state:"
)


class Params(LabelParams):
    """What is read of params.yaml."""

    cohort: CohortName


class Withdrawal(BaseModel, frozen=True):
    """What goes from a cohort.

    Attributes:
        patient: the pseudonym.
        cohort: its folder.
        clips: names of the patient's.
        files: the clips, what links lead to, masks and whatever else is called as they are; copies of the table and of
            label files that have the patient.
        sheets: label file -> the titles of the patient's sheets in it.
        gone: label files that go whole: no sheet remains in them.
        ignored: label sheets that `label_merge` leaves out and that stay.
        stays: other files that stay in the cohort.
        named: places in label files and in the table that stay and name the patient's clips.
        traces: what is looked for in the end.
    """

    patient: str
    cohort: Path
    clips: Sequence[str]
    files: Sequence[Path]
    sheets: Sheets
    gone: Sequence[Path] = ()
    ignored: Sequence[str] = ()
    stays: Sequence[Path] = ()
    named: Sequence[str] = ()
    traces: Traces = {}


def plan(patient: str, params: Params) -> Withdrawal:
    """Return what goes; the cohort without it was read again in memory.

    Raises:
        PipelineError: the cohort is not tracked by a .dvc file, or has no such patient, or no other; whose a sheet or a
            clip is cannot be told; or the cohort cannot be written without the patient.
    """
    cohort = COHORTS / params.cohort
    if not cohort.with_name(f"{params.cohort}.dvc").is_file():
        raise PipelineError(
            f"{cohort}.dvc: expected a cohort that `dvc add` tracks, got none. Set `cohort` in params.yaml to the "
            "patient's. The phantom's infants are simulated: there is nobody to withdraw."
        )
    clips = read_clips(cohort)
    patients = sorted({clip.patient for clip in clips})
    own = [clip for clip in clips if clip.patient == patient]
    if not own or len(patients) == 1:
        raise PipelineError(f"{cohort / TABLE}: expected {patient} among other patients, got {', '.join(patients)}.")
    names, files = [clip.name for clip in own], files_of(cohort, clips, own)
    labels = labels_of(cohort, clips, own, params.label_merge)
    contents = contents_without(cohort, names, labels.sheets, params.label_merge.clip_column)
    old = _old(contents)
    copies = copies_of(old, files.stays)  # of the table and the label files as they were, with the patient in them
    goes, stays = sorted([*files.goes, *copies]), [path for path in files.stays if path not in copies]
    traces = traces_of(cohort, [*goes, *old], [*stays, *(clip.path for clip in clips if clip not in own)])
    return Withdrawal(
        patient=patient, cohort=cohort, clips=names, files=goes, sheets=labels.sheets,
        gone=[path for path in labels.sheets if path in contents and contents[path] is None], ignored=labels.ignored,
        stays=stays, named=mentions(cohort, clips, own, contents), traces=traces,
    )  # fmt: skip


def _old(contents: Contents) -> list[Path]:
    """Return the files whose content is another afterwards, or none."""
    files = [(inner, content) for path, content in contents.items() for inner in [*path.rglob("*"), path]]
    return [path for path, content in files if path.is_file() and path.read_bytes() != content]


def with_lists(found: Withdrawal) -> Withdrawal:
    """Return it, DVC's lists of the cohort's files, as they were tracked, among what is looked for: they name clips."""
    states = {state_of(found.cohort), tracked("HEAD").get(f"{found.cohort}.dvc")} - {None}
    lists = {str(state): (f"DVC's list of {found.cohort}", 0) for state in states}
    return found.model_copy(update={"traces": {**found.traces, **lists}})


def told(found: Withdrawal, remote: str | None, cache: str) -> str:
    """Return what goes, for a person to read before it does, and what stays for that person to look at.

    Args:
        found: what goes.
        remote: name of the cohort's own; None for none.
        cache: where DVC's lies.
    """
    rows = [f"  - {TABLE}: {', '.join(found.clips)}"]
    rows += [f"  - {path.relative_to(found.cohort)}" for path in found.files]
    rows += [f"  - {path.name}: {', '.join(titles)}" for path, titles in found.sheets.items() if titles]
    rows += [f"  - {path.name}: {LOOSE}" for path, titles in found.sheets.items() if _made_anew(found, path, titles)]
    rows += [f"  - {path.relative_to(found.cohort)}: all of it, as no sheet remains" for path in found.gone]
    return "\n".join([*rows, *_derived(remote, cache), *_approved(found.cohort), *_for_a_person(found)])


def _made_anew(found: Withdrawal, path: Path, titles: Sequence[str]) -> bool:
    return bool(titles) and path.suffix.lower() == ".xlsx" and path not in found.gone


def _derived(remote: str | None, cache: str) -> list[str]:
    where = f"the cache ({cache}) and remote {remote} hold" if remote else f"the cache ({cache}) holds"
    rows = [
        f"  - every output of the pipeline, dvc.lock, and all that {where} but cohorts as they now stand",
        "  - whatever else lies below data/ and is no cohort; below metrics/ and dvc_plots/ what Git does not track;",
        "    searches, half-trained networks, half-written files, and .dvc/tmp",
    ]
    if remote is None:
        return [*rows, "  - nothing in a remote: the cohort has none of its own, or `push` is off"]
    return [*rows, f"  - so `git fetch` first: remote {remote} keeps nothing but this cohort, whoever pushed it"]


def _approved(cohort: Path) -> list[str]:
    approved = approved_of(cohort.name)
    return [f"A model that learnt from the patient, and cannot be brought afterwards: {approved}"] if approved else []


def _for_a_person(found: Withdrawal) -> list[str]:
    names = [*found.ignored, *(str(path.relative_to(found.cohort)) for path in found.stays)]
    rows = [f"  - {name}" for name in names]
    stays = [STAYS, *rows] if names else [NOTHING_ELSE]
    return [*stays, NAMED, *(f"  - {line}" for line in found.named)] if found.named else stays
