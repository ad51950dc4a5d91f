"""Turn a DICOM's stored values into what a screen shows, by its window or by the range of its bits."""

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.pixels import apply_color_lut

from stages.common.clips.damaged import DamagedError, RefusedError
from stages.common.clips.dicom_header import MALFORMED

# Of 255: so far apart lie the darkest and the brightest hundredth of the pixels, at least, where values fill the bits
# that are stated for them. In real clips of the lung it is 116 and more; of 14 bits in 16, 64 at most
TOLD_APART = 96
HUNDREDTH = 0.01  # the values beyond are left out: burnt-in lettering is as bright as can be, whatever the tissue
REMEDY = "A viewer can write WindowCenter and WindowWidth into it; or export the clip with 8 bits."


class Display:
    """How the frames of one file are shown; it counts what they hold where no window is stated."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self.palette = dataset.PhotometricInterpretation == "PALETTE COLOR"
        self.has_window = dataset.get("WindowWidth") is not None and dataset.get("WindowCenter") is not None
        self.guessed = int(dataset.BitsStored) > 8 and not self.has_window and not self.palette
        self.counts = np.zeros(256, np.int64)  # pixels by the level shown, before an inversion

    def shown(self, raw: NDArray[np.generic]) -> NDArray[np.uint8]:
        """Return stored values as a screen shows them: (H, W) or (H, W, 3) uint8."""
        bits, signed = int(self.dataset.BitsStored), bool(self.dataset.get("PixelRepresentation"))
        if self.palette:  # its table holds unsigned colours, whatever the indices are
            raw = _coloured(raw, self.dataset)
            bits, signed = 8 * raw.dtype.itemsize, False
        as_stored = bits == 8 and not signed and not self.has_window
        levels = raw.astype(np.uint8) if as_stored else self._windowed(raw, bits, signed)
        if self.guessed:
            self.counts += np.bincount(levels.ravel(), minlength=256)
        return 255 - levels if self.dataset.PhotometricInterpretation == "MONOCHROME1" else levels

    def _windowed(self, raw: NDArray[np.generic], bits: int, signed: bool) -> NDArray[np.uint8]:
        """Return the linear window of DICOM PS3.3 C.11.2.1.2, or the full range of the stored bits if none is given."""
        values = raw.astype(np.float64)
        if raw.ndim == 3 or not self.has_window:
            low = -(2.0 ** (bits - 1)) if signed else 0.0
            high = low + 2.0**bits - 1
        else:
            slope, intercept = self.dataset.get("RescaleSlope"), self.dataset.get("RescaleIntercept")
            values = values * float(slope or 1) + float(intercept or 0)
            centre, width = _first(self.dataset.WindowCenter), max(_first(self.dataset.WindowWidth), 2.0)
            low, high = centre - 0.5 - (width - 1) / 2, centre - 0.5 + (width - 1) / 2
        return np.clip(np.rint((values - low) / (high - low) * 255), 0, 255).astype(np.uint8)

    def refuse_untold_window(self) -> None:
        """Refuse values that fill a part of their range while no window says how to show them: all would be dark.

        Raises:
            RefusedError: once all frames were shown.
        """
        if not self.guessed:
            return
        cumulated = self.counts.cumsum() / self.counts.sum()
        span = int(np.searchsorted(cumulated, 1 - HUNDREDTH)) - int(np.searchsorted(cumulated, HUNDREDTH))
        if span < TOLD_APART:
            bits = self.dataset.BitsStored
            got = f"values that span {span}/255 of what {bits} bits hold, and no WindowCenter and WindowWidth"
            expected = f"a window, or values over at least {TOLD_APART}/255 of the range"
            raise RefusedError("nothing says how bright it is to be shown", expected, got, REMEDY)


def _coloured(indices: NDArray[np.generic], dataset: Dataset) -> NDArray[np.generic]:
    try:
        return apply_color_lut(indices, dataset)
    except MALFORMED as error:
        raise DamagedError(str(error)) from error


def _first(value: object) -> float:
    # a file may offer several windows; the first is the one a viewer shows
    return float(value[0] if hasattr(value, "__getitem__") else value)  # type: ignore[arg-type]
