"""A small finished project with the shipped .dvc/config, and the servers that hold what it pushes."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from configobj import ConfigObj

from tests.remotes.server import Server, stored
from tests.remotes.servers import S3, SSH, SSHD, Folder
from tests.workspace import ROOT, commit, dvc, environment, git

FILES = 150
BYTES = 20_000
MAKE = f"""import hashlib, pathlib, sys
word = pathlib.Path(sys.argv[1]).read_text() + pathlib.Path('params.yaml').read_text()
folder = pathlib.Path('data/frames')
folder.mkdir(parents=True)
for number in range({FILES}):
    (folder / f'{{number}}.png').write_bytes(hashlib.shake_256(f'{{word}} {{number}}'.encode()).digest({BYTES}))
"""
STAGES = """stages:
  phantom:
    cmd: mkdir -p data/cohorts/phantom && echo clip > data/cohorts/phantom/clip.mkv
    deps:
    - make.py
    outs:
    - data/cohorts/phantom:
        remote: phantom
  frames:
    cmd: python make.py data/cohorts/${cohort}/clip.mkv
    deps:
    - make.py
    - data/cohorts/${cohort}
    params: [cohort, lr]
    outs:
    - data/frames: &its_remote {remote: "${cohort}"}
  evaluate:
    cmd: >-
      mkdir -p metrics && wc -c data/frames/0.png > metrics/table.txt && echo '{"lr": ${lr}}' > metrics/summary.json
    deps:
    - data/frames
    params: [lr]
    outs:
    - metrics/table.txt: *its_remote
    metrics:
    - metrics/summary.json:
        cache: false
"""


@dataclass(frozen=True)
class Team:
    """One person's clone, the server, and room for a colleague's clone."""

    mine: Path
    server: Server

    def dvc(self, folder: Path, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run DVC with the server's credentials."""
        return finished(self.start(folder, *words), check)

    def start(self, folder: Path, *words: str) -> subprocess.Popen[str]:
        """Start DVC and go on."""
        command = [sys.executable, "-m", "dvc", *words]
        env = environment(folder) | self.server.env
        return subprocess.Popen(command, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def clone(self, name: str = "colleague") -> Path:
        """Return a fresh clone: Git's files alone."""
        git(self.mine.parent, "clone", "-q", str(self.mine), name)
        return self.mine.with_name(name)

    def use(self, settings: dict[str, str]) -> None:
        """Set fields of the remote `phantom` in .dvc/config as `dvc remote modify` would, and commit them."""
        config = ConfigObj(str(self.mine / ".dvc/config"))
        config['remote "phantom"'].update(settings)
        config.write()
        commit(self.mine, "the remote")


def finished(process: subprocess.Popen[str], check: bool) -> subprocess.CompletedProcess[str]:
    """Wait for a process that `start` started, and return what it printed."""
    stdout, stderr = process.communicate()
    assert not check or process.returncode == 0, f"{process.args}:\n{stdout}\n{stderr}"
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


def said(done: subprocess.CompletedProcess[str]) -> str:
    """Return all that a command printed."""
    return done.stdout + done.stderr


def whole(found: dict[str, bytes]) -> dict[str, bytes]:
    """Return a store's objects without leftovers of broken transfers, which nothing reads."""
    return {
        name: content for name, content in found.items() if name.startswith("files/md5/") and not name.endswith(".tmp")
    }


def objects(folder: Path) -> dict[str, bytes]:
    """Return what a clone's cache holds and Git does not: the metric lies in both."""
    metric = (folder / "metrics/summary.json").read_bytes()
    return {name: content for name, content in whole(stored(folder / ".dvc/cache")).items() if content != metric}


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small project in the form of ours, its stages run, with our .dvc/config. Do not change it."""
    folder = tmp_path_factory.mktemp("made") / "project"
    (folder / ".dvc").mkdir(parents=True)
    git(folder, "init", "-q")
    for name in (".dvc/config", ".dvc/.gitignore", ".gitignore", ".dvcignore"):
        shutil.copy2(ROOT / name, folder / name)
    (folder / "make.py").write_text(MAKE, encoding="utf-8")
    (folder / "params.yaml").write_text("cohort: phantom\nlr: 0.01\n", encoding="utf-8")
    (folder / "dvc.yaml").write_text(STAGES, encoding="utf-8")
    dvc(folder, "repro", "-q")
    commit(folder, "first run")
    return folder


@pytest.fixture
def mine(made: Path, tmp_path: Path) -> Path:
    """A copy of it, cache and all."""
    return Path(shutil.copytree(made, tmp_path / "project", symlinks=True))


@pytest.fixture
def team(request: pytest.FixtureRequest, mine: Path, tmp_path: Path) -> Iterator[Team]:
    """A clone whose remote is a running server: indirect parameter Folder, S3 or SSH."""
    if request.param is SSH and SSHD is None:
        pytest.skip("no sshd: apt-get install openssh-server")
    server: Server = {Folder: Folder, S3: S3, SSH: SSH}[request.param](tmp_path / "server")
    try:
        server.start()
        found = Team(mine, server)
        found.use(server.settings())
        yield found
    finally:
        server.kill()
