"""Find the file that holds a network's given weights, and hold it to the hash that params.yaml expects."""

import hashlib
import re
from pathlib import Path

from stages.common.core.errors import PipelineError

RANDOM, IMAGENET = "random", "imagenet"
LIST = "SHA256SUMS"  # in a folder of weights: a line a file, as sha256sum writes it
HASH = re.compile(r"[0-9a-f]{64}")


def file_of(path: Path, architecture: str, sha256: str | None) -> tuple[Path, str | None]:
    """Return which file holds a network's weights, and its expected hash: `path` itself, or one of that folder.

    Raises:
        PipelineError: the folder's list has another hash, or not one file of that network.
    """
    if not path.is_dir():
        return path, sha256
    listed = _listed(path / LIST, sha256)
    mine = [name for name in listed if Path(name).stem == architecture]
    if len(mine) != 1:
        raise PipelineError(
            f"{path / LIST}: expected one file named {architecture}.safetensors or .pth, got {mine or 'none'} among "
            f"{', '.join(listed) or 'no files'}."
        )
    return path / mine[0], listed[mine[0]]


def _listed(path: Path, sha256: str | None) -> dict[str, str]:
    """Return file name -> SHA-256 of a list as sha256sum writes it, itself known by `sha256`."""
    lines = checked(path, sha256).decode(errors="replace").splitlines()
    pairs = [line.split(maxsplit=1) for line in lines if line.strip()]
    if any(len(pair) != 2 or not HASH.fullmatch(pair[0]) for pair in pairs):
        raise PipelineError(f"{path}: expected lines `hash  file` as sha256sum writes them, got others.")
    return {name.removeprefix("*"): digest for digest, name in pairs}


def checked(path: Path, sha256: str | None) -> bytes:
    """Return a file's bytes if their hash is the one expected.

    Raises:
        PipelineError: no such file, or another hash.
    """
    if not path.is_file():
        raise PipelineError(
            f"params.yaml: train.weights: expected {RANDOM}, {IMAGENET}, a file or a folder with {LIST}, got "
            f"{str(path)!r}: no such file."
        )
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise PipelineError(
            f"params.yaml: train.weights_sha256: expected the SHA-256 of {path.name}, which is {found}, got {sha256}. "
            "If this is the file you mean, copy the hash: it makes other content another experiment."
        )
    return content
