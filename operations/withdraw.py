"""Take a patient out: clips and labels from the cohort, everything derived from them, DVC's cache and its remote.

    python -m operations.withdraw P003           say what would go
    python -m operations.withdraw P003 --do      and do it; then `dvc repro`, and commit

Reads   params.yaml (`cohort`, `labels`, `label_merge`) and data/cohorts/<cohort>
Writes  the cohort without the patient, data/cohorts/<cohort>.dvc

Arrays, features and bundles hold all patients at once, and every earlier run lies in the cache too. So every output of
the pipeline goes, with dvc.lock, and then everything in the cache and in the cohort's own remote that is not this
cohort as it now stands, or another one on any branch or tag: the runs of other commits and experiments with it. `dvc
repro` makes the rest again. Remotes of other cohorts are not touched.

Broken off, the same command goes on: what was to go is written down in .dvc/tmp until it has gone.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from dvc.repo import Repo
from pydantic import BaseModel

from operations.forget import forget, other_states, remote_of
from operations.labels_of import Sheets, sheets_of, without_rows, without_sheets
from stages.common.clips.cohort import MASKS, TABLE, Clip, read_clips
from stages.common.clips.folder import CohortName
from stages.common.core.errors import PipelineError, run
from stages.common.core.files import write_text
from stages.common.core.params import read_params
from stages.common.sheets.settings import LabelParams

COHORTS = Path("data/cohorts")
JOURNAL = Path(".dvc/tmp/withdraw.json")  # a withdrawal begun and not ended; Git ignores the folder
BEYOND = """What no command here can reach, and a person must see to:
  - other clones: `git pull`, `dvc pull`, then `dvc gc --workspace --force` in each, and remove their .dvc/cache/runs
    and what DVC keeps of them elsewhere (`dvc doctor`: Repo.site_cache_dir)
  - remotes of other names, should the cohort have been pushed there (`dvc push -r`, `--run-cache`)
  - reports, bundles and tables that were handed on, and backups
  - the pseudonym and its results in Git's history: metrics/*.json of earlier commits
  - later clips have new numbers (C004 becomes C003): look through leakage.known_pairs and label_review.answers
Then `dvc repro`, and commit."""


class Params(LabelParams):
    """What is read of params.yaml."""

    cohort: CohortName


class Withdrawal(BaseModel, frozen=True):
    """What goes from a cohort.

    Attributes:
        patient: the pseudonym.
        cohort: its folder.
        clips: names of the patient's.
        files: the clips, and the masks that belong to them.
        sheets: label file -> the titles of the patient's sheets in it.
    """

    patient: str
    cohort: Path
    clips: Sequence[str]
    files: Sequence[Path]
    sheets: Sheets


def plan(patient: str, params: Params) -> Withdrawal:
    """Return what goes.

    Raises:
        PipelineError: the cohort is not tracked by a .dvc file, or has no such patient, or no other.
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
    files = [*(clip.path for clip in own), *masks_of(cohort, clips, own)]
    sheets = sheets_of(cohort, clips, own, params.label_merge)
    return Withdrawal(patient=patient, cohort=cohort, clips=[clip.name for clip in own], files=files, sheets=sheets)


def masks_of(cohort: Path, clips: Sequence[Clip], own: Sequence[Clip]) -> list[Path]:
    """Return the masks called as clips of `own`, or as their files; not where another's clip is called so too."""
    others = {name for clip in clips if clip not in own for name in _names(cohort, clip)}
    names = {name for clip in own for name in _names(cohort, clip)} - others
    masks = (path for path in (cohort / MASKS).rglob("*") if path.is_file())
    return sorted(path for path in masks if str(path.relative_to(cohort / MASKS).with_suffix("")) in names)


def _names(cohort: Path, clip: Clip) -> Iterator[str]:
    yield from (clip.name, clip.path.stem, str(clip.path.relative_to(cohort).with_suffix("")))


def begun(patient: str, cohort: Path) -> Withdrawal | None:
    """Return the patient's withdrawal that was begun and not ended; None where there is none.

    Raises:
        PipelineError: another's was.
    """
    if not JOURNAL.is_file():
        return None
    found = Withdrawal.model_validate_json(JOURNAL.read_text(encoding="utf-8"))
    if (found.patient, found.cohort) != (patient, cohort):
        raise PipelineError(
            f"{JOURNAL}: expected no other withdrawal half done, got that of {found.patient} of {found.cohort}. First "
            f"`python -m operations.withdraw {found.patient} --do`, with `cohort: {found.cohort.name}` in params.yaml."
        )
    return found


def refuse_other_states(cohort: Path) -> None:
    """Raise where a branch or a tag tracks the cohort in a state of its own: what that alone holds would go too."""
    states = other_states(cohort)
    if states:
        told = "\n".join(f"  - {ref}: {state}" for ref, state in states.items())
        raise PipelineError(
            f"{cohort}.dvc: expected every branch and tag to track what the last commit does, got others:\n{told}\n"
            "What only they hold would go, the only copy perhaps. Bring it into this branch and commit (or delete the "
            "ref), then again; or let it go: --other-states."
        )


def told(found: Withdrawal, remote: str | None) -> str:
    """Return what goes, for a person to read before it does."""
    rows = [f"  - {TABLE}: {', '.join(found.clips)}"]
    rows += [f"  - {path.relative_to(found.cohort)}" for path in found.files]
    rows += [f"  - {path.name}: {', '.join(titles)}" for path, titles in found.sheets.items()]
    where = "the cache" + (f" and remote {remote}" if remote else "; the cohort has no remote, or `push` is off")
    rows.append(f"  - every output of the pipeline, dvc.lock, and all that {where} hold but cohorts as they now stand")
    rows.append("  - so `git fetch` first: of this cohort the remote keeps nothing else, whoever pushed it")
    return "\n".join(rows)


def leave_cohort(found: Withdrawal, clip_column: str) -> None:
    """Remove the patient's clips, masks, rows and sheets, as far as they are still there."""
    without_sheets(found.sheets, clip_column)
    table = found.cohort / TABLE
    write_text(table, without_rows(table.read_text(encoding="utf-8-sig"), "clip", found.clips))
    for path in found.files:
        path.unlink(missing_ok=True)


def withdraw(found: Withdrawal, clip_column: str) -> None:
    """Do it, written down until it is done."""
    write_text(JOURNAL, found.model_dump_json())
    leave_cohort(found, clip_column)
    forget(found.cohort, f"python -m operations.withdraw {found.patient} --do")
    JOURNAL.unlink()


def main() -> None:
    """Say what goes; do it where asked."""
    parser = argparse.ArgumentParser(prog="python -m operations.withdraw", description=__doc__.splitlines()[0])
    parser.add_argument("patient", help="as clips.csv calls the infant, such as P003")
    parser.add_argument("--do", action="store_true", help="do it; without, only say what would go")
    parser.add_argument(
        "--other-states", action="store_true", help="also where branches or tags track the cohort in another state"
    )
    asked = parser.parse_args()
    params = read_params(Params)
    again = begun(asked.patient, COHORTS / params.cohort)
    found = again or plan(asked.patient, params)
    if not (again or asked.other_states):
        refuse_other_states(found.cohort)
    with Repo() as repo:
        remote = remote_of(repo, found.cohort)
    print(f"{asked.patient} of {found.cohort}:\n{told(found, remote)}")
    if not asked.do:
        print("Nothing was changed. With --do it goes, and does not come back.")
        return
    withdraw(found, params.label_merge.clip_column)
    print(BEYOND)


if __name__ == "__main__":
    run(main)
