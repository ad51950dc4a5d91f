"""Which remote is a cohort's own, and that nothing of another cohort lies in it: what it holds may be an only copy."""

import os
import posixpath
from collections import Counter
from collections.abc import Mapping
from pathlib import Path, PurePath, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from dvc.fs import get_cloud_fs
from dvc.repo import Repo

from operations.cache import value_of
from operations.keepers import keepers, members, stored
from operations.owners import FOLDER
from operations.reached import half
from stages.common.core.errors import PipelineError

NOWHERE = "/proc/"  # a remote below it is push turned off
SSH_PORT, HTTP_PORT, HTTPS_PORT = 22, 80, 443
ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")  # of remotes that name none, the first that is set
AMAZON = ".amazonaws.com"


def remote_of(repo: Repo, cohort: Path) -> str | None:
    """Return the cohort's own remote; None where it has none or `push` is off.

    Raises:
        PipelineError: another remote lies in the same place or inside of it: nobody can tell whose objects are there.
    """
    own, remotes = cohort.name, repo.config["remote"]
    if own not in remotes or remotes[own]["url"].startswith(NOWHERE):
        return None
    server, folder = place_of(repo, own)
    places = {name: place_of(repo, name) for name in remotes if name != own}
    shared = [name for name, (its, path) in places.items() if its == server and path.is_relative_to(folder)]
    if shared:
        told = ", ".join(f"{name} ({remotes[name]['url']})" for name in shared)
        raise PipelineError(
            f".dvc/config: remote '{own}': expected a place of its own, got that of {told}, or one around it: "
            f"{remotes[own]['url']}. Nobody can tell whose objects lie there: give each cohort's remote a url of its "
            "own, outside of the others'."
        )
    return own


def place_of(repo: Repo, remote: str) -> tuple[tuple[str, ...], PurePath]:
    """Return server and folder of a remote, the same however its url spells them: with a link, `..`, the usual port."""
    try:
        kind, settings, path = get_cloud_fs(repo.config, name=remote)
    except ImportError:  # another cohort's, on a kind of server that DVC is not installed for here
        scheme, _, path = repo.config["remote"][remote]["url"].partition("://")
        return (scheme,), PurePosixPath(path)
    if kind.protocol == "local":
        return ("local",), Path(path.removeprefix("file://")).resolve()
    server = _endpoint(settings) if kind.protocol == "s3" else _host(settings)
    return (kind.protocol, *server), PurePosixPath(posixpath.normpath(path).strip("/"))


def _host(settings: Mapping[str, Any]) -> tuple[str, str]:
    return str(settings.get("host")).lower(), str(settings.get("port", SSH_PORT))


def _endpoint(settings: Mapping[str, Any]) -> tuple[str, ...]:
    """Return an S3 server's host and port; Amazon's own, which nobody names as a rule, are one."""
    named = [settings.get("endpointurl"), *(os.environ.get(name) for name in ENDPOINTS)]
    url = urlsplit(next(filter(None, named), ""))
    host = url.hostname or ""
    usual = HTTPS_PORT if url.scheme == "https" else HTTP_PORT
    return () if not host or host.endswith(AMAZON) else (host, str(url.port or usual))


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
