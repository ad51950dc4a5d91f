"""The two small networks over time: recurrent (GRU, LSTM), and attention over a window of seconds.

Both add to what they make of the frame itself what they remember of others, so that a network for which time is of no
use can leave it alone. Neither is told how far into the clip a frame lies, because where a frame lies in its sweep can
stand for its label and says nothing of anatomy. The first frames of a stretch can still be told, by an empty memory or
a short window: the probe that sees the frame's number alone stands beside them for that (stages/leakage).
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

Kind = Literal["gru", "lstm", "transformer"]
BLOCK = 128  # frames whose attention is computed at once: memory grows with a clip's length, not with its square
SHORTEST_S = 0.1  # period of the fastest rotation: three frames at 30 a second
EPSILON_S = 1e-5  # times are kept to the microsecond


@dataclass(frozen=True)
class Shape:
    """How a network is built.

    Attributes:
        inputs: D, features a frame.
        labels: L, answers a frame.
        hidden: width.
        layers: of recurrence or attention.
        heads: of attention; hidden is a multiple of twice as many.
        dropout: share of units left out in training.
        causal: whether a frame sees only itself and earlier ones.
        window_s: seconds that attention reaches back (and ahead, where not causal).
        gap_s: longest time between two frames of a stretch.
    """

    inputs: int
    labels: int
    hidden: int
    layers: int
    heads: int
    dropout: float
    causal: bool
    window_s: float
    gap_s: float


class Recurrent(nn.Module):
    """GRU (Cho et al. 2014) or LSTM (Hochreiter and Schmidhuber 1997) over frames; told the seconds since the last."""

    def __init__(self, kind: Literal["gru", "lstm"], shape: Shape) -> None:
        super().__init__()
        self.gap_s = shape.gap_s
        self.entry = nn.Sequential(nn.Dropout(shape.dropout), nn.Linear(shape.inputs + 1, shape.hidden))
        cell = nn.GRU if kind == "gru" else nn.LSTM
        between = shape.dropout if shape.layers > 1 else 0.0
        self.memory = cell(
            shape.hidden, shape.hidden, shape.layers, batch_first=True, dropout=between, bidirectional=not shape.causal
        )
        self.join = nn.Identity() if shape.causal else nn.Linear(2 * shape.hidden, shape.hidden)
        self.head = nn.Sequential(nn.Dropout(shape.dropout), nn.Linear(shape.hidden, shape.labels))

    def forward(self, features: Tensor, times_s: Tensor, real: Tensor) -> Tensor:
        """Return (B, T, L) logits of a `Batch`'s features, times and mask."""
        since = times_s.diff(dim=1, prepend=times_s[:, :1] - self.gap_s) / self.gap_s  # 1 at a stretch's first frame
        seen = self.entry(torch.cat([features, since[:, :, None].to(features.dtype)], dim=2))
        packed = pack_padded_sequence(seen, real.sum(dim=1), batch_first=True, enforce_sorted=False)
        remembered, _ = pad_packed_sequence(self.memory(packed)[0], batch_first=True, total_length=seen.shape[1])
        answer: Tensor = self.head(seen + self.join(remembered))
        return answer


class Attention(nn.Module):
    """A small transformer encoder (Vaswani et al. 2017): normalised first, time by rotation, reach in seconds."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.entry = nn.Sequential(nn.Dropout(shape.dropout), nn.Linear(shape.inputs, shape.hidden))
        self.layers = nn.ModuleList([_Layer(shape) for _ in range(shape.layers)])
        self.head = nn.Sequential(
            nn.LayerNorm(shape.hidden), nn.Dropout(shape.dropout), nn.Linear(shape.hidden, shape.labels)
        )

    def forward(self, features: Tensor, times_s: Tensor, real: Tensor) -> Tensor:
        """Return (B, T, L) logits of a `Batch`'s features, times and mask."""
        seen = self.entry(features)
        for layer in self.layers:
            seen = layer(seen, times_s, real)
        answer: Tensor = self.head(seen)
        return answer


class _Layer(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        # layers chain their reach: together they see window_s, and not one frame further
        self.heads, self.causal, self.reach_s = shape.heads, shape.causal, shape.window_s / shape.layers
        self.dropout = shape.dropout
        self.before, self.after = nn.LayerNorm(shape.hidden), nn.LayerNorm(shape.hidden)
        self.ask = nn.Linear(shape.hidden, 3 * shape.hidden)
        self.tell = nn.Linear(shape.hidden, shape.hidden)
        self.think = nn.Sequential(
            nn.Linear(shape.hidden, 2 * shape.hidden), nn.GELU(), nn.Dropout(shape.dropout),
            nn.Linear(2 * shape.hidden, shape.hidden),
        )  # fmt: skip
        self.register_buffer("speeds", speeds(shape.hidden // shape.heads // 2, shape.window_s), persistent=False)

    def forward(self, seen: Tensor, times_s: Tensor, real: Tensor) -> Tensor:
        seen = seen + self.tell(self._attend(self.before(seen), times_s, real))
        answer: Tensor = seen + self.think(self.after(seen))
        return answer

    def _attend(self, seen: Tensor, times_s: Tensor, real: Tensor) -> Tensor:
        """Return (B, T, hidden): what each frame takes from those that it may see, block by block."""
        asked, key, value = (part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in self.ask(seen).chunk(3, 2))
        asked, key = (rotated(part, times_s, self.get_buffer("speeds")) for part in (asked, key))
        dropout, found = self.dropout if self.training else 0.0, []
        for start in range(0, seen.shape[1], BLOCK):
            stop = min(start + BLOCK, seen.shape[1])
            low, high = span(times_s, start, stop, self.reach_s, self.causal)
            mask = visible(times_s, real, slice(start, stop), slice(low, high), self.reach_s, self.causal)
            among = key[:, :, low:high], value[:, :, low:high]
            found.append(
                scaled_dot_product_attention(asked[:, :, start:stop], *among, mask[:, None], dropout_p=dropout)
            )
        return torch.cat(found, dim=2).transpose(1, 2).flatten(2)


def speeds(count: int, window_s: float) -> Tensor:
    """Return (count,) rotations, radians a second: periods from SHORTEST_S to twice the window, even in logarithm."""
    slowest = max(2 * window_s, SHORTEST_S)
    periods = torch.logspace(math.log10(SHORTEST_S), math.log10(slowest), count, dtype=torch.float64)
    return 2 * math.pi / periods


def rotated(part: Tensor, times_s: Tensor, turning: Tensor) -> Tensor:
    """Return (B, H, T, E) queries or keys turned by their time: products then depend on differences in time alone.

    Su et al. 2021, RoFormer, with seconds in place of positions.
    """
    angles = times_s[:, None, :, None] * turning  # (B, 1, T, E / 2), float64: clips may last minutes
    cos, sin = angles.cos().to(part.dtype), angles.sin().to(part.dtype)
    first, second = part.chunk(2, dim=3)
    return torch.cat([first * cos - second * sin, first * sin + second * cos], dim=3)


def span(times_s: Tensor, start: int, stop: int, reach_s: float, causal: bool) -> tuple[int, int]:
    """Return the range of frames outside which none of a batch is within reach of the frames start..stop-1."""
    early = times_s[:, start : start + 1] - reach_s - EPSILON_S
    low = int((times_s < early).sum(dim=1).min())
    if causal:
        return min(low, start), stop
    late = times_s[:, stop - 1 : stop] + reach_s + EPSILON_S
    return min(low, start), max(stop, int((times_s <= late).sum(dim=1).max()))


def visible(times_s: Tensor, real: Tensor, asking: slice, asked: slice, reach_s: float, causal: bool) -> Tensor:
    """Return (B, asking, asked) bool: which frames a frame may look at; padding sees itself and is seen by no one."""
    places = torch.arange(times_s.shape[1])
    behind = places[asking][:, None] - places[asked][None, :]  # frames that the asked one lies back
    near = (times_s[:, asking, None] - times_s[:, None, asked]).abs() <= reach_s + EPSILON_S
    allowed = near & real[:, None, asked] & ((behind >= 0) if causal else torch.ones_like(behind, dtype=torch.bool))
    return allowed | (behind == 0)  # a row without any True would be NaN


def build(kind: Kind, shape: Shape) -> nn.Module:
    """Return a new network, its weights drawn from torch's global generator."""
    return Attention(shape) if kind == "transformer" else Recurrent(kind, shape)
