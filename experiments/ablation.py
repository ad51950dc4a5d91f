"""What preprocessing and each augmentation are worth: queue an experiment each, and read the table of them.

    python -m experiments.ablation queue                        all of profiles/ablation.yaml, estimate first
    python -m experiments.ablation queue --only 'preprocess-*'  some, and what they are measured against
    dvc queue start -j 1
    python -m experiments.ablation table --csv ablation.csv     prints Markdown, and writes the same as CSV

Reads   params.yaml, dvc.yaml, profiles/ablation.yaml (`Compared`) and its profile; `table` what DVC knows of the
        experiments, and from its cache their predictions
Runs    dvc exp run --queue -n ablation-<name>

No stage: an ablation is a question asked of the pipeline, and its answer no input of anything. An experiment that is
queued, running or finished is not queued again: `dvc exp remove ablation-<name>` first.
"""

import argparse

from experiments.compared import Compared, Kind, add_queue, add_table, queue, table
from experiments.finished import exp_show, experiments_in
from experiments.plan import read_file
from stages.common.core.errors import run

ABLATION = Kind("ablation")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m experiments.ablation", description="Queue an ablation, read it.")
    commands = parser.add_subparsers(dest="command", required=True)
    add_queue(commands)
    add_table(commands)
    return parser.parse_args()


def main() -> None:
    """Queue, or read."""
    asked, ablation = _arguments(), read_file(ABLATION.file, Compared)
    if asked.command == "queue":
        queue(ABLATION, ablation, asked.only, asked.dry)
    else:
        table(ABLATION, ablation, experiments_in(exp_show(asked.rev), ABLATION.prefix), asked.csv)


if __name__ == "__main__":
    run(main)
