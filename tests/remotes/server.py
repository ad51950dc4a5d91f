"""A server process of the tests: started, asked until it answers, killed by its own id, started again."""

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil

HOST = "127.0.0.1"
PATIENCE_S = 60.0  # SeaweedFS is ready after 1.3 s, sshd after 0.1 s; a loaded machine takes longer


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on now; those of one call differ."""
    with contextlib.ExitStack() as open_ones:
        sockets = [open_ones.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind((HOST, 0))
        return [one.getsockname()[1] for one in sockets]


def stored(root: Path) -> dict[str, bytes]:
    """Return what lies in a cache or in a remote that is a folder: path and bytes."""
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def size_of(root: Path, pattern: str) -> int:
    """Return the bytes of all files below `root` that match, while others write, rename and remove there."""
    size = 0
    for path in root.glob(pattern):
        with contextlib.suppress(FileNotFoundError):
            size += path.stat().st_size
    return size


def wait_until(ready: Callable[[], bool], what: str) -> None:
    """Return as soon as `ready()`; fails after PATIENCE_S."""
    end = time.monotonic() + PATIENCE_S
    while not ready():
        assert time.monotonic() < end, f"{what}: not within {PATIENCE_S} s"
        time.sleep(0.002)


class Server:
    """A server process and the folder where its files lie; `kill` and `start` as often as wanted."""

    grown = "files/md5/*/*"  # the files below data/ that grow as objects arrive

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.process: subprocess.Popen[bytes] | None = None
        self.env: dict[str, str] = {}  # of the DVC that talks to it

    def command(self) -> list[str]:
        raise NotImplementedError

    def ready(self) -> bool:
        raise NotImplementedError

    def settings(self) -> dict[str, str]:
        """Return what `dvc remote modify` sets for a remote that is this server."""
        raise NotImplementedError

    def strangers(self) -> dict[str, str]:
        """Return the settings of somebody without the right key."""
        raise NotImplementedError

    def objects(self) -> dict[str, bytes]:
        """Return what is stored: path below the remote, such as `files/md5/...`, and bytes."""
        raise NotImplementedError

    def written(self) -> int:
        """Return how many bytes lie in the server's own files: the fastest sign that something arrives."""
        return size_of(self.folder / "data", self.grown)

    def overwrite(self, name: str, content: bytes) -> None:
        """Put other bytes under the name of a stored object."""
        raise NotImplementedError

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            env = {**os.environ, **self.env}
            self.process = subprocess.Popen(self.command(), stdout=log, stderr=log, cwd=self.folder, env=env)
        wait_until(self.ready, self.command()[0])

    def kill(self) -> None:
        """SIGKILL the process that `start` started and its descendants (sshd has one a connection)."""
        if self.process is None:
            return
        with contextlib.suppress(psutil.NoSuchProcess):
            parent = psutil.Process(self.process.pid)
            for one in [*parent.children(recursive=True), parent]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    one.kill()
        self.process.wait()
        self.process = None
