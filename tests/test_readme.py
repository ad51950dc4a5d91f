"""The README's commands are the project's: they exist, and the two that set up are what CI runs."""

import argparse
import importlib
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn

import pytest

from tests.workspace import ROOT, read_params_file

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```bash\n(.*?)```", README, flags=re.S)
LINES = [line.split("  #")[0].strip() for block in BLOCKS for line in block.splitlines() if line.strip()]
COMMANDS = [command for line in LINES for command in line.split(" && ")]


def after(marker: str) -> str:
    """Return the one-line command that stands under an HTML comment."""
    found = re.search(rf"<!-- {marker} -->\n```bash\n(.+)\n```", README)
    assert found, f"README.md: no one-line command under <!-- {marker} -->"
    return found.group(1)


def test_one_command_rebuilds_and_one_tests() -> None:
    assert after("rebuild command").endswith("&& dvc repro")
    assert after("test command").endswith("python -m pytest -n 2 --dist loadfile")


def test_ci_runs_the_readmes_test_command() -> None:
    script = (ROOT / ".ci/run").read_text(encoding="utf-8")
    [assigned] = re.findall(r"^command=.+$", script, flags=re.M)
    assert script.rstrip().endswith('bash -euo pipefail -c "$command"')
    listed = subprocess.run(
        ["bash", "-c", f'{assigned}\necho "$command"'], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert listed.stdout.strip() == after("test command")


@pytest.mark.parametrize("command", [command for command in COMMANDS if command.startswith("dvc ")])
def test_dvc_understands_the_command(command: str) -> None:
    words = re.findall(r"'[^']*'|\S+", command)[1:]
    known = [word for word in words if not word.startswith(("-", "'"))][: 2 if words[0] in GROUPS else 1]
    shown = subprocess.run([sys.executable, "-m", "dvc", *known, "--help"], capture_output=True, text=True, check=False)
    assert shown.returncode == 0, f"{command}: {shown.stderr}"
    for option in (word.split("=")[0] for word in words if re.match(r"--?[a-zA-Z]", word)):
        assert option in shown.stdout, f"{command}: dvc {' '.join(known)} has no {option}"


GROUPS = {"exp", "metrics", "params", "plots", "queue", "stage", "config", "remote"}


# blocks and running text alike; `torchrun` starts a module too
INLINE = [" ".join(found.split()) for found in re.findall(r"`((?:python -m|torchrun)\s[^`]+)`", README)]
OURS = [
    command
    for command in [line.split(" # ")[0].strip() for line in COMMANDS] + INLINE
    if re.match(r"(python|torchrun [^&]*?) ?-m (stages|experiments|operations|tests)\.", command)
]
BY_HAND = {"stages.audit": (0, 1), "tests.closure": (1,)}  # no parser: how many words they take


class ParsedError(Exception):
    """The words were understood; stop before anything runs."""


@pytest.mark.parametrize("command", sorted(set(OURS)))
def test_a_command_of_ours_is_understood_by_its_module(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    words = shlex.split(command)
    module, *given = words[words.index("-m") + 1 :]
    base = ROOT / module.replace(".", "/")
    file = base / "__main__.py" if base.is_dir() else base.with_suffix(".py")
    assert file.is_file(), f"README.md: {command}: no module {module}"
    if not given and command in INLINE:  # running text may name a command without what it is given
        return
    if "ArgumentParser" not in file.read_text(encoding="utf-8"):
        assert module in BY_HAND, f"README.md: {command}: who reads its words?"
        assert len(given) in BY_HAND[module]
        return
    parse = argparse.ArgumentParser.parse_args

    def only_parse(parser: argparse.ArgumentParser, *words: Any) -> NoReturn:
        parse(parser, *words)
        raise ParsedError

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", only_parse)
    monkeypatch.setattr(sys, "argv", [module, *given])
    with pytest.raises(ParsedError):
        importlib.import_module(".".join(file.relative_to(ROOT).with_suffix("").parts)).main()


@pytest.mark.parametrize("command", [command for command in COMMANDS if command.startswith("operations/")])
def test_a_script_of_ours_gets_a_profile_that_exists(command: str) -> None:
    script, name = command.split()
    assert os.access(ROOT / script, os.X_OK)
    assert (ROOT / f"profiles/{name}.yaml").is_file()


def test_overrides_name_parameters_that_exist() -> None:
    params = read_params_file(ROOT / "params.yaml")
    for entry in re.findall(r"-S '\+([a-z0-9_.]+)=\{", README):  # a command that adds an entry
        parent, name = entry.rsplit(".", 1)
        params[parent][name] = {}
    for key in re.findall(r"-S '?~?([a-z][a-z0-9_.]*)[=' ]", README):
        place = params
        for part in key.split("."):
            assert part in place, f"README.md: -S {key}: no such parameter"
            place = place[part]


def test_what_is_pushed_by_hand_is_checked_before() -> None:
    assert "python -m operations.cache && dvc push" in LINES
    assert "dvc push" not in LINES


def test_a_machine_whose_system_has_no_python_of_ours_gets_one() -> None:
    """Debian 12 has a package of that name; Ubuntu 24.04 has none, and the index of packages none at all."""
    page = (ROOT / "docs/gpu_runner.md").read_text(encoding="utf-8")
    (line,) = [line for line in page.splitlines() if line.startswith("sudo apt-get install") and "python3.11" in line]
    assert "# Debian 12; another system, as Ubuntu 24.04, has no python3.11" in line
    assert 'uv" venv --seed --python 3.11 .venv`' in page  # --seed: the next line asks for pip


def test_pictures_are_there() -> None:
    for target in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", README):
        assert (ROOT / target).is_file()


def test_links_inside_the_page_lead_somewhere() -> None:
    anchors = {
        re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-") for title in re.findall(r"^#+ (.+)$", README, re.M)
    }
    assert set(re.findall(r"\]\(#([^)]+)\)", README)) <= anchors


def test_every_requirement_is_pinned_and_says_what_it_is_for() -> None:
    lines = [line for line in (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines() if line.strip()]
    for line in lines:
        assert line.startswith("#") or re.match(r"[A-Za-z0-9_.-]+==\S+ +# .+\(.+\)", line), line


def test_no_file_names_a_path_of_somebodys_machine() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    pattern = re.compile(r"/(?:home|Users)/\w+|/root/")
    for name in listed.splitlines():
        path = Path(ROOT / name)
        if path.is_file() and path.suffix in {".py", ".md", ".yaml", ".toml", ".txt", ".json", ""}:
            assert not pattern.search(path.read_text(encoding="utf-8", errors="ignore").replace(pattern.pattern, "")), (
                name
            )
