"""Where a training that was killed goes on: all that its next epoch rests on, written down after an epoch.

    .checkpoints/train/<protocol>-<fold>-<seed>-<model>/<key>.pt    below the repository's root, ignored by Git and DVC

No output can hold this: DVC removes a stage's outputs before it runs. The key is a hash of parameters, data, code and
library, so that a checkpoint of anything else is never found. It is gone when the training is done.

Behind torch's own bytes stands their SHA-256: torch checks none, and a flipped bit would train on from other weights.
"""

import hashlib
import json
import os
import shutil
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stages.common.core.files import digest, replacing
from stages.common.networks.weights import DAMAGE
from stages.train.recipe import Epoch

FOLDER = Path(".checkpoints/train")
LIBRARIES = ("torch", "torchvision", "numpy")  # a network, or a step, of another version is another
CODE = (Path("stages/common"), Path("stages/train"))
SHARE = 0.05  # of the time that writing may take: a large network on a slow disk is written down less often
BYTES_PER_S = 200e6  # assumed of the disk until the first writing is measured
FIRST_S = 60.0  # seconds after which the first writing waits no longer, however large the network
SEAL_BYTES = 64  # SHA-256 in hexadecimal digits: among them no zip archive's end can be found by chance
BLOCK_BYTES = 1 << 20


def key_of(rests_on: Mapping[str, Any], code: Iterable[Path] = CODE) -> str:
    """Return the hash of what a training rests on, of all code below `code`, and of the libraries.

    Args:
        rests_on: parameters, digests of the data, seed and device; JSON.
        code: folders of Python files.
    """
    files = sorted(file for folder in code for file in folder.rglob("*.py"))
    sources = {file.as_posix(): digest(file) for file in files}
    libraries = {name: version(name) for name in LIBRARIES}
    text = json.dumps([rests_on, sources, libraries], sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


class Keeper:
    """Keeps what a training's next epoch rests on.

    Attributes:
        history: the epochs that are done.
        best: the weights of the best of them; empty where only the last count.
    """

    def __init__(self, name: str, key: str, root: Path | None = None) -> None:
        """Find the checkpoint of this training; remove those of the same name that rest on something else.

        Args:
            name: protocol, fold, seed and network, as a file's name.
            key: of `key_of`.
            root: of the repository; default: DVC's, or the working directory.
        """
        place = (root or Path(os.environ.get("DVC_ROOT", "."))) / FOLDER / name
        self.path = place / f"{key}.pt"
        for other in place.glob("*"):
            if other != self.path:
                other.unlink(missing_ok=True)  # another process of the group was here first
        self._found = _read(self.path)
        self.history = [Epoch(**line) for line in self._found.get("history", [])]
        self.best: dict[str, Tensor] = self._found.get("best", {})
        self._parts: dict[str, Any] = {}
        self._generator = torch.Generator()
        self._free_at: float | None = None

    def attach(self, parts: Mapping[str, Any], generator: torch.Generator) -> int:
        """Take what has a state, put it back as it was where a checkpoint was found, and return the epochs done."""
        self._parts, self._generator = dict(parts), generator
        if self._found:
            for name, part in self._parts.items():
                part.load_state_dict(self._found[name])
            generator.set_state(self._found["generator"])
            _set_random(self._found["random"])
            print(f"goes on after epoch {len(self.history)}, from {self.path}", file=sys.stderr)
            self._found = {}
        size = sum(value.nbytes for value in self._parts["network"].state_dict().values())
        wait_s = 4 * size / BYTES_PER_S / SHARE  # weights, best ones, two of Adam's
        self._free_at = time.monotonic() + min(wait_s, FIRST_S)
        return len(self.history)

    def save(self, history: Sequence[Epoch], best: Mapping[str, Tensor]) -> None:
        """Write everything down, if the last writing lies long enough back."""
        started = time.monotonic()
        if self._free_at is None or started < self._free_at:
            return
        state = {name: part.state_dict() for name, part in self._parts.items()}
        state |= {"history": [asdict(line) for line in history], "best": dict(best)}
        state |= {"generator": self._generator.get_state(), "random": _random()}
        with replacing(self.path) as partial:
            torch.save(state, partial)
            _seal(partial)
        self._free_at = time.monotonic() + (time.monotonic() - started) / SHARE

    def close(self) -> None:
        """Remove the checkpoint: the training is done."""
        shutil.rmtree(self.path.parent, ignore_errors=True)


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        _refuse_unsealed(path)
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except DAMAGE as error:
        print(f"{path}: cannot be read, so the training begins again: {error}", file=sys.stderr)
        return {}
    return state


def _seal(path: Path) -> None:
    with path.open("r+b") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        file.write(sha256.encode())


def _refuse_unsealed(path: Path) -> None:
    """Raise ValueError where a file's bytes are not those that it was sealed with."""
    left, found = path.stat().st_size - SEAL_BYTES, hashlib.sha256()
    with path.open("rb") as file:
        while left > 0 and (block := file.read(min(left, BLOCK_BYTES))):
            found.update(block)
            left -= len(block)
        sealed = file.read()
    if sealed != found.hexdigest().encode():
        raise ValueError(f"expected bytes with the SHA-256 that was written behind them, got {found.hexdigest()}")


def _random() -> list[Tensor]:
    """Return the states that dropout draws from: the CPU's, and each GPU's."""
    return [torch.get_rng_state(), *torch.cuda.get_rng_state_all()]


def _set_random(states: Sequence[Tensor]) -> None:
    torch.set_rng_state(states[0])
    if torch.cuda.is_available():
        torch.cuda.set_rng_state_all(list(states[1:]))
