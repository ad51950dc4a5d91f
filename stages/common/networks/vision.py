"""Import torchvision beside any build of torch.

torchvision's wheel for Linux is compiled against CUDA. Beside a CPU-only torch its compiled operators do not load,
and the import itself then fails, because it registers shapes for two operators of object detectors that nothing here
uses. Declaring those two first lets the models, which are plain torch, be imported unchanged.
"""

import torch

_BOXES = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_DETECTOR_OPERATORS = ("torchvision::nms", "torchvision::qnms")

try:
    import torchvision
except RuntimeError as error:
    if not any(name in str(error) for name in _DETECTOR_OPERATORS):
        raise
    for name in _DETECTOR_OPERATORS:
        torch.library.define(name, _BOXES)
    import torchvision

__all__ = ["imagenet_entry", "torchvision"]


def imagenet_entry(architecture: str) -> torchvision.models.WeightsEnum:
    """Return which of torchvision's weights of a network `imagenet` means: the study's, or the only ones there are."""
    known = torchvision.models.get_model_weights(architecture)
    entry: torchvision.models.WeightsEnum = getattr(known, "IMAGENET1K_V1", known.DEFAULT)  # the largest have others
    return entry
