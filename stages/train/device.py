"""Choose the device and make the same run give the same bytes on a CPU."""

import sys

import torch

from stages.common.core.errors import PipelineError


def device_of(wanted: str) -> torch.device:
    """Return the device that params.yaml asks for; say in one line when a GPU is there and unused.

    It is never chosen automatically: bytes would change although no parameter did.

    Raises:
        PipelineError: the device is not there.
    """
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    found = [name for name, here in there.items() if here]
    if wanted not in found:
        raise PipelineError(
            f"params.yaml: train.device: expected one of {', '.join(found)} on this machine, got {wanted}. "
            "Set train.device."
        )
    for unused in [name for name in found if name != "cpu" and wanted == "cpu"]:
        print(f"a GPU is here and unused: `dvc exp run -S train.device={unused} evaluate` uses it", file=sys.stderr)
    return torch.device(wanted)


def set_deterministic(device: torch.device, threads: int, seed: int) -> None:
    """Fix threads and seed; on a CPU refuse every operation whose result varies between runs."""
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(device.type == "cpu")
    torch.manual_seed(seed)
