"""Take a patient out: clips and labels from the cohort, everything derived from them, DVC's cache and its remote.

    python -m operations.withdraw P003           say what would go
    python -m operations.withdraw P003 --do      and do it; then `dvc repro`, and commit

Reads   params.yaml (`cohort`, `labels`, `label_merge`), approved.json and data/cohorts/<cohort>
Writes  the cohort without the patient, data/cohorts/<cohort>.dvc

Before anything is written, the cohort as it would be is read again in memory: of other patients nothing may be missing.
Arrays, features and bundles hold all patients at once, and every earlier run lies in the cache too. So every output of
the pipeline goes, of these parameters or others, with dvc.lock; then everything in the cache that is not a cohort as it
now stands, on any branch or tag; and everything in the cohort's own remote but this cohort. `dvc repro` makes the rest
again. Other cohorts and their remotes are not touched; what they have in the cohort's own remote stops it. So do,
before anything is changed, a stage that runs, a cache outside of the clone, and lists of other cohorts' files that are
damaged or absent; `--help` says what lets it pass.

In the end the patient's files are looked for by their MD5; what keeps one is named, and the exit status is 1. So it is
where a stage that ran meanwhile wrote something again. A second withdrawal beside one that runs is refused.
Broken off, the same command goes on: what was to go is written down in .dvc/tmp until it has gone.
"""

import argparse
from collections.abc import Sequence
from contextlib import nullcontext

from operations.alone import alone
from operations.approval import approved_of
from operations.back import refuse_back
from operations.beforehand import cache_of, refuse_lists, refuse_other_states, refuse_shared_cache
from operations.beyond import beyond
from operations.clone import clone
from operations.derived import COHORTS, TMP
from operations.forget import forget
from operations.journal import JOURNAL, begun, later
from operations.keepers import tracking
from operations.left_of import left_of
from operations.own_remote import remote_of
from operations.reached import going_on
from operations.rehearsal import contents_without, write
from operations.running import beside, refuse_running, running
from operations.withdrawal import Params, Withdrawal, plan, told, with_lists
from stages.common.core.errors import PipelineError, run
from stages.common.core.files import write_text
from stages.common.core.params import read_params

DO, OTHER_STATES, SHARED_CACHE, ABSENT_LISTS = "--do", "--other-states", "--shared-cache", "--absent-lists"
FLAGS = {
    DO: "do it; without, only say what would go",
    OTHER_STATES: "also where branches or tags track the cohort in another state",
    SHARED_CACHE: "also where DVC's cache lies outside of the clone: what other clones and projects have there goes",
    ABSENT_LISTS: "also where the cache lacks the list of a folder that stays: what it has of that folder goes",
}


def leave_cohort(found: Withdrawal, clip_column: str) -> None:
    """Remove the patient's rows, sheets and files, as far as they are still there; the files last."""
    write(contents_without(found.cohort, found.clips, found.sheets, clip_column))
    for path in found.files:
        path.unlink(missing_ok=True)
        for folder in path.parents:  # its name may tell whose clips lay in it
            if folder == found.cohort or not folder.is_dir() or any(folder.iterdir()):
                break
            folder.rmdir()


def withdraw(found: Withdrawal, clip_column: str, flags: Sequence[str] = ()) -> None:
    """Do it, written down until it is done, and look for what was withdrawn.

    Args:
        found: what goes.
        clip_column: heading under which a single CSV of labels names the clip of a row.
        flags: of the command, that goes on with them where it broke off.

    Raises:
        PipelineError: it broke off, a stage wrote something again, or something is left: with who keeps it.
    """
    again = " ".join([f"python -m operations.withdraw {found.patient} --do", *flags])
    with going_on(again):
        write_text(JOURNAL, found.model_dump_json())
        leave_cohort(found, clip_column)
        for link in forget(found.cohort, again):
            print(f"{link}: only the link is gone; remove by hand what it led to, if it is the pipeline's")
        with clone() as repo:
            remote = remote_of(repo, found.cohort)
        # in this order: what ends after the first question has written before the second
        if begun_meanwhile := running(TMP):
            raise PipelineError(beside(begun_meanwhile, "Let it end, or end it."))
        refuse_back(found.cohort)
        left = left_of(found.traces, remote, again)
    print(beyond())
    end(found, left, again)


def end(found: Withdrawal, left: Sequence[str], again: str) -> None:
    """Let the journal go; raise where something is left."""
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


def refuse(found: Withdrawal, allowed: Sequence[str], goes_on: bool) -> tuple[str | None, str]:
    """Return the cohort's own remote and where the cache lies; raise where more than the patient would go.

    Args:
        found: what goes.
        allowed: flags of the command.
        goes_on: whether it was begun before; then the cohort is in another state than branches and tags have it.
    """
    with clone() as repo:
        if SHARED_CACHE not in allowed:
            refuse_shared_cache(repo)
        known = tracking(repo)
        refuse_lists(repo, known, found.cohort, ABSENT_LISTS in allowed)
        if not goes_on and OTHER_STATES not in allowed:
            refuse_other_states(known, found.cohort)
        if DO in allowed:
            refuse_running(repo)
        return remote_of(repo, found.cohort), cache_of(repo)[0]


def parse() -> tuple[str, list[str]]:
    """Return the patient asked for, and the flags."""
    parser = argparse.ArgumentParser(prog="python -m operations.withdraw", description=__doc__.splitlines()[0])
    parser.add_argument("patient", help="as clips.csv calls the infant, such as P003")
    for flag, said in FLAGS.items():
        parser.add_argument(flag, dest="flags", action="append_const", const=flag, default=[], help=said)
    asked = parser.parse_args()
    return asked.patient, asked.flags


def main() -> None:
    """Say what goes; do it where asked, one command at a time."""
    patient, flags = parse()
    params = read_params(Params)
    with alone() if DO in flags else nullcontext():
        say_or_do(patient, flags, params)


def say_or_do(patient: str, flags: Sequence[str], params: Params) -> None:
    """Say what goes; do it where the flags say so."""
    again = begun(patient, COHORTS / params.cohort)
    found = again or plan(patient, params)
    remote, cache = refuse(found, flags, goes_on=again is not None)
    print(f"{patient} of {found.cohort}:\n{told(found, remote, cache)}")
    if DO not in flags:
        print("Nothing was changed. With --do it goes, and does not come back.")
        return
    withdraw(again or with_lists(found), params.label_merge.clip_column, [flag for flag in flags if flag != DO])
    if approved := approved_of(found.cohort.name):
        print(
            f"Still names a model that learnt from the patient: {approved}. `git rm approved.json`, or approve another."
        )


if __name__ == "__main__":
    run(main)
