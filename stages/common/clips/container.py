"""Which files are clips: containers by their suffix, a DICOM file also by its first bytes; scanners omit the suffix."""

from pathlib import Path

CONTAINERS = (".avi", ".dcm", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg")
# A clip in one of these would otherwise lie in the cohort unread and unmentioned.
FOREIGN_CONTAINERS = (
    ".264", ".265", ".3gp", ".asf", ".dic", ".dicom", ".dv", ".flv", ".gif", ".h264", ".h265", ".hevc", ".ima", ".m2ts",
    ".m4v", ".mj2", ".mts", ".mxf", ".nut", ".ogv", ".ts", ".vob", ".webm", ".wmv", ".y4m",
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
