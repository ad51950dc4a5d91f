"""One finished tiny pipeline, shared by the tests that look at it; those that change it take a clone."""

import shutil
from pathlib import Path

import pytest

from tests.workspace import commit, dvc, make_workspace


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace after its first `dvc repro`, committed. Do not change it."""
    folder = make_workspace(tmp_path_factory.mktemp("finished") / "project")
    dvc(folder, "repro")
    commit(folder, "first run")
    return folder


@pytest.fixture
def clone(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished workspace, cache and all, that a test may change."""
    return Path(shutil.copytree(finished, tmp_path / "project", symlinks=True))
