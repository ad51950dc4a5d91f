"""One infant's lumbar spine, drawn once: what all clips of the infant share.

Lengths are millimetres. `x` runs across (0 = midline), `y` from the skin inwards, `z` along the spine towards the
feet with 0 at the tip of the conus medullaris. Functions of `z` take and return arrays of one shape.

Sources: sac and cord sizes, appearance and conus level of the newborn: Lowe et al., "Sonography of the neonatal
spine", AJR 2007;188:733-744; Unsinn et al., "US of the newborn spine", RadioGraphics 2000;20:923-938. Lumbar level
height of the newborn: about 8 mm disc included.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stages.phantom.draws import keyed_rng
from stages.phantom.params import Phantom

Array = NDArray[np.float64]

SPINE_MM = (-27.0, 42.0)  # stretch of spine that a sweep can reach
N_ROOTS = 26  # rootlets of the cauda equina that one transverse plane resolves


@dataclass(frozen=True)
class Collection:
    """Epidural collection: fluid or clot behind the sac, `thickness_mm` at its middle."""

    z_mm: float
    half_length_mm: float
    thickness_mm: float


@dataclass(frozen=True)
class Clump:
    """Stretch where nerve roots stick together in a ring or knot of `radius_mm`, much as a cord looks."""

    z_mm: float
    half_length_mm: float
    radius_mm: float
    hollow: float  # 0: knot, 1: ring with one root in its middle


@dataclass(frozen=True)
class Side:
    """What one half of the spine has of its own: no infant is symmetric, and no probe is held so."""

    slope: float  # factor on the laminae's slope
    bone_db: float  # added to their echo
    muscle_db: float
    facet_mm: float  # midline to the joint's cap
    facet_drop_mm: float  # how much deeper than the laminae it lies
    facet_share: float  # 0: no cap to be seen
    flank_x_mm: float  # midline to the middle of what lies beside the spine
    flank_y_mm: float
    flank_r_mm: float
    flank_db: float


@dataclass(frozen=True)
class Patient:
    name: str
    seed: int
    skin_mm: float
    fascia_mm: float
    sac_depth_mm: float  # skin to the middle of the sac
    sac_rx_mm: float
    sac_ry_mm: float
    cord_rx_mm: float  # at the lumbar enlargement; 0 draws no cord
    cord_flatness: float  # height / width of the cord
    conus_mm: float  # length of the taper
    level_mm: float  # one vertebra and disc
    level_phase_mm: float  # z of one interspace's middle
    gap_min_mm: float  # half the midline cleft between the laminae under a spinous process
    gap_max_mm: float  # half the window in an interspace
    open_share: float  # share of a level that is interspace
    lamina_slope: float
    lamina_db: float  # loss behind the lamina: ossification
    cartilage_db: float
    rim_mm: float  # ligament and epidural fat around the sac
    muscle_db: float
    fat_db: float
    cord_db: float
    root_db: float
    bone_db: float
    rim_db: float
    body_db: float
    loss_db_per_mm: float  # what the TGC leaves uncorrected
    stretch_mm: float  # irregularity of all shapes
    collection: Collection | None
    clumps: tuple[Clump, ...]
    sides: tuple[Side, Side]  # left, right in the picture

    @property
    def apex_mm(self) -> float:
        """Depth at which the laminae would meet."""
        return self.sac_depth_mm - self.sac_ry_mm - self.rim_mm - 1.6


def draw_patient(name: str, seed: int, phantom: Phantom) -> Patient:
    """Draw the infant called `name`; ranges are those of term newborns up to three months."""
    rng = keyed_rng(seed, name, "anatomy")

    def between(low: float, high: float) -> float:
        return float(rng.uniform(low, high))

    sac_rx, level = between(4.7, 6.0), between(7.6, 9.6)
    sac_ry = sac_rx * between(0.80, 1.02)
    return Patient(
        name=name, seed=seed, skin_mm=between(1.2, 2.1), fascia_mm=between(3.0, 4.6),
        sac_depth_mm=between(11.5, 14.5), sac_rx_mm=sac_rx, sac_ry_mm=sac_ry,
        cord_rx_mm=sac_rx * between(0.76, 0.87), cord_flatness=between(0.85, 1.0), conus_mm=between(9.0, 14.0),
        level_mm=level, level_phase_mm=between(0, level), gap_min_mm=between(0.7, 2.0), gap_max_mm=between(6.0, 8.0),
        open_share=between(0.55, 0.72), lamina_slope=between(0.45, 0.8), lamina_db=between(18, 30),
        cartilage_db=between(1, 5), rim_mm=between(0.9, 1.6), muscle_db=between(-14, -6), fat_db=between(-3, 2),
        cord_db=between(-18, -12), root_db=between(-10, -3), bone_db=between(13, 19), rim_db=between(-4, 2),
        body_db=between(6, 12), loss_db_per_mm=between(0.5, 0.9), stretch_mm=between(0.45, 0.85),
        collection=_draw_collection(rng, phantom.collection_share), clumps=_draw_clumps(rng, phantom.mimic_share),
        sides=_draw_sides(keyed_rng(seed, name, "sides")),
    )  # fmt: skip


def _draw_sides(rng: np.random.Generator) -> tuple[Side, Side]:
    low = np.array([0.75, -5, -2.5, 8.2, 0.4, 0.0, 16.0, 15, 5.0, -14])
    high = np.array([1.30, 2, 2.5, 11.0, 2.4, 1.0, 24.0, 24, 10.0, -7])
    left, right = rng.uniform(low, high, (2, len(low))).tolist()
    return Side(*left), Side(*right)


def _draw_collection(rng: np.random.Generator, share: float) -> Collection | None:
    present, z, half, thickness = rng.uniform(size=4)
    if present >= share:
        return None
    return Collection(z_mm=-10 + 40 * z, half_length_mm=8 + 12 * half, thickness_mm=1.2 + 1.8 * thickness)


def _draw_clumps(rng: np.random.Generator, share: float) -> tuple[Clump, ...]:
    present, *rest = rng.uniform(size=9)
    if present >= share:
        return ()
    first, second = np.reshape(rest, (2, 4)).tolist()
    return tuple(
        Clump(z_mm=start + 14 * u[0], half_length_mm=2.5 + 5 * u[1], radius_mm=1.3 + 1.2 * u[2], hollow=u[3] ** 2)
        for start, u in ((3.0, first), (20.0, second))
    )


def cord_radius_mm(patient: Patient, z_mm: Array) -> Array:
    """Half width of the cord: lumbar enlargement, taper of the conus, nothing (filum) below the tip."""
    return patient.cord_rx_mm * np.clip(-z_mm / patient.conus_mm, 0, 1) ** 0.65


def window_openness(patient: Patient, z_mm: Array) -> Array:
    """1 in the middle of an interspace, 0 under the laminae and the spinous process."""
    phase = np.abs((z_mm - patient.level_phase_mm + patient.level_mm / 2) % patient.level_mm - patient.level_mm / 2)
    edge = patient.open_share * patient.level_mm / 2
    return 1 / (1 + np.exp((phase - edge) / 0.32))


def window_half_mm(patient: Patient, z_mm: Array) -> Array:
    """Half width of the acoustic window between the laminae."""
    openness = window_openness(patient, z_mm)
    return patient.gap_min_mm + (patient.gap_max_mm - patient.gap_min_mm) * openness


@dataclass(frozen=True)
class Flank:
    """Round organ beside the spine in one plane: middle (from the midline), half axes, and echo inside."""

    x_mm: float
    y_mm: float
    rx_mm: float
    ry_mm: float
    echo_db: float


def flank_at(side: Side, z_mm: float) -> Flank:
    """It swells and shrinks along the spine, and moves a little."""
    size = side.flank_r_mm * (0.75 + 0.25 * np.sin(z_mm / 12 + side.flank_x_mm))
    return Flank(side.flank_x_mm + np.sin(z_mm / 8), side.flank_y_mm, size, 0.8 * size, side.flank_db)


def collection_mm(patient: Patient, z_mm: Array) -> Array:
    """Thickness of the epidural collection behind the sac; 0 where there is none."""
    if patient.collection is None:
        return np.zeros_like(z_mm)
    part = patient.collection
    return part.thickness_mm * np.exp(-(((z_mm - part.z_mm) / part.half_length_mm) ** 4))


def interspace_z_mm(patient: Patient) -> Array:
    """Middles of all interspaces that a sweep can reach."""
    first = np.ceil((SPINE_MM[0] + 3 - patient.level_phase_mm) / patient.level_mm)
    last = np.floor((SPINE_MM[1] - 3 - patient.level_phase_mm) / patient.level_mm)
    return patient.level_phase_mm + patient.level_mm * np.arange(first, last + 1)
