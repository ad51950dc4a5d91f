"""Keys of a YAML file that are lists or mappings, or no text where names are expected: a message, never a traceback."""

from pathlib import Path

import pytest

from experiments.mistakes import mistakes
from stages.common.core.errors import PipelineError
from stages.common.core.yaml_file import load_yaml
from tests.damage import survive
from tests.test_fuzz_params import WHOLE

NO_KEYS = ["[1, 2]", "[[1], [2]]", "[1, {b: 2}]", "{b: 2}", "!!set {a}", "!!omap [a: 1]", "!!pairs [a: 1]"]


@pytest.mark.parametrize("key", NO_KEYS)
@pytest.mark.parametrize("above", ["", "search:", "search:\n-", "more: !!set"], ids=["top", "map", "list", "set"])
def test_a_list_or_a_mapping_as_a_key_is_named_with_its_line(tmp_path: Path, key: str, above: str) -> None:
    path = tmp_path / "params.yaml"
    lines = ["seed: 0", *above.splitlines(), f"{'  ' * bool(above)}? {key}"]
    path.write_text("\n".join(lines))
    said = survive(lambda: load_yaml(path), key)
    kind = "a mapping" if key.startswith(("{", "!!set")) else "a list"
    assert f"params.yaml, line {len(lines)}: wrong key: expected a text, a number or a date, got {kind}. Write" in said


def test_every_key_that_is_none_is_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("? [[1], [2]]\n: 1\nlr: {? {a: 1} : 1}\n? [b]\n: 1\n")
    with pytest.raises(PipelineError, match=r"(?s)3 problems.*line 1: wrong key.*line 3: wrong key.*line 4: wrong key"):
        load_yaml(path)


@pytest.mark.parametrize("section", ["architectures", "baselines", "sequences", "augment", "labels"])
@pytest.mark.parametrize("key", [1, 1.5, None])
def test_a_key_that_is_no_text_is_named(section: str, key: object) -> None:
    content = WHOLE | {section: {**WHOLE[section], key: 1}}
    said = "\n".join(str(problem) for problem in mistakes(content, [], "fuzz"))
    assert f"params.yaml: {section}.{key}" in said
