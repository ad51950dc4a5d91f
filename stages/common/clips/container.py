"""Which files are clips: containers by their suffix, a DICOM file also by its first bytes; scanners omit the suffix."""

from pathlib import Path

CONTAINERS = (".avi", ".dcm", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg")
# FFmpeg's names of what may be inside, each a file that names no other: a text could otherwise call itself .mkv and
# name another infant's clip. Any of them under any suffix: published clips exist that are MP4 and called .avi
FORMATS = "avi,matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,mpeg,mpegts,mpegvideo"
# A clip in one of these, the last of which are archives, would otherwise lie in the cohort unread and unmentioned.
FOREIGN_CONTAINERS = (
    ".264", ".265", ".3g2", ".3gp", ".asf", ".bik", ".dic", ".dicom", ".divx", ".dv", ".f4v", ".flv", ".gif", ".h264",
    ".h265", ".hevc", ".ima", ".ivf", ".m1v", ".m2t", ".m2ts", ".m2v", ".m4v", ".mj2", ".mjpeg", ".mjpg", ".mod",
    ".mpe", ".mpv", ".mts", ".mxf", ".nut", ".ogg", ".ogm", ".ogv", ".qt", ".rm", ".rmvb", ".tod", ".ts", ".vob",
    ".webm", ".wmv", ".xvid", ".y4m", ".7z", ".gz", ".rar", ".tar", ".tgz", ".zip",
)  # fmt: skip
PREAMBLE_BYTES = 128
MAGIC = b"DICM"
INDEX = "DICOMDIR"  # a table of contents in DICOM's own form, without a picture


def is_dicom(path: Path) -> bool:
    """Tell whether a clip is a DICOM file: by its suffix, or by its first bytes where no container's suffix stands."""
    suffix = path.suffix.lower()
    return suffix == ".dcm" or (suffix not in CONTAINERS and path.name.upper() != INDEX and _begins_as_dicom(path))


def is_clip(path: Path) -> bool:
    """Tell whether a file is in a container that can be read."""
    return path.suffix.lower() in CONTAINERS or is_dicom(path)


def _begins_as_dicom(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(PREAMBLE_BYTES + len(MAGIC))[PREAMBLE_BYTES:] == MAGIC
    except OSError:
        return False  # unreadable for any program: no clip
