"""A training that was killed goes on, and ends bit for bit as an undisturbed one; other checkpoints are never used."""

from importlib.metadata import version
from pathlib import Path

import pytest
import torch
from torch import nn

from stages.train import __main__ as train
from stages.train import checkpoint
from stages.train.checkpoint import FOLDER, Keeper, key_of
from stages.train.recipe import Epoch, Pictures, Recipe

RECIPE = Recipe(
    lr=0.01, backbone_scale=0.5, epochs=5, batch_size=8, warmup=0.2, clip_norm=1.0, mean=0.5, std=0.2, seed=3
)


class Small(nn.Module):
    """Everything that has a state: weights, running means, and dropout, which draws."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.BatchNorm2d(3), nn.Flatten(), nn.Dropout(0.5))
        self.head = nn.Linear(48, 2)

    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(picture))


@pytest.fixture(autouse=True)
def every_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write after every epoch, and name the small network's head."""
    monkeypatch.setattr(checkpoint, "SHARE", 1e12)
    monkeypatch.setattr(train, "head_name", lambda _: "head")


def pictures() -> Pictures:
    generator = torch.Generator().manual_seed(0)
    grey = torch.randint(0, 256, (40, 8, 8), generator=generator, dtype=torch.uint8)
    return Pictures(grey, torch.randint(0, 2, (40, 2), generator=generator).float())


def trained(folder: Path, kept: str, key: str = "key") -> tuple[nn.Module, list[Epoch]]:
    """Fit the small network, with a keeper below `folder`."""
    torch.manual_seed(7)
    network, data = Small(), pictures()
    keeper = Keeper("small", key, folder)
    history = train.fit(network, data, data, RECIPE, folder / "curves", kept, keeper)  # type: ignore[arg-type]
    return network, history


def killed_after(epochs: int, folder: Path, kept: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin the same training, and stop it dead once so many epochs are written down."""
    real, written = Keeper.save, []

    def save(self: Keeper, *arguments: object) -> None:
        real(self, *arguments)  # type: ignore[arg-type]
        written.append(1)
        if len(written) == epochs:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Keeper, "save", save)
        with pytest.raises(KeyboardInterrupt):
            trained(folder, kept)
    torch.rand(5)  # other draws in between change nothing


@pytest.mark.parametrize("kept", ["best", "last"])
@pytest.mark.parametrize("epochs", [1, 3, 5])
def test_a_killed_training_ends_as_an_undisturbed_one(
    kept: str, epochs: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, history = trained(tmp_path / "whole", kept)
    killed_after(epochs, tmp_path / "killed", kept, monkeypatch)
    capsys.readouterr()
    again, continued = trained(tmp_path / "killed", kept)
    assert f"goes on after epoch {epochs}" in capsys.readouterr().err
    assert continued == history
    assert len(history) == RECIPE.epochs
    for name, value in whole.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name
    curves = [(tmp_path / place / "curves/plots/metrics/train/loss.tsv").read_text() for place in ("whole", "killed")]
    assert [line.split("\t")[1:] for line in curves[0].splitlines()] == [
        line.split("\t")[1:] for line in curves[1].splitlines()
    ]


def test_a_checkpoint_of_something_else_is_never_used_and_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    killed_after(2, tmp_path, "last", monkeypatch)
    (kept,) = (tmp_path / FOLDER).rglob("*.pt")
    trained(tmp_path, "last", key="other")
    assert "goes on" not in capsys.readouterr().err
    assert not kept.exists()


def test_a_damaged_checkpoint_is_told_and_the_training_begins_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _, history = trained(tmp_path / "whole", "last")
    killed_after(2, tmp_path, "last", monkeypatch)
    (kept,) = (tmp_path / FOLDER).rglob("*.pt")
    kept.write_bytes(kept.read_bytes()[:-200])
    assert trained(tmp_path, "last")[1] == history
    assert "cannot be read, so the training begins again" in capsys.readouterr().err


def test_a_flipped_bit_anywhere_in_a_checkpoint_is_told_and_nothing_of_it_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    killed_after(2, tmp_path, "best", monkeypatch)
    (kept,) = (tmp_path / FOLDER).rglob("*.pt")
    content = kept.read_bytes()
    assert len(Keeper("small", "key", tmp_path).history) == 2
    for place in range(0, len(content), len(content) // 600):
        damaged = bytearray(content)
        damaged[place] ^= 1 << place % 8
        kept.write_bytes(damaged)
        capsys.readouterr()
        keeper = Keeper("small", "key", tmp_path)
        assert (keeper.history, keeper.best) == ([], {}), place
        assert keeper.attach({"network": Small()}, torch.Generator()) == 0
        said = capsys.readouterr().err
        assert "cannot be read, so the training begins again" in said, place
        assert said.count("\n") == 1


@pytest.mark.parametrize("size", [0, 10, 64, 65])
def test_a_checkpoint_cut_to_a_few_bytes_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], size: int
) -> None:
    killed_after(1, tmp_path, "last", monkeypatch)
    (kept,) = (tmp_path / FOLDER).rglob("*.pt")
    kept.write_bytes(kept.read_bytes()[:size])
    assert Keeper("small", "key", tmp_path).history == []
    assert "cannot be read, so the training begins again" in capsys.readouterr().err


def test_nothing_is_left_when_a_training_is_done(tmp_path: Path) -> None:
    keeper = Keeper("small", "key", tmp_path)
    data = pictures()
    train.fit(Small(), data, data, RECIPE, tmp_path / "curves", "last", keeper)
    assert keeper.path.is_file()
    keeper.close()
    assert not list((tmp_path / FOLDER).rglob("*.pt"))


def test_writing_takes_a_small_share_of_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(checkpoint, "SHARE", 0.02)
    monkeypatch.setattr(checkpoint.time, "monotonic", lambda: clock[0])
    real = torch.save
    monkeypatch.setattr(torch, "save", lambda *words: (clock.__setitem__(0, clock[0] + 1), real(*words))[1])
    keeper, network = Keeper("small", "key", tmp_path), Small()
    keeper.attach({"network": network}, torch.Generator())
    size = sum(value.nbytes for value in network.state_dict().values())
    clock[0] = 4 * size / checkpoint.BYTES_PER_S / 0.02 - 1e-9
    keeper.save([], {})
    assert not keeper.path.exists()  # the first time would take too large a share of what has passed
    clock[0] += 1e-6
    keeper.save([], {})
    assert keeper.path.exists()
    keeper.path.unlink()
    clock[0] += 49  # a second was measured: fifty have to pass
    keeper.save([], {})
    assert not keeper.path.exists()
    clock[0] += 1
    keeper.save([], {})
    assert keeper.path.exists()


def test_the_first_writing_of_a_large_network_waits_a_minute_at_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr(checkpoint.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(checkpoint, "SHARE", 1e-9)
    keeper, network = Keeper("small", "key", tmp_path), Small()
    keeper.attach({"network": network}, torch.Generator())
    for clock[0], there in ((59.9, False), (60.0, True)):
        keeper.save([], {})
        assert keeper.path.exists() == there


def test_the_key_is_of_params_data_code_and_libraries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = tmp_path / "train"
    code.mkdir()
    (code / "loop.py").write_text("a = 1\n")
    first = key_of({"lr": 0.01, "truth": "ab"}, [code])
    assert key_of({"truth": "ab", "lr": 0.01}, [code]) == first
    assert key_of({"lr": 0.02, "truth": "ab"}, [code]) != first
    assert key_of({"lr": 0.01, "truth": "cd"}, [code]) != first
    for library in ("torch", "torchvision", "numpy"):
        with monkeypatch.context() as of:
            of.setattr(checkpoint, "version", lambda name, other=library: "0" if name == other else version(name))
            assert key_of({"lr": 0.01, "truth": "ab"}, [code]) != first
    (code / "loop.py").write_text("a = 2\n")
    assert key_of({"lr": 0.01, "truth": "ab"}, [code]) != first
