"""Random numbers that depend on their key alone, never on the order of calls or the number of workers."""

from __future__ import annotations

from zlib import crc32

import numpy as np


def keyed_rng(seed: int, *key: int | str) -> np.random.Generator:
    """Generator for one purpose: `keyed_rng(seed, "AM12", "sweep", 3)` is the same in every process."""
    words = [crc32(part.encode()) if isinstance(part, str) else part % 2**32 for part in key]
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([seed % 2**32, *words])))
