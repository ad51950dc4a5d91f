"""What a training is made of: how, from what, and what every epoch leaves."""

from dataclasses import dataclass

from torch import Tensor

from stages.common.networks.models import Channels


@dataclass(frozen=True)
class Recipe:
    """How one network is trained.

    Attributes:
        lr: Adam's rate of the new head.
        backbone_scale: rate of everything else as a multiple of `lr`.
        epochs: passes over the training pictures.
        batch_size: pictures a step.
        warmup: share of all steps over which the rates rise linearly from zero.
        clip_norm: the gradient's norm is cut to this.
        mean, std: of grey values scaled to 0..1.
        seed: order of the pictures and dropout.
        freeze: the backbone keeps its weights and its running means: only the head learns.
        focal_gamma: of the focal loss; 0 is plain cross-entropy.
        pos_weight: positives weigh as much as negatives, a label each.
        balanced_sampling: each combination of labels is drawn equally often.
    """

    lr: float
    backbone_scale: float
    epochs: int
    batch_size: int
    warmup: float
    clip_norm: float
    mean: Channels
    std: Channels
    seed: int
    freeze: bool = False
    focal_gamma: float = 0.0
    pos_weight: bool = False
    balanced_sampling: bool = False


@dataclass(frozen=True)
class Pictures:
    """Rows of one resident array with their truth.

    Attributes:
        grey: (N, S, S) uint8 on the device.
        truth: (N, L) float32: 1, 0 or NaN for unknown.
    """

    grey: Tensor
    truth: Tensor


@dataclass(frozen=True)
class Epoch:
    """One line of the history.

    Attributes:
        epoch: counted from 1.
        train_loss: mean over the epoch's batches, by their frames, of each batch's mean over its known labels.
        validation_loss: mean over the known labels.
        constant_labels: how many labels get one and the same answer on validation, where the truth has both.
        coin_loss: what always saying one half would cost on validation.
    """

    epoch: int
    train_loss: float
    validation_loss: float
    constant_labels: int
    coin_loss: float
