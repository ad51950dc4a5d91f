"""Put the pictures of one side, with their truth, on the device."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from stages.common.dataset import DATA, Rows
from stages.train.recipe import Pictures


def gather(rows: Rows, truth: NDArray[np.float32], variants: Sequence[str], device: torch.device) -> Pictures:
    """Return `rows` of each variant, one variant after the other, with their frames' truth repeated.

    Derived pictures carry their frame's row number, so they can only ever stand on their frame's side.
    """
    grey = np.concatenate([np.load(DATA / f"preprocess/{name}.npy", mmap_mode="r")[rows] for name in variants])
    known = np.tile(truth[rows], (len(variants), 1))
    return Pictures(torch.from_numpy(grey).to(device), torch.from_numpy(known).to(device))
