"""Parameters are checked when they are read; the shipped section is valid."""

from __future__ import annotations

from pathlib import Path

import pytest

from stages.common.core.errors import PipelineError
from stages.common.core.params import read_params
from stages.phantom.params import Params
from tests.phantom.conftest import make_params


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ('"scale":1.0', '"scale":1.0,"scales":1.0', "scales.*unknown key"),
        ('"scale":1.0', '"scale":1.5', "scale.*less than or equal to 1"),
        ('"layout":"study"', '"layout":"studio"', "layout"),
        ('"messy_labels":false', '"messy_labels":"no"', "messy_labels"),
        ('"min":2.0,"max":4.0', '"min":4.0,"max":2.0', "min.*max"),
    ],
)
def test_a_mistake_is_named(before: str, after: str, message: str, tmp_path: Path) -> None:
    text = make_params().model_dump_json()
    assert before in text
    path = tmp_path / "params.yaml"
    path.write_text(text.replace(before, after, 1))  # JSON is YAML
    with pytest.raises(PipelineError, match=message):
        read_params(Params, path)


def test_valid_parameters_are_read(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(make_params().model_dump_json())
    assert read_params(Params, path) == make_params()
