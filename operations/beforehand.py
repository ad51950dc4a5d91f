"""What stops a withdrawal before anything is changed: what would go with the patient and is not the patient's."""

from collections.abc import Mapping
from pathlib import Path

from dvc.repo import Repo

from operations.gone import gone
from operations.keepers import WORKSPACE, Keeper, Known, listed
from operations.owners import FOLDER
from stages.common.core.errors import PipelineError

STATES = ("refs/heads/", "refs/remotes/", "refs/tags/")  # refs that a person made; those of experiments follow one


def cache_of(repo: Repo) -> tuple[str, bool]:
    """Return where DVC's cache lies, relative to the clone where it is in it, and whether it is."""
    cache, root = Path(repo.cache.local_cache_dir).resolve(), Path(repo.root_dir).resolve()
    inside = cache.is_relative_to(root)
    return str(cache.relative_to(root) if inside else cache), inside


def refuse_shared_cache(repo: Repo) -> None:
    """Raise where the cache lies outside of the clone: other projects' only copies may lie there."""
    where, inside = cache_of(repo)
    if not inside:
        raise PipelineError(
            f"{where}: expected DVC's cache to lie in the clone, got one outside of it. All that it holds of other "
            "clones and projects would go, only copies perhaps. Give this clone one of its own (`dvc cache dir "
            ".dvc/cache`, `dvc fetch`) and clear the shared one by hand; or, if no other uses it: --shared-cache."
        )


def refuse_lists(repo: Repo, known: Known, cohort: Path, absent_too: bool) -> None:
    """Raise where nobody can tell which files are in a folder that stays.

    Args:
        repo: the clone.
        known: as `tracking` returns it.
        cohort: data/cohorts/<cohort>, whose own lists go.
        absent_too: whether what the cache has of folders may go whose lists it does not have.

    Raises:
        PipelineError: the cache does not have a folder's list, or has it damaged.
    """
    lists = [(value, keeper) for value, keeper in known if value.endswith(FOLDER)]
    past = gone()  # a withdrawal let them go, and nothing is left to be lost
    asked = [(value, keeper) for value, keeper in lists if value not in past]
    absent = [(value, keeper) for value, keeper in asked if listed(value, repo.cache.local) is None]
    others = {value: keeper for value, keeper in reversed(absent) if keeper[0] != f"{cohort}.dvc"}
    if others and not absent_too:
        raise PipelineError(_absent(others))


def _absent(absent: Mapping[str, Keeper]) -> str:
    lines = "\n".join(f"  - {file} ({ref}): {value}" for value, (file, ref) in absent.items())
    return (
        f"DVC's cache: expected the list of files of each folder that stays, got none of:\n{lines}\nWhat the cache "
        f"holds of them would go. `dvc fetch <file>` where that ref is checked out ({WORKSPACE}: here) brings list and "
        "files; or, if nothing of them was ever here, nothing is to stay, or they are states from before a "
        "withdrawal, which nothing holds any more: --absent-lists."
    )


def other_states(known: Known, cohort: Path) -> dict[str, str]:
    """Return branch or tag -> the cohort's MD5 there, where neither the workspace nor the last commit has it so."""
    states = [(ref, value) for value, (name, ref) in known if name == f"{cohort}.dvc"]
    here = {value for ref, value in states if ref in (WORKSPACE, "HEAD")} | gone()
    return {ref: value for ref, value in states if ref.startswith(STATES) and value not in here}


def refuse_other_states(known: Known, cohort: Path) -> None:
    """Raise where a branch or a tag tracks the cohort in a state of its own: what that alone holds would go too."""
    states = other_states(known, cohort)
    if states:
        told = "\n".join(f"  - {ref}: {state}" for ref, state in states.items())
        raise PipelineError(
            f"{cohort}.dvc: expected every branch and tag to track what the last commit does, got others:\n{told}\n"
            "What only they hold would go, the only copy perhaps. Bring it into this branch and commit (or delete the "
            "ref), then again; or, as a state from before an earlier withdrawal, let it go: --other-states."
        )
