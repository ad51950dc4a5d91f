"""Which training frames look like a test frame: perceptual hashes, compared bit by bit.

The hash is imagehash's `phash`: a picture's low frequencies (discrete cosine transform), each bit saying whether one
lies above their median. Encoding, brightness and small changes of size leave most bits; another crop or a flip do not.
"""

import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stages.leakage.cohort import Rows

Words = NDArray[np.uint64]  # (N, bits / 64) packed hashes
Distances = NDArray[np.uint16]
NONE = np.iinfo(np.uint16).max  # no training frame to be near to
BLOCK = 2**22  # pairs compared at a time: 32 MiB, however many frames there are


def packed_hash(grey: NDArray[np.uint8], side: int) -> Words:
    """Return the hash of one (S, S) grey picture as (side^2 / 64,) words."""
    bits = imagehash.phash(Image.fromarray(grey), hash_size=side).hash
    return np.packbits(bits.ravel()).view(np.uint64)


def nearest_in_clips(
    hashes: Words, test: Rows, training: Rows, clips: NDArray[np.int64], count: int
) -> tuple[Distances, Rows]:
    """Return each test frame's smallest distance to a training frame of each clip, and which frame that is.

    Args:
        hashes: (N, words) of all frames.
        test: rows of the test frames, T of them.
        training: rows of the training frames.
        clips: (N,) clip numbers 0..count-1.
        count: how many clips there are.

    Returns:
        (T, count) bits that differ, `NONE` where the clip has no training frame; (T, count) row numbers, -1 there.
    """
    near = np.full((len(test), count), NONE, np.uint16)
    which = np.full((len(test), count), -1, np.int64)
    for clip in np.unique(clips[training]):
        rows = training[clips[training] == clip]
        step = max(1, BLOCK // len(rows))
        for start in range(0, len(test), step):
            part = slice(start, start + step)
            differing = distances(hashes[test[part]], hashes[rows])
            best = differing.argmin(axis=1)
            near[part, clip] = np.take_along_axis(differing, best[:, None], axis=1)[:, 0]
            which[part, clip] = rows[best]
    return near, which


def distances(one: Words, other: Words) -> Distances:
    """Return (A, B) Hamming distances between (A, words) and (B, words)."""
    total = np.zeros((len(one), len(other)), np.uint16)
    for word in range(one.shape[1]):
        total += np.bitwise_count(one[:, None, word] ^ other[None, :, word])
    return total
