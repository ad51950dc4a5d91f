"""A machine that has run out of disk or memory, told from a bug: one line that says what, where and what to do.

Libraries say it each in their own way. What is recognised is listed here; everything else stays a traceback.
"""

import errno
import os
import shutil
import sys
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor
from pathlib import Path

import psutil

DISK = {
    errno.ENOSPC: "no room left on the disk",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file would be larger than this system allows (`ulimit -f`)",
}
TOOK_A_PART = (  # and their libraries do not say why
    "requested and",  # numpy: '1000 requested and 12 written'
    "unexpected pos",  # torch.save
    "PytorchStreamWriter",
)
MEMORY = (
    "can't allocate memory",  # torch, on a CPU
    "out of memory",  # torch, on a GPU
    "Insufficient memory",  # OpenCV
    "can't start new thread",  # Python: a thread's stack finds no room
)


def said_of(error: BaseException) -> str | None:
    """Return one line where `error`, or what led to it, is a full disk or memory; else None."""
    for each in _chain(error):
        said = _of_disk(each) or _of_memory(each)
        if said is not None:
            return said
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _of_disk(error: BaseException) -> str | None:
    if isinstance(error, OSError) and error.errno in DISK:
        why = DISK[error.errno]
    elif isinstance(error, OSError | RuntimeError) and any(sign in str(error) for sign in TOOK_A_PART):
        why = "the disk took only a part, so it is full or limited"
    else:
        return None
    written = getattr(error, "__notes__", None) or [f"while writing {getattr(error, 'filename', None) or 'an output'}"]
    free = shutil.disk_usage(Path()).free / 2**20
    return (
        f"{_stage()}: {why}, {written[0]}; {free:.0f} MiB free below {Path().resolve()}. "
        "Make room, then run `dvc repro` again: finished stages stay."
    )


def _of_memory(error: BaseException) -> str | None:
    if isinstance(error, BrokenExecutor):
        why = "a worker was killed, as the system does when memory runs out"
    elif isinstance(error, MemoryError) or any(sign in str(error) for sign in MEMORY):
        why = "no memory left" + (f" ({str(error).splitlines()[0]})" if str(error) else "")
    else:
        return None
    memory = psutil.virtual_memory()
    return (
        f"{_stage()}: {why}; {memory.available / 2**30:.1f} of {memory.total / 2**30:.1f} GiB free. Close other "
        "programs, or ask for less (size_px, train.batch_size, extract_frames.max_frames), then run `dvc repro` again."
    )


def _stage() -> str:
    """Return DVC's name of the running stage, or the module that a person typed."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    return os.environ.get("DVC_STAGE") or (spec.name.removesuffix(".__main__") if spec else Path(sys.argv[0]).name)
