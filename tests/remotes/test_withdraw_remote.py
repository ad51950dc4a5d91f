"""A withdrawal clears a remote on every kind of server, and looks there for what is left."""

from pathlib import Path

import pytest
from dvc.repo import Repo

from operations import forget, keepers
from operations.left_of import left_of
from tests.remotes.conftest import Team
from tests.remotes.servers import S3, SSH, Folder
from tests.workspace import environment, read_params_file


@pytest.mark.parametrize("team", [Folder, S3, SSH], indirect=True, ids=["folder", "s3", "ssh"])
def test_a_remote_keeps_one_folder_and_nothing_else(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    team.dvc(team.mine, "push", "--run-cache")
    monkeypatch.chdir(team.mine)
    for name, value in {**environment(team.mine), **team.server.env}.items():
        monkeypatch.setenv(name, value)
    lock = read_params_file(Path("dvc.lock"))["stages"]
    kept, gone = lock["phantom"]["outs"][0]["md5"], lock["frames"]["outs"][0]["md5"]
    traces = {gone: ("frames", 0), kept: ("clips", 0)}
    clip = (team.mine / "data/cohorts/phantom/clip.mkv").read_bytes()
    with Repo() as repo:
        place = repo.cloud.get_remote("phantom")
        folder = place.odb.fs.join(place.odb.path, "ab")
        place.odb.fs.makedirs(folder, exist_ok=True)
        place.odb.fs.pipe_file(place.odb.fs.join(folder, "half.tmp"), b"half of a clip")
        for _ in range(2):  # a second time finds nothing to do
            forget.clear(place.odb, {kept}, repo.cache.local)
            forget.clear_runs(place.legacy_odb)
        left = {path.split("/md5/")[1].replace("/", "") for path in keepers.stored(place.odb)}
    (member,) = keepers.members(kept, repo.cache.local)
    assert left == {kept, member}
    assert clip in team.server.objects().values()
    told = [line for line in left_of(traces, "phantom", "again") if "in remote phantom" in line]
    assert [line.split(":")[0] for line in told] == ["clips"]
