"""What a heading may mean besides the label that it resembles: its opposite, or less of it.

`NO CORD` resembles CORD more than many a slip of the pen does, and taken for it would turn every label round. So only
a slip is proposed as another spelling; whatever else resembles a label is for the expert to explain.
"""

import re
import unicodedata
from collections import Counter

from stages.common.core.errors import Problem
from stages.common.sheets.names import as_yaml, normal

# wherever it stands: what is labelled is not there, or is the better or the worse
ABSENT = {
    "0", "absence", "absent", "abwesend", "bad", "clear", "fehlt", "free", "frei", "good", "hidden", "inverse",
    "inverted", "invisible", "lack", "lacking", "lacks", "less", "missing", "neg", "negative", "nil", "obscured", "ok",
    "opposite", "poor", "unseen", "zero",
}  # fmt: skip
# before the label its opposite; after it an exception, unless nothing follows but a word of seeing
NO = {
    "dis", "geen", "kein", "keine", "keinen", "n", "nein", "never", "nicht", "no", "non", "none", "nor", "not", "sem",
    "sin", "un", "zonder",
}  # fmt: skip
SEEN = {
    "be", "can", "cannot", "detected", "found", "identified", "present", "seen", "shown", "there", "visible",
    "visualised", "visualized",
}  # fmt: skip
EXCEPT = {
    "anti", "bar", "besides", "but", "except", "excepting", "excl", "exclude", "excluded", "excludes", "excluding",
    "exclusion", "exclusive", "less", "minus", "ohn", "ohne", "sans", "senza", "than", "wo", "without",
}  # fmt: skip
ONLY = {"allein", "alone", "isolated", "just", "nc", "nur", "only", "pure", "purely", "sole", "solely"}
REVERSING = ABSENT | NO | EXCEPT | ONLY
SIGN = re.compile(r"[!¬~≠∅]|^\s*[-−–]|[-−–]\s*$|\(\s*[-−–]\s*\)")  # these are no spelling: `!CORD` is not CORD


def signed(heading: str) -> bool:
    """Return whether a heading bears a sign of negation, which `normal` passes over."""
    return SIGN.search(heading) is not None


def is_slip(heading: str, title: str) -> bool:
    """Return whether `heading` is `title` with one slip: a letter more, less, changed, or two changed about.

    A letter more or less at an end may make another word of it (`NCORD`, `TYPICAL`): only a plural does not.

    >>> [is_slip(heading, "CORD") for heading in ("CORDS", "COORD", "CROD", "NO CORD", "NCORD")]
    [True, True, True, False, False]
    """
    typed, meant = normal(heading), normal(title)
    if signed(heading) or typed == meant:
        return False
    if typed == f"{meant}s" or f"{typed}s" == meant:
        return True
    if typed.startswith(meant) or typed.endswith(meant) or meant.endswith(typed) or typed[-1:].isdigit():
        return False
    start = _alike(typed, meant)
    end = _alike(typed[start:][::-1], meant[start:][::-1])
    more, fewer = typed[start : len(typed) - end], meant[start : len(meant) - end]
    swapped = len(more) == 2 and more == fewer[::-1]
    return swapped or (len(more) <= 1 and len(fewer) <= 1)


def _alike(one: str, other: str) -> int:
    """Return with how many characters the same the two begin."""
    return next(
        (place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(map(len, (one, other)))
    )


def reverses(heading: str, title: str) -> bool:
    """Return whether `heading` says more or less than `title` with a word or sign that may turn a label round.

    >>> [reverses(heading, "BAD QUALITY") for heading in ("GOOD QUALITY", "QUALITY", "BLURRED", "BAD IMAGE QUALITY")]
    [True, True, False, False]
    """
    said, meant = Counter(words(heading, title)), Counter(words(title, title))
    more, fewer = set(said - meant), set(meant - said)
    shared = set(said) & set(meant)
    return signed(heading) or bool(more & REVERSING) or bool(shared and fewer & REVERSING)


def narrows(heading: str, title: str) -> bool:
    """Return whether `heading` seems to be `title` but for something: `FLUID only`, `FLUID no SC`, `FLUIDNC`.

    >>> [narrows(heading, "FLUID") for heading in ("FLUID excl. SC", "FLUID ONLY", "NO FLUID", "FLUID not seen")]
    [True, True, False, False]
    """
    said, wanted = words(heading, title), words(title, title)
    if not wanted or not set(wanted) <= set(said) or signed(heading):
        return False
    after = said[said.index(wanted[-1]) + 1 :]
    if set(said) & ONLY or set(after) & EXCEPT:
        return True
    return bool(set(after) & NO) and bool(set(after) - NO - SEEN - ABSENT)


def reversing_alias(heading: str, title: str, derived: str | None) -> Problem:
    """Return that a key of `column_aliases` is no mere spelling of `title`; `derived` is the column 'A without B'."""
    remedy = "Ask the expert what 1 means in it. If the opposite: invert and rename the column in the sheet. "
    if derived is not None:
        remedy += f"If {as_yaml(derived)}: set that as the heading expected, and label_merge.definitions. "
    remedy += f"If the same: say how you know it in label_merge.confirmed_headings: {{{as_yaml(heading)}: ...}}."
    where, what = f"params.yaml: label_merge.column_aliases.{heading}", "a heading that may mean the opposite, or less"
    return Problem(where, what, f"another spelling of '{title}'", repr(heading), remedy)


def shares_a_word(heading: str, title: str) -> bool:
    """Return whether a word of `title` stands in `heading`, alone or as part of a longer one."""
    return bool(set(words(heading, title)) & set(words(title, title)))


def words(heading: str, title: str) -> list[str]:
    """Return the words of a heading in small letters; what is glued to a word of `title` is a word of its own.

    >>> words("FluidNC, w/o SC", "FLUID")
    ['fluid', 'nc', 'without', 'sc']
    """
    text = unicodedata.normalize("NFKC", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", heading)).casefold()
    text = re.sub(r"\bw\s*/\s*o(ut)?\b", " without ", text)
    text = re.sub(r"n['’]t\b", " not", text)
    parts = re.findall(r"[^\W_]+", text)
    wanted = [word for word in re.findall(r"[^\W_]+", unicodedata.normalize("NFKC", title).casefold()) if len(word) > 2]
    if not wanted:
        return parts
    glued = re.compile("(" + "|".join(map(re.escape, sorted(wanted, key=len, reverse=True))) + ")")
    return [piece for part in parts for piece in glued.split(part) if piece]
