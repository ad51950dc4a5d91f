"""From a clip's file to its pictures on the canvas: the one way for a cohort's clips and for a new clip alike.

A clip is surveyed from its first frame to its last before any picture is drawn: what moves, and how many frames there
are, is known only then. Memory does not grow with the clip: pictures are kept for the drawing up to a fixed budget,
and a longer clip is decoded a second time.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from stages.common.clips.canvas import Box, CropSource, Picture, Placement, View, choose_crop, choose_view, draw, place
from stages.common.clips.decode import ClipError, Header, frames, read_header, timed_frames
from stages.common.clips.lettering import LetteringParams, Mask, black_out, find_lettering
from stages.common.clips.same import recording_of
from stages.common.clips.sector import Sample, SectorParams, find_sector
from stages.common.core.errors import Problem
from stages.common.core.params import Strict

PHANTOM = "phantom"  # the simulated cohort
MEBIBYTE = 1 << 20


class CineParams(Strict):
    """Section `extract_frames`: which frames of a clip, and which part of them."""

    stride: int = Field(ge=1)  # every how many frames one is kept
    max_frames: int | None = Field(ge=1)  # at most so many of those, evenly spaced over the clip; null = all
    crop: Literal["auto", "none"]  # auto = DICOM region, else what moves; none = the whole picture
    field_mm: float = Field(gt=0, le=400)  # mm that the canvas shows along each side, where the scale is known
    least_shown: float = Field(ge=0, le=1)  # share of the sector's area that must find room there
    sector: SectorParams
    cover_lettering: Literal["auto", "always", "never"]  # auto = in every cohort but the phantom, which names nobody
    lettering: LetteringParams
    max_pixels: int = Field(ge=1)  # px of a frame beyond which a clip is refused
    max_clip_frames: int = Field(ge=1)  # frames of a clip beyond which it is refused
    buffer_mb: int = Field(ge=0)  # MiB a process keeps so as to decode a clip once; longer clips are decoded twice


class CutParams(Strict):
    """The two top-level keys that say how clips are cut."""

    size_px: int = Field(ge=16, le=1024)  # side of the square pictures in px
    extract_frames: CineParams


@dataclass(frozen=True)
class Survey:
    """A clip decoded once, whole.

    Attributes:
        path: the file.
        header: what its header tells.
        times_s: one entry a decoded frame, from 0; None where the container states neither times nor rate.
        whole: the decoded picture as a box.
        view: the part that is shown.
        coloured: whether a colour was seen.
        lettering: where burnt-in lettering is covered, (H, W); None where it is not looked for.
        recording: the same for every file of one recording.
        pictures: all of them, where they fit the budget.
    """

    path: Path
    header: Header
    times_s: Sequence[float | None]
    whole: Box
    view: View
    coloured: bool
    lettering: Mask | None
    recording: str
    pictures: Sequence[Picture] | None


def survey(path: Path, given: Box | None, depth_cm: float | None, params: CineParams, covered: bool) -> Survey:
    """Decode a clip and choose its view.

    Args:
        path: the clip.
        given: a person's crop, x, y, width, height in px.
        depth_cm: depth of the sector as a person gave it.
        params: section `extract_frames`.
        covered: whether lettering is to be covered.

    Raises:
        ClipError: damaged, empty, beyond the limits, the crop reaches past the picture, by its scale nearly all of
            the sector would be cut off, or lettering is to be covered where nothing moves.
    """
    sample = Sample(params.sector.sampled_frames)
    times: list[float | None] = []
    pictures: list[Picture] | None = []
    for picture, time_s in timed_frames(path, params.max_pixels, params.max_clip_frames):
        if len(times) == params.max_clip_frames:
            raise ClipError(_refused(path, "clip too long", f"up to {params.max_clip_frames} frames", "more"))
        times.append(time_s)
        sample.add(picture)
        pictures = _kept(pictures, picture, params.buffer_mb * MEBIBYTE)
    header, whole = read_header(path), (0, 0, sample.shape[1], sample.shape[0])
    sector = find_sector(sample, params.sector)
    crop, source = choose_crop(params.crop, whole, _fitting(given, whole, path), header, sector)
    view = choose_view(crop, source, header, depth_cm)
    _refuse_sliver(path, view, params)
    lettering = _lettering(path, sample, sector, source, params) if covered else None
    times_s, recording = seconds(times, header.frame_rate_hz), recording_of(sample, len(times))
    return Survey(path, header, times_s, whole, view, sample.coloured, lettering, recording, pictures)


def _lettering(path: Path, sample: Sample, sector: Box | None, source: CropSource, params: CineParams) -> Mask | None:
    """Return what is to be covered; where nothing moves, a box that a person gave must do.

    A DICOM's own region will not: scanners write names inside it, too.
    """
    if sector is not None:
        return find_lettering(sample, params.sector.moves_by, params.lettering)
    if source == "given":
        return None
    remedy = (
        "Look at the clip and give `crop` in clips.csv, a box without names and dates; "
        "or set extract_frames.cover_lettering to never."
    )
    expected, got = "a clip that moves, so that lettering can be told from tissue", "one that stands still"
    raise ClipError(Problem(path.name, "a name or a date might be kept", expected, got, remedy))


def _kept(pictures: list[Picture] | None, picture: Picture, budget: int) -> list[Picture] | None:
    if pictures is None or (len(pictures) + 1) * picture.nbytes > budget:
        return None
    pictures.append(picture)
    return pictures


def _fitting(given: Box | None, whole: Box, path: Path) -> Box | None:
    if given is not None and (given[0] + given[2] > whole[2] or given[1] + given[3] > whole[3]):
        expected = f"a crop within {whole[2]} x {whole[3]} px"
        raise ClipError(_refused(path, "crop reaches past the picture", expected, " ".join(map(str, given))))
    return given


def _refuse_sliver(path: Path, view: View, params: CineParams) -> None:
    """Stop at a depth in mm where cm are meant: it lies within what scanners reach, and a corner would be shown."""
    shown = place(view, 1, params.field_mm).shown_share
    if shown < params.least_shown:
        width, height = (length * mm for length, mm in zip(view.crop[2:], view.pixel_mm, strict=True))
        expected = f"at least {params.least_shown:.0%} of it within {params.field_mm:g} mm (extract_frames.field_mm)"
        got = f"{shown:.1%} of {width:.0f} x {height:.0f} mm, by {view.scale_source}"
        remedy = "depth_cm is in centimetres, 2 to 4 in an infant's spine; for deeper organs raise field_mm."
        raise ClipError(Problem(path.name, "nearly all of the sector would be cut off", expected, got, remedy))


def _refused(path: Path, what: str, expected: str, got: str) -> Problem:
    return Problem(path.name, what, expected, got, "Correct clips.csv, or the limits in params.yaml.")


def seconds(times: Sequence[float | None], rate_hz: float | None) -> list[float | None]:
    """Return seconds since the first frame: the container's times where all are told and rise, else index / rate."""
    told = [time for time in times if time is not None]
    if len(told) == len(times) and all(later > earlier for earlier, later in pairwise(told)):
        return [time - told[0] for time in told]
    return [index / rate_hz if rate_hz else None for index in range(len(times))]


def kept_indices(count: int, stride: int, max_frames: int | None) -> NDArray[np.int64]:
    """Return the 0-based decode positions kept: every `stride`-th, of those `max_frames`, evenly spaced over all."""
    strided = np.arange(0, count, stride, dtype=np.int64)
    if max_frames is None or len(strided) <= max_frames:
        return strided
    return np.take(strided, np.rint(np.linspace(0, len(strided) - 1, max_frames)).astype(np.int64))


def placement(surveyed: Survey, size: int, params: CineParams) -> Placement:
    """Return where the clip's view lies on the canvas of `size` px."""
    return place(surveyed.view, size, params.field_mm)


def drawn(surveyed: Survey, indices: Sequence[int], where: Placement) -> Iterator[tuple[int, Picture]]:
    """Yield `(index, canvas)` of the frames wanted, in order, canvas (size, size) or (size, size, 3) uint8."""
    wanted = set(indices)
    pictures = frames(surveyed.path) if surveyed.pictures is None else surveyed.pictures
    for index, picture in enumerate(pictures):
        if index in wanted:
            yield index, draw(black_out(picture, surveyed.lettering), where)


def covers(params: CineParams, cohort: str) -> bool:
    """Return whether lettering is covered in a cohort."""
    return params.cover_lettering == "always" or (params.cover_lettering == "auto" and cohort != PHANTOM)


def covered_share(surveyed: Survey, where: Placement) -> float:
    """Return the share of the part drawn that is covered."""
    if surveyed.lettering is None:
        return 0.0
    x, y, width, height = where.source
    return float(surveyed.lettering[y : y + height, x : x + width].mean())
