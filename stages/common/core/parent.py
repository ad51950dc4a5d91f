"""A stage ends with the `dvc` that started it, and a stage's workers with the stage.

As orphans they would go on writing where the next run writes, too.
"""

import os
import sys
import threading
import time

import psutil

EVERY_S = 1.0


def end_with_dvc() -> None:
    """Watch the `dvc` above this process, if there is one, and end when it is gone."""
    if "DVC_STAGE" not in os.environ:  # typed by a person: nobody to end with
        return
    above = next((process for process in psutil.Process().parents() if _is_dvc(process)), None)
    if above is not None:
        threading.Thread(target=_watch, args=(above,), daemon=True).start()


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


def _watch(above: psutil.Process) -> None:
    while above.is_running() and above.status() != psutil.STATUS_ZOMBIE:
        time.sleep(EVERY_S)
    print("error: the dvc that started this stage is gone; it ends too. Run `dvc repro` again.", file=sys.stderr)
    sys.stderr.flush()
    os._exit(1)
