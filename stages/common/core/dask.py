"""Frame work on other machines: in_parallel hands it to the Dask cluster that DASK_SCHEDULER_ADDRESS names.

That is Dask's own variable, and no parameter: where work is done changes no byte of it. Unset, nothing here is used.
The workers run in the repository's own folder on a file system that all share, each started by

    python -m distributed.cli.dask_worker --nworkers auto --nthreads 1 tcp://<scheduler>:8786
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from joblib import parallel_config

from stages.common.core.errors import PipelineError

VARIABLE = "DASK_SCHEDULER_ADDRESS"
PATIENCE = "20s"  # for the scheduler to answer
START = "python -m distributed.cli.dask_worker --nworkers auto --nthreads 1"


@contextmanager
def on_cluster() -> Iterator[bool]:
    """Let joblib work on the cluster that the environment names, and say whether; without one, on this machine.

    Raises:
        PipelineError: it cannot be reached, has no worker, or a worker runs in another folder.
    """
    address = os.environ.get(VARIABLE)
    if not address:
        yield False
        return
    with _client(address) as client:
        _refuse_strangers(client, address)
        with parallel_config("dask", client=client):
            yield True


def _client(address: str) -> Any:
    try:
        from distributed import Client  # optional: most never need it
    except ImportError as error:
        raise PipelineError(f"{VARIABLE}={address}: Dask is not here. Run `pip install distributed`.") from error
    try:
        return Client(address, set_as_default=False, timeout=PATIENCE)
    except (OSError, ValueError) as error:
        raise PipelineError(
            f"{VARIABLE}={address}: expected a Dask scheduler there, got {error!r}. Start it, or unset the variable."
        ) from error


def _refuse_strangers(client: Any, address: str) -> None:
    """A worker in another folder would write where nobody looks: each must see a file that is made here and now."""
    with tempfile.NamedTemporaryFile(prefix=".dask-", dir=".") as token:
        seen = client.run(os.path.isfile, Path(token.name).name)
    strangers = sorted(worker for worker, here in seen.items() if not here)
    if strangers or not seen:
        raise PipelineError(
            f"{VARIABLE}={address}: expected workers that run in {Path.cwd()}, on a file system that all share, got "
            f"{', '.join(strangers) or 'no worker'}. Start each there: `{START} {address}`."
        )
