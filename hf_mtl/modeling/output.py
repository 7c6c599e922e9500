"""The output of a multi-task model."""

from dataclasses import dataclass

from torch import Tensor
from transformers.utils import ModelOutput


@dataclass
class MultiTaskOutput(ModelOutput):
    """Output of `MultiTaskModel.forward`.

    Every field has a default of None, because accelerate rebuilds the output from a dictionary.

    Args:
        loss: Mean over tasks of their losses: row losses (and penalties) over the masses of the rows, scalar; None
            without labels.
        logits: By task: class logits [n, C], or regression outputs [n, D] in original units.
        row_losses: By task: losses [n], float32, without penalties, each a sum over the units of the row's mass,
            times the row's weight; empty without labels.
        row_penalties: By task: what the head adds to the losses while training, such as a KL divergence, times the
            row's weight [n], float32. Only tasks whose head has penalties.
        penalty_values: By task and name: the head's penalties before their factors, times the row's weight, without
            graph [n].
        variances: By task, where ``uncertainty`` was asked for and the head decodes a distribution: its variance in
            the units of the logits, squared [n, C].
        features: Pooled features of the rows [N, H], as the heads see them. Where some heads read the backbone's
            pooler and some do not, those without the pooler.
    """

    loss: Tensor | None = None
    logits: dict[str, Tensor] | None = None
    row_losses: dict[str, Tensor] | None = None
    row_penalties: dict[str, Tensor] | None = None
    penalty_values: dict[str, dict[str, Tensor]] | None = None
    variances: dict[str, Tensor] | None = None
    features: Tensor | None = None
