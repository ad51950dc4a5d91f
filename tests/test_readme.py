"""The README's commands are the project's: they exist, and the two that set up are what CI runs."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.workspace import ROOT, read_params_file

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```bash\n(.*?)```", README, flags=re.S)
COMMANDS = [line.split("  #")[0].strip() for block in BLOCKS for line in block.splitlines() if line.strip()]


def after(marker: str) -> str:
    """Return the one-line command that stands under an HTML comment."""
    found = re.search(rf"<!-- {marker} -->\n```bash\n(.+)\n```", README)
    assert found, f"README.md: no one-line command under <!-- {marker} -->"
    return found.group(1)


def test_one_command_rebuilds_and_one_tests() -> None:
    assert after("rebuild command").endswith("&& dvc repro")
    assert after("test command").endswith("python -m pytest")


def test_ci_runs_the_readmes_test_command() -> None:
    listed = subprocess.run(
        ["bash", "-c", f"cd {ROOT}; sed -n '/<!-- test command -->/,/```$/p' README.md | sed '1,2d;$d'"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert listed.stdout.strip() == after("test command")
    assert "<!-- test command -->" in (ROOT / ".ci/run").read_text(encoding="utf-8")


@pytest.mark.parametrize("command", [command for command in COMMANDS if command.startswith("dvc ")])
def test_dvc_understands_the_command(command: str) -> None:
    words = re.findall(r"'[^']*'|\S+", command)[1:]
    known = [word for word in words if not word.startswith(("-", "'"))][: 2 if words[0] in GROUPS else 1]
    shown = subprocess.run([sys.executable, "-m", "dvc", *known, "--help"], capture_output=True, text=True, check=False)
    assert shown.returncode == 0, f"{command}: {shown.stderr}"
    for option in (word.split("=")[0] for word in words if re.match(r"--?[a-zA-Z]", word)):
        assert option in shown.stdout, f"{command}: dvc {' '.join(known)} has no {option}"


GROUPS = {"exp", "metrics", "params", "plots", "queue", "stage", "config", "remote"}


OURS = [
    command
    for command in COMMANDS
    if command.startswith(("python -m stages.", "python -m experiments.", "python -m operations."))
]


@pytest.mark.parametrize("command", OURS)
def test_a_command_of_ours_names_a_module(command: str) -> None:
    module = command.split()[2]
    base = ROOT / module.replace(".", "/")
    assert base.with_suffix(".py").is_file() or (base / "__main__.py").is_file()


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
