"""A pass over a step's micro-batches beside the one that trains: what the losses are, before it or after it."""

from collections.abc import Sequence

import torch
from torch import Tensor

from hf_mtl.batch import Batch, divisor, model_inputs, to_device
from hf_mtl.modeling import MultiTaskModel
from hf_mtl.modeling.in_passing import RandomState, in_passing
from hf_mtl.modeling.sharded import reshard
from hf_mtl.processes import Processes
from hf_mtl.training.step.flops import Flops
from hf_mtl.training.step.task_batches import by_task


class LossPass:
    """Finds the task losses of a whole step, without a graph, with the dropout that its training pass has.

    Args:
        model: The model.
        names: The tasks, in order.
        processes: This process among the others.
        flops: Counts the operations of every pass.
    """

    def __init__(self, model: MultiTaskModel, names: Sequence[str], processes: Processes, flops: Flops):
        self.model = model
        self.names = list(names)
        self._processes = processes
        self._flops = flops

    @torch.no_grad()
    def __call__(self, batches: Sequence[Batch], random: RandomState, one_by_one: bool) -> Tensor:
        """Find L_t of the step, float64 [T], over all processes.

        Args:
            batches: This process's micro-batches of the step.
            random: What the generators were before the step's first forward.
            one_by_one: Whether the training pass takes one task after the other, and dropout is drawn in that order.
        """
        losses = torch.zeros(len(self.names), dtype=torch.float64, device=self._processes.device)
        with in_passing(self.model, training=True, random=random):
            for batch in batches:
                self._add(batch, one_by_one, losses)
                self._flops.count(batch, backward=False)
        reshard(self.model)
        return self._processes.reduce_sum(losses)

    def _add(self, batch: Batch, one_by_one: bool, losses: Tensor) -> None:
        inputs, masses = to_device(model_inputs(batch), self._processes.device), batch["plan"]["masses"]
        for part in (mine for _, mine in by_task(inputs)) if one_by_one else [inputs]:
            for name, rows in self.model(**part).row_losses.items():
                index = self.names.index(name)
                losses[index] += rows.sum().double() / divisor(masses[index])
