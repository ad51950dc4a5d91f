"""Names that people typed: what counts as the same, what is close, and how to write them into params.yaml."""

import difflib
import json
import re
import unicodedata
from collections.abc import Iterable, Sequence

CLOSE = 0.6  # difflib's own threshold for 'probably the same word'
PLAIN_YAML = re.compile(r"[A-Za-z][A-Za-z0-9_-]*( [A-Za-z0-9_-]+)*")
YAML_WORDS = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})


def normal(name: object) -> str:
    """Return the form in which two spellings of a name are equal: case, spaces and punctuation do not count."""
    folded = unicodedata.normalize("NFKC", str(name)).casefold()
    return "".join(character for character in folded if character.isalnum())


def same(name: object, candidates: Iterable[str]) -> list[str]:
    """Return the candidates that `name` can mean: the identical one, else all of equal normalised form."""
    among = list(candidates)
    identical = [candidate for candidate in among if candidate == str(name).strip()]
    return identical or [candidate for candidate in among if normal(candidate) == normal(name)]


def close(name: str, candidates: Sequence[str]) -> list[str]:
    """Return up to three candidates that resemble `name`, the likeliest first."""
    by_form = {normal(candidate): candidate for candidate in candidates}
    return [by_form[form] for form in difflib.get_close_matches(normal(name), by_form, n=3, cutoff=CLOSE)]


def as_yaml(name: str) -> str:
    """Return `name` as a YAML scalar that reads back as this text."""
    if PLAIN_YAML.fullmatch(name) and name.casefold() not in YAML_WORDS:
        return name
    return json.dumps(name, ensure_ascii=False)


def listed(names: Iterable[object]) -> str:
    """Return `'a', 'b', 'c'`, or `nothing`."""
    return ", ".join(repr(str(name)) for name in names) or "nothing"
