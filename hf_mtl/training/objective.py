"""From the row losses of micro-batches to one update per optimizer step, whatever the partition.

L_t is the sum of the step's row losses of task t over all micro-batches and processes, divided by M_t, the sum of the
masses of its rows, which every process knows from the plan. How much a task counts follows its rows n_t, whatever
their masses; a task whose M_t is 0 is absent from the step, as one without rows is.

A micro-batch's part of the weighting's scalar is linear in its own rows, with factors c_t that the whole step shares:
those of a scalar that is linear in the losses are known beforehand; the others need the step's losses first. The
weighting's own parameters get their gradient at the end of the step from the reduced losses, the same on every
process.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from hf_mtl.balancing import DEFAULT_EXACT_ACCUMULATION, DEFAULT_REDUCTION, LossWeighting, Reduction, exposure
from hf_mtl.batch import StepFacts
from hf_mtl.errors import CheckpointError


@dataclass
class StepResult:
    """What one optimizer step saw.

    Args:
        losses: L_t of each task, [T]; 0 where absent.
        counts: n_t of each task, [T].
        masses: M_t of each task, [T].
        weights: Coefficients w_t of the weighting, [T].
        gamma: Coefficients gamma_t of the schedules, [T].
        factors: c_t: the step's scalar has the gradient sum_t c_t (L_t + Q_t), [T]; 0 where absent.
        unweighted: What is left of c_t without w_t: exposure and gamma, [T]; 0 where absent.
        penalties: Mean of each penalty over the mass of its task, by task and name, before its factor; 0 where
            absent.
        votes: How many processes want to stop after this step, a scalar tensor.
    """

    losses: Tensor
    counts: Tensor
    masses: Tensor
    weights: Tensor
    gamma: Tensor
    factors: Tensor
    unweighted: Tensor
    penalties: dict[tuple[str, str], Tensor] = field(default_factory=dict)
    votes: Tensor = field(default_factory=lambda: torch.zeros(()))

    @property
    def present(self) -> Tensor:
        """Which tasks have a loss in the step, bool [T]."""
        return self.masses > 0


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
        self._masses: Tensor
        self._divisors: Tensor
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
        step: StepFacts,
        row_penalties: Mapping[str, Tensor] | None = None,
        penalty_values: Mapping[str, Mapping[str, Tensor]] | None = None,
        losses: Tensor | None = None,
        constant: bool = True,
    ) -> Tensor:
        """This micro-batch's part of the step's scalar; the parts of all micro-batches and processes add up to it.

        The weighting and its statistics see the data terms L_t alone. A head's penalty Q_t, which may be negative,
        joins the scalar with the factor that L_t has in it, taken as a constant.

        Args:
            row_losses: Loss of each row, a sum over the units of its mass, per task, [rows of that task in this
                micro-batch].
            step: The step. A task's exposure is that of the nominal step, so that dropping one task leaves the
                coefficients of the others as they are; gamma_t multiplies the task's part of the scalar.
            row_penalties: What heads add to the losses of these rows, per task that has such a head.
            penalty_values: The penalties by name, before their factors, to log.
            losses: L_t of the whole step [T], where `losses_first` and there are several micro-batches.
            constant: Whether to add the micro-batch's share of what the scalar is beside the losses; only for the
                first call of a micro-batch whose tasks come one by one.

        Returns:
            Scalar tensor with the graph of this micro-batch.
        """
        if self._counts is None:
            self._begin(step)
        parts = {name: rows.sum() / self._divisors[self.names.index(name)] for name, rows in row_losses.items()}
        mine = torch.zeros_like(self._losses)
        for name, part in parts.items():
            mine[self.names.index(name)] = part.detach()
        factors = self._factors_of(mine, step, losses)
        self._losses += mine
        share = self._constant / self._micro_batches() if constant else 0.0
        total = torch.tensor(share, dtype=torch.float64, device=self.device)
        for name, part in parts.items():
            if row_penalties and name in row_penalties:
                part = part + row_penalties[name].sum() / self._divisors[self.names.index(name)]
            total = total + factors[self.names.index(name)].to(part.dtype) * part
        self._note_penalties(step, penalty_values or {})
        return total.to(torch.float32)

    def _note_penalties(self, step: StepFacts, values: Mapping[str, Mapping[str, Tensor]]) -> None:
        for place, (task, name) in enumerate(self._penalties):
            index = self.names.index(task)
            if task in values and step["masses"][index] > 0:
                self._penalty_means[place] += values[task][name].sum() / self._divisors[index]

    def _begin(self, step: StepFacts) -> None:
        self._counts = self._per_task(step["counts"])
        self._masses = self._per_task(step["masses"])
        self._divisors = _divisors(self._masses)
        self._gamma = self._per_task(step["gamma"])
        kappa = exposure(self._per_task(step["nominal"]), self.reduction)
        self._kappa = torch.where(self._masses > 0, kappa * self._gamma, 0.0)
        self._losses = torch.zeros_like(self._counts)
        self._penalty_means = torch.zeros(len(self._penalties), dtype=torch.float64, device=self.device)
        self._factors, self._scalar, self._constant = None, None, 0.0

    def _per_task(self, values: Sequence[float]) -> Tensor:
        return torch.tensor(values, dtype=torch.float64, device=self.device)

    def _factors_of(self, mine: Tensor, step: StepFacts, losses: Tensor | None) -> Tensor:
        """The factors c_t for a micro-batch, detached [T]."""
        if self._factors is not None:
            return self._factors
        present = self._masses > 0
        if not self.losses_first:
            self._factors, self._constant, _ = self._linearise(self.weighting.scalar, 0 * self._masses, present)
        elif losses is None and not self.exact_accumulation:
            own = self._per_task(step["own_masses"])
            return self._linearise(self.weighting.scalar, mine * self._divisors / _divisors(own), own > 0)[0]
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
        present = self._masses > 0
        with torch.enable_grad():
            scalar = self.weighting(losses, present, self._kappa) if self._scalar is None else self._scalar
            self._learn(scalar * grad_scale if learn else None)
        weights = self.weighting.weights().to(losses)
        unweighted = self._kappa if self.weighting.additive else torch.where(present, self._gamma, 0.0)
        result = StepResult(
            losses,
            self._counts,
            self._masses,
            weights,
            self._gamma,
            unweighted * weights if self._factors is None else self._factors,
            unweighted,
            dict(zip(self._penalties, means, strict=True)),
            votes.squeeze(),
        )
        self.absent = ~present
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


def _divisors(masses: Tensor) -> Tensor:
    """What sums of row losses are divided by, as `hf_mtl.batch.divisor` has it."""
    return torch.where(masses > 0, masses, 1.0)
