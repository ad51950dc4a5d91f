"""Measure speed and size on an idle machine and write metrics/benchmark.json.

    python -m tests.benchmark                  everything, about two hours on 2 cores, after `dvc repro`
    python -m tests.benchmark training noop    only these parts; the others keep their last figures

Ratios are taken within one run, ours and the bare loop in turn, because a machine's speed drifts. Nothing here is a
test: a loaded machine would fail it, and PyTorch on 2 threads beside a busy process is several times slower.
"""

import argparse
import json
import os
import platform

from tests.benchmark import (
    controls,
    frames,
    laptop,
    larger,
    noop,
    pretrained,
    scale,
    swapped,
    systems,
    tables,
    training,
)
from tests.workspace import ROOT

OUT = ROOT / "metrics/benchmark.json"
PARTS = {
    "training": training.measure,  # images a second beside a bare loop
    "noop": noop.measure,  # a repro with nothing to do beside a pipeline of one stage
    "frames": frames.measure,  # extract, augment, preprocess beside bare OpenCV calls, at the study's size
    "tables": tables.measure,  # evaluate and report at the study's size
    "baselines": systems.baselines,  # texture and the classical classifiers at the study's size
    "sequences": systems.sequences,  # GRU, LSTM and transformer on features that lie ready, at the study's size
    "laptop": laptop.measure,  # wall time, memory and disk of the shipped params
    "controls": controls.measure,  # the shipped networks beside twins on shuffled labels
    "swapped": swapped.measure,  # every declared system beside twins on labels swapped between clips, patient-disjoint
    "pretrained": pretrained.measure,  # the shipped networks from given weights, on another phantom
    "larger": larger.measure,  # macro F1 at a larger size
    "scale": scale.measure,  # every stage at 13, 130 and 1300 small clips; writes the table of docs/scale.md, too
}


KEPT = {"swapped"}  # figures a protocol: those of others stay


def main() -> None:
    """Measure the parts asked for and keep the rest of the file."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmark", description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], help="default: all")
    asked = parser.parse_args().parts or list(PARTS)
    results = json.loads(OUT.read_text(encoding="utf-8")) if OUT.is_file() else {}
    results["machine"] = {"cores": os.cpu_count(), "processor": platform.machine(), "python": platform.python_version()}
    for part in asked:
        found = PARTS[part]()
        results[part] = results.get(part, {}) | found if part in KEPT else found
        OUT.write_text(json.dumps(results, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        print(part, json.dumps(results[part], indent=2))


if __name__ == "__main__":
    main()
