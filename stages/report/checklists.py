"""Reporting checklists: what this pipeline can fill in, and what a person must. Never a claim of compliance."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from jinja2 import Environment, StrictUndefined
from pydantic import BaseModel, ConfigDict
from ruamel.yaml import YAML

FOLDER = Path(__file__).parent / "checklists"
NAMES = ("claim_2024", "tripod_ai")
STATUS = {"filled": "filled", "partly": "partly filled", "person": "a person must fill this"}
WANTED = {"partly": {"says", "origin", "person"}, "filled": {"says", "origin"}, "person": {"person"}}


class Item(BaseModel):
    """One item, paraphrased in our own words."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    item: str  # its number in the published checklist
    part: str
    topic: str
    status: Literal["filled", "partly", "person"]
    says: str | None = None  # what the pipeline knows: a Jinja sentence over the facts of `card.facts`
    origin: str | None = None  # where that stands
    person: str | None = None  # what only people know
    needs: tuple[str, ...] = ()  # facts without which it is only partly filled

    def model_post_init(self, _: Any) -> None:
        """Refuse an item whose status does not fit what it says."""
        given = {name for name in ("says", "origin", "person") if getattr(self, name)}
        if given != WANTED[self.status]:
            raise ValueError(
                f"item {self.item}, {self.status}: expected {sorted(WANTED[self.status])}, got {sorted(given)}"
            )


class Checklist(BaseModel):
    """One published checklist."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str
    source: str
    items: list[Item]


def read_checklist(name: str) -> Checklist:
    """Return one of `NAMES`."""
    content = YAML(typ="safe", pure=True).load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
    return Checklist.model_validate(content)


def filled(checklist: Checklist, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return a checklist with its sentences filled in, and how many items have each status."""
    items = [_filled_item(item, facts) for item in checklist.items]
    counts = {shown: sum(item["status"] == key for item in items) for key, shown in STATUS.items()}
    return {"title": checklist.title, "source": checklist.source, "items": items, "counts": counts}


def _filled_item(item: Item, facts: Mapping[str, Any]) -> dict[str, Any]:
    # text, not HTML: the page's own template escapes it
    sentence = Environment(undefined=StrictUndefined, autoescape=False).from_string(item.says or "").render(facts)
    lacking = [name for name in item.needs if facts[name] is None]
    status = "partly" if lacking and item.status == "filled" else item.status
    if lacking:
        sentence = f"Not estimable here: {', '.join(facts['lacking'].get(name) or name for name in lacking)}."
    return {**item.model_dump(), "says": sentence, "status": status, "shown": STATUS[status]}
