"""The model that the group approved: which it is stands in Git with its SHA-256, and nothing else passes for it.

    python -m operations.approved approve                          the one that chose itself: every infant's winner
    python -m operations.approved approve --model patient/resnet18 another, named by a person
    python -m operations.approved get model.safetensors            `dvc get`, kept only where the SHA-256 is right

Reads   metrics/bedside.json, dvc.lock, the bundle; `get`: approved.json, and the remote or the cache
Writes  approved.json, to be committed; `get`: the bundle

DVC names objects by MD5, which whoever may write to a remote can forge, and `dvc get` does not check even that.
"""

import argparse
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from configobj import ConfigObj

from experiments.run_dvc import dvc
from operations.approval import APPROVED, BUNDLE, Approved, read_approved
from operations.clone import clone
from operations.digest import digest
from operations.locked import refuse_unlocked
from operations.run_git import git
from stages.common.core.errors import PipelineError, run
from stages.common.core.files import replacing, write_json

BEDSIDE = Path("metrics/bedside.json")


def chosen(bedside: Mapping[str, Any]) -> tuple[str, str]:
    """Return the headline protocol and the model that the doctor's rule chose for each of its infants.

    Raises:
        PipelineError: for some infant none, or not the same for all: the page's 'no model may be used'.
    """
    protocol = bedside["headline_protocol"]
    winner = bedside["protocols"][protocol]["winner"]
    models = set(winner["infants"].values())
    if len(models) != 1 or None in models:
        counts = ", ".join(f"{model or 'none'} for {infant}" for infant, model in winner["infants"].items())
        raise PipelineError(
            f"{BEDSIDE}: protocol {protocol}: expected one model for every infant, got {counts} "
            f"({'; '.join(winner['why'].values())}). No model chose itself: name one with --model, as your decision."
        )
    return protocol, models.pop()


def bundle(protocol: str, model: str) -> Path:
    """Return the bundle in the workspace, its bytes those of dvc.lock.

    Raises:
        PipelineError: no stage makes it, or the bytes in the workspace are others.
    """
    with clone() as repo:
        known = {found.groups(): out for out in repo.index.outs if (found := BUNDLE.search(str(out)))}
    if (protocol, model) not in known:
        names = ", ".join("/".join(name) for name in known)
        raise PipelineError(
            f"dvc.yaml: expected a bundle of {protocol}/{model}, got {names or 'none'}. Name one of these."
        )
    out = known[protocol, model]
    path = Path(str(out))
    if not path.is_file() or digest(path, "md5") != out.hash_info.value:
        raise PipelineError(f"{path}: expected the bytes of dvc.lock, got others or none. Run `dvc pull {path}`.")
    return path


def judged() -> dict[str, Any]:
    """Return metrics/bedside.json, its bytes those of dvc.lock.

    Raises:
        PipelineError: it has other bytes, or there is none.
    """
    with clone() as repo:
        refuse_unlocked(repo, BEDSIDE, "bedside")
    content: dict[str, Any] = json.loads(BEDSIDE.read_text(encoding="utf-8"))
    return content


def approve(named: str | None) -> Approved:
    """Return what is to be approved: `named`, such as `patient/resnet18`, or what the doctor's rule chose.

    Raises:
        PipelineError: there is no such bundle, bedside.json or the bundle is not dvc.lock's, or dvc.lock, which names
            them, is not committed.
    """
    if named is None:
        protocol, model = chosen(judged())
        why = f"the doctor's rule chose it for every infant of protocol {protocol}"
    else:
        protocol, _, model = named.partition("/")
        why = "a person named it"
    path = bundle(protocol, model)
    if git("status", "--porcelain", "dvc.lock"):
        raise PipelineError("dvc.lock: expected what the last commit has, got changes. Commit it, then approve.")
    rev, sha256 = git("rev-parse", "HEAD"), digest(path, "sha256")
    return Approved(protocol=protocol, model=model, path=str(path), sha256=sha256, rev=rev, why=why)


def write_remotes(path: Path) -> None:
    """Write this clone's remotes with absolute urls: `dvc get` resolves relative ones elsewhere."""
    config = ConfigObj(str(path), encoding="utf-8")
    with clone() as repo:
        for name, fields in repo.config["remote"].items():
            config[f'remote "{name}"'] = dict(fields)
    config.write()


def get(target: Path) -> Approved:
    """Bring the approved bundle to `target`.

    Raises:
        PipelineError: nothing is approved here, approved.json is damaged, DVC cannot get it, or it has other bytes;
            then `target` is as it was. Or `target` is a folder.
    """
    if target.is_dir() or target.name in ("", ".."):
        raise PipelineError(
            f"{target}: expected a file to write, got a folder. Name a file, such as model.safetensors."
        )
    approved = read_approved()
    with tempfile.TemporaryDirectory() as folder, replacing(target) as partial:
        write_remotes(Path(folder) / "config")
        dvc("get", ".", approved.path, "--rev", approved.rev, "-o", str(partial), "--config", f"{folder}/config")
        found = digest(partial, "sha256")
        if found != approved.sha256:
            partial.unlink()
            raise PipelineError(
                f"{approved.path}: expected SHA-256 {approved.sha256} of {APPROVED}, got {found}. It is not kept. Is "
                "this clone's cache damaged? `python -m operations.cache`. The remote? `python -m operations.cache "
                "<its name>`. If both are sound, somebody put another model there: ask who approved this one."
            )
    return approved


def main() -> None:
    """Approve, or get what is approved."""
    parser = argparse.ArgumentParser(prog="python -m operations.approved", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    asking = commands.add_parser("approve", help="write approved.json")
    asking.add_argument("--model", help="protocol and model, such as patient/resnet18; default: the doctor's rule's")
    commands.add_parser("get", help="bring the approved bundle").add_argument("target", type=Path, help="file to write")
    asked = parser.parse_args()
    if asked.command == "get":
        approved = get(asked.target)
        print(f"{asked.target}: {approved.protocol}/{approved.model}, SHA-256 {approved.sha256}: {approved.why}")
        return
    approved = approve(asked.model)
    write_json(APPROVED, approved.model_dump(), sort_keys=False)
    print(f"{APPROVED}: {approved.protocol}/{approved.model}, {approved.why}. Commit it, and `dvc push`.")


if __name__ == "__main__":
    run(main)
