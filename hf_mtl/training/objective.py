"""From the row losses of micro-batches to one update per optimizer step, whatever the partition.

L_t is the sum of the step's row losses of task t over all micro-batches and processes, divided by n_t, which every
process knows from the plan. The weighting's scalar is linear in the losses for the methods here, so a micro-batch
needs only its own rows; the weighting's own parameters get their gradient at the end of the step from the reduced
losses, the same on every process.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from hf_mtl.balancing import DEFAULT_REDUCTION, LossWeighting, Reduction, exposure
from hf_mtl.errors import CheckpointError


@dataclass
class StepResult:
    """What one optimizer step saw.

    Args:
        losses: L_t of each task, [T]; 0 where absent.
        counts: n_t of each task, [T].
        weights: Coefficients w_t of the weighting, [T].
        gamma: Coefficients gamma_t of the schedules, [T].
        penalties: Mean of each penalty over its task's rows, by task and name, before its factor; 0 where absent.
    """

    losses: Tensor
    counts: Tensor
    weights: Tensor
    gamma: Tensor
    penalties: dict[tuple[str, str], Tensor] = field(default_factory=dict)


class Objective:
    """Collects one optimizer step at a time.

    Args:
        names: Task names, in task order.
        weighting: The loss weighting.
        micro_batches: Answers the number of micro-batches of a step, over all processes.
        reduce_sum: Adds a tensor up over the processes.
        reduction: How much each task counts, see `hf_mtl.balancing.exposure`.
        penalties: Task and name of every penalty of the heads.
        device: Where the losses are.
    """

    def __init__(
        self,
        names: Sequence[str],
        weighting: LossWeighting,
        micro_batches: Callable[[], int],
        reduce_sum: Callable[[Tensor], Tensor],
        reduction: Reduction = DEFAULT_REDUCTION,
        penalties: Sequence[tuple[str, str]] = (),
        device: torch.device | str = "cpu",
    ):
        self.names = list(names)
        self.weighting = weighting
        self.reduction: Reduction = reduction
        self._micro_batches = micro_batches
        self._reduce_sum = reduce_sum
        self._penalties = list(penalties)
        self.device = torch.device(device)
        self.absent = torch.zeros(len(names), dtype=torch.bool)  # in the step that was finished last
        self._counts: Tensor | None = None
        self._coefficients: Tensor
        self._constant: Tensor
        self._losses: Tensor
        self._gamma: Tensor
        self._penalty_means: Tensor

    def micro_batch(
        self,
        row_losses: Mapping[str, Tensor],
        counts: Sequence[int],
        nominal: Sequence[int] | None = None,
        gamma: Sequence[float] | None = None,
        row_penalties: Mapping[str, Tensor] | None = None,
        penalty_values: Mapping[str, Mapping[str, Tensor]] | None = None,
    ) -> Tensor:
        """This micro-batch's part of the step's scalar; the parts of all micro-batches and processes add up to it.

        The weighting and its statistics see the data terms L_t alone. A head's penalty Q_t, which may be negative,
        joins the scalar with the factor that L_t has in it, taken as a constant.

        Args:
            row_losses: Loss of each row, per task, [rows of that task in this micro-batch].
            counts: n_t of the whole step, [T].
            nominal: What n_t would be if a schedule had dropped no rows, [T]: a task's exposure is that of the
                nominal step, so that dropping one task leaves the others' coefficients as they are. None: the same.
            gamma: Schedule coefficients gamma_t, [T], which multiply the task's part of the scalar. None: 1.
            row_penalties: What heads add to the losses of these rows, per task that has such a head.
            penalty_values: The penalties by name, before their factors, to log.

        Returns:
            Scalar tensor with the graph of this micro-batch.
        """
        if self._counts is None:
            self._begin(counts, counts if nominal is None else nominal, gamma)
        assert self._counts is not None
        coefficients = self._coefficients.detach()
        total = self._constant.detach() / self._micro_batches()
        for index, name in enumerate(self.names):
            if name in row_losses:
                part = row_losses[name].sum() / self._counts[index]
                self._losses[index] += part.detach()
                if row_penalties and name in row_penalties:
                    part = part + row_penalties[name].sum() / self._counts[index]
                total = total + coefficients[index].to(part.dtype) * part
        for place, (task, name) in enumerate(self._penalties):
            if penalty_values and task in penalty_values:
                values = penalty_values[task][name]
                self._penalty_means[place] += values.sum() / self._counts[self.names.index(task)]
        return total.to(torch.float32)

    def _begin(self, counts: Sequence[int], nominal: Sequence[int], gamma: Sequence[float] | None) -> None:
        """Evaluate the weighting once for the step: its scalar is constant + sum of coefficient_t L_t."""
        device = self.device
        self._counts = torch.tensor(counts, dtype=torch.float64, device=device)
        kappa = exposure(torch.tensor(nominal, dtype=torch.float64, device=device), self.reduction)
        given = [1.0] * len(self.names) if gamma is None else gamma
        self._gamma = torch.tensor(given, dtype=torch.float64, device=device)
        kappa = torch.where(self._counts > 0, kappa * self._gamma, 0.0)
        self._losses = torch.zeros_like(self._counts)
        self._penalty_means = torch.zeros(len(self._penalties), dtype=torch.float64, device=device)
        zero = torch.zeros_like(self._counts, requires_grad=True)
        with torch.enable_grad():
            self._constant = self.weighting(zero, self._counts > 0, kappa)
            (self._coefficients,) = torch.autograd.grad(self._constant, zero, create_graph=True)

    def finish(self, grad_scale: float = 1.0, learn: bool = True) -> StepResult:
        """Close the step: reduce the losses and give the weighting's parameters their gradient.

        Args:
            grad_scale: Factor of a loss scaler, which will divide all gradients by it.
            learn: Whether the weighting's parameters get a gradient.
        """
        assert self._counts is not None, "finish() before any micro_batch()"
        reduced = self._reduce_sum(torch.cat([self._losses, self._penalty_means]))
        losses, means = reduced[: len(self.names)], reduced[len(self.names) :]
        parameters = [p for p in self.weighting.parameters() if p.requires_grad]
        for parameter in parameters:
            parameter.grad = None
        if parameters and learn:
            scalar = self._constant + (self._coefficients * losses).sum()
            gradients = torch.autograd.grad(scalar * grad_scale, parameters)
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter.grad = gradient
        result = StepResult(
            losses,
            self._counts,
            self.weighting.weights().to(losses),
            self._gamma,
            dict(zip(self._penalties, means, strict=True)),
        )
        self.absent = self._counts == 0
        self._counts = None
        return result

    def state_dict(self) -> dict[str, Any]:
        """The weighting's parameters and buffers."""
        return dict(self.weighting.state_dict())

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the weighting.

        Raises:
            CheckpointError: If the state is another weighting's.
        """
        try:
            self.weighting.load_state_dict(state)
        except RuntimeError as error:
            found = ", ".join(state) or "nothing"
            name = type(self.weighting).name
            raise CheckpointError(
                f"weighting: the checkpoint has {found}, which is not the state of '{name}'"
            ) from error
