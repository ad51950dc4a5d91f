"""Hostile params.yaml: whatever of it is spoilt, each spoilt key is named in a message before anything runs."""

import copy
import math
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, note
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from experiments.mistakes import mistakes
from experiments.overrides import parse_assignment
from stages.common.core.errors import PipelineError
from stages.common.core.yaml_file import load_yaml
from tests.damage import TIMEOUT_S, survive, survive_all
from tests.workspace import ROOT, read_params_file

Way = tuple[str, ...]

# With every kind of model: a section that no model reads is looked at by no stage
SYSTEMS = read_params_file(ROOT / "profiles/systems.yaml")["params"]
WHOLE = read_params_file(ROOT / "params.yaml") | SYSTEMS
# Mappings whose keys a person chooses: one more or one less can be right
FREE = re.compile(
    r"labels|architectures(\..+)?|baselines|sequences|protocols|augment|train\.variants|label_merge\.without"
    r"|evaluate\.(decision|rule)\..+|bedside\.operating_point\.(maximise|caps)|explain\.(structures|masks|tolerance)"
)
EITHER = re.compile(r"evaluate\.decision\..+")  # 0 or 1, which Python holds false and true equal to

NOT_FINITE = st.sampled_from([math.nan, math.inf, -math.inf])
NESTED = st.lists(st.lists(st.integers(), max_size=2), min_size=1, max_size=3)
UNKNOWN = st.dictionaries(st.text("xyz", min_size=9, max_size=12), st.integers(), min_size=1, max_size=2)
ODD_TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).map("no such thing: {}".format)
FRACTIONS = st.floats(-1e9, 1e9).filter(lambda number: not number.is_integer())

pytestmark = pytest.mark.timeout(TIMEOUT_S)


def places(content: Any, above: Way = ()) -> Iterator[Way]:
    """Yield the way to every key."""
    for key, value in content.items() if isinstance(content, dict) else ():
        yield (*above, key)
        yield from places(value, (*above, key))


def at(content: dict[str, Any], way: Way) -> Any:
    """Return what stands at `way`."""
    for key in way:
        content = content[key]
    return content


def never_right(way: Way) -> st.SearchStrategy[Any]:
    """Return values of kinds that cannot stand at `way`, whichever numbers and words are allowed there."""
    match at(WHOLE, way):
        case bool():
            kinds = [UNKNOWN, ODD_TEXT, st.none(), st.integers(), FRACTIONS]
        case int():
            kinds = [UNKNOWN, ODD_TEXT, st.none()] + [st.booleans()] * (not EITHER.fullmatch(".".join(way)))
        case float():
            kinds = [UNKNOWN, ODD_TEXT, st.booleans()]
        case str():
            kinds = [UNKNOWN, st.booleans(), FRACTIONS]
        case list() | dict():
            kinds = [ODD_TEXT, st.none(), st.booleans(), st.integers(), FRACTIONS]
        case _:  # null: a number or a word may be right
            kinds = [UNKNOWN, st.booleans()]
    return st.one_of(NOT_FINITE, NESTED, *kinds)


@st.composite
def spoilt(draw: st.DrawFn) -> tuple[dict[str, Any], list[str]]:
    """Return params.yaml's content with one to three mistakes, each in another section, and the keys they are at."""
    content, keys = copy.deepcopy(WHOLE), []
    for way in draw(st.lists(st.sampled_from(WAYS), min_size=1, max_size=3, unique_by=lambda way: way[0])):
        section, last = at(content, way[:-1]), way[-1]
        ends = ["value", "more"] + ["less"] * (not FREE.fullmatch(".".join(way[:-1])))
        match draw(st.sampled_from(ends)):
            case "value":
                section[last] = draw(never_right(way))
            case "more":
                last = f"{last}x"
                section[last] = draw(NOT_FINITE)
            case "less":
                del section[last]
        keys.append(".".join((*way[:-1], last)))
    return content, keys


# `augment` names items that stages fan out to: as no mapping it has none, and an unknown one is named by its stage
WAYS = [way for way in places(WHOLE) if way[0] != "augment" or len(way) > 2]


@hypothesis_settings(derandomize=True, deadline=None, max_examples=80)
@given(case=spoilt())
def test_every_mistake_in_params_is_named_with_its_key(case: tuple[dict[str, Any], list[str]]) -> None:
    content, keys = case
    said = [str(problem) for problem in mistakes(content, [], "fuzz")]
    note("\n".join(said))
    for key in keys:
        assert [line for line in said if re.match(rf"params\.yaml: {re.escape(key)}[.:]", line)], key


# Scalars that look like a number, a date or a word of YAML, and are none: ruamel raises what is no YAMLError
NO_SCALAR = st.one_of(
    st.tuples(st.integers(13, 99), st.integers(32, 99)).map(lambda parts: f"2024-{parts[0]}-{parts[1]}"),
    st.integers(25, 99).map("2024-01-01T{}:00:00".format),
    st.builds("!!{} {}".format, st.sampled_from(["int", "float", "bool", "timestamp"]), st.text("xyz", min_size=1)),
    st.sampled_from(["!!int ''", "!!float ''", "!!bool ''"]),
    st.integers(4301, 9000).map(lambda digits: "7" * digits),
)
SCALARS = [way for way in WAYS if not isinstance(at(WHOLE, way), dict | list) and len(way) < 3]


@hypothesis_settings(derandomize=True, deadline=None, max_examples=60)
@given(way=st.sampled_from(SCALARS), scalars=st.lists(NO_SCALAR, min_size=1, max_size=2))
def test_a_scalar_that_is_no_value_is_named_with_its_line(way: Way, scalars: list[str]) -> None:
    lines = [line for key in way[:-1] for line in [f"{key}:"]]
    indent = "  " * len(lines)
    lines += [f"{indent}{way[-1]}{number}: {scalar}" for number, scalar in enumerate(scalars)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "params.yaml"
        path.write_text("seed: 0  # the line above\n" + "\n".join(lines) + "\n")
        said = survive(lambda: load_yaml(path), "no value")
        for number in range(len(scalars)):
            assert f"params.yaml, line {len(way) + 1 + number}: wrong value: expected a value of the kind" in said
        assert len(said) < 2000


@pytest.mark.parametrize("levels", [51, 3000, 100_000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ("{a: ", "}"), ("[", "")])
def test_a_file_nested_beyond_reason_is_a_message(tmp_path: Path, levels: int, opening: str, closing: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("seed: 0\nlr: " + opening * levels + closing * levels)
    with pytest.raises(PipelineError, match=r"params.yaml, line 2: expected at most 50 levels, got more"):
        load_yaml(path)


ALIASES = "".join(f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]\n" for level in range(1, 13))
MERGED = "".join(
    f"a{level}: &a{level} {{k{level}: 1, <<: [{', '.join([f'*a{level - 1}'] * 9)}]}}\n" for level in range(1, 13)
)
BOMBS = {
    "aliases": "a0: &a0 [lol]\n" + ALIASES,
    "a long text": f"a0: &a0 {'x' * 1000}\n" + ALIASES,
    "merged": "a0: &a0 {k0: 1}\n" + MERGED,
    "a key": "a0: &a0 [lol]\n" + ALIASES + "? *a12\n: 1\n",
}


@pytest.mark.parametrize("content", BOMBS.values(), ids=list(BOMBS))
@pytest.mark.parametrize("key", ["lr", "more"])
def test_aliases_of_aliases_are_a_message_at_once(tmp_path: Path, content: str, key: str) -> None:
    """Written out they would be 9 ** 12 values: whoever walks over them does not come back."""
    path = tmp_path / "params.yaml"
    path.write_text(content + f"{key}: *a12\n")
    with pytest.raises(PipelineError, match=r"params.yaml, line \d+: expected at most 5000000 characters with every"):
        load_yaml(path)


@pytest.mark.parametrize("content", ["lr: &a [*a]", "lr: &a {b: [1, *a]}", "lr: &a [&b [1, *a], *b]"])
def test_a_value_that_holds_itself_is_a_message(tmp_path: Path, content: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(f"seed: 0\n{content}\n")
    with pytest.raises(PipelineError, match=r"params.yaml, line 2: expected no value that holds itself, got \*a"):
        load_yaml(path)


def test_aliases_within_reason_are_read(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("one: &a [1, &b x]\ntwo: {<<: {k: *a}, l: *b}\nthree: [*a, *a]\n")
    assert load_yaml(path) == {"one": [1, "x"], "two": {"k": [1, "x"], "l": "x"}, "three": [[1, "x"]] * 2}
    path.write_text("one: [1, *a]\n")
    with pytest.raises(PipelineError, match=r"cannot be read as YAML: (.|\n)*undefined alias"):
        load_yaml(path)


def test_a_number_too_long_to_write_is_a_message(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(f"seed: 0x{'f' * 9000}\n")  # a power of two as its base: read, but not written in tens
    said = "\n".join(str(problem) for problem in mistakes(load_yaml(path) | {"size_px": 16**9000}, [], "fuzz"))
    assert "params.yaml: size_px: wrong value" in said
    assert len(said) < 20_000


@pytest.mark.parametrize("value", ["2024-13-45", "!!int foo", "!!bool foo", "7" * 5000, "[" * 3000, "{? [[1]] : 2}"])
def test_an_override_that_is_no_value_is_a_message(value: str) -> None:
    with pytest.raises(PipelineError, match=r"the value cannot be read as YAML"):
        parse_assignment(f"lr={value}")


def test_the_params_that_are_spoilt_are_right() -> None:
    assert mistakes(WHOLE, [], "fuzz") == []


def test_damaged_params_files(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_bytes((ROOT / "params.yaml").read_bytes())
    survive_all(path, lambda: load_yaml(path), cases=30)
