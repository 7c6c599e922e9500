"""The count of floating point operations."""

import torch
from transformers import TrainerState

from hf_mtl.batch import Batch
from hf_mtl.modeling import MultiTaskModel
from hf_mtl.modeling.parameters import training_flops
from hf_mtl.processes import Processes


class Flops:
    """Counts the floating point operations of this process, those beside the training passes too.

    The Trainer counts its training passes here, and whatever else runs the model counts its own. At every record of
    the log the Trainer adds the counts of all processes to its state, and the count begins anew.

    Args:
        model: The model.

    Attributes:
        pending: The operations of this process that no state has yet.
    """

    def __init__(self, model: MultiTaskModel):
        self.pending: float = 0
        self._model = model

    def count(self, batch: Batch, backward: bool) -> None:
        """Count a forward of a batch.

        Args:
            batch: The batch.
            backward: Whether a backward follows.
        """
        self.pending += self._of(batch, backward)

    def count_backward(self, batch: Batch) -> None:
        """Count one more backward of a batch whose forward is counted."""
        self.pending += self._of(batch, True) - self._of(batch, False)

    def _of(self, batch: Batch, backward: bool) -> int:
        return training_flops(self._model.encoder, batch, backward, self._model.private_adapters)

    def total(self, state: TrainerState, processes: Processes) -> float:
        """Add up the operations so far over all processes, which call this together.

        Args:
            state: The state of the Trainer.
            processes: This process among the others.
        """
        mine = torch.tensor(float(self.pending), dtype=torch.float64, device=processes.device)
        return float(state.total_flos) + float(processes.reduce_sum(mine))
