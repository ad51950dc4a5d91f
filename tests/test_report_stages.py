"""The page over what the stages really write: params that leave a figure out leave a reason, never a broken page."""

import re
from pathlib import Path
from typing import Any

import pytest

from stages.report import __main__ as report
from tests.report_stages import data_of


def deciding(go: dict[str, int], stop: dict[str, int]) -> dict[str, Any]:
    return {"decision": {"go": go, "stop": stop}}


ALONE: dict[str, Any] = {"protocols": {"patient": {}}, "folds": {}}
CASES: dict[str, dict[str, Any]] = {
    "as shipped, with folds": {},
    "no label vetoes a GO": ALONE | {"evaluate": deciding({"fluid": 1, "cord": 0}, {"cord": 1})},
    "no label stops": ALONE | {"evaluate": deciding({"fluid": 1}, {})},
    "without the veto a GO needs nothing": ALONE | {"evaluate": deciding({"bad_quality": 0}, {"cord": 1})},
    "two labels": ALONE
    | {
        "labels": {"cord": {"column": "CORD"}, "fluid": {"column": "FLUID"}},
        "evaluate": deciding({"fluid": 1, "cord": 0}, {"cord": 1}),
    },
    "frame alone": {"protocols": {"frame": {}}, "folds": {}},
    "patient alone": ALONE,
    "one architecture": {"architectures": {"resnet18": {}}, "folds": {}},
    "four infants": {},
}


@pytest.mark.parametrize("case", CASES)
def test_the_page_takes_what_the_stages_write(tmp_path: Path, case: str) -> None:
    def change(params: dict[str, Any]) -> None:
        changes = CASES[case]
        params |= {name: (params[name] if name == "evaluate" else {}) | of for name, of in changes.items()}

    page = report.page(data_of(tmp_path, change, patients=4 if case == "four infants" else 9))
    text = re.sub(r"<[^>]+>", " ", re.sub(r"(?s)<(script|style).*?</\1>", " ", page))
    assert not re.search(r"\b(nan|NaN|undefined|None(?! was at risk))\b", text)
