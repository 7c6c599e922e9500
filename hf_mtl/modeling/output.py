"""What a multi-task model returns."""

from dataclasses import dataclass

from torch import Tensor
from transformers.utils import ModelOutput


@dataclass
class MultiTaskOutput(ModelOutput):
    """Output of `MultiTaskModel.forward`.

    Every field has a default of None, because accelerate rebuilds the output from a dictionary.

    Args:
        loss: Mean over tasks of their mean row losses, scalar; None without labels.
        logits: By task: class logits [n, C], or regression outputs [n, D] in original units.
        row_losses: By task: losses [n], float32; empty without labels.
        features: Pooled features of the rows [N, H], as the heads see them. Where some heads read the backbone's
            pooler and some do not, those without the pooler.
    """

    loss: Tensor | None = None
    logits: dict[str, Tensor] | None = None
    row_losses: dict[str, Tensor] | None = None
    features: Tensor | None = None
