"""A search's journal on disk, which a power cut may have torn."""

from pathlib import Path

from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock

from stages.common.core.errors import PipelineError


def open_journal(path: Path) -> JournalStorage:
    """Open a journal. A last line that a full disk or a power cut tore off goes: Optuna would write on behind it.

    Raises:
        PipelineError: another of its lines is damaged.
    """
    lock = JournalFileSymlinkLock(str(path))
    lock.acquire()  # whoever else writes has written a whole line
    try:
        if path.is_file() and not (content := path.read_bytes()).endswith(b"\n"):
            path.write_bytes(content[: content.rfind(b"\n") + 1])
    finally:
        lock.release()
    try:
        return JournalStorage(JournalFileBackend(str(path)))
    except ValueError as error:
        raise PipelineError(
            f"{path}: expected a line of JSON for every fact of the search, got {error}. Put a sound copy back, or "
            "begin another search: --name."
        ) from error
