"""A stage ends with the `dvc` that started it, and a stage's workers with the stage.

As orphans they would go on writing where the next run writes, too.
"""

import os
import sys
import threading
import time
from contextlib import suppress
from typing import NoReturn

import psutil

EVERY_S = 1.0


def end_with_dvc() -> None:
    """Watch the `dvc` above this process and end when it is gone; at once if it went while the stage was importing."""
    if "DVC_STAGE" not in os.environ:  # DVC sets it; typed by a person: nobody to end with
        return
    parents = psutil.Process().parents()
    above = next((process for process in parents if _is_dvc(process)), None)
    if above is not None:
        threading.Thread(target=_watch, args=(above,), daemon=True).start()
    elif not any(_may_call_dvc(process) for process in parents):
        _end()


def end_with_stage(pid: int) -> None:
    """Watch, in a worker process, the stage `pid` that started it.

    joblib's workers notice an end only once they have done all that was handed to them, and then wait for minutes.
    """
    threading.Thread(target=_watch_stage, args=(pid,), daemon=True).start()


def _watch_stage(pid: int) -> None:
    while os.getppid() == pid:
        time.sleep(EVERY_S / 4)  # less than a new run needs to start
    os._exit(1)


def _is_dvc(process: psutil.Process) -> bool:
    try:
        return any("dvc" in word for word in process.cmdline())
    except psutil.Error:  # gone meanwhile, or another user's
        return False


def _may_call_dvc(process: psutil.Process) -> bool:
    """Return whether a process may run DVC under another name: as a library. The adopter of orphans does not."""
    try:
        return process.pid != 1 and any("python" in word for word in process.cmdline()[:1])
    except psutil.Error:
        return True


def _watch(above: psutil.Process) -> None:
    with suppress(psutil.NoSuchProcess):  # gone between the two questions is gone, too
        while above.is_running() and above.status() != psutil.STATUS_ZOMBIE:
            time.sleep(EVERY_S)
    _end()


def _end() -> NoReturn:
    print("error: the dvc that started this stage is gone; it ends too. Run `dvc repro` again.", file=sys.stderr)
    sys.stderr.flush()
    os._exit(1)
