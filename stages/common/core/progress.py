"""Frame work on all cores with a progress bar that a log file never sees."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from joblib import Parallel, delayed
from tqdm import tqdm

from stages.common.core.dask import on_cluster
from stages.common.core.parent import end_with_stage

Item = TypeVar("Item")
CHUNK = 64  # frames handed to a worker at a time: 10 MB of colour pictures at 224 px


def bar(items: Iterable[Item], label: str, total: int | None = None, unit: str = "frame") -> Iterable[Item]:
    """Wrap `items` in a progress bar; silent when the output is no terminal."""
    # disable=None is tqdm's own 'off unless a terminal'
    return tqdm(items, desc=label, total=total, unit=unit, disable=None)


def chunks(count: int, size: int = CHUNK) -> list[range]:
    """Cut 0..count-1 into ranges of at most `size` rows."""
    return [range(start, min(start + size, count)) for start in range(0, count, size)]


def in_parallel(
    work: Callable[[Item], Any], items: Sequence[Item], label: str, unit: str = "chunk", threads: bool = True
) -> Iterator[tuple[Item, Any]]:
    """Yield `(item, work(item))` in the order of `items`, computed on all cores, a few ahead of the reader.

    joblib keeps the order. Where DASK_SCHEDULER_ADDRESS is set, all cores are those of a cluster: then `work` must be
    picklable in any case, and what it holds travels with every item.

    Args:
        work: picklable when `threads` is false: a module-level function or a `functools.partial` of one.
        threads: OpenCV and numpy release Python's lock, so threads avoid start-up and copies; Python-heavy work
            wants processes.
    """
    prefer = "threads" if threads else "processes"
    with on_cluster() as elsewhere:
        # a worker of a cluster is no child of this process, and outlives it
        watch = {} if elsewhere else {"initializer": end_with_stage, "initargs": (os.getpid(),)}
        parallel = Parallel(n_jobs=-1, prefer=prefer, return_as="generator", **watch)
        results = parallel(delayed(work)(item) for item in items)
        yield from zip(items, bar(results, label, total=len(items), unit=unit), strict=True)
