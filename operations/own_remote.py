"""Which remote is a cohort's own, and that nothing of another cohort lies in it: what it holds may be an only copy."""

import posixpath
from collections import Counter
from pathlib import Path

from dvc.fs import get_cloud_fs
from dvc.repo import Repo

from operations.cache import FOLDER, value_of
from operations.keepers import keepers, members, stored
from operations.reached import half
from stages.common.core.errors import PipelineError

NOWHERE = "/proc/"  # a remote below it is push turned off
SSH_PORT = 22


def remote_of(repo: Repo, cohort: Path) -> str | None:
    """Return the cohort's own remote; None where it has none or `push` is off.

    Raises:
        PipelineError: another remote lies in the same place, and nobody can tell whose objects are there.
    """
    own, remotes = cohort.name, repo.config["remote"]
    if own not in remotes or remotes[own]["url"].startswith(NOWHERE):
        return None
    same = [name for name in remotes if name != own and place_of(repo, name) == place_of(repo, own)]
    if same:
        raise PipelineError(
            f".dvc/config: remote '{own}': expected a place of its own, got that of {', '.join(same)}: "
            f"{remotes[own]['url']}. Nobody can tell whose objects lie there: give each cohort's remote a url of its "
            "own."
        )
    return own


def place_of(repo: Repo, remote: str) -> tuple[str, ...]:
    """Return where a remote lies, the same however its url spells it: with a link, `..`, a user or the usual port."""
    try:
        kind, settings, path = get_cloud_fs(repo.config, name=remote)
    except ImportError:  # another cohort's, on a kind of server that DVC is not installed for here
        return (repo.config["remote"][remote]["url"],)
    if kind.protocol == "local":
        return (str(Path(path.removeprefix("file://")).resolve()),)
    host, port = str(settings.get("host")).lower(), str(settings.get("port", SSH_PORT))
    return kind.protocol, host, port, posixpath.normpath(path).strip("/")


def called(repo: Repo, remote: str) -> str:
    """Return a remote as messages call it, with its address."""
    return f"remote {remote}: {repo.config['remote'][remote]['url']}"


def refuse_others(repo: Repo, cohort: Path, remote: str, again: str) -> None:
    """Raise where the cohort's remote holds what another .dvc file tracks, on any ref: two urls may lead to one place.

    Args:
        repo: the clone.
        cohort: data/cohorts/<cohort>.
        remote: the cohort's own.
        again: the command that goes on afterwards.
    """
    theirs = others_in(repo, cohort, remote)
    if theirs:
        told = "\n".join(f"  - {file} ({ref}): {count} objects" for (file, ref), count in sorted(theirs.items()))
        raise PipelineError(
            f"{called(repo, remote)}: expected nothing but {cohort}'s, got what others track:\n{told}\nIt may be their "
            "only copy, so nothing was removed there. Give each cohort's remote a place of its own (`dvc remote modify "
            "<cohort> url <there>`, `dvc push`), and remove the old place by hand: the patient is in it. "
            f"{half(again)}"
        )


def others_in(repo: Repo, cohort: Path, remote: str) -> Counter[tuple[str, str]]:
    """Return (.dvc file, ref) of others -> how many objects of theirs a cohort's remote holds.

    Two cohorts may have a file of the same bytes: what the cohort's own .dvc file tracks on some ref is no other's, nor
    what the remote has another list for, as of an earlier state.
    """
    odb = repo.cloud.get_remote(remote).odb
    there = {value_of(path) for path in stored(odb)}
    found = keepers(repo, there, repo.cache.local, odb)
    theirs = {value: by for value, by in found.items() if f"{cohort}.dvc" not in dict(by)}
    lists = [value for value in there - theirs.keys() if theirs and value.endswith(FOLDER)]
    explained = {member for value in lists for member in members(value, odb)}
    return Counter(by for value in theirs.keys() - explained for by in theirs[value])
