"""What is installed is pinned, whole and by hash, and its licences are listed."""

import re
from importlib.metadata import distribution, requires, version

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from operations.licences import NOT_HERE, licence_of, locked
from tests.workspace import ROOT

LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
DIRECT = [
    Requirement(line.split("#")[0].strip())
    for line in (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    if line.split("#")[0].strip()
]
NOT_PERMISSIVE = {"pygit2", "grandalf", "asyncssh", "dulwich"}  # of DVC; docs/licences.md says why they may stay


def closure() -> set[str]:
    """Return every package that requirements.txt brings on this machine, itself included."""
    found: set[str] = set()
    waiting = [(canonicalize_name(one.name), frozenset(one.extras)) for one in DIRECT]
    seen = set(waiting)
    while waiting:
        name, extras = waiting.pop()
        found.add(name)
        for text in requires(name) or []:
            needed = Requirement(text)
            if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
                entry = (canonicalize_name(needed.name), frozenset(needed.extras))
                if entry not in seen:
                    seen.add(entry)
                    waiting.append(entry)
    return found


@pytest.mark.parametrize("one", DIRECT, ids=lambda one: one.name)
def test_every_direct_dependency_is_pinned_and_says_what_it_is_for(one: Requirement) -> None:
    assert [specifier.operator for specifier in one.specifier] == ["=="]
    assert Version(version(one.name)).public == next(iter(one.specifier)).version
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    assert re.search(rf"^{re.escape(one.name)}\S*\s+# \S.*\(.+\)$", text, flags=re.MULTILINE)


def test_the_lock_pins_the_same_versions_and_everything_that_they_need() -> None:
    pinned = {(canonicalize_name(name), number) for name, number in locked(LOCK)}
    direct = {(canonicalize_name(one.name), next(iter(one.specifier)).version) for one in DIRECT}
    assert direct - pinned == set()
    assert closure() - {name for name, _ in pinned} == set()


def test_every_package_of_the_lock_has_hashes() -> None:
    entries = [entry for entry in re.split(r"(?m)^(?=[A-Za-z0-9_.-]+==)", LOCK) if "==" in entry]
    assert len(entries) == len(locked(LOCK))
    assert [entry.split()[0] for entry in entries if not re.search(r"--hash=sha256:[0-9a-f]{64}", entry)] == []


def test_licences_are_listed_and_none_is_of_a_kind_that_binds_this_project() -> None:
    page = (ROOT / "docs/licences.md").read_text(encoding="utf-8")
    listed = dict(re.findall(r"^\| (\S+) \| (.+) \|$", page, flags=re.M))
    pinned = dict(locked(LOCK))
    assert set(pinned) <= set(listed)
    for name in sorted(closure()):
        stated = licence_of(distribution(name))
        # What others need floats under requirements.txt, and a later version may word its licence otherwise
        assert listed[name] == stated or version(name) != pinned[name]
        assert listed[name] != NOT_HERE
        assert name in NOT_PERMISSIVE or "GPL" not in stated.upper(), f"{name}: {stated}"
    assert all(f"`{name}`" in page for name in NOT_PERMISSIVE)


def test_what_the_wheel_of_av_bundles_under_the_gpl_is_said() -> None:
    bundled = {file.name.split("-")[0] for file in distribution("av").files or [] if file.parent.name == "av.libs"}
    page, listed = (ROOT / "docs/licences.md").read_text(), (ROOT / "requirements.txt").read_text()
    for name in bundled & {"libx264", "libx265"}:  # other platforms' wheels may have neither
        assert f"`{name}`" in page
        assert name.removeprefix("lib") in listed
