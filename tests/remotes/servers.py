"""Real servers on loopback ports for DVC's remotes: S3 (SeaweedFS) and SSH (OpenSSH), to start, kill, start again."""

import contextlib
import getpass
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import s3fs

HOST = "127.0.0.1"
PATIENCE_S = 60.0  # SeaweedFS is ready after 1.3 s, sshd after 0.1 s; a loaded machine takes longer
KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test-secret"}  # what the S3 server is told to accept
SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
SSHD_CONFIG = """Port {port}
ListenAddress {host}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/good.pub
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
StrictModes no
PidFile none
Subsystem sftp internal-sftp
"""


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


def wait_until(ready: Callable[[], bool], what: str) -> None:
    """Return as soon as `ready()`; fails after PATIENCE_S."""
    end = time.monotonic() + PATIENCE_S
    while not ready():
        assert time.monotonic() < end, f"{what}: not within {PATIENCE_S} s"
        time.sleep(0.002)


class Server:
    """A server process and the folder where its files lie; `kill` and `start` as often as wanted."""

    grown = "**/*"  # the files below data/ that grow as objects arrive

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
        return sum(path.stat().st_size for path in (self.folder / "data").glob(self.grown))

    def overwrite(self, name: str, content: bytes) -> None:
        """Put other bytes under the name of a stored object."""
        raise NotImplementedError

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            env = {**os.environ, **self.env, "TMPDIR": str(self.folder)}
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


class Folder(Server):
    """The shipped remote: a folder beside the clone, and nothing to start."""

    def start(self) -> None:
        pass

    def settings(self) -> dict[str, str]:
        return {}

    def objects(self) -> dict[str, bytes]:
        return stored(self.folder.parent / "infant-spine-remote")

    def overwrite(self, name: str, content: bytes) -> None:
        path = self.folder.parent / "infant-spine-remote" / name
        path.chmod(0o644)
        path.write_bytes(content)


class S3(Server):
    """SeaweedFS with one bucket."""

    grown = "bucket_*.dat"

    def __init__(self, folder: Path) -> None:
        own = {name: str(folder / "none") for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE")}
        super().__init__(folder)
        self.env = {**KEYS, **own, "AWS_MAX_ATTEMPTS": "1"}  # else a dead server is asked for minutes
        (folder / "data").mkdir()
        parts = ("s3", "filer", "master", "volume", "admin")
        ports = [f"-{part}.port{kind}" for part in parts for kind in ("", ".grpc")]
        numbers = free_ports(len(ports))
        self.url = f"http://{HOST}:{numbers[0]}"
        self.words = [f"-dir={folder}/data", f"-ip={HOST}", f"-ip.bind={HOST}", "-bucket=bucket"]
        self.words += [f"{name}={number}" for name, number in zip(ports, numbers, strict=True)]
        self.words += ["-admin.ui=false", "-webdav=false", "-s3.port.iceberg=0", "-s3.port.lance=0"]
        self.words += ["-master.telemetry=false"]  # on by default, and leaves the machine

    def command(self) -> list[str]:
        return [str(Path(sys.executable).with_name("weed")), "mini", *self.words]

    def files(self) -> s3fs.S3FileSystem:
        """Return the bucket's file system, without memory of earlier answers."""
        keys = {"key": KEYS["AWS_ACCESS_KEY_ID"], "secret": KEYS["AWS_SECRET_ACCESS_KEY"]}
        return s3fs.S3FileSystem(**keys, endpoint_url=self.url, use_listings_cache=False, skip_instance_cache=True)

    def ready(self) -> bool:
        try:
            self.files().pipe("bucket/ready", b"written")
            self.objects()  # its parts start one by one: what is stored can be read a moment later than written
        except (OSError, ConnectionError):
            return False
        return True

    def objects(self) -> dict[str, bytes]:
        files = self.files()
        return {path.removeprefix("bucket/remote/"): files.cat_file(path) for path in files.find("bucket/remote")}

    def overwrite(self, name: str, content: bytes) -> None:
        self.files().pipe(f"bucket/remote/{name}", content)

    def settings(self) -> dict[str, str]:
        return {"url": "s3://bucket/remote", "endpointurl": self.url}

    def strangers(self) -> dict[str, str]:
        return {"access_key_id": "test", "secret_access_key": "another"}


class SSH(Server):
    """OpenSSH's sshd, for whoever runs the tests, by key only."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        (folder / "data").mkdir()
        (self.port,) = free_ports(1)
        for name in ("host_key", "good", "wrong"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
        (folder / "config").write_text(SSHD_CONFIG.format(port=self.port, host=HOST, folder=folder), encoding="utf-8")
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd as root insists on it

    def command(self) -> list[str]:
        assert SSHD is not None
        return [SSHD, "-D", "-e", "-f", str(self.folder / "config")]

    def ready(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((HOST, self.port)) == 0

    def objects(self) -> dict[str, bytes]:
        return stored(self.folder / "data")

    def overwrite(self, name: str, content: bytes) -> None:
        (self.folder / "data" / name).chmod(0o644)
        (self.folder / "data" / name).write_bytes(content)

    def settings(self) -> dict[str, str]:
        url = f"ssh://{getpass.getuser()}@{HOST}:{self.port}{self.folder}/data"
        return {"url": url, "keyfile": str(self.folder / "good")}

    def strangers(self) -> dict[str, str]:
        return {"keyfile": str(self.folder / "wrong")}
