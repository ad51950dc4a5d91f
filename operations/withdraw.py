"""Take a patient out: clips and labels from the cohort, everything derived from them, DVC's cache and its remote.

    python -m operations.withdraw P003           say what would go
    python -m operations.withdraw P003 --do      and do it; then `dvc repro`, and commit

Reads   params.yaml (`cohort`, `labels`, `label_merge`), approved.json and data/cohorts/<cohort>
Writes  the cohort without the patient, data/cohorts/<cohort>.dvc

Before anything is written, the cohort as it would be is read again in memory: of other patients nothing may be missing.
Arrays, features and bundles hold all patients at once, and every earlier run lies in the cache too. So every output of
the pipeline goes, of these parameters or others, with dvc.lock; then everything in the cache that is not a cohort as it
now stands, on any branch or tag; and everything in the cohort's own remote but this cohort. `dvc repro` makes the rest
again. Other cohorts and their remotes are not touched; what they have in the cohort's own remote stops it.

In the end the patient's files are looked for by their MD5; what keeps one is named, and the exit status is 1.
Broken off, the same command goes on: what was to go is written down in .dvc/tmp until it has gone.
"""

import argparse
from pathlib import Path

from dvc.repo import Repo

from operations.approval import approved_of
from operations.derived import COHORTS, TMP
from operations.forget import forget, other_states
from operations.left_of import left_of
from operations.own_remote import remote_of
from operations.rehearsal import contents_without, write
from operations.withdrawal import Params, Withdrawal, plan, told, with_lists
from stages.common.core.errors import PipelineError, run
from stages.common.core.files import write_text
from stages.common.core.params import read_params

JOURNAL = TMP / "withdraw.json"  # a withdrawal begun and not ended; Git ignores the folder
BEYOND = """What no command here can reach, and a person must see to:
  - other clones: `git pull`, `dvc pull`, then `dvc gc --workspace --force` in each, and remove their .dvc/cache/runs,
    what is left below data/ and metrics/, and what DVC keeps of them elsewhere (`dvc doctor`: Repo.site_cache_dir)
  - remotes of other names, should the cohort have been pushed there (`dvc push -r`, `--run-cache`)
  - what .github/workflows/gpu.yml made: branches plots-*, comments on pull requests, summaries of runs, their artifact
    `comment` (plots and results.patch); on that runner the clone, and ~/gpu-logs, which name clips and sheets
  - reports, bundles and tables that were handed on, models that `operations.approved get` wrote, and backups
  - params.yaml and its history, should `label_merge` or `label_review` name what is the patient's
  - the pseudonym and its results in Git's history: metrics/*.json of earlier commits
  - later clips have new numbers (C004 becomes C003): look through leakage.known_pairs and label_review.answers
Then `dvc repro`, and commit."""


def later(patient: str, cohort: Path) -> Path:
    """Return where it is written what of a patient another cohort or ref keeps: that stops no other withdrawal."""
    return JOURNAL.with_name(f"withdrawn-{cohort.name}-{patient}.json")


def begun(patient: str, cohort: Path) -> Withdrawal | None:
    """Return the patient's withdrawal that was begun and not ended; None where there is none.

    Raises:
        PipelineError: another's was.
    """
    journal = JOURNAL if JOURNAL.is_file() else later(patient, cohort)
    if not journal.is_file():
        return None
    found = Withdrawal.model_validate_json(journal.read_text(encoding="utf-8"))
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


def leave_cohort(found: Withdrawal, clip_column: str) -> None:
    """Remove the patient's rows, sheets and files, as far as they are still there; the files last."""
    write(contents_without(found.cohort, found.clips, found.sheets, clip_column))
    for path in found.files:
        path.unlink(missing_ok=True)
        for folder in path.parents:  # its name may tell whose clips lay in it
            if folder == found.cohort or not folder.is_dir() or any(folder.iterdir()):
                break
            folder.rmdir()


def withdraw(found: Withdrawal, clip_column: str) -> None:
    """Do it, written down until it is done, and look for what was withdrawn.

    Raises:
        PipelineError: it broke off, or something is left: with who keeps it.
    """
    again = f"python -m operations.withdraw {found.patient} --do"
    write_text(JOURNAL, found.model_dump_json())
    leave_cohort(found, clip_column)
    for link in forget(found.cohort, again):
        print(f"{link}: only the link is gone; remove by hand what it led to, if it is the pipeline's")
    with Repo() as repo:
        remote = remote_of(repo, found.cohort)
    left = left_of(found.traces, remote, again)
    print(BEYOND)
    if not left:
        JOURNAL.unlink()
        later(found.patient, found.cohort).unlink(missing_ok=True)
        return
    JOURNAL.replace(later(found.patient, found.cohort))
    lines = "\n".join(f"  - {line}" for line in left)
    raise PipelineError(
        f"{found.patient} of {found.cohort}: expected nothing of the patient's to be left, got:\n{lines}\n"
        f"Withdraw there, too (`cohort` in params.yaml), or remove what keeps it, and commit; `{again}` looks again."
    )


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
    found = again or with_lists(plan(asked.patient, params))
    if not (again or asked.other_states):
        refuse_other_states(found.cohort)
    with Repo() as repo:
        remote = remote_of(repo, found.cohort)
    print(f"{asked.patient} of {found.cohort}:\n{told(found, remote)}")
    if not asked.do:
        print("Nothing was changed. With --do it goes, and does not come back.")
        return
    withdraw(found, params.label_merge.clip_column)
    if approved := approved_of(found.cohort.name):
        print(
            f"Still names a model that learnt from the patient: {approved}. `git rm approved.json`, or approve another."
        )


if __name__ == "__main__":
    run(main)
