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

__all__ = ["torchvision"]
