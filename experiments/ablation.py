"""What preprocessing and each augmentation are worth: queue an experiment each, and read the table of them.

    python -m experiments.ablation queue                        all of profiles/ablation.yaml, estimate first
    python -m experiments.ablation queue --only 'preprocess-*'  some, and what they are measured against
    dvc queue start -j 1
    python -m experiments.ablation table --csv ablation.csv     prints Markdown, and writes the same as CSV

Reads   params.yaml, dvc.yaml, profiles/ablation.yaml (`Ablation`) and its profile; `table` what DVC knows of the
        experiments, and from its cache their predictions
Runs    dvc exp run --queue -n ablation-<name>

No stage: an ablation is a question asked of the pipeline, and its answer no input of anything. An experiment that is
queued, running or finished is not queued again: `dvc exp remove ablation-<name>` first.
"""

import argparse
import shlex
import sys
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, StringConstraints, model_validator

from experiments.ablation_table import ablation_table, markdown
from experiments.finished import PREFIX, Experiment, exp_show, experiments_in, patient_scores
from experiments.overrides import changed, leaves, shown
from experiments.plan import PROFILES, Plan, Profile, plan, read_file, read_profile
from experiments.profile import busy, minutes, run_dvc
from experiments.timing import Rate, estimate, measure, start_s
from experiments.workload import cohort_of, trainings_of
from stages.common.errors import PipelineError, Problem, raise_all, run
from stages.common.params import Strict
from stages.common.progress import bar
from stages.common.tables import write_table

FILE = PROFILES / "ablation.yaml"


class Entry(Strict):
    """One experiment."""

    against: str | None  # the experiment a difference is taken from
    params: dict[str, Any]  # dotted key of params.yaml -> its value, after the profile's


class Ablation(Strict):
    """profiles/ablation.yaml."""

    profile: str  # the profile that all experiments begin from
    experiments: dict[Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]+$")], Entry] = Field(min_length=1)

    @model_validator(mode="after")
    def _known(self) -> Self:
        strange = sorted(
            {entry.against for entry in self.experiments.values() if entry.against} - set(self.experiments)
        )
        if strange:
            raise ValueError(f"`against` an experiment of this file; unknown: {', '.join(strange)}")
        return self

    def chosen(self, patterns: Sequence[str]) -> dict[str, Entry]:
        """Return the experiments whose name fits a pattern, and those they are measured against, in the file's order.

        Raises:
            PipelineError: a pattern fits none.
        """
        idle = [pattern for pattern in patterns if not any(fnmatchcase(name, pattern) for name in self.experiments)]
        if idle:
            raise PipelineError(f"--only {', '.join(idle)}: fits none of {', '.join(self.experiments)}.")
        wanted = {name for name in self.experiments if any(fnmatchcase(name, pattern) for pattern in patterns)}
        wanted |= {other for name in wanted if (other := self.experiments[name].against)}
        return {name: entry for name, entry in self.experiments.items() if name in wanted}


def plans(entries: Mapping[str, Entry], profile: Profile) -> dict[str, Plan]:
    """Return what each experiment makes of params.yaml.

    Raises:
        PipelineError: with the mistakes of all of them.
    """
    found, problems = {}, []
    for name, entry in bar(list(entries.items()), "check", unit="experiment"):
        try:
            found[name] = plan(profile, "the profile", entry.params, f"{FILE}: {name}")
        except PipelineError as error:
            problems.append(str(error))
    if problems:
        raise PipelineError("\n".join(problems))
    return found


def queue_command(name: str, planned: Plan) -> list[str]:
    """Return the words that queue an experiment, after `dvc`."""
    return planned.command("--queue", "--name", f"{PREFIX}{name}")


def say_estimate(planned: Mapping[str, Plan]) -> None:
    """Measure, and print what the experiments take together."""
    rates: dict[tuple[Any, ...], Mapping[str, Rate]] = {}
    whole, start = 0.0, start_s()
    for one in planned.values():
        cohort = cohort_of(one.after)
        asked = (one.after["size_px"], one.after["train"]["batch_size"], *one.after["architectures"])
        if asked not in rates:
            rates[asked] = measure(one.after)
        simulated = one.after["cohort"] == "phantom"
        whole += estimate(cohort, simulated, trainings_of(one.after, cohort.frames), rates[asked], start).whole
    print(f"estimate: {minutes(whole)} for {len(planned)} experiments. {busy()}", flush=True)


def queue(ablation: Ablation, patterns: Sequence[str], dry: bool) -> None:
    """Queue what is not there yet; stop at the first that DVC refuses."""
    chosen = ablation.chosen(patterns)
    there = {name: one for name, one in experiments_in(exp_show("HEAD")).items() if one.state != "failed"}
    for name in (name for name in chosen if name in there):
        print(f"{PREFIX}{name} is {there[name].state}: not queued again")
    wanted = {name: entry for name, entry in chosen.items() if name not in there}
    planned = plans(wanted, read_profile(ablation.profile))
    if planned and not dry:
        say_estimate(planned)
    for name, one in planned.items():
        print(shlex.join(["dvc", *queue_command(name, one)]), flush=True)
        if not dry and (status := run_dvc(queue_command(name, one))):
            sys.exit(status)
    if planned and not dry:
        print("`dvc queue start -j 1` runs them; `python -m experiments.ablation table` reads them")


def stale(name: str, entry: Entry, experiment: Experiment, profile: Profile) -> list[Problem]:
    """Return what the experiment was run with that the files of profiles/ no longer say."""
    asked = {**profile.params, **entry.params}
    wanted, _ = changed(experiment.params, asked, FILE.name)
    ran, now = dict(leaves(experiment.params)), dict(leaves(wanted))
    return [
        Problem(
            f"experiment {PREFIX}{name}: {key}", "other than profiles/ now says", shown(now.get(key)),
            shown(ran.get(key)), f"`dvc exp remove {PREFIX}{name}`, and queue it again.",
        )
        for key in asked
        if ran.get(key) != now.get(key)
    ]  # fmt: skip


def table(ablation: Ablation, rev: str, csv: Path | None) -> None:
    """Print the table of all finished experiments, and write it where it is asked for.

    Raises:
        PipelineError: an experiment was run with other values than the files of profiles/ now say.
    """
    there, profile = experiments_in(exp_show(rev)), read_profile(ablation.profile)
    finished = {name: one for name, one in there.items() if one.state == "finished" and name in ablation.experiments}
    problems = [
        problem for name, one in finished.items() for problem in stale(name, ablation.experiments[name], one, profile)
    ]
    raise_all(problems, "finished experiments do not fit")
    scores = {name: one.scores for name, one in finished.items()}
    patients = {name: patient_scores(one) for name, one in bar(list(finished.items()), "patients", unit="experiment")}
    against = {name: entry.against for name, entry in ablation.experiments.items()}
    made = ablation_table(against, scores, patients)
    missing = {name: there[name].state if name in there else "not queued" for name in against if name not in finished}
    print(markdown(made, missing, ablation.profile))
    if csv:
        write_table(csv, made)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m experiments.ablation", description="Queue an ablation, read it.")
    commands = parser.add_subparsers(dest="command", required=True)
    queueing = commands.add_parser("queue", help="queue an experiment each, estimate first")
    queueing.add_argument("--only", nargs="+", default=["*"], metavar="PATTERN", help="names, e.g. 'preprocess-*'")
    queueing.add_argument("--dry", action="store_true", help="print the commands and stop")
    reading = commands.add_parser("table", help="the differences between the finished experiments")
    reading.add_argument("--rev", default="HEAD", help="the commit that they were queued on")
    reading.add_argument("--csv", type=Path, help="write the table there too")
    return parser.parse_args()


def main() -> None:
    """Queue, or read."""
    asked, ablation = _arguments(), read_file(FILE, Ablation)
    if asked.command == "queue":
        queue(ablation, asked.only, asked.dry)
    else:
        table(ablation, asked.rev, asked.csv)


if __name__ == "__main__":
    run(main)
