"""How training went: losses of every epoch."""

from typing import Any

from stages.report.charts import Chart, lines, palette
from stages.report.inputs import BASELINES, Data
from stages.report.wording import words


def section(data: Data) -> dict[str, Any]:
    """Return one chart a protocol, and whose weights each protocol keeps."""
    kept = data.params["train"]["kept_epoch"]
    return {
        "curves": [_chart(data, protocol) for protocol in data.protocols],
        "epochs": data.params["epochs"],
        "best": [words(protocol) for protocol in data.protocols if kept[protocol] == "best"],
        "last": [words(protocol) for protocol in data.protocols if kept[protocol] == "last"],
    }


def _chart(data: Data, protocol: str) -> Chart:
    table = data.tables["curves"]
    rows = table.loc[table["protocol"] == protocol, ["model", "fold", "side", "epoch", "loss"]]
    rows = rows.sort_values("side", key=lambda side: side != "train", kind="stable")  # drawn through; validation dashed
    names = {"epoch": "epoch", "loss": "loss"}
    scale = palette(data.models[len(BASELINES) :], ())
    says = f"Training and validation loss by epoch under protocol {words(protocol)}, a line a model and fold."
    return lines(rows, "epoch", "loss", scale, says, words(protocol), names, dash="side")
