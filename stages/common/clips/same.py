"""One recording under two patients: whichever side of a split each lands on, a patient is tested who was trained on."""

import hashlib
from collections.abc import Iterable

from stages.common.clips.cohort import TABLE, Clip
from stages.common.clips.sector import Sample
from stages.common.core.errors import Problem


def recording_of(sample: Sample, frames: int) -> str:
    """Return what tells a recording from others: a hash of its sampled pictures and of how many it has.

    Two files of one recording have the same, also where one was stored anew without loss.
    """
    digest = hashlib.blake2b(f"{frames} {sample.shape}".encode(), digest_size=16)
    for picture in sample.pictures:
        digest.update(picture.tobytes())
    return digest.hexdigest()


def same_recordings(recordings: Iterable[tuple[Clip, str]]) -> tuple[list[Problem], list[str]]:
    """Return what must stop, recordings that clips.csv gives to several patients, and notes on those of one patient.

    Args:
        recordings: clips, each with its `recording_of`; blank where it is not known.
    """
    by_recording: dict[str, list[Clip]] = {}
    for clip, recording in recordings:
        by_recording.setdefault(recording or clip.clip_id, []).append(clip)
    several = [clips for clips in by_recording.values() if len(clips) > 1]
    apart = [clips for clips in several if len({clip.patient for clip in clips}) > 1]
    notes = [f"{', '.join(clip.clip_id for clip in clips)}: the same recording, so it counts {len(clips)} times"
             for clips in several if clips not in apart]  # fmt: skip
    return [_of_two_patients(clips) for clips in apart], notes


def _of_two_patients(clips: list[Clip]) -> Problem:
    got = ", ".join(f"clip '{clip.name}' ({clip.clip_id}) of {clip.patient or 'nobody'}" for clip in clips)
    remedy = "If it is one infant, give it one patient; if a file was copied in place of another, bring the right one."
    return Problem(TABLE, "the same recording under several patients", "one patient a recording", got, remedy)
