"""A made-up labels.csv and params.yaml for the tests of split and evaluate; no picture is needed."""

from pathlib import Path

import numpy as np
import pandas as pd

from stages.common.core.tables import frame_id, write_table

LABELS = ("bad_quality", "cord", "fluid")


def cohort_labels(
    patients: int = 8, clips: int = 2, frames: int = 30, unknown: float = 0.0, seed: int = 0
) -> pd.DataFrame:
    """Return labels.csv: labels hold for runs of frames, as in a cine clip; clip lengths differ."""
    rng = np.random.default_rng(seed)
    parts = []
    for clip in range(patients * clips):
        length = frames + clip
        state = rng.integers(0, 4, size=5)[
            np.arange(length) * 5 // length
        ]  # 0 bad, 1 cord and fluid, 2 fluid, 3 nothing
        name = f"C{clip + 1:03d}"
        part = pd.DataFrame(
            {
                "frame_id": [frame_id(name, index) for index in range(length)],
                "clip_id": name,
                "patient": f"P{clip // clips + 1:03d}",
                "frame_index": range(length),
                "bad_quality": (state == 0).astype(float),
                "cord": (state == 1).astype(float),
                "fluid": np.isin(state, [1, 2]).astype(float),
            }
        )
        parts.append(part)
    table = pd.concat(parts, ignore_index=True)
    table.loc[:, list(LABELS)] = table[list(LABELS)].mask(rng.random((len(table), 3)) < unknown)
    return table


def write_cohort(root: Path, labels: pd.DataFrame, params: str) -> None:
    """Write labels.csv and params.yaml below `root`."""
    whole = labels.astype(dict.fromkeys(LABELS, "Int8"))  # 1 and 0, as label_merge writes them
    write_table(root / "data/label_merge/labels.csv", whole)
    (root / "params.yaml").write_text(params, encoding="utf-8")
