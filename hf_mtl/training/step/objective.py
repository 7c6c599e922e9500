"""From the row losses of micro-batches to one update per optimizer step, whatever the partition.

L_t is the sum of the step's row losses of task t over all micro-batches and processes, divided by M_t, the sum of the
rows' masses, which every process knows from the plan. A row's weight is in its loss and in its head's penalties when
they come here, and in no mass: divided out, it would do nothing in a step with one row of the task. How much a task
counts follows its rows n_t, whatever their masses and weights; a task whose M_t is 0 is absent from the step, as one
without rows is.

A micro-batch's part of the weighting's scalar is linear in its own rows, with factors c_t that the whole step shares:
those of a scalar that is linear in the losses are known beforehand; the others need the step's losses first. The
weighting's own parameters get their gradient at the end of the step from the reduced losses, the same on every
process.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from hf_mtl.balancing import DEFAULT_EXACT_ACCUMULATION, DEFAULT_EXPOSURE, Exposure, LossWeighting, exposures
from hf_mtl.batch import StepFacts, to_device
from hf_mtl.errors import CheckpointError
from hf_mtl.modeling.output import MultiTaskOutput
from hf_mtl.processes import Processes
from hf_mtl.training.step.result import StepResult


class Objective:
    """Collects one optimizer step at a time.

    Args:
        names: Task names, in task order.
        weighting: The loss weighting.
        processes: This process among the others.
        penalties: Task and name of every penalty of the heads.
        exposure: How much each task counts, see `hf_mtl.balancing.exposure`.
        exact_accumulation: Whether a weighting that needs the step's losses first gets those of the whole step, which
            with several micro-batches costs a forward of each; otherwise it gets those of each micro-batch.
    """

    def __init__(
        self,
        names: Sequence[str],
        weighting: LossWeighting,
        processes: Processes,
        penalties: Sequence[tuple[str, str]] = (),
        exposure: Exposure = DEFAULT_EXPOSURE,
        exact_accumulation: bool = DEFAULT_EXACT_ACCUMULATION,
    ):
        self.names = list(names)
        self.weighting = weighting
        self.exposure: Exposure = exposure
        self._processes = processes
        self._penalties = list(penalties)
        self.exact_accumulation = exact_accumulation
        self.device = processes.device
        self.absent = torch.zeros(len(names), dtype=torch.bool)  # in the step that was finished last; on the host
        self._absent = self.absent  # in this one
        self._parts = 0  # micro-batches of the step over all processes
        self._counts: Tensor
        self._masses: Tensor
        self._divisors: Tensor
        self._exposures: Tensor
        self._factors: Tensor | None = None
        self._scalar: Tensor | None = None
        self._constant: Tensor
        self._losses: Tensor
        self._coefficients: Tensor
        self._penalty_means: Tensor

    @property
    def losses_first(self) -> bool:
        """Tell whether the next step's factors depend on its losses."""
        return "losses" in self.weighting.needs_now()

    def begin(self, facts: StepFacts, micro_batches: int) -> None:
        """Begin a step.

        Args:
            facts: What the plan says of the step. A task's exposure is that of the nominal step, so that dropping one
                task leaves the others' coefficients as they are; gamma_t multiplies the task's part of the scalar.
            micro_batches: This process's micro-batches of the step; every process has as many.
        """
        self._parts = micro_batches * self._processes.world
        known = [_per_task(facts[key]) for key in ("counts", "masses", "coefficients")]
        _, masses, coefficients = known
        found = exposures(_per_task(facts["nominal"]), self.exposure)
        # Gamma multiplies the exposure and not the loss: the weighting's own terms of the task shrink with it, and
        # the losses that the weighting remembers do not.
        known += [_divisors(masses), torch.where(masses > 0, found * coefficients, 0.0)]
        # All of this is known on the host: one copy, which nobody waits for.
        moved = to_device(torch.stack(known), self.device)
        self._counts, self._masses, self._coefficients, self._divisors, self._exposures = moved
        self._absent = masses <= 0
        self._losses = torch.zeros_like(self._counts)
        self._penalty_means = torch.zeros(len(self._penalties), dtype=torch.float64, device=self.device)
        self._factors, self._scalar, self._constant = None, None, self._losses.new_zeros(())

    def micro_batch(
        self, outputs: MultiTaskOutput, facts: StepFacts, losses: Tensor | None = None, constant: bool = True
    ) -> Tensor:
        """Return this micro-batch's part of the step's scalar.

        The parts of all micro-batches and processes add up to the scalar.

        The weighting and its statistics see the data terms L_t alone. A head's penalty Q_t, which may be negative,
        joins the scalar with the factor that L_t has in it, taken as a constant.

        Args:
            outputs: What the model gave for the micro-batch: losses of its rows, and the heads' penalties.
            facts: What the plan says of the micro-batch.
            losses: L_t of the whole step [T], where `losses_first` and there are several micro-batches.
            constant: Whether to add the micro-batch's share of what the scalar is beside the losses; only for the
                first call of a micro-batch whose tasks come one by one.

        Returns:
            Scalar tensor with the graph of this micro-batch.
        """
        parts = self.data_terms(outputs)
        # In float64: another partition of the step adds up its micro-batches and processes in another order.
        mine = torch.zeros_like(self._losses)
        for name, part in parts.items():
            mine[self.names.index(name)] = part.detach()
        factors = self._factors_of(mine, facts, losses)
        self._losses += mine
        # The scalar is sum_t c_t L_t and a constant, which is to come once in the step and not in every micro-batch.
        total = self._constant / self._parts if constant else torch.zeros_like(self._constant)
        penalties = outputs.row_penalties or {}
        for name, part in parts.items():
            if name in penalties:
                part = part + penalties[name].sum() / self._divisors[self.names.index(name)]
            total = total + factors[self.names.index(name)].to(part.dtype) * part
        self._note_penalties(facts, outputs.penalty_values or {})
        return total.to(torch.float32)

    def data_terms(self, outputs: MultiTaskOutput) -> dict[str, Tensor]:
        """Give this micro-batch's part of L_t, by task.

        Args:
            outputs: What the model gave for the micro-batch.
        """
        losses = outputs.row_losses or {}
        return {name: rows.sum() / self._divisors[self.names.index(name)] for name, rows in losses.items()}

    def _note_penalties(self, facts: StepFacts, values: Mapping[str, Mapping[str, Tensor]]) -> None:
        """Add up the penalties of the step, by task and name, before their factors, to log."""
        for place, (task, name) in enumerate(self._penalties):
            index = self.names.index(task)
            if task in values and facts["masses"][index] > 0:
                self._penalty_means[place] += values[task][name].sum() / self._divisors[index]

    def _factors_of(self, mine: Tensor, facts: StepFacts, losses: Tensor | None) -> Tensor:
        """Return the factors c_t for a micro-batch, detached [T]."""
        if self._factors is not None:
            return self._factors
        present = self._masses > 0
        if not self.losses_first:
            # Linear in the losses, so the derivative is the same everywhere: at 0 too, where nothing is known yet.
            self._factors, self._constant, _ = self._linearise(self.weighting.scalar, 0 * self._masses, present)
        elif losses is None and not self.exact_accumulation:
            own = to_device(_per_task(facts["own_masses"]), self.device)
            return self._linearise(self.weighting.scalar, mine * self._divisors / _divisors(own), own > 0)[0]
        else:  # without losses, this is the only micro-batch of the process
            losses = self._processes.reduce_sum(mine) if losses is None else losses
            self._factors, self._constant, self._scalar = self._linearise(self.weighting, losses, present)
        return self._factors

    def _linearise(
        self, function: Callable[[Tensor, Tensor, Tensor], Tensor], losses: Tensor, present: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Linearise the weighting's scalar at some losses.

        Returns:
            Its derivative by the losses [T], what it is beside their product, and itself.
        """
        at = losses.detach().clone().requires_grad_()
        with torch.enable_grad():
            value = function(at, present, self._exposures)
            # The graph is kept: where the losses come first, `finish` takes the parameters' gradient from it.
            (factors,) = torch.autograd.grad(value, at, retain_graph=True)
        # With it the parts add up to the scalar's value too, and not only to its gradient.
        constant = value.detach() - (factors * at.detach()).sum()
        # What is no sum over tasks knows neither exposures nor coefficients.
        return factors if self.weighting.additive else factors * self._coefficients, constant, value

    def finish(self, grad_scale: float = 1.0, learn: bool = True, stop: bool = False) -> StepResult:
        """Close the step: reduce the losses, let the weighting remember them, and give its parameters their gradient.

        Args:
            grad_scale: Factor of a loss scaler, which will divide all gradients by it.
            learn: Whether the weighting's parameters get a gradient.
            stop: Whether this process wants to stop after the step.
        """
        vote = self._losses.new_full((1,), float(stop))  # rides along, see `hf_mtl.training.interruption`
        reduced = self._processes.reduce_sum(torch.cat([self._losses, self._penalty_means, vote]))
        losses, means, votes = reduced.split([len(self.names), len(self._penalties), 1])
        present = self._masses > 0
        with torch.enable_grad():
            # Where the losses came first, the weighting has seen them, and must not count the step twice.
            scalar = self.weighting(losses, present, self._exposures) if self._scalar is None else self._scalar
            self._learn(scalar * grad_scale if learn else None)
        weights = self.weighting.weights().to(losses)
        unweighted = self._exposures if self.weighting.additive else torch.where(present, self._coefficients, 0.0)
        result = StepResult(
            losses,
            self._counts,
            self._masses,
            weights,
            self._coefficients,
            unweighted * weights if self._factors is None else self._factors,
            unweighted,
            dict(zip(self._penalties, means, strict=True)),
            votes.squeeze(),
        )
        self.absent = self._absent
        return result

    def _learn(self, scalar: Tensor | None) -> None:
        parameters = [parameter for parameter in self.weighting.parameters() if parameter.requires_grad]
        for parameter in parameters:
            parameter.grad = None  # None and not 0: momentum or weight decay would move a parameter that rests
        if scalar is None or not parameters:
            return
        # A parameter that has no part in this step has a gradient of zeros.
        gradients = torch.autograd.grad(scalar, parameters, materialize_grads=True)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient

    def state_dict(self) -> dict[str, Any]:
        """Return the weighting's parameters and buffers."""
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


def _per_task(values: Sequence[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def _divisors(masses: Tensor) -> Tensor:
    """Return what sums of row losses are divided by, as `hf_mtl.batch.divisor` has it."""
    return torch.where(masses > 0, masses, 1.0)
