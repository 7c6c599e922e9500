"""The decision of a weighting and an aggregator on a step, once its task gradients are formed."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from hf_mtl.balancing import OF_GRADIENTS, FromGramian, GradientAggregator, LossWeighting, NonFiniteRows
from hf_mtl.gradients import Chosen, HeldGradients, JacobianRows, Wanted
from hf_mtl.modeling import MultiTaskModel
from hf_mtl.modeling.freezing import upper_parameters
from hf_mtl.training.step.result import StepResult


class Decision:
    """Tells a weighting what it asks of task gradients, and has an aggregator make one direction of them.

    Args:
        model: The model.
        weighting: The loss weighting.
        aggregator: The aggregator; None: the sum that the objective makes.
        log_every: Decisions between two looks at inner products that nothing decides by; 0: never.

    Attributes:
        decided: Decisions so far.
    """

    def __init__(
        self, model: MultiTaskModel, weighting: LossWeighting, aggregator: GradientAggregator | None, log_every: int
    ):
        self.decided = 0
        self._log_every = log_every
        self.weighting = weighting
        self.aggregator = aggregator
        self.tells_weighting = False  # in this step
        self._encoder = model.encoder
        self._gramian: Tensor | None = None  # of the rows of this step's decision
        self._weights: Tensor

    def begin(self) -> None:
        """Start a step."""
        self.tells_weighting = bool(self.weighting.needs_now() & OF_GRADIENTS)
        self._gramian = None

    def wanted(self, several_batches: bool) -> Wanted:
        """Say what the methods want of the gradients.

        Args:
            several_batches: Whether a step has several micro-batches.
        """
        aggregator, told = self.aggregator, "jacobian" in self.weighting.needs
        if aggregator is None:
            scope = self._parameters(getattr(self.weighting, "scope", "all"))
            return Wanted(scope, whole=told, all_combined=False, several_batches=several_batches)
        return Wanted(
            self._parameters(aggregator.scope),
            whole=told or "jacobian" in aggregator.needs,
            steady=told or aggregator.steady,
            several_batches=several_batches,
        )

    def tell_weighting(self, held: HeldGradients, factors: Tensor, present: Tensor) -> None:
        """Tell the weighting norms, or rows, of the gradients of the L_t.

        Args:
            held: The gradients of each task's part of the step's scalar.
            factors: What makes those of L_t of them, [T].
            present: The tasks that have a loss in the step, [T].

        Raises:
            NonFiniteRows: If a norm is not finite; the weighting is told nothing.
        """
        needs = self.weighting.needs
        squares = held.gramian(self._chosen(getattr(self.weighting, "scope", "all"))).diagonal()
        norms = squares.clamp(min=0).sqrt() * factors.to(squares)
        if not bool(torch.isfinite(norms).all()):
            raise NonFiniteRows((~torch.isfinite(norms)).nonzero().flatten().tolist())
        if "norms" in needs:
            self.weighting.observe(norms=norms, present=present)
        if "jacobian" in needs:
            assert isinstance(held, JacobianRows)
            # In float32, also where the rows are shorter: what is remembered of them grows over the run.
            rows = held.jacobian().float() * factors.to(held.device, torch.float32)[:, None]
            self.weighting.observe(jacobian=rows, present=present)

    def direction(
        self, held: HeldGradients, result: StepResult, grad_scale: float
    ) -> Iterator[tuple[nn.Parameter, Tensor]]:
        """Return the gradient of every shared parameter, with the loss scaler's factor.

        Args:
            held: The gradients of each task's part of the step's scalar.
            result: What the step saw.
            grad_scale: Factor of the loss scaler, which is in the gradients.

        Raises:
            NonFiniteRows: If the aggregator can make nothing of them.
        """
        self._weights = result.weights
        if self.aggregator is None:
            return held.combine(torch.ones_like(result.factors))
        # The rows are those of w_t (L_t + Q_t): exposure and coefficients, which the backward has put in, go.
        factors = inverse(result.unweighted) / grad_scale
        if isinstance(self.aggregator, FromGramian) and "jacobian" not in self.aggregator.needs:
            # Combining scaled rows is combining the rows as they are held, with scaled weights: no row is touched.
            self._gramian = held.gramian(self._chosen(self.aggregator.scope)) * torch.outer(factors, factors)
            here = result.on_host  # where the weights are found
            weights = self.aggregator.weights_from_gramian(self._gramian, here.losses * here.weights, here.present)
            return held.combine(weights * result.coefficients.to(weights) * factors.to(weights) * grad_scale)
        assert isinstance(held, JacobianRows)
        held.scale(factors)
        # Nothing decides by these inner products: the log has them as often as where no aggregator is.
        looks = bool(self._log_every) and self.decided % self._log_every == 0
        self._gramian = held.gramian() if looks else None
        self.decided += 1
        losses = result.losses * result.weights
        direction = self.aggregator(held.jacobian(), losses, result.present, result.coefficients)
        # Without a loss scaler it is handed on as it is: a product with 1 is a second tensor of P numbers.
        return held.split(direction if grad_scale == 1.0 else direction.mul_(grad_scale))

    def record(self, take: Callable[[Tensor, Tensor | None], None]) -> None:
        """Hand out the inner products of the gradients of L_t + Q_t, and the weights, if this step has them.

        Args:
            take: Takes them.
        """
        if self._gramian is not None and self.aggregator is not None:
            without = inverse(self._weights).to(self._gramian)
            take(self._gramian * torch.outer(without, without), self.aggregator.weights())

    def _parameters(self, scope: Any) -> list[nn.Parameter] | None:
        return None if scope == "all" else upper_parameters(self._encoder, scope)

    def _chosen(self, scope: str) -> Chosen | None:
        parameters = self._parameters(scope)
        if parameters is None:
            return None
        mine = {id(parameter) for parameter in parameters}
        return lambda parameter: id(parameter) in mine


def inverse(values: Tensor) -> Tensor:
    """Return 1 / x of each value, and 0 of 0: an absent task's row stays out of everything.

    Args:
        values: [T].
    """
    return torch.where(values != 0, 1 / values, 0.0)
