"""A trained model and rows of its tasks, to look at without changing anything."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from hf_mtl.batch import Batch, divisor
from hf_mtl.data.collate import Collator
from hf_mtl.data.tokens import EncodedSplit
from hf_mtl.data.train_rows import TrainRows
from hf_mtl.errors import Mistake, UserError
from hf_mtl.gradients import shared_parameters
from hf_mtl.modeling import MultiTaskModel
from hf_mtl.modeling.in_passing import generators_put_back, in_passing, parts_put_back
from hf_mtl.modeling.parameters import training_flops


class Subject:
    """A model at a checkpoint, its tasks, and their rows.

    Args:
        model: The model, in the dtype of its weights.
        train: Training rows of each task.
        validation: Validation rows of each task; empty where nobody asks for them.
        pad_id: Token id of padding.
        seed: Seed of all draws of rows.

    Attributes:
        parameters: The shared parameters that are trained.
        flops: The operations of all that was looked at.

    Raises:
        UserError: If there are fewer than two tasks, or nothing that they share is trained.
    """

    def __init__(
        self,
        model: MultiTaskModel,
        train: Mapping[str, EncodedSplit],
        validation: Mapping[str, EncodedSplit],
        pad_id: int,
        seed: int,
    ):
        self.model = model
        self.tasks = list(train)
        self.parameters: list[nn.Parameter] = shared_parameters(model)
        self.flops = 0.0
        if len(self.tasks) < 2:
            raise UserError(Mistake("tasks", "fewer than two are trained", "Affinities are between tasks"))
        if not self.parameters:
            remedy = "Train a part of the encoder, or adapters that all tasks share"
            raise UserError(
                Mistake("model", "nothing that its tasks share is trained: no task changes another", remedy)
            )
        device = self.parameters[0].device
        self.train = TrainRows(Collator(train, pad_id, None), seed, device)
        self.validation = TrainRows(Collator(validation, pad_id, None), seed, device) if validation else None

    @contextmanager
    def looking(self) -> Iterator[list[Tensor]]:
        """Look in eval mode, without dropout: parameters, gradients, modes and generators are as before at the end.

        Yields copies of the shared parameters.
        """
        with (
            generators_put_back(self.parameters[0].device),
            parts_put_back(self.model),
            in_passing(self.model, plain=True, keep_gradients=True),
            _values_put_back(self.parameters) as kept,
        ):
            yield kept

    def batch(self, of: TrainRows, task: str, rows: np.ndarray) -> tuple[Batch, float]:
        """Make a batch of some rows of a task, and add up their masses."""
        chosen = of.together({task: rows})
        return of.batch(chosen), of.masses(chosen)[task]

    def row_losses(self, task: str, batch: Batch, backward: bool) -> Tensor:
        """Compute the data term of the loss of each row, [n], times its weight.

        Args:
            task: The task that the batch is of.
            batch: The batch.
            backward: Whether a backward follows, which counts.

        Raises:
            UserError: If a loss is below 0 or no number.
        """
        self.flops += training_flops(self.model.encoder, batch, backward, self.model.private_adapters)
        with torch.set_grad_enabled(backward):
            losses: Tensor = self.model(**batch).row_losses[task]
        if not bool((losses >= 0).all()):  # of nan too
            problem = f"has a row loss of {float(losses.min()):g}, and no part of it could be said to drop"
            raise UserError(Mistake(f"tasks.{task}", problem, "Affinities are of losses from 0 on"))
        return losses

    def loss(self, task: str, batch: Batch, mass: float, backward: bool = False) -> Tensor:
        """Compute a task's loss on a batch: the sum of its row losses over the sum of their masses.

        Args:
            task: The task.
            batch: Rows of it.
            mass: The sum of their masses.
            backward: Whether a backward follows.
        """
        # Added in float64: a lookahead is the small difference of two of them.
        return self.row_losses(task, batch, backward).double().sum() / divisor(mass)

    def gradients(self, loss: Tensor) -> list[Tensor]:
        """Compute the gradient of a scalar by each shared parameter; zeros where it has none."""
        found = torch.autograd.grad(loss, self.parameters, allow_unused=True)
        return [
            torch.zeros_like(parameter) if gradient is None else gradient
            for parameter, gradient in zip(self.parameters, found, strict=True)
        ]


@contextmanager
def _values_put_back(parameters: list[nn.Parameter]) -> Iterator[list[Tensor]]:
    """Put back copies: what was subtracted and is added again would be rounded twice."""
    kept = [parameter.detach().clone() for parameter in parameters]
    try:
        yield kept
    finally:
        with torch.no_grad():
            for parameter, value in zip(parameters, kept, strict=True):
                parameter.copy_(value)
