"""Run the pipeline under a profile: say what it changes and what it will take here, then hand it to DVC.

    python -m experiments.profile cpu                  leave one patient out on two cores
    python -m experiments.profile cpu --estimate       stop after the estimate
    python -m experiments.profile study --dry          stop after the `dvc exp run` command
    python -m experiments.profile laptop -S folds=8    one more change; its value is YAML

Reads   params.yaml, dvc.yaml, profiles/<name>.yaml (`Profile`), and the clips of a cohort that is not simulated
Runs    dvc exp run, whose exit status is this command's

Every mistake of the profile and of the params.yaml that it makes, as each stage would see it, is said at once, before
anything runs. The command stands above the stages, in a folder of its own: it imports their parameter classes and
their training loop, and no stage imports it.
"""

import argparse
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from experiments.overrides import Content, parse_assignment
from experiments.plan import PROFILES, changes_text, plan, read_profile
from experiments.timing import Estimate, Rate, estimate, measure, start_s
from experiments.workload import Cohort, Training, cohort_of, listed, trainings_of
from stages.common.core.errors import run


def minutes(seconds: float) -> str:
    """Return a duration as a person says it."""
    return f"{seconds / 60:.0f} min" if seconds < 3 * 3600 else f"{seconds / 3600:.1f} h"


def busy() -> str:
    """Return what an estimate leaves out, and a warning when other work has slowed what was measured."""
    said = "What DVC has done before is not done again"
    cores = os.cpu_count() or 1
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0  # Windows has none
    if load > cores + 1:  # our own threads are up to one a core
        said += f"; this machine is busy (load {load:.1f} on {cores} cores), so the pace measured is too slow"
    return f"{said}."


def estimate_text(
    cohort: Cohort, trainings: Sequence[Training], rates: Mapping[str, Rate], found: Estimate, size_px: int
) -> str:
    """Return the work and the time it will take."""
    lines = [
        f"{cohort.clips} clips of {cohort.patients} patients, {cohort.frames} of {cohort.decoded} frames, {size_px} px",
        f"{len(trainings)} trainings: {listed(trainings)}",
    ]
    for name, rate in rates.items():
        lines.append(f"  {name}: {rate.learning:.1f} pictures/s measured, {minutes(found.training[name])}")
    lines.append(f"  everything else: {minutes(found.preparing)}, roughly")
    lines.append(f"estimate: {minutes(found.whole)}. {busy()}")
    return "\n".join(lines)


def say_estimate(after: Content) -> None:
    """Measure, and print what a run of params.yaml's content takes."""
    cohort = cohort_of(after)
    trainings = trainings_of(after, cohort.frames)
    rates = measure(after)
    found = estimate(cohort, after["cohort"] == "phantom", trainings, rates, start_s())
    print(estimate_text(cohort, trainings, rates, found, after["size_px"]), flush=True)


def run_dvc(words: Sequence[str], folder: Path = Path()) -> int:
    """Run `dvc ...` in a repository, this one if no other is named, and return its exit status."""
    return subprocess.run([sys.executable, "-m", "dvc", *words], cwd=folder, check=False).returncode


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m experiments.profile", description="Run the pipeline as a profile.")
    parser.add_argument("profile", help="a file of profiles/, without .yaml")
    parser.add_argument("-S", dest="more", action="append", default=[], metavar="KEY=VALUE", help="one more change")
    parser.add_argument("--estimate", action="store_true", help="stop after the estimate")
    parser.add_argument("--dry", action="store_true", help="print the `dvc exp run` command and stop; measure nothing")
    parser.add_argument("--pull", action="store_true", help="fetch what a stage made elsewhere before it is made again")
    return parser.parse_args()


def main() -> None:
    """Check, say, estimate, run."""
    asked = _arguments()
    profile = read_profile(asked.profile)
    planned = plan(profile, str(PROFILES / f"{asked.profile}.yaml"), dict(map(parse_assignment, asked.more)), "-S")
    print(f"profile {asked.profile} changes of params.yaml:\n{changes_text(planned.before, planned.after)}")
    if not asked.dry:
        say_estimate(planned.after)
    words = planned.command(*(["--pull"] if asked.pull else []))
    print(shlex.join(["dvc", *words]), flush=True)
    if not asked.dry and not asked.estimate:
        sys.exit(run_dvc(words))


if __name__ == "__main__":
    run(main)
