"""Mistakes in params.yaml: one message with all of them, the key, the value and what is allowed."""

from pathlib import Path

import pytest
from pydantic import Field

from experiments.mistakes import mistakes
from stages.common.core.errors import PipelineError
from stages.common.core.params import TOP_LEVEL, Strict, read_params
from stages.common.core.yaml_file import load_yaml
from tests.workspace import ROOT


class Inner(Strict):
    quality: int = Field(ge=0, le=100)
    name: str


class Params(Strict):
    lr: float = Field(gt=0)
    augment: Inner


def write(folder: Path, text: str) -> Path:
    path = folder / "params.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_values_are_read_as_dvc_reads_them(tmp_path: Path) -> None:
    path = write(tmp_path, "lr: 1e-3\naugment: {quality: 50, name: on}\n")
    params = read_params(Params, path)
    assert params.lr == 0.001  # PyYAML would say '1e-3'
    assert params.augment.name == "on"  # and True


def test_all_mistakes_come_in_one_message(tmp_path: Path) -> None:
    path = write(tmp_path, "lr: abc\naugment: {quality: 101, qualty: 1}\nagument: {}\n")
    with pytest.raises(PipelineError) as caught:
        read_params(Params, path)
    message = str(caught.value)
    assert "5 problems" in message
    for part in (
        "params.yaml: agument: unknown key",
        "params.yaml: lr: wrong value: expected a valid number, got 'abc'",
        "params.yaml: augment.quality: wrong value: expected less than or equal to 100, got 101",
        "params.yaml: augment.qualty: unknown key",
        "params.yaml: augment.name: missing key",
    ):
        assert part in message


def test_a_whole_number_is_no_text_and_text_no_number(tmp_path: Path) -> None:
    path = write(tmp_path, "lr: 1\naugment: {quality: '50', name: 3}\n")
    with pytest.raises(PipelineError, match=r"(?s)augment.quality: wrong value.*'50'.*augment.name: wrong value.*3"):
        read_params(Params, path)


@pytest.mark.parametrize(
    ("text", "match"),
    [("lr: [1\n", "cannot be read as YAML"), ("lr: \x00\n", "cannot be read as YAML"), ("- 1\n", "expected a mapping")],
)
def test_a_broken_file_is_named(tmp_path: Path, text: str, match: str) -> None:
    with pytest.raises(PipelineError, match=match):
        read_params(Params, write(tmp_path, text))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=r"params.yaml cannot be read"):
        read_params(Params, tmp_path / "params.yaml")


def test_params_are_frozen(tmp_path: Path) -> None:
    params = read_params(Params, write(tmp_path, "lr: 1.0\naugment: {quality: 5, name: a}\n"))
    with pytest.raises(ValueError, match="frozen"):
        params.lr = 2.0  # type: ignore[misc]


def test_what_may_stand_at_the_top_is_what_stands_there() -> None:
    assert set(load_yaml(ROOT / "params.yaml")) == TOP_LEVEL


IMPOSSIBLE = [
    ("search", {"typo": 1}),
    ("phantom.depth_cm", {"min": 0.0, "max": 0.0}),
    ("phantom.depth_cm.min", -1.0),
    ("phantom.gain_db.max", float("nan")),
    ("phantom.gain_db.max", float("inf")),
    ("phantom.prevalence.cord_and_fluid", 0.5),
    ("phantom.prevalence.bad_quality", 0.9),
    ("augment.brightness.alpha.max", float("inf")),
    ("preprocess.clahe.clip_limit", float("inf")),
    ("train.mean", float("nan")),
    ("train.std", float("inf")),
    ("train.weights_sha256", "0" * 64),  # as shipped `weights` is random, which is no file
    ("label_merge.first_number", True),
    ("label_merge.first_number_of", {"AM12": False}),
]


@pytest.mark.parametrize(("key", "value"), IMPOSSIBLE, ids=lambda part: str(part))
def test_values_that_no_stage_can_use_are_named(monkeypatch: pytest.MonkeyPatch, key: str, value: object) -> None:
    monkeypatch.chdir(ROOT)
    content = load_yaml(ROOT / "params.yaml")
    *above, last = key.split(".")
    place = content
    for part in above:
        place = place[part]
    place[last] = value
    found = mistakes(content, [], "test")
    assert any(key.startswith(problem.where.removeprefix("params.yaml: ")[: len(key)]) for problem in found), found
