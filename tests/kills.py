"""Kill -9 at random moments of the tiny pipeline: `dvc repro` must then end with what an undisturbed run gave.

    python -m tests.kills --times 30 --seed 0

A moment is drawn uniformly from the undisturbed run's time, told by when its outputs were written. The stage that ran
then is forgotten (entry of dvc.lock, outputs, their objects in the cache, the whole run cache), `dvc repro` begins, and
when the stage has run as long as it had then, DVC, the stage, one of its children or all of them are killed. At once,
with orphans still about, `dvc repro` runs again; a torn dvc.lock comes back first, as the README says. Then dvc.lock
and every file below data/ and metrics/ are compared, and every object of the cache is held to its name.
"""

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import md5
from pathlib import Path
from typing import Any

import psutil
from dvc.utils.serialize import modify_yaml

from tests.workspace import ROOT, commit, dvc, environment, git, make_workspace, read_params_file

VICTIMS = ("dvc", "stage", "child", "all")
TORN = ("dvc.lock' is invalid", "dvc.lock' validation failed")  # DVC killed while it wrote dvc.lock, in place
LATE_S = 30.0  # how long an orphan may live


@dataclass(frozen=True)
class Round:
    """What was done, and how it ended.

    Attributes:
        after_s: seconds from the stage's start to the kill.
        victim: one of VICTIMS.
        torn: dvc.lock had to come back from Git, because DVC was killed while it wrote it.
        repro_s: seconds that `dvc repro` took afterwards.
    """

    stage: str
    after_s: float
    victim: str
    torn: bool
    repro_s: float


def state(folder: Path) -> dict[str, Any]:
    """Return what two runs are compared by: the stages of dvc.lock, and path -> MD5 of every output, stray ones too."""
    lock = read_params_file(folder / "dvc.lock")["stages"]
    paths = [path for top in ("data", "metrics") for path in (folder / top).rglob("*") if path.is_file()]
    return {"lock": lock} | {str(path.relative_to(folder)): md5(path.read_bytes()).hexdigest() for path in paths}


def differing(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """Return what two states differ in: paths, and `dvc.lock: <stage>`."""
    stages = one["lock"].keys() | other["lock"].keys()
    found = [f"dvc.lock: {name}" for name in stages if one["lock"].get(name) != other["lock"].get(name)]
    paths = (one.keys() | other.keys()) - {"lock"}
    return sorted(found + [path for path in paths if one.get(path) != other.get(path)])


def spans(folder: Path) -> dict[str, float]:
    """Return stage -> seconds that it took in the undisturbed run, DVC's own work before it included."""
    stages = read_params_file(folder / "dvc.lock")["stages"]
    ends = {name: max(_written(folder / out["path"]) for out in stage["outs"]) for name, stage in stages.items()}
    before = (folder / "params.yaml").stat().st_mtime  # written just before the run
    found = {}
    for name in sorted(ends, key=ends.__getitem__):
        found[name], before = ends[name] - before, ends[name]
    return found


def _written(path: Path) -> float:
    files = [each for each in path.rglob("*") if each.is_file()] if path.is_dir() else [path]
    return max(file.stat().st_mtime for file in files)


def forget(folder: Path, name: str) -> None:
    """Make a finished stage one that never ran: no entry, no outputs, none of their objects, no run cache."""
    with modify_yaml(folder / "dvc.lock") as content:
        outs = content["stages"].pop(name)["outs"]
    for out in outs:
        path = folder / out["path"]
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        for found in _objects(folder / ".dvc/cache/files/md5", out["md5"]):
            found.unlink(missing_ok=True)
    shutil.rmtree(folder / ".dvc/cache/runs", ignore_errors=True)


def _objects(cache: Path, name: str) -> Iterator[Path]:
    path = cache / name[:2] / name[2:]
    if name.endswith(".dir") and path.is_file():
        for entry in json.loads(path.read_text(encoding="utf-8")):
            yield from _objects(cache, entry["md5"])
    yield path


def victims(running: psutil.Process, kind: str) -> list[psutil.Process]:
    """Return the living processes to kill, `dvc` where there is none of that kind."""
    below, stage = running.children(recursive=True), stages(running)
    of = {"dvc": [running], "stage": stage, "child": [each for each in below if each not in stage]}
    return (of | {"all": [running, *below]})[kind] or [running]


def stages(running: psutil.Process) -> list[psutil.Process]:
    """Return the stage that runs below `dvc`, and the shell that it may run in."""
    found = []
    for each in running.children():
        with suppress(psutil.Error):  # it has just ended
            found += [each] if "DVC_STAGE" in each.environ() else []
    return found


def disturb(
    folder: Path, name: str, after_s: float, kind: str, draw: random.Random
) -> tuple[str, list[psutil.Process]] | None:
    """Begin `dvc repro`, and kill when stage `name` has run for so long.

    Returns what was killed and all that ran at that moment; None where the run was already over.
    """
    command = [sys.executable, "-m", "dvc", "repro", "--quiet"]
    started = subprocess.Popen(command, cwd=folder, env=environment(folder), stderr=subprocess.DEVNULL)
    running = psutil.Process(started.pid)
    while started.poll() is None and not stages(running):
        time.sleep(0.02)
    assert started.poll() is None, f"{name} did not run"
    with suppress(subprocess.TimeoutExpired):
        started.wait(after_s)
        return None
    everything = [running, *running.children(recursive=True)]
    chosen = victims(running, kind)
    for process in chosen if kind == "all" else [draw.choice(chosen)]:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    started.wait()
    return "dvc" if chosen == [running] else kind, everything


def finish(folder: Path) -> bool:
    """Run `dvc repro` to its end; return whether dvc.lock was torn and came back from Git first."""
    done = dvc(folder, "repro", check=False)
    if torn := done.returncode != 0 and any(sign in done.stderr for sign in TORN):
        git(folder, "checkout", "dvc.lock")
        done = dvc(folder, "repro", check=False)
    assert done.returncode == 0, f"dvc repro:\n{done.stdout}\n{done.stderr}"
    return torn


def damage(folder: Path) -> str:
    """Return what `python -m operations.cache` has against a workspace's cache: nothing, where all is sound."""
    env = environment(folder) | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "operations.cache"]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)
    return done.stderr if done.returncode else ""


def one_round(folder: Path, expected: dict[str, Any], times: dict[str, float], draw: random.Random) -> Round:
    """Kill once, run again, compare; the workspace is then as it was.

    Raises AssertionError: the run failed, another state was reached, an orphan lives on, or an object of the cache is
    not what its name says.
    """
    killed = None
    while killed is None:  # a moment after the run's end kills nothing: draw again
        (name,) = draw.choices(list(times), list(times.values()))
        after_s, kind = draw.uniform(0, times[name]), draw.choice(VICTIMS)
        forget(folder, name)
        killed = disturb(folder, name, after_s, kind, draw)
    victim, everything = killed
    begun = time.monotonic()
    torn = finish(folder)
    took = time.monotonic() - begun
    what = f"{victim} killed {after_s:.2f} s into {name}"
    assert not differing(state(folder), expected), f"{what}: {differing(state(folder), expected)}"
    _, alive = psutil.wait_procs(everything, timeout=LATE_S)
    assert not alive, f"{what}: still there: {[process.cmdline() for process in alive]}"
    found = damage(folder)
    assert not found, f"{what}: {found}"
    return Round(name, after_s, victim, torn, took)


def rounds(folder: Path, times: int, seed: int) -> Iterator[Round]:
    """Kill so many times in a finished, committed workspace."""
    draw, expected, lengths = random.Random(seed), state(folder), spans(folder)
    for _ in range(times):
        yield one_round(folder, expected, lengths, draw)


def summary(done: Sequence[Round]) -> str:
    """Return how the rounds ended; one that ended otherwise has raised."""
    torn = sum(each.torn for each in done)
    return (
        f"{len(done)} of {len(done)} the same, and every cached object as its name says; in {torn} of {len(done)} "
        "dvc.lock was torn and came back from Git (`git checkout dvc.lock`) before `dvc repro`"
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.kills", description="Kill -9 at random moments.")
    for option, default in (("--times", 30), ("--seed", 0)):
        parser.add_argument(option, type=int, default=default)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = make_workspace(Path(place) / "project")
        dvc(folder, "repro")
        commit(folder, "undisturbed")
        print(f"undisturbed: {sum(spans(folder).values()):.0f} s", flush=True)
        all_of_them: list[Round] = []
        for number, done in enumerate(rounds(folder, asked.times, asked.seed), 1):
            all_of_them.append(done)
            where = f"{done.victim} killed {done.after_s:.2f} s into {done.stage}"
            by = "git checkout dvc.lock and dvc repro" if done.torn else "dvc repro"
            print(f"{number:3} {where}: the same by {by}, {done.repro_s:.1f} s", flush=True)
        print(summary(all_of_them))


if __name__ == "__main__":
    main()
