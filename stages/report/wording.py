"""How numbers and absences read on the page: a figure that cannot be estimated says so, and says why."""

import re
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup, escape

CODE = re.compile(r"`([^`]+)`")  # how the stages' sentences mark names of keys, files and commands


def coded(said: Any) -> Any:
    """Return text as HTML, escaped, with what stands in backticks as <code>; all else, and HTML itself, as it is."""
    if not isinstance(said, str) or isinstance(said, Markup):
        return said
    return Markup(CODE.sub(r"<code>\1</code>", str(escape(said))))


def number(value: float | None, digits: int = 3) -> str:
    """Return a number with `digits` decimals, whole numbers whole, or an em dash where there is none."""
    if value is None:
        return "—"
    return f"{value:.{digits}f}" if isinstance(value, float) else str(value)


def percent(value: float | None, digits: int = 0) -> str:
    """Return a share of 1 as per cent, never rounded to a certainty: 0.997 is `> 99 %`, 0.002 is `< 1 %`."""
    if value is None:
        return "—"
    shown = f"{100 * value:.{digits}f}"
    least = 10.0**-digits
    if value > 0 and float(shown) == 0:
        return f"< {least:g}\u00a0%"
    if value < 1 and float(shown) == 100:
        return f"> {100 - least:g}\u00a0%"
    return f"{shown}\u00a0%"


def interval(bounds: Any, digits: int = 0) -> str | None:
    """Return `4 % to 37 %`, or None."""
    if not bounds or any(bound is None for bound in bounds):
        return None
    return f"{percent(bounds[0], digits)} to {percent(bounds[1], digits)}"


def count(number_of: int | float, one: str, many: str | None = None) -> str:
    """Return `1 infant`, `2 infants`."""
    return f"{number_of} {one if number_of == 1 else many or one + 's'}"


def p_value(value: float | None) -> str:
    """Return a p value with three decimals, or an em dash."""
    if value is None:
        return "—"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def words(name: str) -> str:
    """Return a name of the files as a reader says it: `leave_one_patient_out` is `leave one patient out`."""
    return name.replace("_", " ")


def capital(sentence: str) -> str:
    """Return a sentence with a capital where it begins."""
    return sentence[:1].upper() + sentence[1:]


def listed(names: list[str], last: str = "and") -> str:
    """Return `a, b and c`."""
    return f" {last} ".join(part for part in (", ".join(names[:-1]), *names[-1:]) if part)


def needed(labels: Mapping[str, int]) -> str:
    """Return what labels must be as readers say it: `{"fluid": 1, "bad_quality": 0}` is `fluid and no bad quality`."""
    return listed([words(label) if must else f"no {words(label)}" for label, must in labels.items()])


def not_estimable(why: str | None) -> Markup:
    """Return the sentence that stands where a figure cannot."""
    return Markup('<span class="absent">not estimable: {}</span>').format(coded(why or "no reason was given"))


def figure(of: Mapping[str, Any], key: str, digits: int = 3) -> str:
    """Return `of[key]` as a number, or `not estimable: why` with the reason that stands beside it."""
    value = of.get(key)
    return not_estimable(of.get("why")) if value is None else number(value, digits)


FILTERS = {
    "number": number,
    "percent": percent,
    "count": count,
    "p_value": p_value,
    "words": words,
    "capital": capital,
    "listed": listed,
    "not_estimable": not_estimable,
}
