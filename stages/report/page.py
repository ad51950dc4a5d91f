"""From the sections' contexts to one HTML file: text by Jinja, charts by Vega, both inlined."""

import itertools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import vl_convert
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from stages.report.charts import THEME
from stages.report.wording import FILTERS, coded

TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Section:
    """One part of the page: `name` is its anchor and its template `<name>.html`."""

    name: str
    title: str
    context: Mapping[str, Any]


@lru_cache(maxsize=1)
def drawing_code() -> str:
    """Return Vega, Vega-Lite and Vega-Embed as one script whose only name outside is `vegaEmbed`."""
    bundle = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    return "{" + bundle + "}"  # a block: its thousands of short names stay inside


def embedded_json(content: Any) -> Markup:
    """Return JSON that no text in it can break out of a <script> with."""
    text = json.dumps(content, separators=(",", ":"), sort_keys=True, allow_nan=False, ensure_ascii=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def environment(templates: Path = TEMPLATES) -> Environment:
    """Return Jinja's environment: everything is escaped, and a name that a template misspells stops the stage.

    Every text that a template puts out passes `coded`; `|e` keeps a sentence from it within an attribute, which takes
    no tag.
    """
    made = Environment(
        loader=FileSystemLoader(templates),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=coded,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    numbers = itertools.count(1)
    made.filters |= {**FILTERS, "embedded": embedded_json, "anchor": lambda _: f"chart-{next(numbers)}"}
    return made


def render(head: Mapping[str, Any], sections: list[Section]) -> str:
    """Return the whole page.

    Args:
        head: what the page's own template reads: cohort, facts, digest.
        sections: in reading order.
    """
    made = environment()
    bodies = [(part, Markup(made.get_template(f"{part.name}.html").render(part.context))) for part in sections]
    asset: Callable[[str], Markup] = lambda name: Markup((TEMPLATES / name).read_text(encoding="utf-8"))  # noqa: E731
    return made.get_template("page.html").render(
        **head,
        sections=bodies,
        style=asset("page.css"),
        script=asset("page.js"),
        vega=Markup(drawing_code()),
        theme=THEME,
    )
