"""Row losses of a task -> its loss."""

import torch
from torch import Tensor
from torch.nn import functional as F


def mean_loss(losses: Tensor, masses: Tensor | None = None) -> Tensor:
    """Average per-row losses [n] -> scalar, to the bits of `torch.nn.CrossEntropyLoss` on the same logits.

    That loss adds its rows in another order than `Tensor.mean`, which differs in the last bit.

    Args:
        losses: Row losses, [n].
        masses: How many units each of them is a sum over, [n]. None: 1 each.
    """
    if masses is not None:
        return per_mass(losses, masses)
    return F.nll_loss(-losses.unsqueeze(1), torch.zeros_like(losses, dtype=torch.long))


def per_mass(values: Tensor, masses: Tensor | None = None) -> Tensor:
    """Divide the sum of rows' losses or penalties [n] by that of their masses -> scalar.

    Args:
        values: Losses or penalties of rows, [n].
        masses: How many units each of them is a sum over, [n]. None: 1 each.
    """
    if masses is None:
        return values.mean()
    mass = masses.sum()
    # Rows whose masses sum to 0 have losses of 0, and so has their mean.
    return values.sum() / torch.where(mass > 0, mass, 1)
