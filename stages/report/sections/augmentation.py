"""What augmentation and preprocessing make of a frame, and how many of the pictures differ from the original."""

from typing import Any

from stages.report.inputs import PICTURES, Data
from stages.report.pictures import WITHHELD, data_uri
from stages.report.wording import percent

CAPTIONS = (
    "One frame in all variants: above as augmented, below after preprocessing.",
    "A frame of each of some clips: above as recorded, below after preprocessing.",
)


def section(data: Data) -> dict[str, Any]:
    """Return the two contact sheets and the share of pictures that say nothing new."""
    found = data.results["augment"]
    shares = found["same_as_original"]
    trained = data.params["train"]["variants"]
    return {
        "pictures": [(data_uri(data, path), caption) for path, caption in zip(PICTURES, CAPTIONS, strict=True)]
        if data.shows_pixels
        else [],
        "withheld": None if data.shows_pixels else WITHHELD,
        "variants": [(name, percent(share, 1), bool(trained.get(name))) for name, share in shares.items()],
        "count": len(shares),
        "derived": len(shares) - 1,
        "differing": sum(1 - share for name, share in shares.items() if name != "original"),
        "method": data.params["preprocess"]["method"],
    }
