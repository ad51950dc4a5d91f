"""Which files of a cohort are a patient's beside label sheets: clips, what links lead to, masks, and what is called so.

A name tells whose a file is where it is a clip's own, or begins with it and a dot (`KURT left.json`, `masks/KURT
left.seg.png`); the longest such name counts, and what two patients' clips are called tells nothing.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from operations.digest import digest
from stages.common.clips.cohort import MASKS, TABLE, Clip
from stages.common.clips.cohort_cells import composed
from stages.common.clips.container import CONTAINERS
from stages.common.core.errors import PipelineError
from stages.common.sheets.files import label_files

HALF_WRITTEN = ".partial"  # by a command that was killed; read by nothing, and it may show anybody
HIDDEN = ("._", "~$", ".")  # what systems and office programs put before a file's name, for one of their own beside it


@dataclass(frozen=True)
class Files:
    """The files of a cohort but other patients' clips, clips.csv and the label files.

    Attributes:
        goes: the patient's.
        stays: the rest, of which a person says whether it is nobody's.
    """

    goes: Sequence[Path]
    stays: Sequence[Path]


def files_of(cohort: Path, clips: Sequence[Clip], own: Sequence[Clip]) -> Files:
    """Return the files of a patient.

    Args:
        cohort: the folder.
        clips: all of its clips.
        own: those of one patient.

    Raises:
        PipelineError: another patient's clip is the same file, or has the same bytes.
    """
    listed = {clip.path for clip in clips}
    goes = {clip.path for clip in own}
    bytes_of = _contents(clip.path for clip in own)
    _refuse_shared([clip for clip in clips if clip not in own], own, bytes_of)
    labels = {path for path, _ in label_files(cohort)}
    free = [
        path
        for path in sorted(cohort.rglob("*"))
        if (path.is_symlink() or path.is_file())
        and path not in listed | {cohort / TABLE}
        and not _read_as_label(path, labels)
    ]
    goes |= {*named_after(cohort, free, clips, own), *(path for path in free if path.suffix == HALF_WRITTEN)}
    # what links lead to, and every link on the way or beside it, resolves to the same file
    real = {path.resolve() for path in goes}
    goes |= {path for path in free if path.resolve() in real or _same(path, bytes_of)}
    return Files(sorted(goes), [path for path in free if path not in goes])


def _read_as_label(path: Path, labels: set[Path]) -> bool:
    """Return whether a path is a label file, or in a folder of them where `read_folder` would look at it."""
    return path in labels or (path.parent in labels and not path.name.startswith("."))


def copies_of(files: Sequence[Path], among: Iterable[Path]) -> list[Path]:
    """Return those of `among` that have the bytes of one of `files`, or that one leads to as a link."""
    real, bytes_of = {path.resolve() for path in files}, _contents(files)
    return [path for path in among if path.resolve() in real or _same(path, bytes_of)]


def named_after(cohort: Path, files: Iterable[Path], clips: Sequence[Clip], own: Sequence[Clip]) -> list[Path]:
    """Return those of `files` whose name is that of a clip of `own`, and of nobody else's."""
    names: dict[str, bool] = {}  # name -> whether it is the patient's alone
    for clip in clips:
        names |= {name: names.get(name, True) and clip in own for name in _names(cohort, clip)}
    return [path for path in files if _is_own(_called(cohort, path), names)]


def _is_own(called: Sequence[str], names: Mapping[str, bool]) -> bool:
    begins = {begin for one in called for begin in _begins(one) if begin in names}
    longest = max(map(len, begins), default=0)
    return bool(begins) and all(names[begin] for begin in begins if len(begin) == longest)


def _begins(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts) + 1)]


def _names(cohort: Path, clip: Clip) -> Iterator[str]:
    """Yield how files that belong to a clip may be called: as it, or as its file; with a container's suffix or not."""
    place = clip.path.relative_to(cohort)
    stem = bare(place)
    yield from (_spelt(name) for name in (clip.name, place.name, stem.name, place.as_posix(), stem.as_posix()))


def bare(place: Path) -> Path:
    """Return a clip's path without a container's suffix: 1.2.840.7 is a name, and .7 no suffix."""
    return place.with_suffix("") if place.suffix.lower() in CONTAINERS else place


def _called(cohort: Path, path: Path) -> list[str]:
    place = path.relative_to(cohort)
    place = place.relative_to(MASKS) if place.parts[0] == MASKS else place
    bare = next((place.name.removeprefix(mark) for mark in HIDDEN if place.name.startswith(mark)), place.name)
    return [_spelt(name) for name in (place.as_posix(), place.name, bare)]


def _spelt(name: str) -> str:
    return composed(name).casefold()


def _refuse_shared(others: Sequence[Clip], own: Sequence[Clip], bytes_of: set[tuple[int, str]]) -> None:
    real = {clip.path.resolve() for clip in own}
    shared = [clip for clip in others if clip.path.resolve() in real or _same(clip.path, bytes_of)]
    if shared:
        lines = "\n".join(f"  - {clip.path} of {clip.patient}" for clip in shared)
        raise PipelineError(
            f"{TABLE}: expected the clips of {own[0].patient} to be of nobody else, got their bytes in:\n{lines}\n"
            "Correct the patient, or remove the row and the file. Nothing was changed."
        )


def _contents(paths: Iterable[Path]) -> set[tuple[int, str]]:
    files = [path for path in paths if path.is_file() and path.stat().st_size]
    return {(path.stat().st_size, digest(path, "md5")) for path in files}


def _same(path: Path, contents: set[tuple[int, str]]) -> bool:
    """Tell whether a file has one of these contents; it is read only where its size is right."""
    if not path.is_file() or path.stat().st_size not in {size for size, _ in contents}:
        return False
    return (path.stat().st_size, digest(path, "md5")) in contents
