"""Files as bad disks and broken transfers leave them, and what reading them must end in: success or a message."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from stages.common.clips.decode import ClipError
from stages.common.core.errors import PipelineError

CASES = 60  # of each kind of file
TIMEOUT_S = 300


def damaged(content: bytes, case: int) -> bytes:
    """Return a file as a bad disk, a broken transfer or a joker leaves it: drawn from the case's number."""
    rng, data = np.random.default_rng(case), bytearray(content)
    start, end = sorted(rng.integers(0, len(data) + 1, 2).tolist())
    match case % 6:
        case 0:  # flipped bits, anywhere
            for place in rng.integers(0, len(data), rng.integers(1, 9)):
                data[place] ^= 1 << int(rng.integers(8))
        case 1:  # wild bytes near the beginning, where headers are
            for place in rng.integers(0, min(len(data), 400), rng.integers(1, 9)):
                data[place] = int(rng.integers(256))
        case 2:  # cut short
            data = data[:start]
        case 3:  # a hole of zeros
            data[start:end] = bytes(end - start)
        case 4:  # a piece twice
            data[end:end] = data[start:end]
        case 5:  # a piece lost
            del data[start:end]
    return bytes(data)


def survive(read: Callable[[], object], what: str) -> str:
    """Run `read`; return "" for success, else its message. Whatever else is raised fails the test, with the case."""
    try:
        read()
    except (PipelineError, ClipError) as error:
        said = str(error.problem) if isinstance(error, ClipError) else str(error)
        assert len(said) > 20, f"{what}: no message: {said!r}"
        assert "Traceback" not in said
        return said
    except Exception as error:
        raise AssertionError(f"{what}: {type(error).__name__}: {error}") from error
    return ""


def survive_all(path: Path, read: Callable[[], object], cases: int = CASES) -> None:
    """Damage one file in many ways and read it each time; some damage must be noticed."""
    content = path.read_bytes()
    noticed = 0
    for case in range(cases):
        path.write_bytes(damaged(content, case))
        noticed += bool(survive(read, f"{path.name}, case {case}"))
    assert noticed > cases // 10
