"""`stages.train` on a small network, as a test wants it in a group: with a process that dies or stands elsewhere.

    torchrun --nproc-per-node=2 -m tests.group_run <what> patient 0 resnet18

`what` is `bare`, without batch norm and dropout, or `plain`; or, plain too, process 1 `dies` after two epochs or is
`elsewhere`, in the folder `other`.
"""

import os
import signal
import sys
import time

from torch import Tensor, nn

from stages.common.core.errors import run
from stages.train import __main__ as train
from stages.train import checkpoint, loop


class Small(nn.Module):
    """What a network has: convolutions, a head, and, unless bare, what draws and what sees the whole batch."""

    def __init__(self, labels: int, bare: bool) -> None:
        super().__init__()
        between = [nn.ReLU()] if bare else [nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.3)]
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), *between, nn.Conv2d(8, 16, 3, stride=2), nn.ReLU())
        self.pool = nn.AdaptiveAvgPool2d(2)
        self.head = nn.Linear(64, labels)

    def forward(self, picture: Tensor) -> Tensor:
        return self.head(self.pool(self.body(picture)).flatten(1))


def _wait_for_a_checkpoint_and_die(*_: object) -> None:
    end = time.monotonic() + 20
    while not list(checkpoint.FOLDER.rglob("*.pt")) and time.monotonic() < end:
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGKILL)


def _dying(epochs: int) -> object:
    real, done = loop._one_epoch, []

    def one_epoch(*words: object) -> float:
        if len(done) == epochs:
            _wait_for_a_checkpoint_and_die()
        done.append(1)
        return real(*words)  # type: ignore[arg-type]

    return one_epoch


def main(what: str) -> None:
    """Change what was asked for, then train."""
    checkpoint.SHARE = 1e12  # written down after every epoch
    train.build = lambda _, labels, __: Small(labels, bare=what == "bare")
    if what == "dies" and os.environ["RANK"] == "1":
        loop._one_epoch = _dying(2)  # type: ignore[assignment]
    if what == "elsewhere" and os.environ["RANK"] == "1":
        os.chdir("other")
    run(train.main)


if __name__ == "__main__":
    main(sys.argv.pop(1))
