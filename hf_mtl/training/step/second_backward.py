"""Gradients of every task at parameters that were moved along its own gradient, for sharpness-aware methods."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from hf_mtl.batch import Batch
from hf_mtl.gradients import JacobianRows
from hf_mtl.modeling import MultiTaskModel
from hf_mtl.modeling.in_passing import RandomState
from hf_mtl.modeling.moments import RunningMoments
from hf_mtl.modeling.parameters import split_parameters
from hf_mtl.training.step.flops import Flops


class SecondBackward:
    """Repeats a step's passes of each task at perturbed parameters, on the same rows with the same dropout.

    Shared parameters are moved as the aggregator says, the heads' by ``rho`` along their own normalised gradient.
    Afterwards the parameters have the bits that they had. The heads keep the gradients of this second pass.

    Args:
        model: The model.
        rho: Length of the heads' displacement.
        rows: Makes a place for the gradients of some parameters by task.
        flops: Counts the operations of every pass.
    """

    def __init__(
        self, model: MultiTaskModel, rho: float, rows: Callable[[Sequence[nn.Parameter]], JacobianRows], flops: Flops
    ):
        self.model = model
        self.rho = rho
        self._flops = flops
        heads = [parameter for _, parameter in split_parameters(model)[1] if parameter.requires_grad]
        self.heads = rows(heads)
        self.begin()

    def begin(self) -> None:
        """Start a step."""
        self.heads.begin()
        self._passes: dict[int, list[tuple[Batch, RandomState]]] = {}

    def note(self, task: int, batch: Batch) -> None:
        """Note one task's rows before their first forward."""
        device = next(self.model.parameters()).device
        self._passes.setdefault(task, []).append((batch, RandomState(device)))

    def take(self, task: int) -> None:
        """Take the heads' gradients after the first backward of one task's rows."""
        self.heads.add_task(task)

    def run(
        self,
        task: int,
        displacement: Iterator[tuple[nn.Parameter, Tensor]],
        factor: Tensor,
    ) -> None:
        """Repeat forward and backward of one task's rows at the perturbed parameters.

        Args:
            task: The task.
            displacement: What is added to each shared parameter.
            factor: What the sum of the task's row losses is multiplied by.
        """
        row = torch.eye(self.heads.tasks, device=self.heads.device)[task]
        mine = dict(self.heads.combine(row))
        norm = torch.stack([gradient.norm() for gradient in mine.values()]).norm() if mine else torch.ones(())
        of_heads = ((p, g * (self.rho / norm)) for p, g in mine.items() if bool(norm > 0))
        with self._moved([*displacement, *of_heads]), self._moments_kept():
            for batch, random in self._passes.get(task, []):
                with random.again():
                    outputs = self.model(**batch)
                    (name,) = outputs.row_losses
                    rows = outputs.row_losses[name].sum()
                    if name in outputs.row_penalties:
                        rows = rows + outputs.row_penalties[name].sum()
                    (rows * factor.to(rows.dtype)).backward()
                    self._flops.count(batch, backward=True)

    @contextmanager
    def _moved(self, displacement: Sequence[tuple[nn.Parameter, Tensor]]) -> Iterator[None]:
        # Copies, since subtracting what was added would round: the parameters are to have the bits that they had.
        before = [(parameter, parameter.detach().clone()) for parameter, _ in displacement]
        with torch.no_grad():
            for parameter, by in displacement:
                parameter.add_(by.to(parameter.dtype))
        try:
            yield
        finally:
            with torch.no_grad():
                for parameter, value in before:
                    parameter.copy_(value)

    @contextmanager
    def _moments_kept(self) -> Iterator[None]:
        """Keep running moments as they are: rows that are seen a second time do not count twice."""
        kept = [(module, module._step) for module in self.model.modules() if isinstance(module, RunningMoments)]
        try:
            yield
        finally:
            for module, step in kept:
                module._step = step
