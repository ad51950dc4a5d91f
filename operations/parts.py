"""Every text in a label file, wherever it stands: cells, comments, headers, properties, formulas, links, bytes.

What only looks like a text is left out: a reference to a cell reads like a name (AM12), a number of a shared text like
any other.
"""

import io
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from xml.etree import ElementTree
from zipfile import ZipFile, is_zipfile

Text = tuple[str, str]  # place in the file, empty for the whole of it; and what stands there

TYPES, STRINGS, BOOK, RELATIONS = "[Content_Types].xml", "xl/sharedStrings.xml", "xl/workbook.xml", "_rels/"
WHOLE = frozenset({"si", "is", "text", "p"})  # a word in them may be cut in pieces of different looks
FORMULAS = frozenset({"f", "formula", "formula1", "formula2", "definedName", "calculatedColumnFormula", "location"})
REFERENCES = frozenset({"r", "ref", "sqref", "activeCell", "topLeftCell", "spans", "r1", "r2"})
# in a formula: texts, and titles of sheets; each word is read once, however long
SAID = re.compile(r"""\"[^\"]*\"|'[^']*'|(?<![^\s!'\"(),;:+*/&=<>^{}-])[^\s!'\"(),;:+*/&=<>^{}-]++(?=!)""")
LOOKS = re.compile(r'&(?:"[^"]*"|\d+|K[0-9A-F]{6}|[A-Z])')  # codes in a header: place, font, size


def texts_of(content: bytes) -> Iterator[Text]:
    """Yield the texts of a workbook by sheet or part, else the lines of a file.

    Raises:
        Exception: one of `workbook.DAMAGE`, where the workbook is damaged.
    """
    if not is_zipfile(io.BytesIO(content)):
        yield from (("", line) for line in _raw(content).splitlines())
        return
    with ZipFile(io.BytesIO(content)) as archive:
        titles, strings = _titles(archive), _strings(archive)
        for part in archive.namelist():
            if part not in (TYPES, STRINGS):  # shared texts are told by the cells that have them
                texts = _texts(part, archive.read(part), strings)
                yield from ((titles.get(part, part), text) for text in texts if text.strip())


def _raw(content: bytes) -> str:
    """Return bytes as text; without zeros a name is found in UTF-16, too."""
    return content.replace(b"\0", b"").decode("utf-8", errors="replace")


def _texts(part: str, content: bytes, strings: Sequence[str]) -> Iterator[str]:
    try:
        root = ElementTree.fromstring(content)
    except (ElementTree.ParseError, LookupError):  # a picture, a printer's settings, an encoding that nobody knows
        yield f"{posixpath.basename(part)} {_raw(content)}"
        return
    yield from _of(root, strings)


def _of(element: ElementTree.Element, strings: Sequence[str]) -> Iterator[str]:
    tag = _local(element.tag)
    yield from _attributes(element)
    if tag in WHOLE:
        yield "".join(element.itertext())
        return
    if tag == "c" and element.get("t") == "s":
        place = next((inner.text for inner in element if _local(inner.tag) == "v"), None)
        yield strings[int(place)] if place else ""
        return
    yield from _said(tag, element.text or "")
    for inner in element:
        yield from _of(inner, strings)


def _said(name: str, text: str) -> Sequence[str]:
    if name in FORMULAS:
        return SAID.findall(text)
    return [LOOKS.sub(" ", text) if name.endswith(("Header", "Footer")) else text]


def _attributes(element: ElementTree.Element) -> Iterator[str]:
    for key, value in element.attrib.items():
        name = _local(key)
        inside = name == "Target" and element.get("TargetMode") != "External"  # another part, which is read itself
        if name not in REFERENCES and not inside:
            yield from _said(name, value)


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def _strings(archive: ZipFile) -> list[str]:
    if STRINGS not in archive.namelist():
        return []
    items = ElementTree.fromstring(archive.read(STRINGS))
    return ["".join(item.itertext()) for item in items if _local(item.tag) == "si"]


def _titles(archive: ZipFile) -> Mapping[str, str]:
    """Return part -> the sheet that it is, as messages call it; none where the workbook's own part is elsewhere."""
    folder, name = posixpath.split(BOOK)
    relations = f"{folder}/{RELATIONS}{name}.rels"
    if not {BOOK, relations} <= set(archive.namelist()):
        return {}
    targets = {one.get("Id"): one.get("Target", "") for one in ElementTree.fromstring(archive.read(relations))}
    sheets = [one for one in ElementTree.fromstring(archive.read(BOOK)).iter() if _local(one.tag) == "sheet"]
    found = {}
    for sheet in sheets:
        by = {_local(key): value for key, value in sheet.attrib.items()}
        found[posixpath.join("/", folder, targets.get(by.get("id"), "")).lstrip("/")] = f"sheet '{by.get('name')}'"
    return found
