"""Real servers on loopback ports for DVC's remotes: S3 (SeaweedFS) and SSH (OpenSSH), beside the folder as shipped."""

import getpass
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import s3fs

from tests.remotes.server import HOST, Server, free_ports, stored

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
        self.numbers = numbers
        self.url = f"http://{HOST}:{numbers[0]}"
        self.words = [f"-dir={folder}/data", f"-ip={HOST}", f"-ip.bind={HOST}", "-bucket=bucket"]
        self.words += [f"{name}={number}" for name, number in zip(ports, numbers, strict=True)]
        self.words += ["-admin.ui=false", "-webdav=false", "-s3.port.iceberg=0", "-s3.port.lance=0"]
        self.words += ["-master.telemetry=false"]  # on by default, and leaves the machine

    def command(self) -> list[str]:
        return [str(Path(sys.executable).with_name("weed")), "mini", *self.words]

    def kill(self) -> None:
        super().kill()
        for number in self.numbers:  # its sockets lie there, whatever it is told
            for left in Path("/tmp").glob(f"seaweedfs-*-{number}.sock"):
                left.unlink()

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
