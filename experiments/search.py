"""Search for lr, epochs and other training parameters: random, grid or TPE, judged on validation rows alone.

    python -m experiments.search --sampler random --trials 8 --minutes 60
    python -m experiments.search --sampler grid                        every point of profiles/search.yaml
    python -m experiments.search --sampler tpe --trials 20 --models resnet18
    dvc exp apply search-random-patient-003-0.4123                     as printed at the end

Reads   params.yaml, dvc.yaml, profiles/search.yaml (`Search`) and its profile; of a trial the validation rows of its
        predictions, from DVC's cache, and the validation loss while it trains
Runs    dvc exp run --temp --name search-<name>-<trial> -S ... train@<protocol>-<network> ..., one after another
Writes  .search/<name>/: study.jsonl (all that is known of the search), a log a trial, trials.csv, trials.png

A trial is an experiment like any other; where it finished, `dvc exp show` lists it, under a name that ends in its
validation score; one that was stopped early or failed is removed, and stands in trials.csv. It trains
and does not evaluate. Like every training it writes what its network says of the test frames too, but the search reads
validation rows alone: with the test labels deleted beforehand it finds the same (tests/test_unseen.py). (The scores
that `dvc exp show` prints beside it are the last commit's.) The same command goes on where a search was stopped or
killed.
"""

import argparse
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any

from experiments.overrides import Content
from experiments.plan import Plan, Profile, plan, read_file, read_profile
from experiments.search_dvc import DVC, changed_files, head
from experiments.search_loop import Budget, search
from experiments.search_page import draw_trials, page, trials_table
from experiments.search_space import FILE, Search, Value, samples
from experiments.search_study import folder_of, open_study
from stages.common.core.errors import PipelineError, run
from stages.common.core.tables import write_table
from stages.common.evaluation.predictions import Training


def targets_of(content: Content, protocol: str, models: Sequence[str]) -> list[str]:
    """Return the trainings of a trial as DVC names them.

    Raises:
        PipelineError: params.yaml declares no such protocol or network.
    """
    for what, asked in (("protocols", [protocol]), ("architectures", models)):
        strange = [name for name in asked if name not in content[what]]
        if strange:
            raise PipelineError(
                f"params.yaml: {what}: expected {', '.join(strange)} among them, got {', '.join(content[what])}."
            )
    return [f"train@{protocol}-{model}" for model in models]


def planner(profile: Profile, settings: Search) -> Callable[[dict[str, Value]], Plan]:
    """Return what makes of a trial's values what DVC is asked for.

    Raises:
        PipelineError: at once, where any value between the limits would be refused by a stage.
    """

    def planned(values: dict[str, Value]) -> Plan:
        return plan(profile, settings.profile, values, str(FILE))

    for values in samples(settings.space):
        planned(values)
    return planned


def _refuse_changes() -> None:
    changed = changed_files()
    if changed:
        raise PipelineError(
            f"{', '.join(changed)}: changed since the last commit, on which trials hang. Commit the changes, or "
            "take them back with `git checkout .`."
        )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m experiments.search", description="Search on validation rows.")
    parser.add_argument("--sampler", choices=("random", "grid", "tpe"), required=True)
    parser.add_argument("--trials", type=int, help="of the whole search; 0 prints what there is")
    parser.add_argument("--minutes", type=float, help="after which no trial begins")
    # no leave_one_patient_out: there every infant validates in one fold and is tested in another
    parser.add_argument("--protocol", choices=("patient", "frame"), default="patient")
    parser.add_argument("--models", metavar="A,B", help="architectures that a trial trains; all of the profile")
    parser.add_argument("--name", help="of the search; <sampler>-<protocol> if not given")
    asked = parser.parse_args()
    if asked.trials is None and asked.minutes is None and asked.sampler != "grid":
        parser.error("only a grid ends by itself: give --trials, --minutes or both")
    return asked


def main() -> None:
    """Search, then print the table and what `dvc exp apply` takes."""
    for number in (signal.SIGINT, signal.SIGTERM):  # also in the background of a script: the trial must be stopped too
        signal.signal(number, signal.default_int_handler)
    asked, settings = _arguments(), read_file(FILE, Search)
    _refuse_changes()
    base = read_profile(settings.profile)
    content = plan(base, settings.profile, {}, "").after
    models = asked.models.split(",") if asked.models else list(content["architectures"])
    profile = Profile(targets=targets_of(content, asked.protocol, models), params=base.params)
    planned = planner(profile, settings)
    name = asked.name or f"{asked.sampler}-{asked.protocol}"
    setting: dict[str, Any] = {
        "commit": head(), "sampler": asked.sampler, "protocol": asked.protocol, "models": models,
        **settings.model_dump(include={"objective", "seed", "space"}), "params": content,
    }  # fmt: skip
    study = open_study(name, asked.sampler, settings, setting)
    trainings = [Training(asked.protocol, "0", content["seed"], model) for model in models]
    runner = DVC(folder_of(name), trainings, list(content["labels"]), settings.objective)
    try:
        search(study, planned, Budget(asked.trials, asked.minutes), runner)
    except KeyboardInterrupt:
        sys.exit("stopped; the same command goes on")
    finally:
        write_table(folder_of(name) / "trials.csv", trials_table(study))
        draw_trials(study, folder_of(name) / "trials.png")
    print(page(study))


if __name__ == "__main__":
    run(main)
