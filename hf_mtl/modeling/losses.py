"""Per-row losses by task type, always in float32."""

from collections.abc import Callable
from functools import singledispatch

import torch
from torch import Tensor
from torch.nn import functional as F

from hf_mtl.tasks import Regression, SequenceClassification, Task

FOCAL_GAMMA = 2.0
_REGRESSION_LOSSES: dict[str, Callable[..., Tensor]] = {"mse": F.mse_loss, "mae": F.l1_loss, "huber": F.huber_loss}


@singledispatch
def row_losses(task: Task, outputs: Tensor, labels: Tensor, class_weights: Tensor | None = None) -> Tensor:
    """Loss of every row. Dispatches on the class of the task.

    Args:
        task: Says which loss.
        outputs: What the head gives, [n, C]: logits, or regression outputs in standardised units.
        labels: Class ids [n], or targets [n, D] in the units of the outputs.
        class_weights: A factor per class [C], applied to the rows of that class; None: no factors.

    Returns:
        Losses [n], float32.
    """
    raise TypeError(f"no loss is registered for tasks of type {type(task).__name__}")


@row_losses.register
def _(task: SequenceClassification, outputs: Tensor, labels: Tensor, class_weights: Tensor | None = None) -> Tensor:
    labels = labels.reshape(-1).long()
    logits = outputs.float()
    losses = F.cross_entropy(logits, labels, reduction="none", label_smoothing=task.label_smoothing)
    if task.loss == "focal":
        probability = torch.softmax(logits, dim=-1).gather(1, labels.unsqueeze(1)).squeeze(1)
        losses = (1 - probability) ** FOCAL_GAMMA * losses
    return losses if class_weights is None else losses * class_weights.float()[labels]


@row_losses.register
def _(task: Regression, outputs: Tensor, labels: Tensor, class_weights: Tensor | None = None) -> Tensor:
    targets = labels.reshape(outputs.shape).float()
    return _REGRESSION_LOSSES[task.loss](outputs.float(), targets, reduction="none").mean(dim=-1)


def mean_loss(losses: Tensor, masses: Tensor | None = None) -> Tensor:
    """Mean of per-row losses [n] -> scalar, bit for bit `torch.nn.CrossEntropyLoss` on the same logits.

    That loss adds its rows in another order than `Tensor.mean`, which differs in the last bit.

    Args:
        losses: Row losses, [n].
        masses: How many units each of them is a sum over, [n]. None: 1 each.
    """
    if masses is not None:
        return per_mass(losses, masses)
    return F.nll_loss(-losses.unsqueeze(1), torch.zeros_like(losses, dtype=torch.long))


def per_mass(values: Tensor, masses: Tensor | None = None) -> Tensor:
    """Mean of what rows add up to, their losses or penalties [n] -> scalar.

    Args:
        values: Losses or penalties of rows, [n].
        masses: How many units each of them is a sum over, [n]. None: 1 each.
    """
    if masses is None:
        return values.mean()
    mass = masses.sum()
    # Rows whose masses sum to 0 have losses of 0, and so has their mean.
    return values.sum() / torch.where(mass > 0, mass, 1)
