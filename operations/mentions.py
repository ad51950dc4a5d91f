"""Where label files name a patient's clips outside of that patient's own sheets: in a cell, a comment, a property.

A name counts as whole words, in any case, with any blanks or punctuation between them: AM1 is in `am1_12.jpg` and not
in AM12. Where another patient's clip has a longer name, that one is meant. What two patients' clips are called tells
nothing; neither does a number of few digits: every sheet counts frames.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote

from operations.files_of import bare
from operations.labels_of import Contents
from operations.parts import Text, texts_of
from stages.common.clips.cohort import TABLE, Clip
from stages.common.clips.cohort_cells import composed
from stages.common.core.errors import PipelineError
from stages.common.sheets.files import label_files
from stages.common.sheets.workbook import DAMAGE

FEWEST_DIGITS = 5  # of a number that is looked for
ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")
WORD = re.compile(r"[^\W_]+")


def mentions(cohort: Path, clips: Sequence[Clip], own: Sequence[Clip], contents: Contents) -> list[str]:
    """Return a line a place where label files or the table, as they are to be, name clips of `own`.

    Args:
        cohort: the folder.
        clips: all of its clips.
        own: those of one patient.
        contents: what files are to hold, where that is something else than now.

    Raises:
        PipelineError: a part of a workbook cannot be read.
    """
    names = _names(cohort, clips, own)
    lines = []
    for path in [cohort / TABLE, *_files(cohort)]:
        content = contents[path] if path in contents else path.read_bytes()
        if content is not None and path.parent not in contents:  # a folder in it goes whole
            found = Counter((place, name) for place, text in _texts(path, content) for name in _named(text, names))
            lines += [_line(path.relative_to(cohort), *of, count) for of, count in sorted(found.items())]
    return lines


def _texts(path: Path, content: bytes) -> list[Text]:
    try:
        return [(place, _spelt_out(text)) for place, text in texts_of(content)]
    except DAMAGE as error:
        raise PipelineError(
            f"{path}: expected a label file all of which can be searched for the patient's clips, got "
            f"{type(error).__name__}: {error}. Open it in a spreadsheet program, save, then the same command again. "
            "Nothing was changed."
        ) from error


def _spelt_out(text: str) -> str:
    """Return a text as it reads: links write a blank as %20, and Open XML one as _x0020_."""
    return unquote(ESCAPED.sub(lambda found: chr(int(found[1], 16)), text))


def _line(path: Path, place: str, name: str, count: int) -> str:
    where = f"{path}, {place}" if place else str(path)
    return f"{where}: '{name}'" + (f", {count} times" if count > 1 else "")


def _files(cohort: Path) -> Iterator[Path]:
    for path, _ in label_files(cohort):
        yield from sorted(inner for inner in path.iterdir() if inner.is_file()) if path.is_dir() else [path]


def _names(cohort: Path, clips: Sequence[Clip], own: Sequence[Clip]) -> Mapping[tuple[str, ...], str | None]:
    """Return the words of each name of a clip or its file -> the name; None where it is also another patient's."""
    names: dict[tuple[str, ...], str | None] = {}
    for clip in clips:
        for name in (clip.name, bare(clip.path.relative_to(cohort)).name):
            words = _words(name)
            mine = clip in own and names.get(words, name) is not None
            names[words] = name if mine else None
    return {words: name for words, name in names.items() if words and not _counts(words)}


def _counts(words: Iterable[str]) -> bool:
    text = "".join(words)
    return text.isdigit() and len(text) < FEWEST_DIGITS


def _words(text: str) -> tuple[str, ...]:
    return tuple(WORD.findall(composed(text).casefold()))


def _named(text: str, names: Mapping[tuple[str, ...], str | None]) -> set[str]:
    """Return the patient's names in a text, each once; the longest that begins at a word counts."""
    words, found, place = _words(text), set(), 0
    lengths = sorted({len(name) for name in names}, reverse=True)
    while place < len(words):
        longest = next((count for count in lengths if words[place : place + count] in names), 0)
        found |= {names[words[place : place + longest]]} if longest else set()
        place += longest or 1
    return {name for name in found if name is not None}
