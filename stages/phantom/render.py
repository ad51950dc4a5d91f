"""From tissue to picture: scatter, point spread function, envelope, loss, gain, log compression."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from stages.phantom import noise
from stages.phantom.anatomy import Patient
from stages.phantom.draws import keyed_rng
from stages.phantom.params import Phantom
from stages.phantom.plan import ClipPlan
from stages.phantom.plane import Map, Slice
from stages.phantom.tissue import draw_slice
from stages.phantom.view import Pose, View

AXIAL_MM, LATERAL_MM = 0.09, 0.15  # sigma of the point spread function at the focus, 12 MHz probe
MIRROR_MM = (0.25, 0.08)  # the same, as far as smooth interfaces show it
FOCUS_MM = 11.0
DEFOCUS = 0.055  # growth of the lateral sigma per mm away from the focus
FAT_DB = 36.0  # fat above black at gain 0: makes it as dark as in the study's frames
GREY_GAMMA = 2.0  # the machine's grey map after log compression
SMOOTH = (4.2e-3, 2.6e-3)  # the machine's own speckle filter, sigma lateral and axial as shares of the height


@dataclass(frozen=True)
class Scanner:
    """What stays the same over a clip."""

    view: View
    range_db: float  # from black to white
    gain_db: float
    noise_db: float
    haze_db: float
    bands: Map  # (rows, 1) dB, reverberation lines under the probe


def make_scanner(plan: ClipPlan, phantom: Phantom) -> Scanner:
    settings = plan.settings
    view = View(phantom.width_px, phantom.height_px, settings.depth_mm)
    bands = _bands(keyed_rng(plan.patient.seed, plan.clip, "bands"), view, plan.patient)
    return Scanner(view, phantom.dynamic_range_db, settings.gain_db, settings.noise_db, settings.haze_db, bands)


def _bands(rng: np.random.Generator, view: View, patient: Patient) -> Map:
    """Skin and gel: bright layers parallel to the probe, dB to be reached at each depth; -99 below."""
    y = (np.arange(view.rows) + 0.5) / view.px_per_mm
    period, phase = rng.uniform(0.7, 1.6, 3), rng.uniform(0, 2 * np.pi, 3)
    layers = np.sin(2 * np.pi * y[:, None] / period + phase).sum(axis=1)
    dip = 11 * np.exp(-(((y - patient.skin_mm - 0.3) / 0.4) ** 2))
    level = np.where(y < patient.skin_mm + 0.7, patient.fat_db + 1 - 0.6 * y + 2.6 * layers - dip, -99)
    return level.astype(np.float32)[:, None]


def render_sector(
    plan: ClipPlan, scanner: Scanner, frame: int, patient: Patient, gain: float = 1.0
) -> NDArray[np.uint8]:
    """Render one frame's sector, uint8 (rows, columns).

    Args:
        plan: the clip's plan.
        scanner: the clip's scanner.
        frame: position in the full-rate sweep.
        patient: `plan.patient`, or a changed copy of it (without its cord, say).
        gain: factor on the receiver's amplitude.
    """
    sweep, view = plan.sweep, scanner.view
    pose = pose_at(plan, frame)
    z_mm = float(sweep.z_mm[frame])
    plane = draw_slice(patient, view, pose, z_mm, plan.settings.gravity, float(sweep.time_s[frame]))
    _skin(plane, scanner)
    power = _echo(plane, patient, view, pose, z_mm, float(sweep.smear[frame]) * sweep.smear_mm)
    power = _contact(power, float(sweep.lost[frame]) * sweep.lost_share, float(sweep.lost_side[frame]), view)
    power = _reduce_speckle(power + _haze(power, scanner), view) + _noise(scanner, plan, frame)
    level_db = 10 * np.log10(power) + 20 * np.log10(gain) + scanner.gain_db - sweep.dark[frame] * sweep.dark_db
    return _grey(level_db, scanner.range_db)


def _grey(level_db: Map, range_db: float) -> NDArray[np.uint8]:
    """Log compression, then the machine's grey map; dB relative to fat in, uint8 out."""
    share = np.clip((level_db + np.float32(FAT_DB)) / np.float32(range_db), 0, 1)
    return np.rint(255 * share**GREY_GAMMA).astype(np.uint8)


def _skin(plane: Slice, scanner: Scanner) -> None:
    """The layers under the probe replace whatever the tissue model has there."""
    rows = int((scanner.bands > -90).sum())
    plane.shine_db[:rows] = scanner.bands[:rows] + 1.5 * plane.patches[:rows] + plane.streaks[:rows]
    plane.echo_db[:rows] = scanner.bands[:rows] - 3


def pose_at(plan: ClipPlan, frame: int) -> Pose:
    sweep = plan.sweep
    return Pose(float(sweep.x_mm[frame]), float(sweep.tilt_rad[frame]), float(sweep.pressure[frame]),
                plan.patient.sac_depth_mm)  # fmt: skip


def _echo(plane: Slice, patient: Patient, view: View, pose: Pose, z_mm: float, smear_mm: float) -> Map:
    """Echo power (rows, columns) after loss and point spread function, averaged over the compounded looks."""
    lost = np.cumsum(plane.loss, axis=0) / np.float32(view.px_per_mm)
    lost = cv2.GaussianBlur(lost, (0, 0), 0.45 * view.px_per_mm, sigmaY=0.1)
    amplitude = _from_db(plane.echo_db - lost, 20)
    field = noise.blend(noise.scatter_plane, patient.seed, patient.name, z_mm, noise.SCATTER_STEP_MM)
    size = (view.rows, view.columns)
    scatter = noise.sample(field, pose.to_tissue(view), noise.SCATTER_MM, size, cv2.INTER_NEAREST)
    spread = _spread(scatter * amplitude[..., None], view, smear_mm)
    mirror = _from_db(plane.shine_db - lost, 10)
    across_px = np.hypot(MIRROR_MM[0], smear_mm / 2) * view.px_per_mm
    return _mean_power(spread) + cv2.GaussianBlur(mirror, (0, 0), across_px, sigmaY=MIRROR_MM[1] * view.px_per_mm)


def _mean_power(signal: Map) -> Map:
    """Power of complex looks (rows, columns, 2 * LOOKS) whose parts have unit variance each."""
    weights = np.full((1, signal.shape[2]), 1 / signal.shape[2], np.float32)
    return cv2.transform(cv2.multiply(signal, signal), weights)


def _from_db(level_db: Map, per_tenfold: int) -> Map:
    return cv2.exp(level_db * np.float32(np.log(10) / per_tenfold))


def _spread(signal: Map, view: View, smear_mm: float) -> Map:
    """Point spread function: finer in depth than across, sharpest at the focus; unit energy."""
    near, far = LATERAL_MM, LATERAL_MM * (1 + DEFOCUS * (view.depth_mm - FOCUS_MM))
    sharp, wide = (_blur(signal, view, np.hypot(lateral, smear_mm / 2)) for lateral in (near, far))
    depth = (np.arange(view.rows, dtype=np.float32) + 0.5) / view.px_per_mm
    share = np.clip((depth - FOCUS_MM) / (view.depth_mm - FOCUS_MM), 0, 1)[:, None, None]
    return sharp * np.sqrt(1 - share) + wide * np.sqrt(share)


def _blur(signal: Map, view: View, lateral_mm: float) -> Map:
    sigma_x, sigma_y = lateral_mm * view.px_per_mm, AXIAL_MM * view.px_per_mm
    energy = 2 * np.sqrt(np.pi * sigma_x * sigma_y)  # unit power for white input
    return cv2.GaussianBlur(signal, (0, 0), float(sigma_x), sigmaY=float(sigma_y)) * np.float32(energy)


def _contact(power: Map, lost: float, side: float, view: View) -> Map:
    """Lost contact: lines without coupling show nothing but reverberation below the probe."""
    if lost <= 0:
        return power
    across = np.linspace(-1, 1, power.shape[1], dtype=np.float32) * side
    lifted = np.clip((across - (1 - 2.2 * lost)) / 0.25, 0, 1)
    fade_db = 45 * lifted * np.clip((_depth_mm(view) - 1.0) / 2.0, 0, 1)
    return power * _from_db(-fade_db, 10)


def _depth_mm(view: View) -> Map:
    """Depth of each row, (rows, 1)."""
    return (np.arange(view.rows, dtype=np.float32)[:, None] + 0.5) / np.float32(view.px_per_mm)


def _haze(power: Map, scanner: Scanner) -> Map:
    """Side lobes and reverberation: a wide, weak copy of the picture."""
    scale = scanner.view.px_per_mm / 8
    small = cv2.resize(np.minimum(power, 30), None, fx=0.125, fy=0.125, interpolation=cv2.INTER_AREA)
    spread = cv2.GaussianBlur(small, (0, 0), sigmaX=2.6 * scale, sigmaY=1.4 * scale)
    weak = np.float32(10 ** (scanner.haze_db / 10))
    return weak * cv2.resize(spread, power.shape[::-1], interpolation=cv2.INTER_LINEAR)


def _reduce_speckle(power: Map, view: View) -> Map:
    """The machine's compounding and speckle filter: echoes keep their place, grain softens."""
    return cv2.GaussianBlur(power, (0, 0), SMOOTH[0] * view.height_px, sigmaY=SMOOTH[1] * view.height_px)


def _noise(scanner: Scanner, plan: ClipPlan, frame: int) -> Map:
    """Electronic noise after persistence, lifted with depth by the TGC."""
    rng = keyed_rng(plan.patient.seed, plan.clip, "electronics", frame)
    view = scanner.view
    hiss = cv2.GaussianBlur(rng.standard_normal((view.rows, view.columns), dtype=np.float32), (0, 0), 2.2, sigmaY=1.2)
    lift_db = scanner.noise_db + np.minimum(1.1 * _depth_mm(view), 16)
    return _from_db(lift_db + 5 * hiss, 10)
