"""Of which file of the workspace is an object of DVC's cache the content?"""

import json
from pathlib import Path

from dvc.repo import Repo

FOLDER = ".dir"  # ends the name of an object that lists a folder's files


def owners(repo: Repo) -> dict[str, str]:
    """Return MD5 -> the file of the workspace whose content it is, as far as dvc.lock and the .dvc files tell."""
    named: dict[str, str] = {}
    for out in repo.index.outs:
        value = out.hash_info.value if out.hash_info else None
        if value:
            place = str(Path(out.fs_path).relative_to(repo.root_dir))
            named[value] = place
            named |= _members(Path(repo.cache.local.path), value, place)
    return named


def _members(root: Path, value: str, place: str) -> dict[str, str]:
    listing = root / value[:2] / value[2:]
    if not value.endswith(FOLDER) or not listing.is_file():
        return {}
    try:
        return {entry["md5"]: f"{place}/{entry['relpath']}" for entry in json.loads(listing.read_bytes())}
    except (ValueError, KeyError, TypeError):  # a damaged listing names no members
        return {}
