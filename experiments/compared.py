"""Experiments that are measured against each other: queue them, and read the table of their differences."""

import argparse
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, StringConstraints, model_validator

from experiments.ablation_table import ablation_table, markdown
from experiments.finished import Experiment, exp_show, experiments_in, patient_scores
from experiments.overrides import changed, leaves, shown
from experiments.plan import PROFILES, Plan, Profile, plan, read_profile
from experiments.profile import busy, minutes, run_dvc
from experiments.timing import Rate, estimate, measure, start_s
from experiments.workload import cohort_of, trainings_of
from stages.common.core.errors import PipelineError, Problem, raise_all
from stages.common.core.params import Strict
from stages.common.core.progress import bar
from stages.common.core.tables import write_table


@dataclass(frozen=True)
class Kind:
    """Which comparison: `ablation` is `experiments.ablation`, profiles/ablation.yaml and experiments ablation-*."""

    name: str

    @property
    def file(self) -> Path:
        return PROFILES / f"{self.name}.yaml"

    @property
    def prefix(self) -> str:
        return f"{self.name}-"


class Entry(Strict):
    """One experiment."""

    against: str | None  # the experiment a difference is taken from
    params: dict[str, Any]  # dotted key of params.yaml -> its value, after the profile's


class Compared(Strict):
    """A file of profiles/ that lists experiments."""

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


def plans(kind: Kind, entries: Mapping[str, Entry], profile: Profile) -> dict[str, Plan]:
    """Return what each experiment makes of params.yaml.

    Raises:
        PipelineError: with the mistakes of all of them.
    """
    found, problems = {}, []
    for name, entry in bar(list(entries.items()), "check", unit="experiment"):
        try:
            found[name] = plan(profile, "the profile", entry.params, f"{kind.file}: {name}")
        except PipelineError as error:
            problems.append(str(error))
    if problems:
        raise PipelineError("\n".join(problems))
    return found


def queue_command(kind: Kind, name: str, planned: Plan) -> list[str]:
    """Return the words that queue an experiment, after `dvc`."""
    return planned.elsewhere("--queue", "--name", f"{kind.prefix}{name}")


def say_estimate(planned: Mapping[str, Plan]) -> None:
    """Measure, and print what the experiments take together."""
    rates: dict[tuple[Any, ...], Mapping[str, Rate]] = {}
    whole, start = 0.0, start_s()
    for one in planned.values():
        cohort = cohort_of(one.after)
        train = one.after["train"]
        asked = (one.after["size_px"], train["batch_size"], train["freeze"], *one.after["architectures"])
        if asked not in rates:
            rates[asked] = measure(one.after)
        simulated = one.after["cohort"] == "phantom"
        whole += estimate(cohort, simulated, trainings_of(one.after, cohort.frames), rates[asked], start).whole
    print(f"estimate: {minutes(whole)} for {len(planned)} experiments. {busy()}", flush=True)


def queue(kind: Kind, compared: Compared, patterns: Sequence[str], dry: bool) -> None:
    """Queue what is not there yet; stop at the first that DVC refuses."""
    chosen = compared.chosen(patterns)
    there = {name: one for name, one in experiments_in(exp_show("HEAD"), kind.prefix).items() if one.state != "failed"}
    for name in (name for name in chosen if name in there):
        print(f"{kind.prefix}{name} is {there[name].state}: not queued again")
    wanted = {name: entry for name, entry in chosen.items() if name not in there}
    planned = plans(kind, wanted, read_profile(compared.profile))
    if planned and not dry:
        say_estimate(planned)
    for name, one in planned.items():
        print(shlex.join(["dvc", *queue_command(kind, name, one)]), flush=True)
        if not dry and (status := run_dvc(queue_command(kind, name, one))):
            sys.exit(status)
    if planned and not dry:
        print(f"`dvc queue start -j 1` runs them; `python -m experiments.{kind.name} table` reads them")


def stale(kind: Kind, name: str, entry: Entry, experiment: Experiment, profile: Profile) -> list[Problem]:
    """Return what the experiment was run with that the files of profiles/ no longer say."""
    asked = {**profile.params, **entry.params}
    wanted, _ = changed(experiment.params, asked, kind.file.name)
    ran, now = dict(leaves(experiment.params)), dict(leaves(wanted))
    return [
        Problem(
            f"experiment {kind.prefix}{name}: {key}", "other than profiles/ now says", shown(now.get(key)),
            shown(ran.get(key)), f"`dvc exp remove {kind.prefix}{name}`, and queue it again.",
        )
        for key in asked
        if ran.get(key) != now.get(key)
    ]  # fmt: skip


def table(kind: Kind, compared: Compared, there: Mapping[str, Experiment], csv: Path | None, caution: str = "") -> None:
    """Print the table of all finished experiments, and write it where it is asked for.

    Args:
        kind: which comparison.
        compared: what its file says.
        there: name without the prefix -> experiment.
        csv: where the table is written too.
        caution: what stands above it beside the usual.

    Raises:
        PipelineError: an experiment was run with other values than the files of profiles/ now say.
    """
    profile, entries = read_profile(compared.profile), compared.experiments
    finished = {name: one for name, one in there.items() if one.state == "finished" and name in entries}
    problems = [problem for name, one in finished.items() for problem in stale(kind, name, entries[name], one, profile)]
    raise_all(problems, "finished experiments do not fit")
    scores = {name: one.scores for name, one in finished.items()}
    patients = {name: patient_scores(one) for name, one in bar(list(finished.items()), "patients", unit="experiment")}
    against = {name: entry.against for name, entry in entries.items()}
    made = ablation_table(against, scores, patients)
    missing = {name: there[name].state if name in there else "not queued" for name in against if name not in finished}
    print(markdown(kind.name, made, missing, compared.profile, caution))
    if csv:
        write_table(csv, made)


def add_queue(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    """Add the command `queue` to a parser."""
    queueing = commands.add_parser("queue", help="queue an experiment each, estimate first")
    queueing.add_argument("--only", nargs="+", default=["*"], metavar="PATTERN", help="names, e.g. 'preprocess-*'")
    queueing.add_argument("--dry", action="store_true", help="print the commands and stop")
    return queueing


def add_table(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command `table` to a parser."""
    reading = commands.add_parser("table", help="the differences between the finished experiments")
    reading.add_argument("--rev", default="HEAD", help="the commit that they were queued on")
    reading.add_argument("--csv", type=Path, help="write the table there too")
