"""Take a patient out: clips and labels from the cohort, everything derived from them, DVC's cache and the remotes.

    python -m operations.withdraw P003           say what would go
    python -m operations.withdraw P003 --do      and do it; then `dvc repro`, and commit

Reads   params.yaml (`cohort`, `labels`, `label_merge`) and data/cohorts/<cohort>
Writes  the cohort without the patient, data/cohorts/<cohort>.dvc

Arrays, features and bundles hold all patients at once, and every earlier run lies in the cache too. So every output of
the pipeline goes, with dvc.lock, and then everything in the cache and in every remote that is not a tracked cohort as
it now stands: the runs of other commits and experiments with it. Other cohorts stay. `dvc repro` makes the rest again.
"""

import argparse
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dvc.repo import Repo

from experiments.run_dvc import dvc
from operations.labels_of import Sheets, sheets_of, without_rows, without_sheets
from stages.common.clips.cohort import MASKS, TABLE, Clip, read_clips
from stages.common.clips.folder import CohortName
from stages.common.core.errors import PipelineError, run
from stages.common.core.files import write_text
from stages.common.core.params import read_params
from stages.common.sheets.settings import LabelParams

COHORTS = Path("data/cohorts")
# copies that queues and searches work in, and networks half trained
LEFTOVERS = (Path(".dvc/tmp/exps"), Path(".search"), Path(".checkpoints"))
BEYOND = """What no command here can reach, and a person must see to:
  - other clones: `git pull`, `dvc pull`, then `dvc gc --workspace --force` in each
  - reports, bundles and tables that were handed on, and backups
  - the pseudonym and its results in Git's history: metrics/*.json of earlier commits
  - later clips have new numbers (C004 becomes C003): look through leakage.known_pairs and label_review.answers
Then `dvc repro`, and commit."""


class Params(LabelParams):
    """What is read of params.yaml."""

    cohort: CohortName


@dataclass(frozen=True)
class Withdrawal:
    """What goes from a cohort.

    Attributes:
        cohort: its folder.
        clips: of the patient.
        files: the clips, and the masks that belong to them.
        sheets: label file -> the titles of the patient's sheets in it.
    """

    cohort: Path
    clips: Sequence[Clip]
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
    stems = {clip.path.stem for clip in own}
    masks = sorted(path for path in (cohort / MASKS).glob("*") if path.stem in stems)
    return Withdrawal(
        cohort, own, [*(clip.path for clip in own), *masks], sheets_of(cohort, clips, own, params.label_merge)
    )


def told(found: Withdrawal, remotes: Sequence[str]) -> str:
    """Return what goes, for a person to read before it does."""
    rows = [f"  - {TABLE}: {', '.join(clip.name for clip in found.clips)}"]
    rows += [f"  - {path.relative_to(found.cohort)}" for path in found.files]
    rows += [f"  - {path.name}: {', '.join(titles)}" for path, titles in found.sheets.items()]
    where = "the cache" + (f" and {', '.join(remotes)}" if remotes else "; there is no remote")
    rows.append(f"  - every output of the pipeline, dvc.lock, and all that {where} hold but cohorts as they now stand")
    return "\n".join(rows)


def leave_cohort(found: Withdrawal, clip_column: str) -> None:
    """Remove the patient's clips, masks, rows and sheets."""
    without_sheets(found.sheets, clip_column)
    table = found.cohort / TABLE
    write_text(table, without_rows(table.read_text(encoding="utf-8-sig"), "clip", [clip.name for clip in found.clips]))
    for path in found.files:
        path.unlink()


def forget(cohort: Path, remotes: Sequence[str]) -> None:
    """Track the cohort as it is, remove every output, and leave nothing in cache and remotes that nothing tracks."""
    dvc("add", "-q", str(cohort))
    with Repo() as repo:
        outs = [out for out in repo.index.outs if not out.stage.is_data_source]
        for out in outs:
            out.remove()
    Path("dvc.lock").unlink(missing_ok=True)  # else `gc` would keep what it names
    for folder in LEFTOVERS:
        shutil.rmtree(folder, ignore_errors=True)
    dvc("gc", "--workspace", "--force", "-q")
    for remote in remotes:
        dvc("gc", "--workspace", "--cloud", "--remote", remote, "--force", "-q")


def main() -> None:
    """Say what goes; do it where asked."""
    parser = argparse.ArgumentParser(prog="python -m operations.withdraw", description=__doc__.splitlines()[0])
    parser.add_argument("patient", help="as clips.csv calls the infant, such as P003")
    parser.add_argument("--do", action="store_true", help="do it; without, only say what would go")
    asked = parser.parse_args()
    params = read_params(Params)
    found = plan(asked.patient, params)
    with Repo() as repo:
        remotes = list(repo.config["remote"])
    print(f"{asked.patient} of {found.cohort}:\n{told(found, remotes)}")
    if not asked.do:
        print("Nothing was changed. With --do it goes, and does not come back.")
        return
    leave_cohort(found, params.label_merge.clip_column)
    forget(found.cohort, remotes)
    print(BEYOND)


if __name__ == "__main__":
    run(main)
