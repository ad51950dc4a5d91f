"""From tissue to picture: scatter, point spread function, envelope, loss, gain, log compression."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from stages.phantom import noise
from stages.phantom.anatomy import Patient
from stages.phantom.draws import keyed_rng
from stages.phantom.plan import ClipPlan
from stages.phantom.plane import Map, Slice, inside
from stages.phantom.scanner import Scanner, below_skin
from stages.phantom.tissue import draw_slice
from stages.phantom.view import Pose, View

AXIAL_MM, LATERAL_MM = 0.08, 0.12  # sigma of the point spread function at the focus, 12 MHz probe
MIRROR_MM = (0.25, 0.06)  # the same, as far as smooth interfaces show it
FOCUS_MM = 11.0
DEFOCUS = 0.055  # growth of the lateral sigma per mm away from the focus
SHADOW_MM = (0.45, 2.2)  # sigma of a shadow's border at the focus, and far behind it
TRAIL_MM = 2.5  # length of the reverberation behind an echo
SHRINK = 4  # clutter is smooth: it is worked out on a picture this much smaller
FAT_DB = 36.0  # fat above black at gain 0: makes it as dark as in the study's frames
GREY_GAMMA = 2.0  # the machine's grey map after log compression
SMOOTH = (4.2e-3, 3.0e-3)  # the machine's own speckle filter, sigma lateral and axial as shares of the height


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
    power = _echo(plane, patient, scanner, pose, z_mm, float(sweep.smear[frame]) * sweep.smear_mm)
    lost_db = scanner.coupling_db + _lost_contact_db(float(sweep.lost[frame]) * sweep.lost_share,
                                                     float(sweep.lost_side[frame]), view)  # fmt: skip
    power = power * _from_db(-lost_db * below_skin(view), 10) + _ringing(lost_db, plane, scanner, patient)
    power += _noise(scanner, plan, frame)
    level_db = 10 * np.log10(power) + 20 * np.log10(gain) + scanner.gain_db - sweep.dark[frame] * sweep.dark_db
    return _grey(level_db, scanner.range_db)


def _grey(level_db: Map, range_db: float) -> NDArray[np.uint8]:
    """Log compression, then the machine's grey map; dB relative to fat in, uint8 out."""
    share = np.clip((level_db + np.float32(FAT_DB)) / np.float32(range_db), 0, 1)
    return np.rint(255 * share**GREY_GAMMA).astype(np.uint8)


def _skin(plane: Slice, scanner: Scanner) -> None:
    """The layers under the probe: uneven where it presses unevenly, and lost in the tissue below."""
    rows = int((scanner.bands > -90).sum())
    deeper = np.clip(scanner.view.depths_mm[:rows] / scanner.skin_mm, 0, 1.5)  # flat at the probe, as the back is below
    bent = scanner.view.px_per_mm * deeper * (scanner.bend_mm + 0.05 * plane.patches[:rows])
    bent = np.arange(rows)[:, None] + bent
    bands = np.interp(bent, np.arange(rows), scanner.bands[:rows]).astype(np.float32)
    bands += 3.5 * plane.patches[:rows] + 2 * plane.sheets[:rows]
    skin = inside(scanner.skin_mm - scanner.view.depths_mm[:rows], 0.4)  # above it there is nothing else
    top = plane.top(rows)
    top.paint(bands - 8, skin)
    np.maximum(top.shine_db, bands, out=top.shine_db)


def pose_at(plan: ClipPlan, frame: int) -> Pose:
    sweep = plan.sweep
    return Pose(float(sweep.x_mm[frame]), float(sweep.tilt_rad[frame]), float(sweep.pressure[frame]),
                plan.patient.sac_depth_mm)  # fmt: skip


def _echo(plane: Slice, patient: Patient, scanner: Scanner, pose: Pose, z_mm: float, smear_mm: float) -> Map:
    """Echo power (rows, columns) after loss and point spread function, averaged over the compounded looks."""
    view = scanner.view
    lost = _widen(np.cumsum(plane.loss, axis=0) / np.float32(view.px_per_mm), view)
    rough, mirror = _from_db(plane.echo_db - lost, 10), _from_db(plane.shine_db - lost, 10)
    amplitude = np.sqrt(rough + _clutter(rough + mirror, plane, scanner))
    field = noise.blend(noise.scatter_plane, patient.seed, patient.name, z_mm, noise.SCATTER_STEP_MM)
    size = (view.rows, view.columns)
    scatter = noise.sample(field, pose.to_tissue(view), noise.SCATTER_MM, size, cv2.INTER_NEAREST)
    spread = _spread(scatter * amplitude[..., None], view, smear_mm)
    across_px = np.hypot(MIRROR_MM[0], smear_mm / 2) * view.px_per_mm
    mirror = cv2.GaussianBlur(mirror, (0, 0), across_px, sigmaY=MIRROR_MM[1] * view.px_per_mm)
    return _reduce_speckle(_mean_power(spread), view) + mirror


def _widen(lost: Map, view: View) -> Map:
    """A beam is no ray: the deeper, the softer the border of a shadow."""
    sharp, wide = (cv2.GaussianBlur(lost, (0, 0), width * view.px_per_mm, sigmaY=0.1) for width in SHADOW_MM)
    share = np.clip((view.depths_mm - FOCUS_MM) / np.float32(FOCUS_MM), 0, 1)
    return sharp + (wide - sharp) * share


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
    share = np.clip((view.depths_mm - FOCUS_MM) / (view.depth_mm - FOCUS_MM), 0, 1)[..., None]
    return sharp * np.sqrt(1 - share) + wide * np.sqrt(share)


def _blur(signal: Map, view: View, lateral_mm: float) -> Map:
    sigma_x, sigma_y = lateral_mm * view.px_per_mm, AXIAL_MM * view.px_per_mm
    energy = 2 * np.sqrt(np.pi * sigma_x * sigma_y)  # unit power for white input
    return cv2.GaussianBlur(signal, (0, 0), float(sigma_x), sigmaY=float(sigma_y)) * np.float32(energy)


def _lost_contact_db(lost: float, side: float, view: View) -> Map:
    """What lines without coupling lose, (columns,) dB."""
    across = np.linspace(-1, 1, view.columns, dtype=np.float32) * np.float32(side)
    return 45 * np.clip((across - np.float32(1 - 2.2 * lost)) / np.float32(0.25), 0, 1)


def _ringing(lost_db: Map, plane: Slice, scanner: Scanner, patient: Patient) -> Map:
    """Lines without coupling show the echoes between the probe's face and the air: equally spaced, fading."""
    depth = scanner.view.depths_mm + np.float32(0.4) * scanner.bend_mm
    level = patient.fat_db - 3 - 4.5 * depth + 2.5 * np.sin(2 * np.pi * depth / scanner.ring_mm)
    level += 4 * plane.patches + 2 * plane.sheets
    return _from_db(level.astype(np.float32), 10) * np.clip(lost_db / np.float32(20), 0, 1)


def _clutter(power: Map, plane: Slice, scanner: Scanner) -> Map:
    """Echoes that are not of their place: side lobes (a wide, weak copy) and reverberation (a tail behind each).

    They interfere like others, and so have speckle of their own.
    """
    scale = scanner.view.px_per_mm / SHRINK
    small = cv2.resize(np.minimum(power, 100), None, fx=1 / SHRINK, fy=1 / SHRINK, interpolation=cv2.INTER_AREA)
    haze = cv2.GaussianBlur(small, (0, 0), sigmaX=2.6 * scale, sigmaY=1.4 * scale)
    steps = np.arange(round(6 * TRAIL_MM * scale))
    tail = np.exp(-steps / (TRAIL_MM * scale)).astype(np.float32)
    behind = np.concatenate([np.zeros_like(tail[1:]), tail])[::-1, None]  # correlation: looks upwards only
    trail = cv2.filter2D(small, -1, behind / tail.sum(), borderType=cv2.BORDER_REPLICATE)
    weak = np.float32(10 ** (scanner.haze_db / 10)) * haze + np.float32(10 ** (scanner.trail_db / 10)) * trail
    uneven = _from_db(3 * plane.patches + 2 * plane.sheets, 10)
    return uneven * cv2.resize(weak, power.shape[::-1], interpolation=cv2.INTER_LINEAR)


def _reduce_speckle(power: Map, view: View) -> Map:
    """The machine's compounding and speckle filter: echoes keep their place, grain softens."""
    return cv2.GaussianBlur(power, (0, 0), SMOOTH[0] * view.height_px, sigmaY=SMOOTH[1] * view.height_px)


def _noise(scanner: Scanner, plan: ClipPlan, frame: int) -> Map:
    """Electronic noise after persistence, lifted with depth by the TGC."""
    rng = keyed_rng(plan.patient.seed, plan.clip, "electronics", frame)
    view = scanner.view
    hiss = cv2.GaussianBlur(rng.standard_normal((view.rows, view.columns), dtype=np.float32), (0, 0), 3.4, sigmaY=1.1)
    lift_db = scanner.noise_db + np.minimum(1.1 * view.depths_mm, 16)
    return _from_db(lift_db + 5 * hiss, 10)
