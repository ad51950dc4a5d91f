"""How many of the derived pictures differ from the original: counted by brute force, and said so."""

import numpy as np
import pandas as pd

from stages.variants import differing, markdown, same_share


def test_differing_is_the_mean_number_of_changed_pictures_a_frame() -> None:
    rng = np.random.default_rng(0)
    original = rng.integers(0, 2, (40, 1, 2), dtype=np.uint8)
    variants = {name: rng.integers(0, 2, original.shape, dtype=np.uint8) for name in ("hue", "flip")} | {
        "original": original
    }
    shares = {name: same_share(variant, original) for name, variant in variants.items()}
    changed = [sum(not np.array_equal(of[row], original[row]) for of in variants.values()) for row in range(40)]
    assert np.isclose(differing(shares), np.mean(changed))


def test_the_page_counts_derived_pictures_and_not_the_original() -> None:
    shares = {"original": 1.0, "hue": 0.75, "saturation": 0.75, "flip": 0.5}
    counts = pd.DataFrame({"before": [3], "after": [12]}, index=["C001"])
    page = markdown(counts, shares, "made up")
    assert "4 pictures a frame on paper; 1.0 of the 3 derived differ from the original" in page
    assert "equal each other are not told apart" in page
    assert differing({"original": 1.0}) == 0
