"""From the row losses of micro-batches to one update per optimizer step, whatever the partition.

L_t is the sum of the step's row losses of task t over all micro-batches and processes, divided by n_t, which every
process knows from the plan. A micro-batch's part of the weighting's scalar is linear in its own rows, with factors
c_t that the whole step shares: those of a scalar that is linear in the losses are known beforehand; the others need
the step's losses first. The weighting's own parameters get their gradient at the end of the step from the reduced
losses, the same on every process.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from hf_mtl.balancing import DEFAULT_EXACT_ACCUMULATION, DEFAULT_REDUCTION, LossWeighting, Reduction, exposure
from hf_mtl.errors import CheckpointError


@dataclass
class StepResult:
    """What one optimizer step saw.

    Args:
        losses: L_t of each task, [T]; 0 where absent.
        counts: n_t of each task, [T].
        weights: Coefficients w_t of the weighting, [T].
        gamma: Coefficients gamma_t of the schedules, [T].
        factors: c_t: the step's scalar has the gradient sum_t c_t (L_t + Q_t), [T]; 0 where absent.
        unweighted: What is left of c_t without w_t: exposure and gamma, [T]; 0 where absent.
        penalties: Mean of each penalty over its task's rows, by task and name, before its factor; 0 where absent.
        votes: How many processes want to stop after this step, a scalar tensor.
    """

    losses: Tensor
    counts: Tensor
    weights: Tensor
    gamma: Tensor
    factors: Tensor
    unweighted: Tensor
    penalties: dict[tuple[str, str], Tensor] = field(default_factory=dict)
    votes: Tensor = field(default_factory=lambda: torch.zeros(()))


class Objective:
    """Collects one optimizer step at a time.

    Args:
        names: Task names, in task order.
        weighting: The loss weighting.
        micro_batches: Answers the number of micro-batches of a step, over all processes.
        reduce_sum: Adds a tensor up over the processes.
        reduction: How much each task counts, see `hf_mtl.balancing.exposure`.
        penalties: Task and name of every penalty of the heads.
        exact_accumulation: Whether a weighting that needs the step's losses first gets those of the whole step, which
            with several micro-batches costs a forward of each; otherwise it gets those of each micro-batch.
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
        exact_accumulation: bool = DEFAULT_EXACT_ACCUMULATION,
        device: torch.device | str = "cpu",
    ):
        self.names = list(names)
        self.weighting = weighting
        self.reduction: Reduction = reduction
        self._micro_batches = micro_batches
        self._reduce_sum = reduce_sum
        self._penalties = list(penalties)
        self.exact_accumulation = exact_accumulation
        self.device = torch.device(device)
        self.absent = torch.zeros(len(names), dtype=torch.bool)  # in the step that was finished last
        self._counts: Tensor | None = None
        self._kappa: Tensor
        self._factors: Tensor | None = None
        self._scalar: Tensor | None = None
        self._constant = 0.0
        self._losses: Tensor
        self._gamma: Tensor
        self._penalty_means: Tensor

    @property
    def is_open(self) -> bool:
        """Whether a step has begun and not been closed."""
        return self._counts is not None

    def abandon(self) -> None:
        """Forget a step that was broken off."""
        self._counts = None

    @property
    def losses_first(self) -> bool:
        """Whether the next step's factors depend on its losses."""
        return "losses" in self.weighting.needs_now()

    def micro_batch(
        self,
        row_losses: Mapping[str, Tensor],
        counts: Sequence[int],
        nominal: Sequence[int] | None = None,
        gamma: Sequence[float] | None = None,
        row_penalties: Mapping[str, Tensor] | None = None,
        penalty_values: Mapping[str, Mapping[str, Tensor]] | None = None,
        losses: Tensor | None = None,
        constant: bool = True,
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
            losses: L_t of the whole step [T], where `losses_first` and there are several micro-batches.
            constant: Whether to add the micro-batch's share of what the scalar is beside the losses; only for the
                first call of a micro-batch whose tasks come one by one.

        Returns:
            Scalar tensor with the graph of this micro-batch.
        """
        if self._counts is None:
            self._begin(counts, counts if nominal is None else nominal, gamma)
        assert self._counts is not None
        parts = {name: rows.sum() / self._counts[self.names.index(name)] for name, rows in row_losses.items()}
        mine = torch.zeros_like(self._losses)
        for name, part in parts.items():
            mine[self.names.index(name)] = part.detach()
        factors = self._factors_of(mine, row_losses, losses)
        self._losses += mine
        share = self._constant / self._micro_batches() if constant else 0.0
        total = torch.tensor(share, dtype=torch.float64, device=self.device)
        for name, part in parts.items():
            if row_penalties and name in row_penalties:
                part = part + row_penalties[name].sum() / self._counts[self.names.index(name)]
            total = total + factors[self.names.index(name)].to(part.dtype) * part
        for place, (task, name) in enumerate(self._penalties):
            if penalty_values and task in penalty_values:
                values = penalty_values[task][name]
                self._penalty_means[place] += values.sum() / self._counts[self.names.index(task)]
        return total.to(torch.float32)

    def _begin(self, counts: Sequence[int], nominal: Sequence[int], gamma: Sequence[float] | None) -> None:
        device = self.device
        self._counts = torch.tensor(counts, dtype=torch.float64, device=device)
        kappa = exposure(torch.tensor(nominal, dtype=torch.float64, device=device), self.reduction)
        given = [1.0] * len(self.names) if gamma is None else gamma
        self._gamma = torch.tensor(given, dtype=torch.float64, device=device)
        self._kappa = torch.where(self._counts > 0, kappa * self._gamma, 0.0)
        self._losses = torch.zeros_like(self._counts)
        self._penalty_means = torch.zeros(len(self._penalties), dtype=torch.float64, device=device)
        self._factors, self._scalar, self._constant = None, None, 0.0

    def _factors_of(self, mine: Tensor, row_losses: Mapping[str, Tensor], losses: Tensor | None) -> Tensor:
        """The factors c_t for a micro-batch, detached [T]."""
        if self._factors is not None:
            return self._factors
        assert self._counts is not None
        present = self._counts > 0
        if not self.losses_first:
            self._factors, self._constant, _ = self._linearise(self.weighting.scalar, 0 * self._counts, present)
        elif losses is None and not self.exact_accumulation:
            rows = torch.tensor([float(len(row_losses.get(name, ()))) for name in self.names], device=self.device)
            own = mine * self._counts / rows.clamp(min=1)
            return self._linearise(self.weighting.scalar, own, rows > 0)[0]
        else:  # without losses, this is the only micro-batch of the process
            losses = self._reduce_sum(mine) if losses is None else losses
            self._factors, self._constant, self._scalar = self._linearise(self.weighting, losses, present)
        return self._factors

    def _linearise(
        self, function: Callable[[Tensor, Tensor, Tensor], Tensor], losses: Tensor, present: Tensor
    ) -> tuple[Tensor, float, Tensor]:
        """The derivative of the weighting's scalar by the losses [T], what it is beside their product, and itself."""
        at = losses.detach().clone().requires_grad_()
        with torch.enable_grad():
            value = function(at, present, self._kappa)
            (factors,) = torch.autograd.grad(value, at, retain_graph=True)
        constant = float(value.detach() - (factors * at.detach()).sum())
        # What is no sum over tasks knows no exposure, and so no gamma.
        return factors if self.weighting.additive else factors * self._gamma, constant, value

    def finish(self, grad_scale: float = 1.0, learn: bool = True, stop: bool = False) -> StepResult:
        """Close the step: reduce the losses, let the weighting remember them, and give its parameters their gradient.

        Args:
            grad_scale: Factor of a loss scaler, which will divide all gradients by it.
            learn: Whether the weighting's parameters get a gradient.
            stop: Whether this process wants to stop after the step.
        """
        assert self._counts is not None, "finish() before any micro_batch()"
        vote = self._losses.new_full((1,), float(stop))  # rides along, see `hf_mtl.training.interruption`
        reduced = self._reduce_sum(torch.cat([self._losses, self._penalty_means, vote]))
        losses, means, votes = reduced.split([len(self.names), len(self._penalties), 1])
        present = self._counts > 0
        with torch.enable_grad():
            scalar = self.weighting(losses, present, self._kappa) if self._scalar is None else self._scalar
            self._learn(scalar * grad_scale if learn else None)
        weights = self.weighting.weights().to(losses)
        unweighted = self._kappa if self.weighting.additive else torch.where(present, self._gamma, 0.0)
        result = StepResult(
            losses,
            self._counts,
            weights,
            self._gamma,
            unweighted * weights if self._factors is None else self._factors,
            unweighted,
            dict(zip(self._penalties, means, strict=True)),
            votes.squeeze(),
        )
        self.absent = self._counts == 0
        self._counts = None
        return result

    def _learn(self, scalar: Tensor | None) -> None:
        parameters = [parameter for parameter in self.weighting.parameters() if parameter.requires_grad]
        for parameter in parameters:
            parameter.grad = None
        if scalar is None or not parameters:
            return
        for parameter, gradient in zip(parameters, torch.autograd.grad(scalar, parameters), strict=True):
            parameter.grad = gradient

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
