"""The processes that train one network together: `torchrun --nproc-per-node=4 -m stages.train ...` starts them.

Each holds the whole network and all pictures, takes its part of every batch, and steps by the gradient of the whole
batch, which DistributedDataParallel sums up: `train.batch_size` stays what it is. The first says and writes everything.
Alone, as `python -m stages.train` is, nothing here does anything.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from stages.common.core.errors import PipelineError

LEAST = 2  # pictures a process: batch norm cannot take one


@dataclass(frozen=True)
class Group:
    """Which process this is.

    Attributes:
        rank: among all, from 0.
        size: how many there are, on all machines.
        local_rank: among those of this machine.
        local_size: how many share this machine's threads.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1

    def device(self, device: torch.device) -> torch.device:
        """Return the device of this process: a GPU of its own.

        Raises:
            PipelineError: there is none.
        """
        if self.size == 1 or device.type == "cpu":
            return device
        there = torch.cuda.device_count() if device.type == "cuda" else 0
        if self.local_rank >= there:
            raise PipelineError(
                f"torchrun: expected a GPU of its own for each of {self.local_size} processes (train.device: "
                f"{device.type}), got {there} CUDA devices. Lower --nproc-per-node, or set train.device: cpu."
            )
        torch.cuda.set_device(self.local_rank)
        return torch.device("cuda", self.local_rank)

    def threads(self, threads: int) -> int:
        """Return this process's share of the machine's threads."""
        return max(1, threads // self.local_size)

    def part(self, rows: Tensor) -> Tensor:
        """Return the rows of a batch that this process takes."""
        return torch.tensor_split(rows, self.size)[self.rank]

    def joined(self, network: nn.Module) -> nn.Module:
        """Return the network as a step calls it: its backward pass then averages the gradients of all processes.

        Batch norm sees the whole batch on CUDA. PyTorch has no such layer for a CPU: there it sees a process's part,
        and the running means are the first's.
        """
        if self.size == 1:
            return network
        cuda = next(network.parameters()).is_cuda
        if cuda:  # in place, under the same names
            nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
        return DistributedDataParallel(network, device_ids=[self.local_rank] if cuda else None)

    def total(self, value: Tensor) -> Tensor:
        """Return the sum over all processes."""
        if self.size > 1:
            dist.all_reduce(value)
        return value

    def seed(self, seed: int, epoch: int) -> None:
        """Let dropout draw otherwise in each process, and in an epoch the same whether or not it was begun anew."""
        if self.size > 1:
            torch.manual_seed(int(np.random.SeedSequence([seed, epoch, self.rank]).generate_state(1)[0]))

    def refuse_small_batches(self, pictures: int, batches: int) -> None:
        """Raise PipelineError where a part of a batch would be too small."""
        least = pictures // batches // self.size
        if self.size > 1 and least < LEAST:
            raise PipelineError(
                f"params.yaml: train.batch_size: expected at least {LEAST} pictures a batch for each of {self.size} "
                f"processes, got {pictures // batches} for all. Raise train.batch_size, or lower --nproc-per-node."
            )

    def refuse_differences(self, what: str) -> None:
        """Raise PipelineError where another process says otherwise: a machine with other files."""
        said = [what] * self.size
        if self.size > 1:
            dist.all_gather_object(said, what)
        if len(set(said)) > 1:
            raise PipelineError(
                f"torchrun: expected the same parameters, pictures, code and checkpoint on every machine, got {said}. "
                "Run it in one shared folder."
            )


ALONE = Group()


@contextmanager
def grouped() -> Iterator[Group]:
    """Yield the group that torchrun started this process in, or ALONE; all but the first are silent on stderr.

    What ends a process is said by each, after this.
    """
    size = int(os.environ["WORLD_SIZE"]) if dist.is_torchelastic_launched() else 1
    if size == 1:
        yield ALONE
        return
    rank, *local = (int(os.environ[name]) for name in ("RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE"))
    dist.init_process_group()  # NCCL between GPUs, gloo between CPUs
    with Path(os.devnull).open("w") as nowhere:
        if rank == 0:
            yield Group(rank, size, *local)
        else:
            with redirect_stderr(nowhere):
                yield Group(rank, size, *local)
    dist.destroy_process_group()
