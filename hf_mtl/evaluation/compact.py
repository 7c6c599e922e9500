"""Predicted classes in place of logits, found where the logits are: two numbers for each row leave the device."""

import numpy as np
import torch
from torch import Tensor

from hf_mtl.evaluation.outputs import ClassOutputs
from hf_mtl.tasks.scoring import Compact


def classes_alone(logits: Tensor) -> Tensor:
    """Find the class of the largest logit, the first of equal ones, and whether all are finite [B, 2]."""
    classes = torch.arange(logits.shape[1], device=logits.device)
    # Not argmax, which may take any of equal ones on an accelerator.
    smaller = logits < logits.amax(dim=1, keepdim=True)
    first = torch.where(smaller, logits.shape[1], classes).amin(dim=1)
    return torch.stack([first, logits.isfinite().all(dim=1)], dim=1).float()


def _read_classes(kept: np.ndarray) -> ClassOutputs:
    return ClassOutputs(kept[:, 0].astype(np.int64), int((kept[:, 1] == 0).sum()))


CLASSES_ALONE = Compact(classes_alone, 2, _read_classes)
"""What is kept of logits where no metric wants probabilities."""
